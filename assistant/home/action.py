"""Actions as they travel: what is to be done, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

ParamValue = bool | int | float | str | list[int] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do, to any number of devices (none for actions such as `start_timer`).

    `name` is one of the vocabulary in `assistant.home.vocabulary` or a skill's own.
    """

    name: str
    devices: tuple[str, ...] = ()
    params: Mapping[str, ParamValue] = field(default_factory=dict)


class Result(StrEnum):
    """How an action ended on one device."""

    CONFIRMED = "confirmed"
    """The device reported the wanted state."""
    SENT = "sent"
    """The command left; the device reports no state, so nobody knows."""
    FAILED = "failed"
    """Not sent, or no report of the wanted state in time."""
    REFUSED = "refused"
    """Not tried: not possible for this device, out of range, unavailable, or not allowed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action on one device (`device` None for actions without any).

    `action` is as it was carried out: relative amounts are resolved to absolute ones.
    `reason` is a short key when it was not confirmed: "unavailable", "no_report", "not_sent",
    "unsupported", "out_of_range", "not_allowed", "unknown_device", "error", or "not_kept" where the
    disk fails.
    """

    action: Action
    device: str | None
    result: Result
    reason: str = ""
    detail: str = ""
    topics: tuple[str, ...] = ()
    seconds: float = 0.0
