from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.pcm import SAMPLE_RATE, Samples
from assistant.errors import ModelError
from assistant.models.fetch import ensure
from assistant.stt.transcript import Transcript
from assistant.stt.whisper import WhisperRecogniser

from .conftest import Say, silence

NAMES = [
    "turn on", "turn off", "dim", "open", "close", "lock", "start", "percent", "kitchen light",
    "bedroom lamp", "living room blinds", "front door", "robot vacuum", "coffee maker", "fan",
]  # fmt: skip
COMMANDS = [
    "turn on the kitchen light",
    "turn off the bedroom lamp",
    "close the living room blinds",
    "lock the front door",
    "start the robot vacuum",
    "is the washing machine running",
    "turn off the television",
    "dim the bedroom lamp",
]


@pytest.fixture(autouse=True)
def unbiased(tiny: WhisperRecogniser) -> Iterator[None]:
    yield
    tiny.set_vocabulary([])


def plain(text: str) -> str:
    return re.sub(r"[^\w ]", "", text).lower()


def heard(recogniser: WhisperRecogniser, *sound: Samples) -> Transcript:
    stream = recogniser.stream()
    for samples in sound:
        stream.accept(samples)
    return stream.final()


def test_spoken_commands_are_understood(tiny: WhisperRecogniser, joe: Say) -> None:
    assert tiny.set_vocabulary(NAMES) == ()
    texts = [heard(tiny, joe(command.capitalize() + ".")) for command in COMMANDS]
    right = [plain(t.text) == command for t, command in zip(texts, COMMANDS, strict=True)]
    assert sum(right) >= 7, [t.text for t in texts]
    assert all(t.final and t.confidence > 0.6 for t in texts)


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("Open the Moeller shutters.", "Moeller"),
        ("Ask Siobhan to call Jorvik Lane.", "Siobhan"),
        ("Start the Roborock in Ewan's room.", "Roborock"),
    ],
)
def test_names_are_recognised_because_they_are_known(
    tiny: WhisperRecogniser, joe: Say, sentence: str, name: str
) -> None:
    assert name not in heard(tiny, joe(sentence)).text
    tiny.set_vocabulary(["turn on", "turn off", "dim", "Moeller shutters", "Roborock", "Siobhan"])
    assert name in heard(tiny, joe(sentence)).text


def hum() -> Samples:
    return (np.sin(np.arange(3 * SAMPLE_RATE) * 2 * np.pi * 50 / SAMPLE_RATE) * 4000).astype("i2")


def hiss(loudness: float) -> Samples:
    rng = np.random.default_rng(7)
    return (rng.normal(size=3 * SAMPLE_RATE) * loudness).astype(np.int16)


@pytest.mark.parametrize(
    "noise", [silence(0), silence(0.01), silence(3), hum(), hiss(30), hiss(300), hiss(3000)]
)
@pytest.mark.parametrize("names", [[], NAMES])
def test_where_nobody_speaks_nothing_is_heard(
    tiny: WhisperRecogniser, noise: Samples, names: list[str]
) -> None:
    tiny.set_vocabulary(names)
    assert heard(tiny, noise).text == ""


def test_partials_grow_into_the_final(tiny: WhisperRecogniser, joe: Say) -> None:
    sound = joe("Close the bedroom blinds.")
    stream = tiny.stream()
    assert stream.partial() == Transcript("", final=False)
    stream.accept(sound[: len(sound) // 2])
    partial = stream.partial()
    assert not partial.final
    assert plain(partial.text).startswith("close")
    stream.accept(sound[len(sound) // 2 :])
    assert plain(stream.final().text) == "close the bedroom blinds"


def test_final_may_be_asked_early_and_again(tiny: WhisperRecogniser, joe: Say) -> None:
    stream = tiny.stream()
    stream.accept(joe("Close the bedroom blinds."))
    early = stream.final()
    assert stream.final() is early
    assert not stream.partial().final
    stream.accept(joe("And lock the front door."))
    assert plain(stream.final().text) == "close the bedroom blinds and lock the front door"


def test_more_than_the_window_is_read_in_pieces(tiny: WhisperRecogniser, joe: Say) -> None:
    tiny.set_vocabulary(NAMES)
    told = [joe(command.capitalize() + ".") for command in COMMANDS]
    stream = tiny.stream()
    for samples in told:
        stream.accept(samples)
        stream.accept(silence(0.4))
    assert sum(map(len, told)) > 16 * SAMPLE_RATE
    text = plain(stream.final().text)
    places = [text.find(command) for command in COMMANDS]
    found = [place for place in places if place >= 0]
    assert len(found) >= 6, text
    assert found == sorted(found)


def test_a_vocabulary_of_any_size_is_taken_most_useful_first(
    tiny: WhisperRecogniser, joe: Say
) -> None:
    tiny.set_vocabulary(["Siobhan", *(f"lamp number {n}" for n in range(3000)), "", " ,"])
    assert "Siobhan" in heard(tiny, joe("Ask Siobhan to call Jorvik Lane.")).text


def test_alternatives_are_other_words(tiny: WhisperRecogniser, joe: Say) -> None:
    transcript = heard(tiny, joe("Add milk to the shopping list."))
    readings = [plain(text) for text in (transcript.text, *transcript.alternatives)]
    assert len(readings) > 1
    assert len(set(readings)) == len(readings)


def test_the_larger_model_knows_more_languages(joe: Say) -> None:
    folder = ensure("whisper-base")
    base = WhisperRecogniser(folder, "en")
    assert base.name == "whisper base"
    assert plain(heard(base, joe("Close the bedroom blinds.")).text) == "close the bedroom blinds"
    assert WhisperRecogniser(folder, "it").language == "it"
    with pytest.raises(ModelError, match="'xx'"):
        WhisperRecogniser(folder, "xx")


def test_unsuitable_models_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="assistant models fetch whisper-base"):
        WhisperRecogniser(ensure("whisper-tiny.en"), "it")
    with pytest.raises(ModelError, match="assistant models verify"):
        WhisperRecogniser(tmp_path, "en")
