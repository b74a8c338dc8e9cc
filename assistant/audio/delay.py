"""How long sound takes from loudspeaker to microphone, found by comparing the two."""

from __future__ import annotations

import numpy as np

from assistant.audio.pcm import SAMPLE_RATE, Samples

WINDOW = 2 * SAMPLE_RATE
"""Samples that are compared."""

INTERVAL = SAMPLE_RATE // 2
"""Samples between one estimate and the next."""

EARLIEST, LATEST = -SAMPLE_RATE // 5, SAMPLE_RATE * 7 // 10
"""Delays that are looked for, in samples; below zero, because clocks of devices are no better."""

CLEAR = 8.0
"""How far a peak must stand out of the correlation, in standard deviations, to be believed."""

AGREEMENT = 32
"""Samples by which an estimate may differ from the one before it that it is to confirm."""


class DelayEstimator:
    """Estimates the delay of an echo by generalised cross-correlation with phase transform.

    (Knapp and Carter 1976.) An estimate counts once the next one confirms it.
    """

    def __init__(self) -> None:
        self._heard = np.zeros(0, np.int16)
        self._played = np.zeros(0, np.int16)
        self._since = 0
        self._candidate: int | None = None

    def push(self, heard: Samples, played: Samples) -> int | None:
        """Take what was heard and what was played at the same time.

        Returns the delay of the echo in samples when it has just been confirmed, else None.
        """
        self._heard = np.concatenate((self._heard, heard))[-WINDOW:]
        self._played = np.concatenate((self._played, played))[-WINDOW:]
        self._since += len(heard)
        if self._since < INTERVAL or len(self._heard) < WINDOW // 2:
            return None
        self._since = 0
        before, self._candidate = self._candidate, self._estimate()
        if before is None or self._candidate is None:
            return None
        return self._candidate if abs(self._candidate - before) <= AGREEMENT else None

    def clear(self) -> None:
        """Forget what was heard, as after a gap or in silence."""
        self._heard, self._played = np.zeros(0, np.int16), np.zeros(0, np.int16)
        self._since = 0
        self._candidate = None

    def _estimate(self) -> int | None:
        size = 2 * WINDOW
        cross = np.fft.rfft(self._heard.astype(np.float64), size)
        cross *= np.conj(np.fft.rfft(self._played.astype(np.float64), size))
        magnitude = np.abs(cross)
        if not magnitude.any():
            return None
        # Only where there is sound: bins of mere rounding noise would drown the rest.
        cross = np.where(magnitude > 1e-3 * magnitude.max(), cross / (magnitude + 1e-9), 0)
        correlation = np.fft.irfft(cross, size)
        searched = np.concatenate((correlation[EARLIEST:], correlation[:LATEST]))
        peak = int(np.argmax(searched))
        if searched[peak] < CLEAR * searched.std():
            return None
        return peak + EARLIEST
