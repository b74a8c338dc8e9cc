"""When something is to be done: once or again and again, by the clock or by the sun."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from assistant.errors import HomeError
from assistant.home.almanac import SUN, Whereabouts

EVERY_DAY: Final = frozenset(range(7))
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WRITTEN: Final = re.compile(
    rf"(?P<days>\d{{4}}-\d\d-\d\d|[a-z]{{3}}(?:,[a-z]{{3}})*) "
    rf"(?:(?P<clock>\d\d:\d\d)|(?P<sun>{'|'.join(SUN)})(?P<offset>[+-]\d+)?)"
    rf"(?: except (?P<but>\d{{4}}-\d\d-\d\d(?:,\d{{4}}-\d\d-\d\d)*))?"
)
_FURTHEST: Final = 400
"""Days ahead that are searched: in the far north the sun may not set for months."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """On `day`, or on each of `days` of the week (0: Monday) but those in `but`; at `clock` by the
    home's time, or `offset` minutes from when the `sun` (one of almanac.SUN) does something.
    """

    day: date | None = None
    days: frozenset[int] = frozenset()
    clock: time | None = None
    sun: str = ""
    offset: int = 0
    but: frozenset[date] = frozenset()

    @property
    def recurs(self) -> bool:
        """Whether it comes again and again."""
        return self.day is None

    def on(self, day: date, home: Whereabouts) -> float | None:
        """When it comes on `day`, in seconds since the epoch; None: not on that day.

        A time that the clocks leave out, as summer time begins, is as much later as they are put
        forward; one that comes twice is the first.
        """
        wanted = day.weekday() in self.days if self.recurs else day == self.day
        if not wanted or day in self.but:
            return None
        if self.clock is not None:
            return datetime.combine(day, self.clock, home.zone).timestamp()
        moment = home.sun(self.sun, day)
        return None if moment is None else moment + 60 * self.offset

    def after(self, moment: float, home: Whereabouts) -> float | None:
        """When it comes next after `moment`, both in seconds since the epoch; None: never."""
        if self.day is not None:
            once = self.on(self.day, home)
            return once if once is not None and once > moment else None
        # Hours before sunrise may lie on the day before.
        first = home.local(moment).date() - timedelta(days=1)
        for ahead in range(_FURTHEST):
            come = self.on(first + timedelta(days=ahead), home)
            if come is not None and come > moment:
                return come
        return None

    def __str__(self) -> str:
        days = str(self.day) if self.day else ",".join(_DAYS[i] for i in sorted(self.days))
        clock = f"{self.clock:%H:%M}" if self.clock else self.sun
        offset = f"{self.offset:+}" if self.offset else ""
        but = f" except {','.join(map(str, sorted(self.but)))}" if self.but else ""
        return f"{days} {clock}{offset}{but}"


def occasion_from(text: str) -> Occasion:
    """The occasion that `str` wrote. Raises HomeError for any other text."""
    try:
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError("neither a date nor days, with a time")
        once = found["days"][0].isdigit()
        return Occasion(
            day=date.fromisoformat(found["days"]) if once else None,
            days=frozenset(map(_DAYS.index, found["days"].split(","))) if not once else frozenset(),
            clock=time.fromisoformat(found["clock"]) if found["clock"] else None,
            sun=found["sun"] or "",
            offset=int(found["offset"] or 0),
            but=frozenset(map(date.fromisoformat, (found["but"] or "").split(",")))
            if found["but"]
            else frozenset(),
        )
    except ValueError as error:
        raise HomeError(
            f"{text!r} is no time for a command ({error}); one is “mon,tue 07:00” or "
            "“2026-12-24 sunset-30”"
        ) from error
