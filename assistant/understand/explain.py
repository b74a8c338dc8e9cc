"""How a plan came about, step by step, for whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from assistant.plan import Plan


class Verdict(StrEnum):
    """What became of something that was considered."""

    TAKEN = "taken"
    """It is the plan, as far as this stage goes."""
    KEPT = "kept"
    """It would do, unless something better is found."""
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Considered:
    """One thing that was tried on the way to a plan."""

    stage: str
    """How the text was read: "exact", "loose", "several", "follow-up", "policy", ..."""
    text: str
    """The sentence, or the part of it, that was read."""
    plan: Plan | None
    """What it made; None or of kind UNKNOWN: nothing."""
    slots: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    """Why it was taken, or why it was not."""
    verdict: Verdict = Verdict.TAKEN
    intent: str = ""
    """Skill and intent of a candidate, where no plan tells them."""
    cost: float = 0.0
    """How far a loose reading is from what was heard."""
    changes: tuple[tuple[str, str], ...] = ()
    """What was heard, and what it was taken for; "": for nothing."""


Note = Callable[[Considered], None]
"""Takes what was considered, in the order in which it was."""


def ignore(considered: Considered) -> None:
    """Where nobody wants to know."""
