"""Real speech, and the real model that hears it."""

from __future__ import annotations

import numpy as np
import pytest
from piper import PiperVoice

from assistant.audio.pcm import SAMPLE_RATE, Pcm
from assistant.audio.resample import resample
from assistant.audio.vad import SileroVad
from assistant.models.fetch import ensure


@pytest.fixture(scope="session")
def vad() -> SileroVad:
    return SileroVad(ensure("silero-vad") / "silero_vad.onnx")


@pytest.fixture(scope="session")
def voice() -> PiperVoice:
    return PiperVoice.load(ensure("piper-en_US-joe-medium") / "en_US-joe-medium.onnx")


def spoken(voice: PiperVoice, text: str) -> Pcm:
    """`text` in a natural voice, at 16 kHz."""
    samples = np.concatenate([chunk.audio_int16_array for chunk in voice.synthesize(text)])
    return resample(Pcm(samples, voice.config.sample_rate), SAMPLE_RATE)


@pytest.fixture(scope="session")
def command(voice: PiperVoice) -> Pcm:
    return spoken(voice, "turn on the light in the kitchen")


@pytest.fixture(scope="session")
def reply(voice: PiperVoice) -> Pcm:
    return spoken(
        voice,
        "The light in the kitchen is on, and the living room has twenty one degrees. "
        "I have set a timer for ten minutes. Tomorrow it will be sunny, with a light breeze.",
    )
