from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.stt.guard import Reading, cleaned, distinct, echoes, is_noise, repeats


@pytest.mark.parametrize(
    ("text", "looped"),
    [
        ("turn on the light turn on the light turn on the light", True),
        ("please turn on turn on turn on", True),
        ("Go, go, go, go!", True),
        ("no, no, no", False),
        ("turn on the light and turn on the fan and turn on the tv", False),
        ("", False),
    ],
)
def test_loops(text: str, looped: bool) -> None:
    assert repeats(text) is looped


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ("turn on, kitchen light, hall", True),
        ("Kitchen light, hall, heating.", True),
        ("turn on kitchen light", False),
        ("kitchen light", False),
        ("turn on the kitchen light", False),
        ("", False),
    ],
)
def test_the_prompt_read_back(text: str, echo: bool) -> None:
    assert echoes(text, ["turn on", "kitchen light", "hall", "heating"]) is echo


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (" [BLANK_AUDIO] turn  on (music)", "turn on"),
        ("computer, computer.", "computer"),
        ("Open the blinds, open the blinds", "Open the blinds"),
        ("open the blinds,", "open the blinds"),
        ("no, thank you", "no, thank you"),
        ("It is 21.5 degrees.", "It is 21.5 degrees."),
    ],
)
def test_cleaning(raw: str, clean: str) -> None:
    assert cleaned(raw) == clean


def test_alternatives_differ_in_words() -> None:
    assert distinct(["On.", "on", "", "off", "Off!"]) == ("On.", "off")


@pytest.mark.parametrize(
    ("reading", "noise"),
    [
        (Reading(("turn on the light",), -0.2, 0.01), False),
        (Reading(("stop",), -1.1, 0.3), False),
        (Reading(("Thank you very much.",), -0.4, 0.9), True),
        (Reading(("light",), -2.3, 0.2), True),
        (Reading((), -0.1, 0.0), True),
    ],
)
def test_readings(reading: Reading, noise: bool) -> None:
    assert is_noise(reading, ["turn on", "light", "stop"]) is noise


@given(st.text(max_size=80), st.lists(st.text(max_size=12), max_size=6))
def test_any_text_can_be_examined(text: str, phrases: list[str]) -> None:
    assert len(cleaned(text)) <= len(text)
    is_noise(Reading((text,), -0.1, 0.0), phrases)
