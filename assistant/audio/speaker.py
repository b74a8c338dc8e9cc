"""The loudspeaker: one output of the system, through PortAudio, that stays open.

A freshly opened output stalls for up to 1.5 s and a short one loses its tail, so the stream runs
on with silence between replies.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any

import numpy as np

from assistant.audio.farend import FarEnd
from assistant.audio.pcm import Pcm, Samples
from assistant.audio.portaudio import KeptStream
from assistant.audio.resample import resample
from assistant.tasks import end

_log = logging.getLogger(__name__)

BLOCK = 0.02
"""Seconds of one output block: how fast a stop is obeyed, the device's own buffer aside."""

LATENCY = 0.12
"""Seconds of sound the device is asked to buffer: less, and a sound server on a machine whose
cores are all at work (by a language model, say) stumbles from gap to gap."""

DEVICE_WAIT = 5.0
"""Seconds for which `play` waits for a device that is being opened."""

QUEUE_LENGTH = 16
"""Sounds that may wait to be played; further calls of `play` wait for room."""

FADE = 0.005
"""Seconds of fade-out at a stop: none would click."""


@dataclass(slots=True, eq=False)
class _Sound:
    samples: Samples
    position: int
    heard: asyncio.Future[bool]

    def settle(self, heard: bool) -> None:
        """Tell who waits, in the event loop, unless nobody does any more."""
        if not self.heard.done():
            self.heard.set_result(heard)


class Speaker:
    """Plays through the sound device `device`: part of its name, its number, or the default.

    Use it as an async context manager: the output is open inside. A device that is missing or
    unplugged is waited for; what was to be played meanwhile is logged and dropped. What really
    left it goes to `far_end`, for echo cancellation. `volume` is a factor in 0..1.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        name: str = "loudspeaker",
        volume: float = 1.0,
        far_end: FarEnd | None = None,
    ) -> None:
        self._device = device
        self._name = name
        self._volume = volume
        self._far_end = far_end
        self._room = asyncio.Semaphore(QUEUE_LENGTH)
        self._order = asyncio.Lock()
        self._running = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._epoch = 0
        self._unplayed = 0
        self._rate = 0
        self._latency = 0.0
        # Shared with PortAudio's callback.
        self._lock = threading.Lock()
        self._sounds: deque[_Sound] = deque()
        self._fading = np.zeros(0, np.int16)

    async def __aenter__(self) -> Speaker:
        loop = asyncio.get_running_loop()
        kept = KeptStream(
            self._name,
            lambda sounddevice, beat, ended: self._open(sounddevice, beat, ended, loop),
            may_pause=lambda: not self.playing,
            on_up=self._up,
            on_down=self._down,
        )
        self._keeper = asyncio.create_task(kept.run(), name=f"keep {self._name} open")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._keeper is not None:
            await end(self._keeper)

    @property
    def playing(self) -> bool:
        """Whether sound is being played or queued."""
        return self._unplayed > 0

    async def play(self, pcm: Pcm) -> None:
        """Queue `pcm`; return once it has been heard or stopped.

        Returns too, with a warning in the log, when there is no device or it vanishes.
        """
        epoch = self._epoch
        self._unplayed += 1
        try:
            async with self._room:
                if not await self._device_is_up():
                    if epoch == self._epoch:
                        _log.warning("%s: %.1f s not played: no device", self._name, pcm.duration)
                    return
                async with self._order:
                    rate = self._rate
                    samples = await asyncio.to_thread(self._prepare, pcm, rate)
                    if epoch != self._epoch or not len(samples):
                        return
                    sound = self._queue(samples, rate)
                if not await self._heard(sound):
                    _log.warning("%s: the device vanished while it played", self._name)
        finally:
            self._unplayed -= 1

    def stop(self) -> None:
        """Drop everything queued and fall silent within one block."""
        self._epoch += 1
        self._drop(heard=True)

    async def _device_is_up(self) -> bool:
        try:
            async with asyncio.timeout(DEVICE_WAIT):
                await self._running.wait()
        except TimeoutError:
            return False
        return True

    def _prepare(self, pcm: Pcm, rate: int) -> Samples:
        samples = resample(pcm, rate).samples
        if self._volume == 1.0:
            return samples
        quieter: Samples = (samples * self._volume).astype(np.int16)
        return quieter

    def _queue(self, samples: Samples, rate: int) -> _Sound:
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        sound = _Sound(samples, 0, outcome)
        with self._lock:
            if self._running.is_set() and rate == self._rate:
                self._sounds.append(sound)
            else:
                outcome.set_result(False)
        return sound

    async def _heard(self, sound: _Sound) -> bool:
        """Wait for the callback; False when the device is lost before the end."""
        try:
            return await sound.heard
        except asyncio.CancelledError:
            with self._lock, suppress(ValueError):
                self._sounds.remove(sound)
            raise

    def _drop(self, *, heard: bool) -> None:
        with self._lock:
            dropped = tuple(self._sounds)
            if dropped and self._rate:
                first = dropped[0]
                tail = first.samples[first.position : first.position + round(FADE * self._rate)]
                self._fading = (tail * np.linspace(1.0, 0.0, len(tail))).astype(np.int16)
            self._sounds.clear()
        for sound in dropped:
            sound.settle(heard)

    def _up(self, stream: Any) -> None:
        self._rate, self._latency = round(stream.samplerate), float(stream.latency)
        self._running.set()

    def _down(self) -> None:
        self._running.clear()
        self._drop(heard=False)

    def _open(
        self,
        sounddevice: Any,
        beat: Callable[[], None],
        ended: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> Any:
        rate, channels = _format(sounddevice, self._device)

        def fill(out: Any, frames: int, time: Any, _status: Any) -> None:
            beat()
            mono, finished = self._take(frames)
            out[:] = np.repeat(mono, channels).tobytes()
            ahead = time.outputBufferDacTime - time.currentTime
            if not 0 <= ahead < 1.0:
                ahead = self._latency
            if self._far_end is not None:
                self._far_end.played(mono, rate, monotonic() + ahead)
            for sound in finished:
                loop.call_soon_threadsafe(loop.call_later, ahead + BLOCK, sound.settle, True)

        return sounddevice.RawOutputStream(
            samplerate=rate,
            blocksize=round(rate * BLOCK),
            device=self._device,
            channels=channels,
            dtype="int16",
            latency=LATENCY,
            callback=fill,
            finished_callback=ended,
        )

    def _take(self, frames: int) -> tuple[Samples, list[_Sound]]:
        """The next `frames` samples, and the sounds that end in them."""
        mono = np.zeros(frames, np.int16)
        finished = []
        with self._lock:
            faded = self._fading[:frames]
            mono[: len(faded)] = faded
            self._fading = self._fading[len(faded) :]
            filled = len(faded)
            while self._sounds and filled < frames:
                sound = self._sounds[0]
                piece = sound.samples[sound.position : sound.position + frames - filled]
                mono[filled : filled + len(piece)] = piece
                filled += len(piece)
                sound.position += len(piece)
                if sound.position >= len(sound.samples):
                    finished.append(self._sounds.popleft())
        return mono, finished


def _format(sounddevice: Any, device: str | int | None) -> tuple[int, int]:
    """Rate in Hz and channels to open `device` with."""
    own = sounddevice.query_devices(device, "output")
    rate = int(own["default_samplerate"])
    try:
        sounddevice.check_output_settings(device, 1, "int16", samplerate=rate)
    except sounddevice.PortAudioError:
        return rate, min(int(own["max_output_channels"]), 2)
    return rate, 1
