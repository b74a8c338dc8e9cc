"""`assistant pin`: what it says, and what it never shows."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from assistant.store import Store
from assistant.understand.pin import PinLock, Verdict
from tests.cli.conftest import Quickly


def test_it_is_set_and_removed(
    tmp_path: Path, quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "There is no PIN; choose one: assistant pin set" in quickly("pin", "status")[0]
    monkeypatch.setattr(sys, "stdin", io.StringIO("271828\n"))
    said = str(quickly("pin", "set") + quickly("pin", "status"))
    assert "271828" not in said
    assert "There is a PIN." in said
    assert "Needed for: nothing" in said
    for file in (tmp_path / "data").iterdir():
        assert b"271828" not in file.read_bytes()
    quickly("pin", "remove")
    assert "There is no PIN" in quickly("pin", "status")[0]


@pytest.mark.parametrize("pin", ["", "12", "abcd", "1234567890123"])
def test_what_is_none_is_refused(
    pin: str, quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(pin + "\n"))
    assert "4 to 12 digits" in quickly("pin", "set", status=2)[1]


async def _wrong_three_times(path: Path) -> None:
    with closing(Store(path)) as store:
        lock = PinLock(store, lockout=3000.0)
        for _ in range(3):
            assert await lock.tried(["1111"]) is Verdict.WRONG


def test_a_lock_is_told_and_ends_when_it_is_set_again(
    tmp_path: Path, quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "assistant.toml").write_text('[policy]\npin = ["unlock"]\npin_lockout = 3000')
    monkeypatch.setattr(sys, "stdin", io.StringIO("2718\n"))
    quickly("pin", "set")
    asyncio.run(_wrong_three_times(tmp_path / "data" / "store.sqlite"))
    said = quickly("pin", "status", "--config", "assistant.toml")[0]
    assert "It was wrong too often: none is taken for" in said
    assert "Needed for: unlock" in said
    monkeypatch.setattr(sys, "stdin", io.StringIO("2718\n"))
    quickly("pin", "set")
    assert "There is a PIN.\n" in quickly("pin", "status")[0]


def test_a_store_that_can_not_be_used_is_named(tmp_path: Path, quickly: Quickly) -> None:
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "store.sqlite")) as database:
        database.execute("pragma user_version = 99")
    assert "store.sqlite: was written by a newer version" in quickly("pin", "status", status=1)[1]
