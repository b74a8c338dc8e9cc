"""When something is to be done: through the change of the clocks, and by the sun."""

from __future__ import annotations

import itertools
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import HomeError
from assistant.home.almanac import SOMEWHERE, SUN, Whereabouts
from assistant.home.occasion import EVERY_DAY, Occasion, occasion_from

ROME = ZoneInfo("Europe/Rome")
HOME = Whereabouts(ROME, 41.9, 12.5)


def at(text: str, zone: ZoneInfo = ROME) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def comes(occasion: str, now: str, home: Whereabouts = HOME) -> str:
    coming = occasion_from(occasion).after(at(now), home)
    return "never" if coming is None else f"{home.local(coming):%Y-%m-%d %H:%M %Z}"


@pytest.mark.parametrize(
    ("occasion", "now", "expected"),
    [
        ("2026-11-24 19:00", "2026-11-24 15:00", "2026-11-24 19:00 CET"),
        ("2026-11-24 19:00", "2026-11-24 19:00", "never"),
        ("mon,tue,wed,thu,fri 07:00", "2026-11-27 07:00", "2026-11-30 07:00 CET"),
        ("mon,tue,wed,thu,fri 07:00", "2026-11-27 06:59", "2026-11-27 07:00 CET"),
        ("sat 12:00 except 2026-11-28", "2026-11-24 15:00", "2026-12-05 12:00 CET"),
        # Summer time begins: 02:00 to 03:00 is left out. It ends: 02:00 to 03:00 is there twice.
        ("sun 07:00", "2026-03-28 12:00", "2026-03-29 07:00 CEST"),
        ("sun 07:00", "2026-10-24 12:00", "2026-10-25 07:00 CET"),
        ("sun 02:30", "2026-03-28 12:00", "2026-03-29 03:30 CEST"),
        ("sun 02:30", "2026-10-24 12:00", "2026-10-25 02:30 CEST"),
        ("2026-03-29 02:30", "2026-03-28 12:00", "2026-03-29 03:30 CEST"),
    ],
)
def test_it_comes(occasion: str, now: str, expected: str) -> None:
    assert comes(occasion, now) == expected


@pytest.mark.parametrize("around", ["2026-03-29", "2026-10-25"])
@pytest.mark.parametrize("clock", ["00:00", "02:00", "02:30", "03:00", "12:00", "23:59"])
def test_it_comes_once_a_day_when_the_clocks_change(around: str, clock: str) -> None:
    daily = occasion_from(f"mon,tue,wed,thu,fri,sat,sun {clock}")
    moment = at(around) - 36 * 3600
    days: list[date] = []
    while len(days) < 4:
        coming = daily.after(moment, HOME)
        assert coming is not None
        assert coming > moment
        days.append(HOME.local(coming).date())
        moment = coming
    assert [b - a for a, b in itertools.pairwise(days)] == [timedelta(days=1)] * 3


@pytest.mark.parametrize(
    ("occasion", "now", "home", "expected"),
    [
        # Rome, by the tables of the almanac: to the minute, give or take two.
        ("2026-06-21 sunrise", "2026-06-20 12:00", HOME, "2026-06-21 05:35 CEST"),
        ("2026-06-21 sunset", "2026-06-20 12:00", HOME, "2026-06-21 20:48 CEST"),
        ("2026-12-21 sunset-30", "2026-12-20 12:00", HOME, "2026-12-21 16:11 CET"),
        # Auckland, where the day is another than in Greenwich.
        (
            "2026-12-21 sunset",
            "2026-12-20 12:00",
            Whereabouts(ZoneInfo("Pacific/Auckland"), -36.85, 174.76),
            "2026-12-21 20:40 NZDT",
        ),
        (
            "2026-12-21 sunrise",
            "2026-12-20 12:00",
            Whereabouts(ZoneInfo("America/Los_Angeles"), 34.05, -118.24),
            "2026-12-21 06:55 PST",
        ),
    ],
)
def test_the_sun(occasion: str, now: str, home: Whereabouts, expected: str) -> None:
    assert isinstance(home.zone, ZoneInfo)
    coming = occasion_from(occasion).after(at(now, home.zone), home)
    assert coming is not None
    wanted = datetime.strptime(expected[:16], "%Y-%m-%d %H:%M").replace(tzinfo=home.zone)
    assert abs(coming - wanted.timestamp()) <= 150, home.local(coming)


def test_where_the_sun_does_not_set_it_comes_when_it_does_again() -> None:
    tromso = Whereabouts(ZoneInfo("Europe/Oslo"), 69.65, 18.96)
    assert comes("2026-06-21 sunset", "2026-06-20 12:00", tromso) == "never"
    daily = "mon,tue,wed,thu,fri,sat,sun sunset"
    assert comes(daily, "2026-06-01 12:00", tromso).startswith("2026-07-2")


def test_without_a_place_there_is_no_sun_and_without_a_zone_the_machines_time() -> None:
    assert Occasion(days=EVERY_DAY, sun="sunset").after(0, SOMEWHERE) is None
    coming = Occasion(days=EVERY_DAY, clock=time(7)).after(1e9, SOMEWHERE)
    assert coming is not None
    assert datetime.fromtimestamp(coming).time() == time(7)


DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))
WHEN = st.one_of(
    st.fixed_dictionaries({"clock": st.builds(time, st.integers(0, 23), st.integers(0, 59))}),
    st.fixed_dictionaries({"sun": st.sampled_from(SUN), "offset": st.integers(-300, 300)}),
)
WHICH = st.one_of(
    st.fixed_dictionaries({"day": DAYS}),
    st.fixed_dictionaries(
        {"days": st.frozensets(st.integers(0, 6), min_size=1), "but": st.frozensets(DAYS)}
    ),
)


@given(which=WHICH, when=WHEN)
def test_what_is_written_is_read_again(which: dict[str, object], when: dict[str, object]) -> None:
    occasion = Occasion(**which, **when)  # type: ignore[arg-type]
    assert occasion_from(str(occasion)) == occasion


@pytest.mark.parametrize(
    "text", ["", "07:00", "mon", "mon 25:00", "xyz 07:00", "2026-02-30 07:00", "mon moonrise"]
)
def test_what_is_no_occasion_is_told(text: str) -> None:
    with pytest.raises(HomeError, match="no time for a command"):
        occasion_from(text)
