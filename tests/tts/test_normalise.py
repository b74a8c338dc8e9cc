from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.tts.normalise import MAX_CHARACTERS, load_normaliser

ENGLISH = load_normaliser("en")
ITALIAN = load_normaliser("it")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It is 21.5 °C in the hall.", "It is 21.5 degrees Celsius in the hall."),
        ("1 °C", "1 degree Celsius"),
        ("It's -5°C outside", "It's minus 5 degrees Celsius outside"),
        ("−5 °F", "minus 5 degrees Fahrenheit"),
        ("Set to 20-22 °C", "Set to 20 to 22 degrees Celsius"),
        ("20–22°", "20 to 22 degrees"),
        ("12 kWh, 60 W and 5 km/h", "12 kilowatt hours, 60 watts and 5 kilometres an hour"),
        ("1013 hPa, 420 ppm, 300 lx", "1013 hectopascals, 420 parts per million, 300 lux"),
        ("45 %", "45 %"),
        ("1,250.5 W", "1,250.5 watts"),
        ("12 µg/m³", "12 micrograms per cubic metre"),
        ("3 min", "3 minutes"),
        ("at 18:05", "at 6 oh 5 PM"),
        ("6:05 pm", "6 oh 5 PM"),
        ("10:30 AM", "10 30 AM"),
        ("12:30 am", "12 30 AM"),
        ("12:00", "noon"),
        ("00:00", "midnight"),
        ("18:00", "6 PM"),
        ("12:30:45", "12:30:45"),
        ("from 18:00-19:30", "from 6 PM to 7 30 PM"),
        ("On 2025-11-24 it rains", "On November 24th, 2025 it rains"),
        ("2025-13-99", "2025-13-99"),
        ("score 3-2", "score 3-2"),
        ("Windows 5 in the hall", "Windows 5 in the hall"),
        ("version v1.2.3", "version v1.2.3"),
        ("Dr. Smith", "Doctor Smith"),
        ("LED strip", "L E D strip"),
        ("TV", "TV"),
        ("milk, eggs etc.", "milk, eggs et cetera."),
        ("CO2 is high", "C O 2 is high"),
        ("$5.50", "5 dollars 50"),
        ("€5", "5 euros"),
        ("1 €", "1 euro"),
        ("½ of it", "a half of it"),
        ("~20 °C", "about 20 degrees Celsius"),
        ("lamp – on", "lamp, on"),
        ("on/off", "on off"),
        ("light #3", "light number 3"),
        ("kitchen_light", "kitchen light"),
        ("**Done** `now`", "Done now"),
        ("- item one", "item one"),
        ("# Title", "Title"),
        ("<b>hi</b>", "hi"),
        ("[here](http://x.y/z)", "here"),
        ("see https://example.org/x now", "see a link now"),
        ("[[tˈɛst]] it", "tˈɛst it"),
        ("😀 OK 👍🏽 👨‍👩‍👧", "OK"),
        ("x\x00\x1b[31my\u200bz", "x 31myz"),
        ("🙂", ""),
        ("...", ""),
        ("", ""),
    ],
)
def test_english(text: str, said: str) -> None:
    assert ENGLISH(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ci sono 21.5 °C", "Ci sono 21,5 gradi"),
        ("21,5 °C", "21,5 gradi"),
        ("1 °C", "un grado"),
        ("-5 °C", "meno 5 gradi"),
        ("20-22 °C", "da 20 a 22 gradi"),
        ("12 kWh", "12 chilowattora"),
        ("1.250 W", "1.250 watt"),
        ("3.5 e 7.25", "3,5 e 7,25"),
        ("alle 18:05", "alle 18 e 5"),
        ("alle 18.05", "alle 18 e 5"),
        ("Sono le 18:00", "Sono le 18"),
        ("ore 18.30", "ore 18 e 30"),
        ("temperatura 18.30", "temperatura 18,30"),
        ("il 2025-11-24", "il 24 novembre 2025"),
        ("2025-12-01", "primo dicembre 2025"),
        ("1 maggio", "primo maggio"),
        ("5,50 €", "5 euro e 50"),
        ("1 ora e 1 minuto", "un'ora e un minuto"),
        ("1 lampada, 1 luce, 21 luci", "una lampada, una luce, 21 luci"),
        ("sig. Rossi", "signor Rossi"),
        ("pane, latte ecc.", "pane, latte eccetera."),
        ("½ ora", "mezz'ora"),
        ("~20°", "circa 20 gradi"),
    ],
)
def test_italian(text: str, said: str) -> None:
    assert ITALIAN(text) == said


def test_a_language_without_a_file_is_still_cleaned() -> None:
    assert load_normaliser("fr")("**Bonjour** 😀 à 18:05, 21 °C") == "Bonjour à 18:05, 21 °C"


@pytest.mark.parametrize("language", ["../en", "EN", "", "en/../it", "x" * 300])
def test_a_language_is_no_path(language: str) -> None:
    assert load_normaliser(language)("5 kWh") == "5 kWh"


@given(st.text(max_size=200))
def test_anything_can_be_said(text: str) -> None:
    for normaliser in (ENGLISH, ITALIAN):
        said = normaliser(text)
        assert said == said.strip()
        assert not set(said) & set("[]{}<>`*\n\x00")
        assert not said or any(character.isalnum() for character in said)


@pytest.mark.parametrize("hostile", ["1,", "[", "<a", "€1", "- ", "_", " ", "1-", "a/", "("])
def test_long_hostile_text_is_cut(hostile: str) -> None:
    assert len(ENGLISH(hostile * 100_000)) < 10 * MAX_CHARACTERS
