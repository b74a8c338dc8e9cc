"""Noise to mix with speech, and the measure of how loud a sound is."""

from __future__ import annotations

import numpy as np

from assistant.audio.pcm import SAMPLE_RATE, Pcm, Samples
from assistant.audio.resample import resample, to_int16
from assistant.errors import AudioError

SILENCE_LEVEL = -96.0
"""dBFS below which 16 bit sound is nothing."""
# ITU-T P.56, method B: smoothing of the envelope (s), hangover (s), and margin (dB).
_SMOOTHING, _HANGOVER, _MARGIN = 0.03, 0.2, 15.9


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


def active_level(pcm: Pcm) -> float:
    """Level of the speech in `pcm` in dBFS, its pauses left out.

    By ITU-T P.56, method B, with the envelope taken every millisecond: speech is active where
    its envelope, or what it was within the last 0.2 s, lies above a threshold 15.9 dB below the
    level that results. SILENCE_LEVEL where nothing is active.
    """
    block = max(1, pcm.rate // 1000)
    magnitudes = np.abs(pcm.samples.astype(np.float64) / 32768.0)
    count = len(magnitudes) // block
    means = magnitudes[: count * block].reshape(count, block).mean(axis=1)
    envelope = _smoothed(_smoothed(means, block / pcm.rate), block / pcm.rate)
    energy = float(np.square(magnitudes).sum()) / block
    held = round(_HANGOVER * pcm.rate / block)
    above = SILENCE_LEVEL
    # From the lowest threshold up, until it comes within the margin of the level above it.
    for threshold in np.arange(SILENCE_LEVEL, 0.0, 0.5):
        loud = np.flatnonzero(envelope >= 10 ** (threshold / 20))
        if not len(loud):
            break
        gaps = np.minimum(np.diff(loud, append=count), held + 1)
        above = 10 * np.log10(energy / gaps.sum())
        if above - threshold <= _MARGIN:
            break
    return float(above)


def mixed(speech: Pcm, noise: Pcm, snr: float) -> Pcm:
    """`speech` in `noise`, `snr` dB below the active speech level; at the speech's rate.

    Noise shorter than the speech is repeated. The whole is made quieter where it would clip.
    Raises AudioError where there is no speech to measure by.
    """
    loudness = active_level(speech)
    if loudness <= SILENCE_LEVEL:
        raise AudioError("there is no speech in this recording to mix noise with; give another")
    bed = at_level(resample(noise, speech.rate), loudness - snr).samples
    sum_ = (speech.samples.astype(np.float64) + np.resize(bed, len(speech.samples))) / 32768.0
    return Pcm(to_int16(sum_ / max(1.0, float(np.max(np.abs(sum_))))), speech.rate)


def _smoothed(values: np.ndarray, step: float) -> np.ndarray:
    """First-order low pass of `values`, which are `step` seconds apart."""
    keep = np.exp(-step / _SMOOTHING)
    out, last = np.empty_like(values), 0.0
    for index, value in enumerate(values):
        last = keep * last + (1 - keep) * value
        out[index] = last
    return out
