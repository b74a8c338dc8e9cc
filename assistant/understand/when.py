"""When something is to be done, or for how long, from the slots that a sentence filled.

Of the time: `hour`, `minute`, `past` (minutes after the hour), `to` (minutes before it), `clock`
and `fixed` (minutes since midnight; 1440: the midnight that ends the day), `half` and `part` (of
the day), `sun` or `sun_does` with `side`, `minutes`, `hours`, `stretch` (minutes). Of the day:
`day` (days from today), `tonight` and `tomorrow_part` (part of today and of tomorrow), `weekday`,
`date` and `month`; for what comes again and again `again` and `always` (days of the week in
figures), `each`, `each_2`, `each_3`. Of how long: `full_days`, `hours`, `minutes`, `stretch`,
`seconds`.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from assistant.home.almanac import Whereabouts
from assistant.home.occasion import Occasion

_TIMES: Final = ("hour", "clock", "fixed", "sun", "sun_does")
_AGAIN: Final = ("each", "again", "always")
_ONCE: Final = ("day", "tonight", "tomorrow_part", "weekday", "date")
_MINUTES_A_DAY: Final = 24 * 60
_HOURS_OF_NIGHT: Final = 5
"""At night, or in the evening, an hour up to this is one after midnight."""
_EARLIEST: Final = 6
"""The hour from which one is likelier in the morning, where nothing else tells."""


class NoOccasionError(Exception):
    """It can't be told when. The message is the key of the reply that says why."""


def has_time(slots: Mapping[str, Any]) -> bool:
    """Whether a time was said."""
    return any(slot in slots for slot in _TIMES)


def has_day(slots: Mapping[str, Any]) -> bool:
    """Whether a day was said, or days."""
    return any(slot in slots for slot in (*_AGAIN, *_ONCE))


def occasion_of(slots: Mapping[str, Any], now: float, home: Whereabouts) -> Occasion:
    """The occasion that was meant at `now` (seconds since the epoch).

    An hour up to twelve may be one of the morning or of the evening. Without a day, it is the one
    that comes sooner; else the likelier. Raises NoOccasionError for what has passed or never comes.
    """
    here = home.local(now)
    if "sun" in slots or "sun_does" in slots:
        return _by_sun(slots, now, home)
    minutes = _minutes(slots)
    part = _part(slots)
    if any(slot in slots for slot in _AGAIN):
        late, minute = divmod(_likeliest(minutes, part), _MINUTES_A_DAY)
        weekly = frozenset((day + late) % 7 for day in days_of(slots))
        return Occasion(days=weekly, clock=_clock(minute))
    if not any(slot in slots for slot in _ONCE):
        return _soonest(_choices(minutes, part), now, home)
    choices = [_likeliest(minutes, part)]
    if slots.get("day") == 0 or "tonight" in slots:
        choices = _choices(minutes, part)
    first = day_of(slots, here)
    if "tonight" in slots and here.hour < _HOURS_OF_NIGHT:  # tonight has begun yesterday
        choices = [choice - _MINUTES_A_DAY for choice in choices] + choices
    days = [first]
    if "weekday" in slots and first == here.date():
        days.append(first + timedelta(days=7))
    return _first_of([_at(day, choice) for day in days for choice in choices], now, home)


def seconds_of(slots: Mapping[str, Any]) -> int:
    """How long, where that was said rather than when ("for ten minutes"); 0: it was not."""
    minutes = float(slots.get("minutes", 0) + slots.get("stretch", 0))
    hours = float(slots.get("hours", 0) + 24 * slots.get("full_days", 0))
    return round(3600 * hours + 60 * minutes) + int(slots.get("seconds", 0))


def days_of(slots: Mapping[str, Any]) -> frozenset[int]:
    """The days of the week on which it comes again and again."""
    each = frozenset(slots[s] for s in ("each", "each_2", "each_3") if s in slots)
    return each or frozenset(map(int, slots.get("again") or slots.get("always") or ""))


def day_of(slots: Mapping[str, Any], here: datetime) -> date:
    """The day that was said, at the local time `here`: today's date or a later one.

    Raises NoOccasionError for the 31st of a month of 30 days.
    """
    today = here.date()
    if "weekday" in slots:
        return today + timedelta(days=(slots["weekday"] - today.weekday()) % 7)
    if "date" in slots:
        return _date(slots["date"], slots.get("month"), today)
    return today + timedelta(days=slots.get("day", 1 if "tomorrow_part" in slots else 0))


def _date(number: int, month: int | None, today: date) -> date:
    year, at = today.year, month or today.month
    for _ in range(12 * 8):  # until the next leap year
        if (month is None or at == month) and number <= calendar.monthrange(year, at)[1]:
            found = date(year, at, number)
            if found >= today:
                return found
        year, at = (year, at + 1) if at < 12 else (year + 1, 1)
    raise NoOccasionError("no_such_day")


def _by_sun(slots: Mapping[str, Any], now: float, home: Whereabouts) -> Occasion:
    if not home.are_known:
        raise NoOccasionError("no_place")
    event = slots.get("sun") or slots["sun_does"]
    ahead = slots.get("minutes", 0) + 60 * slots.get("hours", 0) + slots.get("stretch", 0)
    offset = round(ahead * slots.get("side", 1))
    if any(slot in slots for slot in _AGAIN):
        return Occasion(days=days_of(slots), sun=event, offset=offset)
    today = home.local(now).date()
    said = any(slot in slots for slot in _ONCE)
    days = [day_of(slots, home.local(now))] if said else [today, today + timedelta(days=1)]
    occasions = [Occasion(day=day, sun=event, offset=offset) for day in days]
    if all(one.on(one.day or today, home) is None for one in occasions):
        raise NoOccasionError("no_sun")
    return _first_of(occasions, now, home)


def _minutes(slots: Mapping[str, Any]) -> int:
    """The time that was said, in minutes since midnight, before it is known which half of day."""
    if "clock" in slots or "fixed" in slots:
        return int(slots.get("clock", slots.get("fixed", 0)))
    past = slots.get("minute", 0) + slots.get("past", 0) - slots.get("to", 0)
    hour = int(slots["hour"])
    if hour == 0 and past < 0:
        hour = 24
    return 60 * hour + int(past)


def _part(slots: Mapping[str, Any]) -> str:
    if "fixed" in slots:
        return "exact"
    said = (slots.get(slot) for slot in ("half", "tonight", "tomorrow_part", "part"))
    return str(next(filter(None, said), ""))


def _choices(minutes: int, part: str) -> list[int]:
    """The minutes since midnight that may have been meant; beyond 1440: on the next day."""
    hour = minutes // 60
    if part == "exact" or hour == 0 or hour > 12 or minutes == 13 * 60:
        return [minutes]
    early = minutes % (12 * 60)  # twelve is 0
    match part:
        case "morning":
            return [early]
        case "afternoon":
            return [early + 12 * 60]
        case "evening" | "night":
            after_midnight = early < (_HOURS_OF_NIGHT + 1) * 60 and part == "night"
            late = early < 4 * 60
            return [early + (24 if after_midnight or late else 12) * 60]
    return [early, early + 12 * 60]


def _likeliest(minutes: int, part: str) -> int:
    choices = _choices(minutes, part)
    if len(choices) == 1:
        return choices[0]
    return choices[0] if choices[0] >= _EARLIEST * 60 else choices[1]


def _soonest(choices: list[int], now: float, home: Whereabouts) -> Occasion:
    """The first after `now` of the times of day `choices`."""
    today = home.local(now).date()
    days = [today + timedelta(days=ahead) for ahead in (-1, 0, 1, 2)]
    return _first_of([_at(day, choice) for day in days for choice in choices], now, home)


def _at(day: date, minutes: int) -> Occasion:
    later, minute = divmod(minutes, _MINUTES_A_DAY)
    return Occasion(day=day + timedelta(days=later), clock=_clock(minute))


def _clock(minutes: int) -> time:
    hour, minute = divmod(minutes, 60)
    return time(hour, minute)


def _first_of(occasions: list[Occasion], now: float, home: Whereabouts) -> Occasion:
    """The one that comes first after `now`. Raises NoOccasionError where all have passed."""
    coming = [(moment, one) for one in occasions if (moment := one.after(now, home)) is not None]
    if not coming:
        raise NoOccasionError("passed")
    return min(coming, key=lambda pair: pair[0])[1]
