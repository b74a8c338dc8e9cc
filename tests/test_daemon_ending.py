"""The daemon's end where something of it does not end: whatever it is at, SIGTERM is obeyed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from assistant import daemon
from assistant.config import Settings
from assistant.paths import Directories


async def test_sigterm_ends_it_while_a_reload_waits_for_what_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, told, free = asyncio.Event(), asyncio.Event(), asyncio.Event()
    exits: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def live(*_: object) -> None:
        begun.set()
        try:
            await free.wait()
        finally:
            told.set()
            await free.wait()

    def leave(status: int) -> None:  # in a thread of its own, and without coming back
        loop.call_soon_threadsafe(exits.put_nowait, status)

    monkeypatch.setattr(daemon, "_live", live)
    monkeypatch.setattr(daemon, "LAST_RESORT", 0.05)
    monkeypatch.setattr(os, "_exit", leave)
    folders = Directories(tmp_path, tmp_path, tmp_path)
    running = asyncio.create_task(daemon.serve(Settings, folders))
    try:
        async with asyncio.timeout(20.0):
            await begun.wait()
            os.kill(os.getpid(), signal.SIGHUP)
            await told.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            assert await exits.get() == 0
    finally:
        free.set()
        await running
