from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.tts.normalise import load_normaliser
from assistant.tts.sentences import LONG_FIRST, MAX_SENTENCE, split_sentences

LONG = "I turned off the kitchen light, the hall lamp, and the fan in the bedroom upstairs."


def split(text: str, language: str = "en") -> list[str]:
    splitter = load_normaliser(language).splitter()
    return splitter.feed(text) + splitter.finish()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Done.", ["Done."]),
        ("Done. The light is on.", ["Done.", "The light is on."]),
        ("Really?! Yes… OK", ["Really?!", "Yes…", "OK"]),
        ("It is 3.5 degrees. At 18.30 it was 4.", ["It is 3.5 degrees.", "At 18.30 it was 4."]),
        ("Dr. Smith called. He waits.", ["Dr. Smith called.", "He waits."]),
        ("Lamps, fans etc. are off.", ["Lamps, fans etc. are off."]),
        ("It is 5 p.m. The sun sets.", ["It is 5 p.m.", "The sun sets."]),
        ("It is 5 p.m. now.", ["It is 5 p.m. now."]),
        ("It is 5 p.m.", ["It is 5 p.m."]),
        ('He said "stop." Then left.', ['He said "stop."', "Then left."]),
        ("one\ntwo\n\nthree", ["one", "two", "three"]),
        ("1. Milk\n2. Eggs", ["1. Milk", "2. Eggs"]),
        ("灯开了。很好！", ["灯开了。", "很好！"]),
        ("... !", []),
        ("", []),
        (LONG, [LONG[:31], LONG[32:]]),
        ("Yes. " + LONG, ["Yes.", LONG]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


def test_italian_abbreviations() -> None:
    assert split("Il sig. Rossi è qui. Apro.", "it") == ["Il sig. Rossi è qui.", "Apro."]


def test_a_sentence_is_given_as_soon_as_it_is_complete() -> None:
    splitter = load_normaliser("en").splitter()
    given_at = {}
    for place, token in enumerate(["The", " light", " is", " on", ".", " It", " is", " 3", "."]):
        for sentence in splitter.feed(token):
            given_at[sentence] = place
    assert given_at == {"The light is on.": 5}
    assert splitter.finish() == ["It is 3."]


def test_a_long_first_sentence_begins_before_it_ends() -> None:
    splitter = load_normaliser("en").splitter()
    assert splitter.feed(LONG[: LONG_FIRST + 5]) == [LONG[:31]]


def test_text_without_stops_is_cut_between_words() -> None:
    pieces = split_sentences("word " * 300)
    assert all(len(piece) <= MAX_SENTENCE for piece in pieces)
    assert " ".join(pieces).split() == ["word"] * 300


@given(st.text(alphabet="ab1 .,!?\n–'\"", max_size=400), st.integers(1, 9))
def test_nothing_is_lost_however_it_arrives(text: str, size: int) -> None:
    splitter = load_normaliser("en").splitter()
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    sentences = [s for piece in pieces for s in splitter.feed(piece)] + splitter.finish()
    spoken = [c for s in sentences for c in s if c.isalnum()]
    assert spoken == [c for c in text if c.isalnum()]
    assert all(len(sentence) <= MAX_SENTENCE for sentence in sentences)
