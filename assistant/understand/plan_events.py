"""What the planner tells while a model still writes, and the one plan that it amounts to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from assistant.home.action import Action
from assistant.plan import Plan, PlanKind, Speech, Utterance

PLANNED: Final = "planned"
"""The intent of every plan that a language model makes."""
FAULTS: Final = frozenset({"core.model_late", "core.model_failed"})
"""Excuses for what is the language model's own fault."""


@dataclass(frozen=True, slots=True)
class Acting:
    """An action to carry out now, unless the policy objects to it.

    `confidence`: the probability that the model gave to this action as it stands, out of all that
    it might have written; None where the model does not tell.
    """

    action: Action
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Saying:
    """The next piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Asking:
    """The next piece of a question back, in the model's words; any answer is a new utterance."""

    text: str


@dataclass(frozen=True, slots=True)
class Confirming:
    """Whether to carry out what the planner is not sure of: a plan of kind ASK with `confirm`.

    Comes at most once, after all that is done and said. A yes carries out `plan.actions`.
    """

    plan: Plan


@dataclass(frozen=True, slots=True)
class Excusing:
    """Nothing more comes, and why: `plan` is of kind REFUSE, with the excuse as its speech.

    `reason` is for the log. Actions that came before it stay as they are.
    """

    plan: Plan
    reason: str


PlanEvent = Acting | Saying | Asking | Confirming | Excusing


def excuse(key: str, reason: str, utterance: Utterance) -> Excusing:
    """The excuse that the reply `key` words, for what came of `utterance`."""
    speech = Speech(key, {"heard": utterance.text})
    return Excusing(Plan(PlanKind.REFUSE, PLANNED, "core", score=0.0, speech=speech), reason)


def planned(events: Iterable[PlanEvent]) -> Plan:
    """The one plan that the events of an utterance amount to.

    ACT where anything was carried out; what was said is then only in the events.
    """
    actions: list[Action] = []
    said: list[str] = []
    asked: list[str] = []
    last: Plan | None = None
    score = 1.0
    for event in events:
        match event:
            case Acting(action, confidence):
                actions.append(action)
                score = min(score, 1.0 if confidence is None else confidence)
            case Saying(text):
                said.append(text)
            case Asking(text):
                asked.append(text)
            case Confirming(plan) | Excusing(plan):
                last = last or plan
    if actions:
        return Plan(PlanKind.ACT, PLANNED, "core", tuple(actions), score=score)
    if asked or said:
        kind = PlanKind.ASK if asked else PlanKind.CHAT
        speech = Speech("core.verbatim", {"text": "".join(asked or said).strip()})
        return Plan(kind, PLANNED, "core", speech=speech)
    return last or Plan(PlanKind.UNKNOWN, PLANNED, "core", speech=Speech("core.model_failed"))
