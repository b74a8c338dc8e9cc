"""Noise to mix with speech, and the measure of how loud a sound is."""

from __future__ import annotations

import numpy as np

from assistant.audio.pcm import SAMPLE_RATE, Pcm, Samples
from assistant.audio.resample import to_int16

SILENCE_LEVEL = -96.0
"""dBFS below which 16 bit sound is nothing."""


def level(samples: Samples) -> float:
    """RMS level in dB relative to full scale; SILENCE_LEVEL for digital silence."""
    if not len(samples):
        return SILENCE_LEVEL
    power = float(np.mean(np.square(samples.astype(np.float64) / 32768.0)))
    return max(SILENCE_LEVEL, 10 * np.log10(power)) if power else SILENCE_LEVEL


def at_level(pcm: Pcm, dbfs: float) -> Pcm:
    """`pcm` scaled to the RMS level `dbfs`; digital silence stays what it is."""
    present = level(pcm.samples)
    if present <= SILENCE_LEVEL:
        return pcm
    gain = 10 ** ((dbfs - present) / 20)
    return Pcm(to_int16(pcm.samples.astype(np.float64) / 32768.0 * gain), pcm.rate)


def coloured_noise(seconds: float, dbfs: float, *, pink: bool = True, seed: int = 0) -> Pcm:
    """Noise at SAMPLE_RATE and RMS level `dbfs`: pink (power falls as 1/f, like a room) or white.

    The same seed gives the same noise; its end joins its beginning, so it can be repeated.
    """
    count = round(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    if pink:
        # Below 40 Hz a room's noise is out of every microphone's reach.
        frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
        spectrum *= np.where(frequency < 40, 0.0, 1 / np.sqrt(np.maximum(frequency, 40)))
    shaped = np.fft.irfft(spectrum, count)
    quiet = Pcm(to_int16(shaped / np.max(np.abs(shaped))), SAMPLE_RATE)
    return at_level(quiet, dbfs)
