"""The PIN: how it is said, whether it is right, and how often it may be wrong."""

from __future__ import annotations

import asyncio
import hmac
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from unicode_rbnf import RbnfEngine

from assistant.errors import AssistantError, ConfigError
from assistant.store import Store, StoredTimer
from assistant.understand.digits import may_hold, readings
from assistant.understand.language import load_language
from assistant.understand.pin import PinLock, Verdict

# What is said, and the PIN it says; "": none.
SAID = """
en:
  "1234": "1234"
  "1 2 3 4": "1234"
  "1-2-3-4.": "1234"
  "1,234": "1234"
  "12:34": "1234"
  "12 34": "1234"
  "0012": "0012"
  "one two three four": "1234"
  "One, two, three, four!": "1234"
  "twelve thirty four": "1234"
  "twelve thirty-four": "1234"
  "twelve three four": "1234"
  "one thousand two hundred and thirty four": "1234"
  "one thousand and thirty four": "1034"
  "twelve hundred thirty four": "1234"
  "nineteen hundred eighty four": "1984"
  "twenty twenty six": "2026"
  "oh oh seven one": "0071"
  "zero zero seven one": "0071"
  "double oh seven one": "0071"
  "triple five two": "5552"
  "my pin is four seven double one": "4711"
  "it's one two three four please": "1234"
  "um the code is 1 2 3 4": "1234"
  "won to tree for": "1234"
  "one two three four five six seven eight nine zero one two": "123456789012"
  "one two three": ""
  "one two three four five six seven eight nine zero one two three": ""
  "turn on the light for 1234": ""
  "one two and then turn on the light": ""
  "minus 1234 degrees": ""
  "yes": ""
  "": ""
it:
  "1234": "1234"
  "1.234": "1234"
  "uno due tre quattro": "1234"
  "uno, due, tre, quattro": "1234"
  "un due tre quattro": "1234"
  "dodici trentaquattro": "1234"
  "mille duecento trentaquattro": "1234"
  "milleduecentotrentaquattro": "1234"
  "duemilatrecentoquarantacinque": "2345"
  "duemila ventisei": "2026"
  "centoventitré quattro": "1234"
  "zero zero sette uno": "0071"
  "zero sette doppio uno": "0711"
  "il pin è uno due tre quattro per favore": "1234"
  "il mio codice è 4 7 1 1": "4711"
  "uno due tre": ""
  "accendi la luce uno due tre quattro": ""
  "sì": ""
"""


@pytest.mark.parametrize(
    ("language", "text", "pin"),
    [
        (code, text, pin)
        for code, said in yaml.safe_load(SAID).items()
        for text, pin in said.items()
    ],
)
def test_how_a_pin_is_said(language: str, text: str, pin: str) -> None:
    found = readings(text, load_language(language))
    assert found[:1] == ((pin,) if pin else ())
    assert len(found) <= 4


@given(st.text("0123456789", min_size=4, max_size=12), st.sampled_from(["en", "it"]))
def test_digit_by_digit_any_pin_is_heard(pin: str, code: str) -> None:
    language, engine = load_language(code), RbnfEngine.for_language(code)
    words = " ".join(engine.format_number(int(digit)).text for digit in pin)
    assert pin in readings(words, language)
    assert readings(" ".join(pin), language) == readings(pin, language) == (pin,)
    assert may_hold(words, language)


@given(st.integers(1000, 9999), st.sampled_from(["en", "it"]))
def test_any_pin_of_four_digits_is_heard_as_one_number_and_as_two(number: int, code: str) -> None:
    language, engine = load_language(code), RbnfEngine.for_language(code)
    one, *two = (engine.format_number(n).text for n in (number, *divmod(number, 100)))
    assert str(number) in readings(one, language)
    if number % 100 >= 10:
        assert readings(" ".join(two), language)[0] == str(number)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("one two three hello for", True),
        ("I said 1 2 3 ok", True),
        ("want two hello three four", True),
        ("turn on the light", False),
        ("set it to fifty", False),
        ("set a timer for twenty minutes", False),
    ],
)
def test_what_may_hold_a_pin(text: str, holds: bool) -> None:
    assert may_hold(text, load_language("en")) is holds


@pytest.mark.parametrize(
    "word", ["one ", "one hundred ", "x", "thirty ", "double ", "1 ", "\u096f ", "\u00b2"]
)
def test_long_answers_say_no_pin(word: str) -> None:
    language = load_language("en")
    assert readings(word * 3000, language) == readings(word * 15, language)[:0]
    may_hold(word * 3000, language)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def locked(path: Path | None, clock: Clock, lockout: float = 300.0) -> Iterator[PinLock]:
    with closing(Store(path)) as store:
        yield PinLock(store, attempts=3, lockout=lockout, clock=clock)


async def test_right_and_wrong(tmp_path: Path) -> None:
    with locked(None, Clock()) as lock:
        assert not lock.is_set
        assert await lock.tried(["1234"]) is Verdict.LOCKED
        lock.set("1234")
        assert lock.is_set
        assert await lock.tried(["1234"]) is Verdict.RIGHT
        assert await lock.tried(["12304", "1234"]) is Verdict.RIGHT
        assert await lock.tried(["4321"]) is Verdict.WRONG
        lock.set("000000")
        assert await lock.tried(["1234"]) is Verdict.WRONG
        assert await lock.tried(["000000"]) is Verdict.RIGHT
        lock.remove()
        assert await lock.tried(["000000"]) is Verdict.LOCKED


async def test_it_locks_for_a_while_and_the_right_one_starts_the_count_anew() -> None:
    clock = Clock()
    with locked(None, clock) as lock:
        lock.set("1234")
        for _ in range(2):
            assert await lock.tried(["0000"]) is Verdict.WRONG
            assert await lock.tried(["0000"]) is Verdict.WRONG
            assert await lock.tried(["1234"]) is Verdict.RIGHT
        for _ in range(3):
            assert lock.locked_for() == 0
            assert await lock.tried(["0000"]) is Verdict.WRONG
        assert lock.locked_for() == 300
        assert await lock.tried(["1234"]) is Verdict.LOCKED
        clock.now += 299
        assert await lock.tried(["1234"]) is Verdict.LOCKED
        clock.now += 1
        assert lock.locked_for() == 0
        assert await lock.tried(["1234"]) is Verdict.RIGHT


async def test_failures_and_lock_survive_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "store.sqlite", Clock()
    with locked(path, clock) as lock:
        lock.set("1234")
    for _ in range(3):
        with locked(path, clock) as lock:
            assert await lock.tried(["0000"]) is Verdict.WRONG
    with locked(path, clock) as lock:
        assert lock.locked_for() == 300
        assert await lock.tried(["1234"]) is Verdict.LOCKED
        lock.set("1234")  # who can do that may
        assert await lock.tried(["1234"]) is Verdict.RIGHT


async def test_an_attempt_that_is_broken_off_counts() -> None:
    with locked(None, Clock()) as lock:
        lock.set("1234")
        for _ in range(3):
            trying = asyncio.create_task(lock.tried(["0000"]))
            await asyncio.sleep(0)
            trying.cancel()
            await asyncio.gather(trying, return_exceptions=True)
        assert await lock.tried(["1234"]) is Verdict.LOCKED


async def test_attempts_at_the_same_time_are_no_more(tmp_path: Path) -> None:
    clock = Clock()
    with locked(tmp_path / "a.sqlite", clock) as one, locked(tmp_path / "a.sqlite", clock) as other:
        one.set("1234")
        tries = [lock.tried([f"000{n}"]) for n in range(4) for lock in (one, other)]
        verdicts = await asyncio.gather(*tries)
    assert sorted(verdicts) == [Verdict.LOCKED] * 5 + [Verdict.WRONG] * 3


async def test_a_clock_that_was_put_back_locks_no_longer_than_usual() -> None:
    clock = Clock()
    with locked(None, clock) as lock:
        lock.set("1234")
        for _ in range(3):
            await lock.tried(["0000"])
        clock.now -= 500_000
        assert lock.locked_for() == 300
        clock.now += 300
        assert await lock.tried(["1234"]) is Verdict.RIGHT


async def test_every_reading_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def spy(given: bytes, kept: bytes) -> bool:
        compared.append((given, kept))
        return compare(given, kept)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    with locked(None, Clock()) as lock:
        lock.set("1234")
        for said, right in (
            (["1234", "5678", "9999"], Verdict.RIGHT),
            (["5678", "9999", "1234"], Verdict.RIGHT),
            (["5678", "9999", "0000"], Verdict.WRONG),
        ):
            compared.clear()
            assert await lock.tried(said) is right
            assert len(compared) == 3
            assert {len(one) for pair in compared for one in pair} == {64}


@pytest.mark.parametrize(
    "pin",
    [
        "",
        "123",
        "1234567890123",
        "12a4",
        "12 34",
        "\u0967\u0968\u0969\u096a",
        "\u00b2\u00b2\u00b2\u00b2",
    ],
)
def test_what_is_no_pin_is_refused(pin: str) -> None:
    with locked(None, Clock()) as lock:
        with pytest.raises(ConfigError, match="4 to 12 digits"):
            lock.set(pin)
        assert not lock.is_set


def test_it_is_kept_as_a_salted_digest(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    kept = []
    for _ in range(2):
        with locked(path, Clock()) as lock:
            lock.set("271828")
        with closing(sqlite3.connect(path)) as database:
            kept.append(database.execute("select salt, digest from pin").fetchone())
    assert kept[0][0] != kept[1][0]
    assert kept[0][1] != kept[1][1]
    for file in tmp_path.iterdir():
        assert b"271828" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0


FIRST_VERSION = """
drop table pin; drop table schedule; pragma user_version = 1;
alter table timer drop column does; alter table timer drop column approved;
"""


def test_a_store_of_the_first_version_gets_its_place_for_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(Store(path)) as store:
        store.set_items("todo.shopping", ["milk"])
        store.put_timer(StoredTimer("timer.1", 60, 100.0, command="turn off the lamp"))
    with closing(sqlite3.connect(path)) as database:
        database.executescript(FIRST_VERSION)
    with closing(Store(path)) as store:
        PinLock(store).set("1234")
        assert store.items("todo.shopping") == ("milk",)
        assert [(t.command, t.does) for t in store.timers()] == [("turn off the lamp", "[]")]


async def test_a_store_that_fails_is_no_way_in(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with locked(path, Clock()) as lock:
        lock.set("1234")
        with closing(sqlite3.connect(path)) as database:
            database.executescript("drop table pin")
        with pytest.raises(AssistantError, match="the store fails"):
            await lock.tried(["1234"])
