"""A room that never was: steady noise in real time, into which speech can be said."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic

import numpy as np

from assistant.audio.noise import at_level, coloured_noise
from assistant.audio.pacing import sleep_until
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm, Samples
from assistant.audio.resample import resample
from assistant.errors import AudioError


@dataclass(slots=True)
class _Saying:
    samples: Samples
    position: int
    said: asyncio.Future[float]


class RoomSource:
    """Yields `noise`, over and over, at RMS level `level` in dBFS, mixed with what is said.

    Stands where a microphone would, for the demo and the tests. Without noise of its own it
    hums like a quiet room. Without `realtime` chunks come as fast as they are taken, though
    their times are those of real time. Ends when closed.
    """

    def __init__(
        self,
        noise: Pcm | None = None,
        level: float = -60.0,
        *,
        name: str = "room",
        realtime: bool = True,
    ) -> None:
        hum = at_level(resample(noise, SAMPLE_RATE), level) if noise else coloured_noise(8, level)
        # A whole number of chunks, so that each is a slice.
        repeats = -(-CHUNK_SAMPLES // len(hum.samples))
        samples = np.tile(hum.samples, repeats)
        self._noise = samples[: len(samples) // CHUNK_SAMPLES * CHUNK_SAMPLES]
        self._name = name
        self._realtime = realtime
        self._sayings: deque[_Saying] = deque()
        self._closed = False

    @property
    def name(self) -> str:
        """What logs and traces call it."""
        return self._name

    async def say(self, pcm: Pcm) -> float:
        """Say `pcm` in the room, after what is being said already.

        Returns the monotonic second at which its last sample was heard, once the chunk that
        holds it has been taken. Cancelled when the stream ends before that; raises AudioError
        when it has ended or been closed.
        """
        if self._closed:
            raise AudioError(f"{self._name}: nothing can be said any more, the source is closed")
        samples = resample(pcm, SAMPLE_RATE).samples
        saying = _Saying(samples, 0, asyncio.get_running_loop().create_future())
        self._sayings.append(saying)
        return await saying.said

    def close(self) -> None:
        """End the stream after the present chunk."""
        self._closed = True

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        """Yield the room's sound until closed."""
        start, count = monotonic(), 0
        seconds = CHUNK_SAMPLES / SAMPLE_RATE
        try:
            while not self._closed:
                time = start + count * seconds
                await sleep_until(time + seconds if self._realtime else 0.0)
                offset = count * CHUNK_SAMPLES % len(self._noise)
                yield AudioChunk(self._mix(offset, time), time)
                count += 1
        finally:
            self._closed = True  # also where nobody takes the chunks any more
            for saying in self._sayings:
                saying.said.cancel()
            self._sayings.clear()

    def _mix(self, offset: int, time: float) -> Samples:
        mixed = self._noise[offset : offset + CHUNK_SAMPLES].astype(np.int32)
        filled = 0
        while self._sayings and filled < CHUNK_SAMPLES:
            saying = self._sayings[0]
            piece = saying.samples[saying.position : saying.position + CHUNK_SAMPLES - filled]
            mixed[filled : filled + len(piece)] += piece
            saying.position += len(piece)
            filled += len(piece)
            if saying.position >= len(saying.samples):
                self._sayings.popleft()
                if not saying.said.done():
                    saying.said.set_result(time + filled / SAMPLE_RATE)
        return np.clip(mixed, -32768, 32767).astype(np.int16)
