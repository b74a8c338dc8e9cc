"""Wake words as Piper says them, over noise, cut into chunks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

from assistant.audio.noise import coloured_noise, level
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Samples
from assistant.audio.resample import resample
from assistant.wake.engine import WakeEngine, WakeEvent
from tests.support.voices import joe

Say = Callable[..., Samples]
LEAD = 1.0
"""Seconds of silence before and after what is said."""


@pytest.fixture(scope="session")
def say() -> Say:
    """say(text, speed=1.0, noise=None, snr=12.0): speech at 16 kHz with silence around it."""
    voice = dataclasses.replace(joe(), volume=0.5)

    @cache
    def clean(text: str, speed: float) -> Samples:
        sound = resample(dataclasses.replace(voice, speed=speed).synthesise(text), SAMPLE_RATE)
        return np.pad(sound.samples, int(LEAD * SAMPLE_RATE))

    def spoken(
        text: str, speed: float = 1.0, noise: str | None = None, snr: float = 12.0
    ) -> Samples:
        samples = clean(text, speed)
        if noise is None:
            return samples
        loudness = level(samples[np.abs(samples) > 200])
        seconds = len(samples) / SAMPLE_RATE
        hiss = coloured_noise(seconds, loudness - snr, pink=noise == "pink", seed=4)
        mixed = samples.astype(np.int32) + hiss.samples[: len(samples)]
        heard: Samples = np.clip(mixed, -32768, 32767).astype(np.int16)
        return heard

    return spoken


def chunks(samples: Samples, start: float = 0.0) -> Iterator[AudioChunk]:
    """`samples` as a source would yield them, the first heard at `start`."""
    padded = np.pad(samples, (0, -len(samples) % CHUNK_SAMPLES))
    for first in range(0, len(padded), CHUNK_SAMPLES):
        yield AudioChunk(padded[first : first + CHUNK_SAMPLES], start + first / SAMPLE_RATE)


def events(engine: WakeEngine, samples: Samples, start: float = 0.0) -> list[WakeEvent]:
    """What `engine` reports while it hears `samples`."""
    return [event for chunk in chunks(samples, start) if (event := engine.process(chunk))]
