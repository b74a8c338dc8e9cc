"""The file of what is remembered: kept, bounded, shared with the command line, and damaged."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.errors import AssistantError
from assistant.home.action import Action
from assistant.understand.remembered import Remembered, Slot, Step
from assistant.understand.remembered_file import FILE_NAME, RememberedFile

DIM = Remembered(
    "en",
    "i fancy the sofa lamp at around forty",
    (Step(Action("set_brightness", ("light.sofa",), {"brightness": 40}), ("light",)),),
    pattern="i fancy {name} at around {number}",
    slots=(Slot("name", "light.sofa", "light"), Slot("number", 40)),
    about="0123",
    learnt=1.0,
    trial_ends=61.0,
    last_used=1.0,
)
HERE = replace(DIM, area="lounge", pattern="", slots=())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / FILE_NAME


@pytest.fixture
def file(path: Path) -> Iterator[RememberedFile]:
    with closing(RememberedFile(path)) as opened:
        yield opened


def said(file: RememberedFile) -> list[str]:
    return [entry.said for entry in file.entries()]


def test_a_restart_loses_nothing(path: Path) -> None:
    with closing(RememberedFile(path)) as file:
        numbers = [file.put(DIM), file.put(HERE)]
        file.note_use(numbers[0], 70.0)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(RememberedFile(path)) as file:
        assert file.entries() == (
            replace(DIM, id=numbers[0], used=1, last_used=70.0),
            replace(HERE, id=numbers[1]),
        )


def test_the_same_words_in_the_same_room_are_remembered_once(file: RememberedFile) -> None:
    file.put(DIM)
    file.put(HERE)
    last = file.put(replace(DIM, learnt=9.0))
    assert [(entry.id, entry.area) for entry in file.entries()] == [(last, None), (2, "lounge")]


def test_the_least_recently_used_go(path: Path) -> None:
    with closing(RememberedFile(path, most=3)) as file:
        numbers = [file.put(replace(DIM, said=f"{n}", last_used=float(n))) for n in range(3)]
        file.note_use(numbers[0], 10.0)
        file.put(replace(DIM, said="3", last_used=11.0))
        assert said(file) == ["3", "0", "2"]


def test_what_others_change_is_noticed(file: RememberedFile, path: Path) -> None:
    number = file.put(DIM)
    before = file.entries()
    assert file.entries() is before
    with closing(RememberedFile(path)) as other:
        other.change(replace(before[0], enabled=False))
    assert [entry.enabled for entry in file.entries()] == [False]
    with closing(RememberedFile(path)) as other:
        assert other.forget([number, 99]) == 1
    assert file.entries() == ()


def test_what_is_forgotten_is_in_no_file(file: RememberedFile, path: Path) -> None:
    number = file.put(DIM)
    assert file.forget([number]) == 1
    file.put(HERE)
    assert file.forget_all() == 1
    for left in path.parent.iterdir():
        assert b"sofa" not in left.read_bytes(), left


def test_a_file_that_somebody_removed_is_begun_anew(file: RememberedFile, path: Path) -> None:
    file.put(DIM)
    for left in path.parent.iterdir():
        left.unlink()
    assert file.entries() == ()
    file.put(HERE)
    with closing(RememberedFile(path)) as other:
        assert len(other.entries()) == 1


@pytest.mark.parametrize("how", ["no database", "torn pages"])
def test_a_damaged_file_is_moved_aside(
    how: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(RememberedFile(path)) as file:
        for n in range(200):
            file.put(replace(DIM, said=f"{n}"))
    content = path.read_bytes()
    path.write_bytes(
        b"not a database at all" * 999
        if how == "no database"
        else content[:4096] + os.urandom(len(content) - 4096)
    )
    with closing(RememberedFile(path)) as file:
        assert file.entries() == ()
        file.put(DIM)
    assert "damaged" in caplog.text
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    with closing(RememberedFile(path)) as file:
        assert said(file) == [DIM.said]


def test_a_file_that_is_damaged_while_it_is_open(
    file: RememberedFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(200):
        file.put(replace(DIM, said=f"{n}"))
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma wal_checkpoint(truncate)")
    with path.open("r+b") as raw:
        raw.write(b"x" * path.stat().st_size)
    assert file.entries() == ()
    file.put(DIM)
    assert said(file) == [DIM.said]
    assert "damaged" in caplog.text


def test_an_entry_that_somebody_spoilt_is_passed_over(
    file: RememberedFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.put(DIM)
    spoilt = file.put(HERE)
    with closing(sqlite3.connect(path)) as other:
        other.execute("update remembered set steps = '[{]' where id = ?", (spoilt,))
        other.commit()
    assert [entry.area for entry in file.entries()] == [None]
    assert f"number {spoilt}" in caplog.text


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    RememberedFile(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma user_version = 2")
    with pytest.raises(AssistantError, match="newer version"):
        RememberedFile(path)
    assert path.exists()


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(AssistantError, match="check the disk"):
        RememberedFile(tmp_path / "data" / FILE_NAME)


def test_words_that_no_file_can_hold(file: RememberedFile) -> None:
    with pytest.raises(AssistantError):
        file.put(replace(DIM, area="\ud800"))
    assert file.entries() == ()
