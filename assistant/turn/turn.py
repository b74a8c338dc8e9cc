"""A turn under way: what it is about, whom it tells of what happens, and how it ends."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from assistant.home.action import Outcome
from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Utterance
from assistant.turn.events import Carried, Planned, StageDone
from assistant.turn.saying import Reply
from assistant.turn.trace import Observer
from assistant.understand.conversation import Conversation
from assistant.understand.explain import Considered, Note, Verdict
from assistant.understand.later import Agreed
from assistant.understand.recall import Recalled


@dataclass(frozen=True, slots=True)
class Turn:
    """What is the same throughout a turn. `home` is as it was when it began."""

    utterance: Utterance
    conversation: Conversation
    home: Home
    id: str
    observe: Observer
    reply: Reply
    interrupted: asyncio.Event
    note: Note
    agreed: Agreed | None

    def considered(self, stage: str, reason: str, plan: Plan | None = None) -> None:
        """Note what came of a stage: taken where it has a plan that is for something."""
        known = plan is not None and plan.kind not in (PlanKind.UNKNOWN, PlanKind.REFUSE)
        verdict = Verdict.TAKEN if known else Verdict.REJECTED if plan else Verdict.KEPT
        self.note(Considered(stage, self.utterance.text, plan, {}, reason, verdict))

    def stage(self, name: str, start: float, end: float | None = None) -> float:
        """Tell of a stage that ran from `start` until `end`, or now; returns its end.

        Both are monotonic seconds.
        """
        end = time.monotonic() if end is None else end
        self.observe(StageDone(self.id, self.utterance.source, end, name, start, end))
        return end

    def carried(self, outcome: Outcome) -> None:
        """Tell of an outcome."""
        self.observe(Carried(self.id, self.utterance.source, time.monotonic(), outcome))

    def planned(self, plan: Plan, model: str = "") -> None:
        """Tell of the plan, and of the language model that made it, if one did."""
        self.observe(Planned(self.id, self.utterance.source, time.monotonic(), plan, model))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a turn ended, but for what is remembered of it."""

    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    wanted: Plan | None = None
    """What a yes to the question that `plan` is carries out, in words of its own."""
    taught: bool = False
    """The language model did all of `plan`, and nothing besides, unasked."""
    doubted: bool = False
    """It would have, but was not sure, and asks: `plan` is that question."""
    recalled: Recalled | None = None
    """What was remembered and done again."""
