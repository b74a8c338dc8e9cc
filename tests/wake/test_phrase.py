"""The phrase engine and the verifier, with real Whisper and Silero."""

from __future__ import annotations

import time

import numpy as np
import pytest

from assistant.audio.pcm import SAMPLE_RATE, Samples
from assistant.audio.vad import SileroVad
from assistant.models.fetch import ensure
from assistant.stt.transcript import Recogniser
from assistant.stt.whisper import WhisperRecogniser
from assistant.wake.engine import WakeEvent
from assistant.wake.micro import MicroWake
from assistant.wake.phrase import PhraseWake
from assistant.wake.verify import Verifier
from tests.wake.conftest import LEAD, Say, chunks, events
from tests.wake.sentences import ORDINARY


@pytest.fixture(scope="module")
def whisper() -> Recogniser:
    return WhisperRecogniser(ensure("whisper-tiny.en"), "en", threads=2)


@pytest.fixture(scope="module")
def vad() -> SileroVad:
    return SileroVad(ensure("silero-vad") / "silero_vad.onnx")


def wake_on(phrase: str, whisper: Recogniser, vad: SileroVad, speech: Samples) -> list[WakeEvent]:
    """What is heard when the sound comes no faster than the engine's worker takes it."""
    engine = PhraseWake([phrase], whisper, vad.stream().process)
    heard = []
    try:
        for chunk in chunks(np.pad(speech, (0, SAMPLE_RATE))):
            if event := engine.process(chunk):
                heard.append(event)
            while engine.busy:
                time.sleep(0.005)
    finally:
        engine.close()
    return heard


@pytest.mark.parametrize("noise", [None, "pink"])
@pytest.mark.parametrize(
    ("phrase", "following"),
    [("computer please", ". Turn on the light."), ("hello butler", ", open the kitchen blinds.")],
)
def test_hears_a_phrase_of_ones_own(
    say: Say, whisper: Recogniser, vad: SileroVad, phrase: str, following: str, noise: str | None
) -> None:
    speech = say(phrase.capitalize() + following, noise=noise)
    [event] = wake_on(phrase, whisper, vad, speech)
    alone = len(say(phrase.capitalize() + ".")) / SAMPLE_RATE - 2 * LEAD
    assert event.word == phrase
    assert event.score >= 0.85
    assert LEAD + 0.4 < event.time < LEAD + alone + 0.4


def test_other_sentences_are_no_phrase(say: Say, whisper: Recogniser, vad: SileroVad) -> None:
    speech = np.concatenate([say(sentence) for sentence in ORDINARY[3:6]])
    assert wake_on("computer please", whisper, vad, speech) == []


def test_phrase_later_in_a_sentence_does_not_wake(
    say: Say, whisper: Recogniser, vad: SileroVad
) -> None:
    speech = say("Yesterday I had to repair the computer, please help me.")
    assert wake_on("computer please", whisper, vad, speech) == []


def test_noise_is_not_recognised_at_all(whisper: Recogniser, vad: SileroVad) -> None:
    noise = np.random.default_rng(5).normal(0, 800, 4 * SAMPLE_RATE).astype(np.int16)
    assert wake_on("thank you", whisper, vad, noise) == []


@pytest.mark.parametrize(
    ("said", "agreed"), [("Hey Jarvis", True), ("Say Jarvis", False), ("I told Jarvis", False)]
)
def test_verifier_tells_the_phrase_from_its_like(
    say: Say, whisper: Recogniser, said: str, agreed: bool
) -> None:
    speech = say(f"{said}, turn on the light.")
    heard = events(MicroWake(["hey jarvis"], threshold=0.5), speech)
    assert heard, "the first engine must take it for the wake word for this to mean anything"
    end = round(heard[0].time * SAMPLE_RATE)
    before = speech[max(0, end - 3 * SAMPLE_RATE // 2) : end]
    assert Verifier(whisper, ["hey jarvis"]).confirms(before, "hey jarvis") is agreed
