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

HANGOVER = 0.2
"""Seconds of silence after which what follows is a new sound with a position of its own."""


class FarEnd:
    """The last KEPT_SECONDS of what was played, at SAMPLE_RATE.

    The loudspeaker's thread writes, the canceller reads. Positions are monotonic seconds times
    SAMPLE_RATE. Within a sound samples follow each other as they were played, though the
    clock's word on each block jitters; silence is not recorded, and costs nothing.
    """

    def __init__(self) -> None:
        self._size = round(KEPT_SECONDS * SAMPLE_RATE)
        self._ring = np.zeros(self._size, np.int16)
        self._end = 0
        self._sounding = -self._size
        self._lock = threading.Lock()
        # Of the loudspeaker's thread alone: what was taken of the present sound, and when.
        self._resampler = StreamResampler(1, 1)
        self._rate = 0
        self._began = 0.0
        self._taken = 0
        self._silent = np.inf

    def played(self, samples: Samples, rate: int, time: float) -> None:
        """`samples` at `rate` Hz leave the loudspeaker from monotonic second `time` on."""
        self._silent = 0.0 if samples.any() else self._silent + len(samples) / rate
        if self._silent > HANGOVER:
            self._rate = 0
            return
        due = self._began + self._taken / (self._rate or 1)
        if rate != self._rate or abs(time - due) > MAX_DRIFT:
            self._rate, self._resampler = rate, StreamResampler(rate, SAMPLE_RATE)
            self._began, self._taken = time, 0
            self._begin(round(time * SAMPLE_RATE))
        self._taken += len(samples)
        self._add(self._resampler.process(samples)[-self._size :])

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

    def _begin(self, position: int) -> None:
        """Go on at `position`, with silence from where the sound before it ended."""
        with self._lock:
            gap = np.arange(self._end, min(position, self._end + self._size))
            self._ring[gap % self._size] = 0
            self._end = position

    def _add(self, samples: Samples) -> None:
        with self._lock:
            places = np.arange(self._end, self._end + len(samples))
            self._ring[places % self._size] = samples
            self._end += len(samples)
            if samples.any():
                self._sounding = self._end
