"""PortAudio at its worst, played by a stand-in: no sound server does this on demand."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from assistant.audio import portaudio
from assistant.audio.portaudio import KeptStream, _Host
from assistant.audio.speaker import Speaker
from assistant.errors import AudioError


class Stubborn:
    """The module `sounddevice`, whose library fails to begin a few times."""

    class PortAudioError(Exception):
        pass

    def __init__(self, failures: int) -> None:
        self._initialized = 1
        self._failures = failures

    def _terminate(self) -> None:
        if not self._initialized:
            raise self.PortAudioError("PortAudio not initialized")
        self._initialized -= 1

    def _initialize(self) -> None:
        if self._failures:
            self._failures -= 1
            raise self.PortAudioError("Error initializing PortAudio")
        self._initialized += 1

    def query_devices(self) -> list[dict[str, Any]]:
        if not self._initialized:
            raise self.PortAudioError("PortAudio not initialized")
        return []


class Kept:
    stream: Any = None

    def make(self, sounddevice: Stubborn, _loop: Any) -> str:
        if not sounddevice._initialized:
            raise sounddevice.PortAudioError("PortAudio not initialized")
        return "a stream"


async def test_a_library_that_fails_to_begin_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sounddevice, kept = Stubborn(2), Kept()
    monkeypatch.setattr(portaudio, "load_sounddevice", lambda: sounddevice)
    host, loop = _Host(), asyncio.get_running_loop()
    host._stale = True
    for _ in range(2):
        with pytest.raises(AudioError, match="can't be opened"):
            host.open(cast(KeptStream, kept), loop)
    host.open(cast(KeptStream, kept), loop)
    assert kept.stream == "a stream"


async def test_who_is_cancelled_while_the_device_is_closed_goes_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free, stuck = threading.Event(), asyncio.Event()
    loop, host = asyncio.get_running_loop(), _Host()
    monkeypatch.setattr(portaudio, "_HOST", host)

    def hold() -> None:
        loop.call_soon_threadsafe(stuck.set)
        free.wait(20)

    holding = asyncio.create_task(host.call(hold))
    await stuck.wait()
    went_on = False

    async def use() -> None:
        nonlocal went_on
        async with Speaker():
            await asyncio.sleep(0)  # it is being opened now, which waits for the driver
        went_on = True

    using = asyncio.create_task(use())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not using.done()
    using.cancel()
    await asyncio.wait([using])
    free.set()
    await holding
    assert using.cancelled()
    assert not went_on
