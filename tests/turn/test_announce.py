"""What is said unasked, and where."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, cast

import pytest

from assistant.config import Settings
from assistant.home.registry import Registry
from assistant.skill import load_skills, skill_folders
from assistant.store import Store, StoredTimer
from assistant.turn.announce import Announcer
from assistant.turn.reply import Replies
from assistant.turn.respond import Responder
from assistant.turn.timers import Due, Timers


class Room:
    def __init__(self) -> None:
        self.said: list[str] = []

    def announce(self, text: str) -> None:
        self.said.append(text)


def announcer(tmp_path: Path) -> Announcer:
    skills = load_skills(skill_folders(tmp_path), Settings.model_construct().skills)
    return Announcer(cast(Responder, None), Replies(skills), lambda _: None)


async def test_a_timer_that_was_up_before_anybody_could_speak_rings_then(tmp_path: Path) -> None:
    speaks, room = announcer(tmp_path), Room()
    await speaks.ring(Due(StoredTimer("timer.1", 60, 0.0, name="tea"), 40.0))
    speaks.add(room, "kitchen")
    assert room.said == [], "it was spoken to before it had started"
    await asyncio.sleep(0)
    assert len(room.said) == 1
    assert "tea" in room.said[0]
    speaks.add(Room(), None)
    await asyncio.sleep(0)
    assert len(room.said) == 1


async def test_a_store_that_fails_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("assistant.turn.timers._LONGEST_SLEEP", 0.01)
    store = Store(None)
    timers = Timers(store, Registry())
    store.put_timer(StoredTimer("timer.1", 1, 1.0))
    database: Any = store._database
    database.execute("alter table timer rename to lost")
    rung = asyncio.Event()

    async def announce(_: Due) -> None:
        rung.set()

    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(timers.run(announce))
        await asyncio.sleep(0.1)
        assert not task.done()
        database.execute("alter table lost rename to timer")
        async with asyncio.timeout(20):
            await rung.wait()
        task.cancel()
    assert len(caplog.records) == 1
    assert "the store fails" in caplog.text
