from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.stt.logmel import log_mel


def slaney(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def reference(samples: NDArray[np.int16], frames: int) -> NDArray[np.float64]:
    """The definition, written down as plainly as possible."""
    sound = np.concatenate([samples / 32768, np.zeros(frames * 160 - len(samples))])
    sound = np.pad(sound, 200, mode="reflect")
    time = np.arange(400)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / 400)
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(201), time) / 400)
    top = 15 + 27 * math.log(8) / math.log(6.4)
    edges = [slaney(top * i / 81) for i in range(82)]
    mels = np.zeros((80, 201))
    for band, (low, mid, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for k in range(201):
            up, down = (k * 40 - low) / (mid - low), (high - k * 40) / (high - mid)
            mels[band, k] = max(0.0, min(up, down)) * 2 / (high - low)
    columns = []
    for frame in range(frames):
        piece = sound[frame * 160 : frame * 160 + 400] * window
        columns.append(mels @ np.abs(fourier @ piece) ** 2)
    log = np.log10(np.maximum(np.array(columns).T, 1e-10))
    scaled: NDArray[np.float64] = (np.maximum(log, log.max() - 8) + 4) / 4
    return scaled


@pytest.mark.parametrize("length", [0, 1, 159, 160, 199, 200, 201, 400, 7_777, 31_000])
def test_equals_the_definition(length: int) -> None:
    rng = np.random.default_rng(length)
    sweep = np.sin(np.cumsum(np.linspace(0.01, 2, length)) if length else np.zeros(0))
    samples = (sweep * 8000 + rng.normal(size=length) * 300).astype(np.int16)
    features = log_mel(samples, 200)
    assert features.shape == (80, 200)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, reference(samples, 200), atol=2e-3)


def test_what_exceeds_the_window_is_left_out() -> None:
    samples = np.random.default_rng(0).integers(-9000, 9000, 20_000).astype(np.int16)
    np.testing.assert_array_equal(log_mel(samples, 100), log_mel(samples[:16_000], 100))
