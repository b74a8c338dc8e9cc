"""Change of sample rate, by soxr: the highest quality that costs nothing to speak of."""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from assistant.audio.pcm import Pcm, Samples


def to_int16(samples: NDArray[np.floating[Any]]) -> Samples:
    """Floats in [-1, 1] as int16; what is beyond is clipped, what is no number is silence."""
    scaled = np.nan_to_num(samples * 32768.0, nan=0.0, posinf=32767.0, neginf=-32768.0)
    clipped: Samples = np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)
    return clipped


def resample(pcm: Pcm, rate: int) -> Pcm:
    """`pcm` at `rate` Hz, without delay; the same object when it has that rate already."""
    if pcm.rate == rate:
        return pcm
    if not len(pcm.samples):
        return Pcm(pcm.samples, rate)
    return Pcm(soxr.resample(pcm.samples, pcm.rate, rate), rate)


class StreamResampler:
    """Resamples one endless stream of int16 mono samples, block by block.

    The output lags by the filter's length, up to 40 ms; `finish` yields the rest.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._from_rate, self._to_rate = from_rate, to_rate
        self._taken = self._given = 0
        self._stream: Any = (
            None
            if from_rate == to_rate
            else soxr.ResampleStream(from_rate, to_rate, 1, dtype="int16", quality="HQ")
        )

    @property
    def lag(self) -> float:
        """Seconds of sound that were taken but not yielded yet."""
        return self._taken / self._from_rate - self._given / self._to_rate

    def process(self, samples: Samples) -> Samples:
        """What the stream yields for the next `samples`; may be empty."""
        if self._stream is None:
            return samples
        resampled: Samples = self._stream.resample_chunk(samples)
        self._taken += len(samples)
        self._given += len(resampled)
        return resampled

    def finish(self) -> Samples:
        """What is still in the filter; the stream is over then."""
        if self._stream is None:
            return np.zeros(0, np.int16)
        rest: Samples = self._stream.resample_chunk(np.zeros(0, np.int16), last=True)
        return rest
