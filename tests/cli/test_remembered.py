"""`assistant remembered`: look at what the language model taught, correct it, forget it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from assistant.home.action import Action
from assistant.understand.remembered import Remembered, Slot, Step
from assistant.understand.remembered_file import FILE_NAME, RememberedFile
from tests.cli.conftest import Quickly

LAMP = Remembered(
    "en",
    "i fancy the sofa lamp at around forty",
    (Step(Action("set_brightness", ("light.sofa",), {"brightness": 40}), ("light",)),),
    pattern="i fancy {name} at around {number}",
    slots=(Slot("name", "light.sofa", "light"), Slot("number", 40)),
    about="0123",
)
CEILING = Remembered(
    "it",
    "la luce mi da fastidio",
    (Step(Action("turn_off", ("light.hall",)), ("light",)),),
    area="hall",
)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[RememberedFile]:
    """What the daemon has open: a lamp under number 1, a ceiling light under number 2."""
    with closing(RememberedFile(tmp_path / "data" / FILE_NAME)) as opened:
        opened.put(LAMP)
        opened.put(CEILING)
        opened.note_use(1, datetime(2026, 11, 20, 12).timestamp())
        yield opened


def entry(file: RememberedFile, number: int) -> Remembered:
    return next(entry for entry in file.entries() if entry.id == number)


def test_where_nothing_is_remembered_nothing_is_made(quickly: Quickly, tmp_path: Path) -> None:
    assert "Nothing is remembered yet" in quickly("remembered", "list")[0]
    assert quickly("remembered", "forget", "--all")[0] == "Forgotten: 0\n"
    assert "assistant remembered list" in quickly("remembered", "show", "1", status=1)[1]
    assert not (tmp_path / "data" / FILE_NAME).exists()


def test_the_list_tells_what_is_said_and_what_it_does(
    quickly: Quickly, file: RememberedFile
) -> None:
    lines = quickly("remembered", "list")[0].splitlines()
    first = next(i for i, line in enumerate(lines) if line.split()[0] == "1")
    assert LAMP.said in lines[first]
    assert "set the brightness of light.sofa: brightness 40" in lines[first]
    assert "2026-11-20" in lines[first]
    assert LAMP.pattern in lines[first + 1]
    second = next(line for line in lines if line.split()[0] == "2")
    assert "la luce mi da fastidio in hall" in second
    assert "never" in second


def test_one_is_shown_in_full(quickly: Quickly, file: RememberedFile) -> None:
    shown = quickly("remembered", "show", "1")[0]
    for part in (LAMP.said, "(en)", LAMP.pattern, "brightness 40", "1 ×"):
        assert part in shown


def test_the_words_can_be_changed(quickly: Quickly, file: RememberedFile) -> None:
    quickly(
        "remembered",
        "edit",
        "1",
        "--said",
        "Sofa time, please!",
        "--pattern",
        "Please, the {name}: glow {number}!",
    )
    changed = entry(file, 1)
    assert (changed.said, changed.pattern, changed.about) == (
        "sofa time",
        "{name} glow {number}",
        "",
    )
    assert changed.slots == LAMP.slots
    assert changed.steps == LAMP.steps
    quickly("remembered", "edit", "1", "--exact-only")
    assert (entry(file, 1).pattern, entry(file, 1).slots) == ("", ())


def test_it_can_be_switched_off_and_on(quickly: Quickly, file: RememberedFile) -> None:
    assert "off" in quickly("remembered", "edit", "2", "--off")[0]
    assert entry(file, 2).enabled is False
    assert "off" in quickly("remembered", "list")[0]
    quickly("remembered", "edit", "2", "--on")
    assert entry(file, 2).enabled is True


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["edit", "1"], 2, "say what to change"),
        (["edit", "1", "--said", " ! "], 2, "is empty"),
        (["edit", "1", "--said", "is the sofa lamp on"], 2, "asks or forbids"),
        (["edit", "1", "--said", "don't dim the sofa lamp"], 2, "asks or forbids"),
        (["edit", "1", "--pattern", "make {name} nice"], 2, "{name} {number}"),
        (["edit", "1", "--pattern", "{number} for {name}"], 2, "{name} {number}"),
        (["edit", "1", "--pattern", "{name} {number}"], 2, "needs words"),
        (["edit", "1", "--pattern", "Please, the {name}: {number}!"], 2, "needs words"),
        (["edit", "1", "--pattern", "never {name} at {number}"], 2, "asks or forbids"),
        (["edit", "2", "--pattern", "{name} annoys me"], 2, "none"),
        (["edit", "1", "--pattern", "x", "--exact-only"], 2, "--exact-only"),
        (["edit", "7", "--off"], 1, "under the number 7"),
        (["show", "7"], 1, "under the number 7"),
        (["forget"], 2, "--all"),
        (["forget", "1", "--all"], 2, "--all"),
        (["forget", "1", "7"], 1, "under the number 7"),
    ],
)
def test_what_can_not_be_is_refused(
    quickly: Quickly, file: RememberedFile, words: list[str], status: int, complaint: str
) -> None:
    before = file.entries()
    assert complaint in quickly("remembered", *words, status=status)[1]
    assert file.entries() == before


def test_no_two_may_be_said_alike(quickly: Quickly, file: RememberedFile) -> None:
    file.put(Remembered("en", "sofa time", LAMP.steps))
    complaint = quickly("remembered", "edit", "1", "--said", "sofa time", status=1)[1]
    assert "under the number 3" in complaint


def test_what_is_forgotten_is_gone(quickly: Quickly, file: RememberedFile) -> None:
    assert quickly("remembered", "forget", "1")[0] == "Forgotten: 1\n"
    assert [entry.id for entry in file.entries()] == [2]
    assert quickly("remembered", "forget", "--all")[0] == "Forgotten: 1\n"
    assert file.entries() == ()


def test_what_is_on_trial_says_so(quickly: Quickly, file: RememberedFile) -> None:
    file.put(Remembered("en", "sofa time", LAMP.steps, trial_ends=time.time() + 60))
    assert "on trial until" in quickly("remembered", "list")[0]
    quickly("remembered", "edit", "3", "--said", "sofa o'clock")
    assert "on trial" not in quickly("remembered", "show", "3")[0]


def test_a_damaged_file_is_told_of(quickly: Quickly, tmp_path: Path) -> None:
    path = tmp_path / "data" / FILE_NAME
    path.parent.mkdir()
    path.write_bytes(b"no database " * 500)
    assert "Nothing is remembered yet" in quickly("remembered", "list")[0]
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
