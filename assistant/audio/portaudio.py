"""PortAudio for the whole process: one thread, one list of devices, streams that are kept open.

PortAudio is not thread-safe, its calls may block for seconds, and it sees new devices only when
it is initialised again, which ends every open stream. So all calls are made here: on one thread,
and a renewal of the device list pauses the streams that are open.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any, NoReturn, Protocol, TypeVar

from assistant.errors import AudioError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

STALL = 2.0
"""Seconds without a callback after which a stream is taken for dead and opened anew."""

OPENING = 4.0
"""The same for a stream just opened: some take 2 s to begin."""

FIRST_RETRY, LAST_RETRY = 0.5, 30.0
"""Seconds between attempts at a device that is not there, doubled from first to last."""

STABLE = 5.0
"""Seconds a stream must have lived for the next attempts to start from FIRST_RETRY."""


def load_sounddevice() -> Any:
    """The module `sounddevice`. Raises AudioError when the PortAudio library is missing."""
    try:
        return importlib.import_module("sounddevice")
    except OSError as error:
        raise AudioError(
            f"the PortAudio library can't be used ({error}); "
            "install it, on Debian with: sudo apt install libportaudio2"
        ) from error


class StreamOpener(Protocol):
    """Makes a stream, not started yet; called on PortAudio's thread with `sounddevice`."""

    def __call__(
        self, sounddevice: Any, beat: Callable[[], None], ended: Callable[[], None]
    ) -> Any:
        """The stream: its callback calls `beat`, its finished_callback is `ended`.

        May raise what sounddevice raises (PortAudioError, ValueError) or AudioError.
        """
        ...


class KeptStream:
    """A stream that is opened when its device is there and opened again whenever it is lost.

    `what` names it in the log ("microphone"); `may_pause` tells whether it may be closed for a
    moment now, for the sake of another stream's device. `on_up` is called with the running
    stream once sound flows, `on_down` when it has ceased, both in the event loop.
    """

    def __init__(
        self,
        what: str,
        opener: StreamOpener,
        *,
        may_pause: Callable[[], bool],
        on_up: Callable[[Any], None],
        on_down: Callable[[], None],
    ) -> None:
        self._what = what
        self._opener = opener
        self._on_up = on_up
        self._on_down = on_down
        self.may_pause = may_pause
        self.stream: Any = None
        self.paused = False
        self._down_told = False
        self._last_beat = 0.0
        self._flowing = False
        self._ended = False
        self._news = asyncio.Event()
        self._last_try = monotonic()

    @property
    def last_progress(self) -> float:
        """Monotonic second of the last sound, or of the last attempt to get at the device."""
        return max(self._last_beat, self._last_try)

    async def run(self) -> NoReturn:
        """Keep it open until cancelled. Logs once when it goes down and once when it is back."""
        wait = FIRST_RETRY
        try:
            while True:
                self._last_try = monotonic()
                signature = _signature()
                lived = await self._live()
                if self.paused:
                    continue
                if lived > STABLE or await _changed_within(wait, signature):
                    wait = FIRST_RETRY
                else:
                    wait = min(2 * wait, LAST_RETRY)
        finally:
            # The thread may be stuck in a driver; nobody waits for that at the end.
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await _HOST.call(lambda: _HOST.close(self))

    def make(self, sounddevice: Any, loop: asyncio.AbstractEventLoop) -> Any:
        """Open and start the stream, on PortAudio's thread, which tells `loop` its news."""

        def beat() -> None:
            self._last_beat = monotonic()
            if not self._flowing:
                self._flowing = True
                loop.call_soon_threadsafe(self._news.set)

        def ended() -> None:
            self._ended = True
            loop.call_soon_threadsafe(self._news.set)

        self.paused, self._flowing, self._ended = False, False, False
        stream = self._opener(sounddevice, beat, ended)
        try:
            stream.start()
        except BaseException:
            stream.close()
            raise
        self._last_beat = monotonic()
        return stream

    async def _live(self) -> float:
        """Open the stream and wait until it is lost; the seconds for which sound flowed."""
        loop = asyncio.get_running_loop()
        self._news.clear()
        try:
            await _HOST.call(lambda: _HOST.open(self, loop))
        except AudioError as error:
            self._tell_down(str(error))
            return 0.0
        await self._news_within(OPENING)
        since = monotonic()
        flowed = self._flowing and not self._ended
        if flowed:
            if self._down_told:
                self._down_told = False
                _log.info("%s: works", self._what)
            self._on_up(self.stream)
            # A new output takes its first blocks at once and may then pause for as long as
            # others take to begin.
            while not self._ended and (
                monotonic() - max(self._last_beat, since + OPENING - STALL) < STALL
            ):
                await self._news_within(STALL / 4)
            self._on_down()
        await _HOST.call(lambda: _HOST.close(self))
        if not self.paused:
            self._tell_down("the sound device is gone")
        return monotonic() - since if flowed else 0.0

    async def _news_within(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    def _tell_down(self, reason: str) -> None:
        if not self._down_told:
            self._down_told = True
            _log.warning("%s: %s; it is tried until it works", self._what, reason)


class _Host:
    """PortAudio's thread and the streams that are open on it."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._open: set[KeptStream] = set()
        self._stale = False
        self._signature = _signature()

    async def call(self, job: Callable[[], _T]) -> _T:
        """Run `job` on PortAudio's thread, after the jobs before it."""
        if self._thread is None:
            # A daemon thread: one stuck in a driver must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name="portaudio", daemon=True)
            self._thread.start()
        future: Future[_T] = Future()
        self._jobs.put((future, job))
        return await asyncio.wrap_future(future)

    def open(self, kept: KeptStream, loop: asyncio.AbstractEventLoop) -> None:
        """Open `kept` on its device, after a look for new devices if something was amiss."""
        sounddevice = load_sounddevice()
        try:
            if self._stale:
                self._renew(sounddevice)
            kept.stream = kept.make(sounddevice, loop)
        except (sounddevice.PortAudioError, ValueError) as error:
            self._stale = True
            names = ", ".join(_names(sounddevice))
            raise AudioError(
                f"the sound device can't be opened ({error}); plug it in, or name another one "
                f"(there is: {names or 'none'})"
            ) from error
        except AudioError:
            self._stale = True
            raise
        self._open.add(kept)

    def close(self, kept: KeptStream) -> None:
        """Close `kept` if it is open; what was queued in the device is dropped."""
        if kept not in self._open:
            return
        self._open.discard(kept)
        self._stale = True
        kept.stream.close()  # ignores PortAudio's errors: the device may be gone
        kept.stream = None

    def devices(self) -> list[dict[str, Any]]:
        """PortAudio's own list of devices, as new as it can be without disturbing a stream."""
        sounddevice = load_sounddevice()
        if not self._open:
            self._initialise(sounddevice)
        return list(sounddevice.query_devices())

    def defaults(self) -> tuple[int, int]:
        """Numbers of the default input and output, -1 where there is none."""
        given, taken = load_sounddevice().default.device
        return int(given), int(taken)

    def _renew(self, sounddevice: Any) -> None:
        """Look for devices again, unless that would disturb a stream for nothing."""
        if self._open:
            unchanged = _signature() == self._signature
            if unchanged or not all(kept.may_pause() for kept in self._open):
                return
            for kept in tuple(self._open):
                kept.paused = True
                self.close(kept)
        self._initialise(sounddevice)

    def _initialise(self, sounddevice: Any) -> None:
        # Taken before the look, so that a change during it is noticed later.
        self._signature = _signature()
        # sounddevice has no public name for this; its own documentation points here.
        if sounddevice._initialized:  # not so where it failed to begin, the last time
            sounddevice._terminate()
        sounddevice._initialize()
        self._stale = False

    def _work(self) -> None:
        while True:
            future, job = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
            # Else the last job would live, and all it refers to, until the next one comes.
            del future, job


async def list_devices() -> tuple[list[dict[str, Any]], tuple[int, int]]:
    """PortAudio's devices, and the numbers of the default input and output (-1: none).

    Raises AudioError when PortAudio is missing or can't be initialised.
    """
    try:
        return await _HOST.call(lambda: (_HOST.devices(), _HOST.defaults()))
    except AudioError:
        raise
    except Exception as error:
        raise AudioError(f"PortAudio can't list the sound devices ({error})") from error


def _names(sounddevice: Any) -> list[str]:
    try:
        return [str(device["name"]) for device in sounddevice.query_devices()]
    except sounddevice.PortAudioError:  # not even initialised
        return []


def _signature() -> object:
    """Changes whenever a sound card or a sound server comes or goes."""
    try:
        cards = Path("/proc/asound/cards").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cards = ""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"))
    server = os.environ.get("PULSE_SERVER", "").removeprefix("unix:")
    sockets: list[tuple[int, int] | None] = []
    for socket in (Path(server), runtime / "pulse/native", runtime / "pipewire-0"):
        try:
            status = socket.stat()
        except OSError:
            sockets.append(None)
        else:
            sockets.append((status.st_ino, status.st_ctime_ns) if socket.is_socket() else None)
    return cards, sockets


async def _changed_within(seconds: float, signature: object) -> bool:
    """Wait `seconds`, or until the devices differ from `signature`; whether they did."""
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0:
        await asyncio.sleep(min(1.0, left))
        if _signature() != signature:
            return True
    return False


_HOST = _Host()
