from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.errors import ModelError
from assistant.stt.transcript import Transcript, Word
from assistant.stt.vosk import VoskRecogniser, agreement, reconcile

from .conftest import Say

# bedroom, fan, off, hello, living room, on, door, open
HOME = ["침실", "선풍기", "꺼", "안녕하세요", "거실", "켜", "문", "열어"]
FATHER = "아버지"
COMMAND = "침실 선풍기 꺼"


@pytest.fixture(autouse=True)
def unlimited(vosk_ko: VoskRecogniser) -> Iterator[None]:
    yield
    vosk_ko.set_vocabulary([])


def test_speech_is_recognised_with_words_and_times(vosk_ko: VoskRecogniser, korean: Say) -> None:
    sound = korean(FATHER)
    stream = vosk_ko.stream()
    stream.accept(sound)
    transcript = stream.final()
    assert transcript.text == FATHER
    assert transcript.final
    (word,) = transcript.words
    assert word.text == FATHER
    assert 0.2 < word.start < word.end < len(sound) / 16_000
    assert word.confidence > 0.9
    assert stream.final() is transcript


def test_a_limited_vocabulary_is_respected_and_partials_come_while_audio_flows(
    vosk_ko: VoskRecogniser, korean: Say
) -> None:
    assert vosk_ko.set_vocabulary(HOME) == ()
    sound = korean(COMMAND)
    stream = vosk_ko.stream()
    partials = []
    for start in range(0, len(sound), 512):
        stream.accept(sound[start : start + 512])
        partials.append(stream.partial())
    assert not any(p.final for p in partials)
    half_way = [p.text for p in partials[: len(partials) * 2 // 3] if p.text]
    assert half_way
    transcript = stream.final()
    assert transcript.text == COMMAND
    assert [w.text for w in transcript.words] == COMMAND.split()
    starts = [w.start for w in transcript.words]
    assert starts == sorted(starts)
    assert transcript.alternatives  # what the open recogniser made of it


def test_what_is_not_in_the_vocabulary_is_not_forced_into_it(
    vosk_ko: VoskRecogniser, korean: Say
) -> None:
    # The limited recogniser is certain of "hello" here, with confidence 1.0.
    vosk_ko.set_vocabulary(HOME)
    stream = vosk_ko.stream()
    stream.accept(korean(FATHER))
    assert stream.final().text == FATHER


def test_more_may_follow_a_final(vosk_ko: VoskRecogniser, korean: Say) -> None:
    stream = vosk_ko.stream()
    stream.accept(korean(FATHER))
    assert stream.final().text == FATHER
    stream.accept(korean(FATHER))
    both = stream.final()
    assert both.text == f"{FATHER} {FATHER}"
    assert both.words[0].end < both.words[1].start


def test_nothing_heard_is_nothing_said(vosk_ko: VoskRecogniser) -> None:
    stream = vosk_ko.stream()
    assert stream.partial() == Transcript("", final=False)
    assert stream.final().text == ""


def test_names_that_the_model_lacks_are_reported(vosk_ko: VoskRecogniser) -> None:
    assert vosk_ko.set_vocabulary(["거실", "Roborock", "침실 불을", " ", "문!"]) == (
        "Roborock",
        "침실 불을",
    )


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="assistant models verify"):
        VoskRecogniser(tmp_path, "ko")


def words(text: str, confidence: float = 0.9) -> tuple[Word, ...]:
    """Words of a second each; "a.b" takes the time of two."""
    result, at = [], 0.0
    for word in text.split():
        length = 1.0 + word.count("~")
        result.append(Word(word.strip("~"), at, at + length, confidence))
        at += length
    return tuple(result)


@pytest.mark.parametrize(
    ("opened", "limited", "chosen", "alternatives"),
    [
        ("turn on the light", "", "turn on the light", ()),
        ("turn on the light", "turn on the light", "turn on the light", ()),
        # both heard the same, and the home knows how it is spelt
        ("open the my lure blind", "open the moeller~ blind", "open the moeller blind",
         ("open the my lure blind",)),
        # the home's words alone can't say this
        ("tell me a story", "kitchen~~~", "tell me a story", ("kitchen",)),
        ("tell me a story", "[unk]~~~", "tell me a story", ()),
        # the open reading fills what the limited one admits not to know
        ("turn on the dissy co lamp", "turn on [unk]~~ lamp", "turn on the dissy co lamp", ()),
        ("add bananas to the shop in list", "add [unk] to the shopping~ list",
         "add bananas to the shopping list", ("add bananas to the shop in list",)),
        ("", "kitchen", "", ("kitchen",)),
    ],
)  # fmt: skip
def test_two_readings_become_one(
    opened: str, limited: str, chosen: str, alternatives: tuple[str, ...]
) -> None:
    transcript = reconcile(words(opened), words(limited))
    assert transcript.text == chosen
    assert transcript.alternatives == alternatives
    assert 0.0 <= transcript.confidence <= 1.0


def test_an_unsure_limited_reading_is_not_taken() -> None:
    transcript = reconcile(words("turn on the light"), words("turn off the light", 0.3))
    assert transcript.text == "turn on the light"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("shop in list", "shopping list", True), ("취임 시 옥선 포기 거", COMMAND, True),
     ("아버지", "안녕하세요", False), ("tell me a story", "kitchen", False), ("", "", True)],
)  # fmt: skip
def test_likeness_of_sound(one: str, other: str, alike: bool) -> None:
    assert (agreement(one, other) >= 0.55) is alike
