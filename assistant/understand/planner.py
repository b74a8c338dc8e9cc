"""The MiMo planner: what no template understands, planned by a language model.

How it is used in a turn::

    async with contextlib.aclosing(planner.plan(utterance, home, history)) as events:
        async for event in events:
            match event:
                case Acting(action): ...    # policy.check(Plan(ACT, actions=(action,))), carry out
                case Saying(text) | Asking(text): ...       # to speech, sentence by sentence
                case Confirming(plan) | Excusing(plan): ...  # word plan.speech, as of any plan

Events (`assistant.understand.plan_events`) come as the model writes. `planned(events)` is the one
Plan they amount to, for traces, and for the reply that is made from outcomes. Closing the generator
cancels the model within a step.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from assistant.errors import LlmError
from assistant.home.action import Outcome
from assistant.home.model import Home
from assistant.home.vocabulary import VOCABULARY, Vocabulary
from assistant.llm.model import LanguageModel, Message, Query
from assistant.llm.timed import Timed
from assistant.plan import Exchange, Utterance
from assistant.understand.answer import ActionStream, Said
from assistant.understand.chat import chat
from assistant.understand.draft import Draft
from assistant.understand.grounding import Mentions
from assistant.understand.handles import Handles, timers_of
from assistant.understand.judge import Judge
from assistant.understand.known_homes import KnownHomes
from assistant.understand.language import load_language
from assistant.understand.mood import Mood, mood
from assistant.understand.normal import squeeze
from assistant.understand.plan_events import Excusing, PlanEvent, excuse
from assistant.understand.prompt import more_devices, outcome_message, turn_message
from assistant.understand.schema import reply_schema

_SAME_MOMENT: Final = 30.0
"""Seconds for which what was read ahead of an utterance counts as read at its time."""
_WORDING_LIMIT: Final = 120


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """How much the planner may take and dare.

    `first`: seconds until the first event, `deadline`: seconds until the last; what has not come
    by then is excused. `confidence`: what a weak model's action must reach to be carried out
    unasked. `ask_above`: devices of one utterance beyond which is asked. `never`: actions left out,
    as in the policy's settings ("unlock", "open:cover.gate"). `limit`, `thinking`: tokens.
    `context`: tokens of prompt and answer together; of a home for which they are too few the model
    is told in part, and of the rest what an utterance speaks of.
    """

    first: float = 10.0
    deadline: float = 40.0
    confidence: float = 0.6
    ask_above: int = 25
    never: frozenset[str] = frozenset()
    limit: int = 400
    thinking: int = 0
    context: int = 4096


class Planner:
    """Plans with `model`. Belongs to one event loop.

    What form alone forbids the model never decides: questions and prohibitions get a grammar
    without actions. What it does decide is carried out unasked only where the utterance speaks of
    the device (`Mentions`), and, from a weak model, only where it is sure of it and the utterance
    holds the words it would use; all else it asks about first. A weak model makes up answers, so
    it may chat about questions that speak of nothing at home, and of its other guesses only what
    was spoken of is asked about.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary = VOCABULARY,
        settings: PlannerSettings = PlannerSettings(),
    ) -> None:
        self._model = model
        self._timed = Timed(model, settings.first, settings.deadline)
        self._vocabulary = vocabulary
        self._settings = settings
        self._homes = KnownHomes(vocabulary, settings.never, settings.context - settings.limit)
        self._moments: dict[str, tuple[float, float]] = {}

    async def prepare(self, home: Home, language: str) -> None:
        """Let the model read the rules and the home; call it when `home.revision` has changed.

        Reading takes a big model a minute. Until it is done, utterances are planned for the home as
        it was read last: what is new in it waits, what is gone is left out. Raises LlmError where
        the model can't.
        """
        known = await self._homes.known(home, language)
        try:
            await self._model.prepare((known.system,), keep=True)
        except LlmError:
            self._homes.note_unread(known)
            raise
        self._homes.note_read(known)

    async def ahead(self, partial: Utterance, home: Home, history: Sequence[Exchange] = ()) -> None:
        """Let the model read what has been said so far, while the speaker goes on.

        Call it with the stable part of a partial transcript; cancel it at will. Raises LlmError
        where the model can't.
        """
        if squeeze(partial.text) and not (self._model.weak and _is_elsewhere(partial, home)):
            self._moments[partial.source] = _now(partial), time.monotonic()
            await self._model.prepare(self._asked(partial, home, history).messages)

    async def plan(
        self, utterance: Utterance, home: Home, history: Sequence[Exchange] = ()
    ) -> AsyncGenerator[PlanEvent, None]:
        """What `utterance` amounts to, as it becomes known. Raises nothing that a model can cause.

        `history`: what was said before, the oldest first; only the last of it is used.
        """
        if not squeeze(utterance.text):
            yield excuse("core.not_understood", "nothing was said", utterance)
            return
        try:
            async with contextlib.aclosing(self._answered(utterance, home, history)) as events:
                async for event in events:
                    yield event
        except TimeoutError:
            yield excuse("core.model_late", "the model took too long", utterance)
        except LlmError as error:
            yield excuse("core.model_failed", str(error), utterance)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._model.name

    @property
    def words_replies(self) -> bool:
        """Whether the model may be asked to `word` replies: a weak one does not keep to facts."""
        return not self._model.weak

    async def word(
        self, utterance: Utterance, outcomes: Sequence[Outcome], home: Home
    ) -> AsyncGenerator[str, None]:
        """A reply from `outcomes` alone, piece by piece, in the language of `utterance`.

        Raises LlmError where the model can't, or not in time: say the template's reply then.
        """
        told = outcome_message(utterance, outcomes, home, utterance.language)
        home, known = self._homes.as_read(home, utterance.language)
        stream = ActionStream(home, self._vocabulary, known.handles, actions=False)
        query = Query((known.system, told), reply_schema(), limit=_WORDING_LIMIT)
        said = False
        try:
            async with contextlib.aclosing(self._timed.pieces(query, lambda: said)) as pieces:
                async for piece in pieces:
                    if not said and not self.words_replies:
                        raise LlmError("a weak language model would answer, which words no replies")
                    for item in stream.feed(piece.text):
                        if isinstance(item, Said):
                            said = said or bool(item.text.strip())
                            yield item.text
                    if stream.finished:
                        break
        except TimeoutError:
            raise LlmError("the language model took too long to word the reply") from None
        if not said:
            raise LlmError("the language model found no words for the reply")

    async def _answered(
        self, utterance: Utterance, home: Home, history: Sequence[Exchange]
    ) -> AsyncGenerator[PlanEvent, None]:
        """As `plan`, by whichever model answers; raises as `_planned`, but for _WeakerError."""
        try:
            async with contextlib.aclosing(
                self._planned(utterance, home, history, weak=self._model.weak)
            ) as events:
                async for event in events:
                    yield event
        except _WeakerError:
            async with contextlib.aclosing(
                self._planned(utterance, home, history, weak=True)
            ) as events:
                async for event in events:
                    yield event

    async def _planned(
        self, utterance: Utterance, home: Home, history: Sequence[Exchange], *, weak: bool
    ) -> AsyncGenerator[PlanEvent, None]:
        """As `plan`. Raises LlmError where the model can't, TimeoutError where it is late, and
        _WeakerError, before any event, where a weak model answers unexpectedly: one stands in for a
        server that can't be reached.
        """
        asked = self._asked(utterance, home, history)
        self._moments.pop(utterance.source, None)
        if weak:
            elsewhere = _is_elsewhere(utterance, asked.home)
            if elsewhere and asked.mood is Mood.QUESTION:
                async with contextlib.aclosing(chat(utterance, history, self._timed)) as events:
                    async for event in events:
                        yield event
                return
            if (excused := self._beyond_a_weak_model(asked, elsewhere)) is not None:
                yield excused
                return
        draft = self._draft(asked, weak=weak)
        answerer_known = weak
        async with contextlib.aclosing(
            self._timed.pieces(asked.query(self._settings), lambda: draft.came)
        ) as pieces:
            async for piece in pieces:
                if not answerer_known and self._model.weak:
                    raise _WeakerError
                answerer_known = True
                for event in draft.feed(piece):
                    yield event
                if draft.finished:
                    break
        for event in draft.end():
            yield event

    def _beyond_a_weak_model(self, asked: _Asked, elsewhere: bool) -> Excusing | None:
        """Why a weak model is not even asked: it would make something up."""
        if asked.mood is Mood.FORBIDDING:
            return excuse("core.nothing_done", "nothing was to be done", asked.utterance)
        near = not elsewhere or asked.recent or self._is_deviceless(asked.mentions)
        if asked.mood is not Mood.ORDER or not near:
            reason = "a weak model is no help with it"
            return excuse("core.not_understood", reason, asked.utterance)
        return None

    def _is_deviceless(self, mentions: Mentions) -> bool:
        """Whether an utterance speaks of what concerns no device, such as a timer."""
        specs = (spec for spec in self._vocabulary.actions.values() if not spec.types)
        return any(mentions.has_any(spec.name.replace("_", " ")) for spec in specs)

    def _asked(self, utterance: Utterance, home: Home, history: Sequence[Exchange]) -> _Asked:
        language = load_language(utterance.language)
        home, known = self._homes.as_read(home, utterance.language)
        handles = replace(known.handles, timers=timers_of(home))
        recent = history[-1].devices if history else ()
        mentions = Mentions(utterance.text, language, home, recent)
        meant = mood(utterance.text, language)
        more: Sequence[str] = ()
        if known.told is not None:
            more = more_devices(
                home,
                self._vocabulary,
                handles,
                self._settings.never,
                known.told,
                mentions,
                utterance.area,
            )
        now = self._moment(utterance)
        turn = turn_message(utterance, home, handles, mentions, history, meant, now=now, more=more)
        schema = known.schema(home, handles, actions=meant is Mood.ORDER)
        messages = (known.system, turn)
        return _Asked(utterance, home, messages, schema, handles, mentions, meant, bool(recent))

    def _draft(self, asked: _Asked, *, weak: bool) -> Draft:
        orders, settings = asked.mood is Mood.ORDER, self._settings
        stream = ActionStream(
            asked.home, self._vocabulary, asked.handles, actions=orders, never=settings.never
        )
        judge = Judge(
            asked.mentions,
            asked.home,
            self._vocabulary,
            ask_above=settings.ask_above,
            sure=settings.confidence if weak else None,
        )
        return Draft(asked.utterance, asked.home, stream, judge)

    def _moment(self, utterance: Utterance) -> float:
        """The time of an utterance: that under which its beginning was read ahead, if it was."""
        now, read = self._moments.get(utterance.source, (0.0, -math.inf))
        return now if time.monotonic() - read < _SAME_MOMENT else _now(utterance)


class _WeakerError(Exception):
    """A weak model answers in the place of another one."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the model is asked about an utterance, and what it is asked in view of."""

    utterance: Utterance
    home: Home
    messages: tuple[Message, ...]
    schema: Mapping[str, Any]
    handles: Handles
    mentions: Mentions
    mood: Mood
    recent: bool
    """Something was spoken of just before, which "it" may mean."""

    def query(self, settings: PlannerSettings) -> Query:
        """The question itself."""
        return Query(self.messages, self.schema, limit=settings.limit, thinking=settings.thinking)


def _is_elsewhere(utterance: Utterance, home: Home) -> bool:
    """Whether an utterance speaks of nothing at home."""
    mentions = Mentions(utterance.text, load_language(utterance.language), home)
    return not (mentions.anything or any(map(mentions.grounded, home.exposed())))


def _now(utterance: Utterance) -> float:
    return utterance.spoken_at or time.time()
