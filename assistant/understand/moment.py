"""What a wording needs to know of when something is done; the skill `schedule` has the wordings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from assistant.home.almanac import Whereabouts
from assistant.home.occasion import Occasion


def moment(occasion: Occasion, coming: float, now: float, home: Whereabouts) -> dict[str, Any]:
    """Of an occasion that comes next at `coming`; both times are seconds since the epoch."""
    local = home.local(coming)
    clock = occasion.clock or local.time()
    return {
        "on": day(occasion.day or local.date(), occasion.days, home.local(now).date()),
        "hour": clock.hour,
        "minute": clock.minute,
        "sun": occasion.sun,
        "offset": occasion.offset,
    }


def day(one: date, days: Iterable[int], today: date) -> dict[str, Any]:
    """Of the day `one`, or of all `days` of the week, if there are any."""
    return {
        "days": sorted(days),
        "ahead": None if days else (one - today).days,
        "weekday": one.weekday(),
        "day": one.day,
        "month": one.month,
    }
