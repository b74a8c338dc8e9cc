"""Regroups samples that arrive in blocks of any length into chunks of one length."""

from __future__ import annotations

import numpy as np

from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Samples

MAX_DRIFT = 0.05
"""Seconds by which the count of samples may deviate from the clock before it is set anew."""


class Chunker:
    """Cuts one stream of 16 kHz samples into AudioChunks.

    Times are counted in samples from the first block on, so that chunks follow each other
    evenly though blocks arrive unevenly; they are set anew when count and clock have drifted
    apart by more than MAX_DRIFT, as after a gap.
    """

    def __init__(self) -> None:
        self._pending = np.zeros(0, np.int16)
        self._time = float("-inf")

    def push(self, samples: Samples, time: float) -> list[AudioChunk]:
        """The chunks completed by `samples`, of which the first was heard at `time`."""
        expected = self._time + len(self._pending) / SAMPLE_RATE
        if abs(time - expected) > MAX_DRIFT:
            self._time = time - len(self._pending) / SAMPLE_RATE
        self._pending = np.concatenate((self._pending, samples))
        chunks = []
        while len(self._pending) >= CHUNK_SAMPLES:
            chunks.append(AudioChunk(self._pending[:CHUNK_SAMPLES], self._time))
            self._pending = self._pending[CHUNK_SAMPLES:]
            self._time += CHUNK_SAMPLES / SAMPLE_RATE
        return chunks

    def finish(self) -> AudioChunk | None:
        """What remains, padded with silence to a whole chunk; None when nothing does."""
        if not len(self._pending):
            return None
        samples = np.pad(self._pending, (0, CHUNK_SAMPLES - len(self._pending)))
        chunk = AudioChunk(samples, self._time)
        self.clear()
        return chunk

    def clear(self) -> None:
        """Drop what is incomplete, as after a gap."""
        self._pending = np.zeros(0, np.int16)
        self._time = float("-inf")
