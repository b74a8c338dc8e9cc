"""The part of a turn that the language model leads: it does and says as the model writes."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from assistant.home.action import Outcome
from assistant.plan import Exchange, Plan, PlanKind, Speech
from assistant.turn.deeds import Deeds, told_of
from assistant.turn.saying import unless
from assistant.turn.telling import Telling
from assistant.turn.turn import Ended, Turn
from assistant.understand.plan_events import (
    FAULTS,
    Acting,
    Asking,
    Confirming,
    Excusing,
    PlanEvent,
    Saying,
    planned,
)
from assistant.understand.planner import Planner

log = logging.getLogger(__name__)


async def model_turn(
    turn: Turn, planner: Planner, history: Sequence[Exchange], deeds: Deeds, telling: Telling
) -> Ended:
    """Have the model plan: do and say what it wants as it comes, then tell what came of it.

    `deeds` is for this turn alone. A bare excuse, before which there was nothing, is left to be
    said by the caller. Once the turn is interrupted the model writes no more, and nothing is told;
    what has been begun comes to its end.
    """
    began = time.monotonic()
    events: list[PlanEvent] = []

    async def follow() -> None:
        async with aclosing(planner.plan(turn.utterance, turn.home, history)) as coming:
            async for event in coming:
                events.append(event)
                match event:
                    case Acting(action=action):
                        if not deeds.wanted:
                            turn.stage("first action", began)
                        deeds.take(action)
                    case Saying(text=text) | Asking(text=text):
                        turn.reply.piece(text)
                    case Confirming(plan=question):
                        deeds.hold(question)
                    case Excusing(plan=excuse, reason=reason):
                        told = excuse.speech.key if excuse.speech is not None else ""
                        level = logging.WARNING if told in FAULTS else logging.INFO
                        log.log(level, "no answer of the language model: %s", reason)

    try:
        whole = await unless(turn.interrupted, follow())
        thought = turn.stage("plan", began)
        if turn.reply.text:
            turn.stage("first sentence", began, turn.reply.sentence or thought)
        ended = _planned(deeds, events)
        turn.planned(ended.plan, planner.model)
        outcomes = await deeds.outcomes()
    finally:
        deeds.abandon()
    if outcomes:
        turn.stage("act", thought)
    if whole:
        await _tell(turn, deeds, events, outcomes, telling)
    sole = whole and all(isinstance(event, Acting | Confirming) for event in events)
    taught = sole and not deeds.forbidden and deeds.question() is None
    doubted = sole and deeds.doubted
    return replace(ended, outcomes=outcomes, taught=taught, doubted=doubted)


def _planned(deeds: Deeds, events: Sequence[PlanEvent]) -> Ended:
    """The plan that `events` amount to, after the policy."""
    plan = planned(events) if events else Plan(PlanKind.UNKNOWN, score=0.0)
    if (question := deeds.question()) is not None:
        return Ended(question, wanted=told_of(question.actions))
    if deeds.begun:
        return Ended(replace(plan, kind=PlanKind.ACT, actions=deeds.begun))
    if deeds.wanted:
        refusal = deeds.forbidden.speech if deeds.forbidden is not None else None
        speech = refusal or Speech("core.not_allowed")
        return Ended(replace(plan, kind=PlanKind.REFUSE, actions=(), speech=speech))
    return Ended(plan)


async def _tell(
    turn: Turn,
    deeds: Deeds,
    events: Sequence[PlanEvent],
    outcomes: tuple[Outcome, ...],
    telling: Telling,
) -> None:
    """Say what came of what the model wanted, what it may not, and what is asked or excused."""
    if outcomes:
        await telling.outcomes(turn, told_of(deeds.begun), outcomes)
    if deeds.forbidden is not None:
        telling.say(turn, deeds.forbidden)
    if (question := deeds.question()) is not None:
        telling.say(turn, question)
        return
    for event in events:
        if isinstance(event, Excusing) and (deeds.wanted or turn.reply.text):
            telling.say(turn, event.plan)
