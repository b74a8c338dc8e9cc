"""What the loudspeaker plays, kept by the clock: the far end that echo cancellation subtracts."""

from __future__ import annotations

import threading

import numpy as np

from assistant.audio.pcm import SAMPLE_RATE, Samples
from assistant.audio.resample import StreamResampler

KEPT_SECONDS = 4.0
"""How far back the far end is known."""

MAX_DRIFT = 0.04
"""Seconds by which the count of played samples may deviate from the clock during sound."""


class FarEnd:
    """The last KEPT_SECONDS of what was played, at SAMPLE_RATE.

    The loudspeaker's thread writes, the canceller reads. Positions are monotonic seconds times
    SAMPLE_RATE. Samples follow each other as they were played though the clock's word on each
    block jitters; the position is set anew in silence, or when it has drifted by MAX_DRIFT.
    """

    def __init__(self) -> None:
        self._size = round(KEPT_SECONDS * SAMPLE_RATE)
        self._ring = np.zeros(self._size, np.int16)
        self._end = 0
        self._sounding = -self._size
        self._rate = 0
        self._resampler = StreamResampler(1, 1)
        self._lock = threading.Lock()

    def played(self, samples: Samples, rate: int, time: float) -> None:
        """`samples` at `rate` Hz leave the loudspeaker from monotonic second `time` on."""
        if rate != self._rate:
            self._rate, self._resampler = rate, StreamResampler(rate, SAMPLE_RATE)
        resampled = self._resampler.process(samples)[-self._size :]
        start, loud = round(time * SAMPLE_RATE), bool(resampled.any())
        with self._lock:
            drift = abs(start - self._end)
            if drift > MAX_DRIFT * SAMPLE_RATE or (not loud and drift > 0.002 * SAMPLE_RATE):
                self._clear(self._end, min(start - self._end, self._size))
                self._end = start
            self._put(self._end, resampled)
            self._end += len(resampled)
            if loud:
                self._sounding = self._end

    def between(self, position: int, count: int) -> Samples:
        """`count` samples from `position` on; silence where nothing is known (yet, or any more)."""
        with self._lock:
            wanted = np.arange(position, position + count)
            known = (wanted < self._end) & (wanted >= self._end - self._size)
            return np.where(known, self._ring[wanted % self._size], 0).astype(np.int16)

    def sounded_since(self, position: int) -> bool:
        """Whether anything but silence was played after `position`."""
        with self._lock:
            return self._sounding > position

    def _put(self, position: int, samples: Samples) -> None:
        self._ring[np.arange(position, position + len(samples)) % self._size] = samples

    def _clear(self, position: int, count: int) -> None:
        if count > 0:
            self._ring[np.arange(position, position + count) % self._size] = 0
