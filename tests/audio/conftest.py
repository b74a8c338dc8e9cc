"""Real speech, and the real model that hears it."""

from __future__ import annotations

import pytest

from assistant.audio.pcm import SAMPLE_RATE, Pcm
from assistant.audio.resample import resample
from assistant.audio.vad import SileroVad
from assistant.models.fetch import ensure
from tests.support.voices import joe


@pytest.fixture(scope="session")
def vad() -> SileroVad:
    return SileroVad(ensure("silero-vad") / "silero_vad.onnx")


def spoken(text: str) -> Pcm:
    """`text` in a natural voice, at 16 kHz."""
    return resample(joe().synthesise(text), SAMPLE_RATE)


@pytest.fixture(scope="session")
def command() -> Pcm:
    return spoken("turn on the light in the kitchen")


@pytest.fixture(scope="session")
def reply() -> Pcm:
    return spoken(
        "The light in the kitchen is on, and the living room has twenty one degrees. "
        "I have set a timer for ten minutes. Tomorrow it will be sunny, with a light breeze.",
    )
