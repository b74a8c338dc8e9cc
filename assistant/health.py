"""Whether the daemon makes progress: what the watchdog is fed by."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vital:
    """A part that must show progress at least every `limit` seconds.

    `last` returns the monotonic second of its last progress. Waiting for a device or a broker in
    a loop that keeps trying is progress; a loop that stands still is not.
    """

    name: str
    last: Callable[[], float]
    limit: float


def stalled(vitals: list[Vital], now: float | None = None) -> list[str]:
    """Names of the parts that stand still, each with how long."""
    moment = time.monotonic() if now is None else now
    return [
        f"{vital.name} ({moment - vital.last():.0f} s)"
        for vital in vitals
        if moment - vital.last() > vital.limit
    ]
