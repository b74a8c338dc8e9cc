"""A command or a reminder that waits for its time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from assistant.home.action import Action
from assistant.home.occasion import Occasion

MOST: Final = 100
"""Commands and reminders that may wait at the same time."""

Approval = Literal["", "yes", "pin"]
"""How it was approved of when it was set up: not at all, by a yes, or by the PIN."""


@dataclass(frozen=True, slots=True)
class Delayed:
    """A command that is carried out in `remaining` seconds, in the words in which it was given."""

    id: str
    command: str
    remaining: float
    area: str | None = None
    """Where it was asked for."""
    does: tuple[Action, ...] = ()
    """What the command meant when it was given; none: that is not known."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What waits: a `command`, in the words in which it was given, or a `message` to be said.

    `next`: when its time comes, in seconds since the epoch.
    """

    id: int
    occasion: Occasion
    next: float
    command: str = ""
    message: str = ""
    area: str | None = None
    """Where it was asked for."""
    language: str = "en"
    does: tuple[Action, ...] = ()
    """What the command meant when it was given."""
    approved: Approval = ""


def written(actions: Iterable[Action]) -> str:
    """`actions` on one line, for a parameter or a file."""
    return json.dumps([[a.name, list(a.devices), dict(a.params)] for a in actions])


def actions_from(text: str) -> tuple[Action, ...]:
    """The actions that `written` wrote."""
    return tuple(Action(name, tuple(ids), params) for name, ids, params in json.loads(text))


def approval_from(text: str) -> Approval:
    """The approval that `text` names; none where it names none."""
    return next((known for known in get_args(Approval) if known == text), "")
