"""The microphone: a sound device of the system, through PortAudio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import numpy as np

from assistant.audio.chunker import Chunker
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Samples
from assistant.audio.portaudio import KeptStream
from assistant.audio.resample import StreamResampler
from assistant.tasks import end

_log = logging.getLogger(__name__)

QUEUE_BLOCKS = 150
"""Blocks (about 5 s) kept for a listener that lags behind; then the oldest are dropped."""

MAX_LATENCY = 1.0
"""Seconds beyond which a driver's own word on the age of a block is not believed."""

_Block = tuple[Samples, float, int]


class Microphone:
    """Hears through the sound device `device`: part of its name, its number, or the default.

    A device that is missing, or PortAudio itself, is waited for; so is one that is unplugged.
    Every rate and number of channels is turned into 16 kHz mono.
    """

    def __init__(self, device: str | int | None = None, *, name: str = "microphone") -> None:
        self._device = device
        self._name = name
        self._kept: KeptStream | None = None

    @property
    def name(self) -> str:
        """What logs and traces call it."""
        return self._name

    @property
    def last_progress(self) -> float:
        """Monotonic second of the last sound, or of the last attempt to get at the device."""
        return self._kept.last_progress if self._kept is not None else monotonic()

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        """Yield what is heard, for ever; while the device is gone, nothing.

        The device is open for as long as the iteration lasts.
        """
        loop = asyncio.get_running_loop()
        blocks: asyncio.Queue[_Block | None] = asyncio.Queue(QUEUE_BLOCKS)
        dropped = 0

        def put(block: _Block | None) -> None:
            nonlocal dropped
            if blocks.full():
                blocks.get_nowait()
                dropped += 1
                if dropped == 1:
                    _log.warning(
                        "%s: nobody takes the sound in time; the oldest is dropped", self._name
                    )
            blocks.put_nowait(block)

        def opener(sounddevice: Any, beat: Callable[[], None], ended: Callable[[], None]) -> Any:
            rate, channels = _format(sounddevice, self._device)

            def heard(data: Any, frames: int, time: Any, _status: Any) -> None:
                beat()
                age = time.currentTime - time.inputBufferAdcTime
                if not 0 < age < MAX_LATENCY:
                    age = frames / rate
                samples = np.frombuffer(data, np.int16).reshape(-1, channels)
                mono = samples.mean(axis=1).astype(np.int16) if channels > 1 else samples[:, 0]
                # A copy, for the buffer is PortAudio's.
                loop.call_soon_threadsafe(put, (mono.copy(), monotonic() - age, rate))

            return sounddevice.RawInputStream(
                samplerate=rate,
                blocksize=round(rate * CHUNK_SAMPLES / SAMPLE_RATE),
                device=self._device,
                channels=channels,
                dtype="int16",
                callback=heard,
                finished_callback=ended,
            )

        kept = self._kept = KeptStream(
            self._name,
            opener,
            may_pause=lambda: True,
            on_up=lambda _: None,
            on_down=lambda: put(None),
        )
        keeper = asyncio.create_task(kept.run(), name=f"keep {self._name} open")
        chunker, resampler, known_rate = Chunker(), StreamResampler(1, 1), 0
        try:
            while True:
                block = await _next(blocks, keeper)
                if block is None:  # a gap: what comes next does not join on
                    known_rate = 0
                    continue
                samples, time, rate = block
                if rate != known_rate:
                    chunker, resampler = Chunker(), StreamResampler(rate, SAMPLE_RATE)
                    known_rate = rate
                time -= resampler.lag
                for chunk in chunker.push(resampler.process(samples), time):
                    yield chunk
        finally:
            await end(keeper)


async def _next(blocks: asyncio.Queue[_Block | None], keeper: asyncio.Task[Any]) -> _Block | None:
    """The next block; raises what has ended the keeper, which nothing should."""
    if blocks.empty():
        getter = asyncio.ensure_future(blocks.get())
        try:
            await asyncio.wait((getter, keeper), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not getter.done():
                getter.cancel()
        if keeper.done():
            keeper.result()
        return getter.result()
    return blocks.get_nowait()


def _format(sounddevice: Any, device: str | int | None) -> tuple[int, int]:
    """Rate in Hz and channels to open `device` with: ours where it can, else its own."""
    own = sounddevice.query_devices(device, "input")
    most = int(own["max_input_channels"])
    for rate in (SAMPLE_RATE, int(own["default_samplerate"])):
        for channels in (1, min(most, 2)):
            try:
                sounddevice.check_input_settings(device, channels, "int16", samplerate=rate)
            except sounddevice.PortAudioError:
                continue
            return rate, channels
    # None of these: PortAudio's own error, when it is opened so, says why.
    return int(own["default_samplerate"]), min(most, 2)
