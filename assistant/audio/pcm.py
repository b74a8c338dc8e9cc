"""What flows between the stages of the speech chain: sound as int16 mono samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hz; the one rate of everything that is heard."""

CHUNK_SAMPLES = 512
"""Samples in one AudioChunk (32 ms): the window of the Silero VAD, so it never has to regroup."""

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of what a source hears: int16 mono at SAMPLE_RATE, CHUNK_SAMPLES long.

    `time` is the monotonic clock in seconds at which the first sample was heard.
    The last chunk of a finite source is padded with silence to full length.
    """

    samples: Samples
    time: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Pcm:
    """Sound to be played or kept: int16 mono, shape (n,), at any `rate` in Hz."""

    samples: Samples
    rate: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate
