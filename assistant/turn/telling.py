"""Tells the user what a turn came to: in our own words, or in the language model's."""

from __future__ import annotations

import logging
import time
from contextlib import aclosing
from dataclasses import replace

from assistant.errors import LlmError
from assistant.home.action import Outcome
from assistant.home.registry import Registry
from assistant.plan import Plan, Speech
from assistant.turn.reply import Replies
from assistant.turn.saying import unless
from assistant.turn.thinker import Thinker
from assistant.turn.turn import Turn
from assistant.understand.planner import Planner

log = logging.getLogger(__name__)


class Telling:
    """Adds to the replies of turns.

    `wording` has the language model that words what came of commands; None: our own words do.
    """

    def __init__(self, replies: Replies, registry: Registry, wording: Thinker | None) -> None:
        self._replies = replies
        self._registry = registry
        self._wording = wording

    def say(self, turn: Turn, plan: Plan) -> None:
        """Say the speech of `plan`, which does nothing (now)."""
        language = turn.utterance.language
        turn.reply.sentences(self._replies.word(self._worded(plan, language), language))

    async def outcomes(self, turn: Turn, plan: Plan, outcomes: tuple[Outcome, ...]) -> None:
        """Say what came of `plan`: in the model's words if that is set and it can."""
        planner = await self._wording.planner() if self._wording is not None else None
        if planner is not None and planner.words_replies:
            try:
                await self._in_the_model_s_words(turn, planner, outcomes)
                return
            except LlmError as error:
                log.warning("the reply is not worded by the language model: %s", error)
        home, language = self._registry.home(), turn.utterance.language
        turn.reply.sentences(self._replies.from_outcomes(plan, outcomes, home, language))

    async def _in_the_model_s_words(
        self, turn: Turn, planner: Planner, outcomes: tuple[Outcome, ...]
    ) -> None:
        words = planner.word(turn.utterance, outcomes, self._registry.home())

        async def follow() -> None:
            async with aclosing(words) as pieces:
                async for piece in pieces:
                    turn.reply.piece(piece)

        began = time.monotonic()
        if await unless(turn.interrupted, follow()):
            turn.stage("word", began)

    def _worded(self, plan: Plan, language: str) -> Speech:
        speech = plan.speech or Speech("core.done")
        if "devices" not in speech.values:
            return speech
        home = self._registry.home()
        devices = [home.devices[i] for i in speech.values["devices"] if i in home.devices]
        return replace(
            speech, values={**speech.values, **self._replies.target(devices, home, language)}
        )
