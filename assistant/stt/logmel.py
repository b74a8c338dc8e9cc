"""The log-mel spectrogram that Whisper was trained on, in numpy.

Formula: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022),
section 2.2, with the constants of its reference implementation: 25 ms Hann windows every 10 ms,
80 Slaney mel bands up to 8 kHz, log10 clamped to 8 below the loudest, scaled by (x + 4) / 4.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from assistant.audio.pcm import SAMPLE_RATE, Samples

WINDOW = 400
HOP = 160
MELS = 80
FRAMES_PER_SECOND = SAMPLE_RATE // HOP

_FLOOR = -10.0  # log10 of the reference's 1e-10


def log_mel(samples: Samples, frames: int) -> NDArray[np.float32]:
    """Features of shape (MELS, frames) of int16 mono sound at 16 kHz, followed by silence.

    Sound beyond `frames` * HOP samples is left out. Equal to the reference's features of the
    sound padded with zeros, but only the part that isn't silence is computed.
    """
    samples = samples[: frames * HOP]
    heard = min(frames, -(-(len(samples) + WINDOW // 2) // HOP))
    length = (heard - 1) * HOP + WINDOW
    signal = np.zeros(length, np.float32)
    middle = WINDOW // 2
    signal[middle : middle + len(samples)] = samples[: length - middle]
    # The reference centres frames on their time and mirrors the sound at its start.
    mirrored = signal[middle + 1 : 2 * middle + 1][::-1]
    signal[: len(mirrored)] = mirrored
    signal /= 32768.0
    windows = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(windows * _hann(), axis=1)) ** 2
    mel = power.astype(np.float32) @ _filters().T
    features = np.full((frames, MELS), _FLOOR, np.float32)
    features[:heard] = np.log10(np.maximum(mel, 1e-10))
    np.maximum(features, features.max() - 8.0, out=features)
    return np.ascontiguousarray((features.T + 4.0) / 4.0)


@cache
def _hann() -> NDArray[np.float32]:
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@cache
def _filters() -> NDArray[np.float32]:
    """Triangles of equal area on Slaney's mel scale, shape (MELS, WINDOW // 2 + 1)."""
    bins = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    edges = _hertz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), MELS + 2))
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (upper - lower)
    return triangles.astype(np.float32)


# Slaney's scale: linear (200/3 Hz a mel) up to 1 kHz, above it 27 mels for a factor of 6.4.
_LINEAR = 200.0 / 3.0
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR
_LOG_STEP = np.log(6.4) / 27.0


def _mel(hertz: float) -> float:
    if hertz < _KNEE_HZ:
        return hertz / _LINEAR
    return float(_KNEE_MEL + np.log(hertz / _KNEE_HZ) / _LOG_STEP)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _KNEE_MEL) - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, mel * _LINEAR, above)
