"""`assistant schedule`: what is shown, and what is cancelled."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from assistant.store import Store, StoredSchedule, StoredTimer
from tests.cli.conftest import Quickly


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "store.sqlite"
    at_seven = datetime(2031, 6, 2, 7, tzinfo=ZoneInfo("Asia/Tokyo")).timestamp()
    with closing(Store(path)) as store:
        store.put_schedule(
            StoredSchedule(0, "mon 07:00", at_seven, "open the blinds", area="attic")
        )
        store.put_schedule(StoredSchedule(0, "2031-06-01 07:00", 9e8, message="the [bins]"))
    return path


def test_it_is_listed_by_the_homes_time(tmp_path: Path, store: Path, quickly: Quickly) -> None:
    (tmp_path / "assistant.toml").write_text('[home]\ntime_zone = "Asia/Tokyo"')
    lines = quickly("schedule", "list", "--config", "assistant.toml")[0].splitlines()
    assert lines[1].split()[0] == "2", "the next to come is the first"
    assert "the [bins]" in lines[1]
    assert "Mon 2031-06-02 07:00" in lines[2]
    assert "open the blinds" in lines[2]


def test_what_waits_for_some_minutes_is_there_too(store: Path, quickly: Quickly) -> None:
    with closing(Store(store)) as opened:
        opened.put_timer(StoredTimer("timer.3f2a", 600, 8e8, command="turn off the fan"))
        opened.put_timer(StoredTimer("timer.4b1c", 600, 8e8, name="pizza"))
    lines = quickly("schedule", "list")[0].splitlines()
    assert lines[1].split()[0] == "3f2a"
    assert "turn off the fan" in lines[1]
    assert not any("pizza" in line for line in lines)
    assert quickly("schedule", "cancel", "3f2a", "2")[0] == "Cancelled: 2\n"
    with closing(Store(store)) as opened:
        assert [timer.id for timer in opened.timers()] == ["timer.4b1c"]


def test_some_or_all_of_it_is_cancelled(store: Path, quickly: Quickly) -> None:
    assert "under the number 7" in quickly("schedule", "cancel", "1", "7", status=1)[1]
    assert "name numbers" in quickly("schedule", "cancel", status=2)[1]
    assert quickly("schedule", "cancel", "1", "1")[0] == "Cancelled: 1\n"
    assert quickly("schedule", "cancel", "--all")[0] == "Cancelled: 1\n"
    assert "Nothing is scheduled." in quickly("schedule", "list")[0]


def test_what_is_wrong_with_the_file_is_told(tmp_path: Path, quickly: Quickly) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "store.sqlite").write_bytes(b"no database " * 100)
    _, complaint = quickly("schedule", "list", status=1)
    assert "not a database" in complaint
    for remedy in ("room on its disk", "only a damaged one"):
        assert remedy in complaint
