from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.wake.match import phrase_anywhere, strip_wake_phrase

WORDS = ["hey jarvis", "okay nabu", "alexa", "computer please"]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hey Jarvis, turn on the light.", "turn on the light."),
        ("hey travis turn on the light", "turn on the light"),
        ("Hey, Jarvis! Turn on the light.", "Turn on the light."),
        ("Jarvis. Turn it on", "Turn it on"),
        ("vis, turn it on", "turn it on"),
        ("heyjarvis turn it on", "turn it on"),
        ("hey jar vis what's the time", "what's the time"),
        ("Hey Jarvis, hey Jarvis, stop", "stop"),
        ("Okay, Naboo, open the blinds", "open the blinds"),
        ("Alexa dim the lamp", "dim the lamp"),
        ("computer, please, stop", "stop"),
        ("Hey Jarvis.", ""),
        ("", ""),
        # nothing of it is the wake phrase
        ("turn on the light", "turn on the light"),
        ("Hey, turn on the light", "Hey, turn on the light"),
        ("open the window", "open the window"),
        ("please open the door", "please open the door"),
        ("all lights off", "all lights off"),
        ("a lamp on, please", "a lamp on, please"),
        ("is the door open?", "is the door open?"),
        ("tell me about hey jarvis", "tell me about hey jarvis"),
    ],
)
def test_wake_phrase_is_taken_off_the_front(text: str, rest: str) -> None:
    words = WORDS if not text.startswith("please") else WORDS[:3]
    assert strip_wake_phrase(text, words) == rest


@given(st.text(max_size=80))
def test_what_is_left_is_the_end_of_the_text(text: str) -> None:
    assert text.endswith(strip_wake_phrase(text, WORDS))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("I said hey jarvis to it", 100, 100),
        ("hey travis", 82, 90),
        ("okay naboo", 82, 90),
        ("jarvis", 0, 81),
        ("say jarvis", 0, 90),
        ("the weather is fine", 0, 60),
    ],
)
def test_likeness(text: str, least: float, most: float) -> None:
    match = phrase_anywhere(text, WORDS[:3])
    assert match is not None
    assert least <= match.score <= most


def test_no_words_match_nothing() -> None:
    assert phrase_anywhere("...", WORDS) is None
