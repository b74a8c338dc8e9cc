"""How a plan came about, step by step, for whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assistant.plan import Plan


@dataclass(frozen=True, slots=True)
class Considered:
    """One thing that was tried on the way to a plan."""

    stage: str
    """How the text was read: "exact", "loose", "command", "follow-up", ..."""
    text: str
    """The sentence, or the part of it, that was read."""
    plan: Plan | None
    """What it made; None or of kind UNKNOWN: nothing."""
    slots: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    """Why it was rejected, where it was."""


Note = Callable[[Considered], None]
"""Takes what was considered, in the order in which it was."""


def ignore(considered: Considered) -> None:
    """Where nobody wants to know."""
