from __future__ import annotations

import logging
import sys

import pytest

from assistant.config import WakeSettings
from assistant.errors import ConfigError, ModelError
from assistant.wake.engine import WakeEngine
from assistant.wake.micro import MicroWake
from assistant.wake.open import OpenWake
from assistant.wake.select import select_wake
from tests.wake.conftest import Say, events


def select(**settings: object) -> WakeEngine:
    def refuse() -> None:
        raise AssertionError("only the phrase engine needs a recogniser")

    return select_wake(WakeSettings.model_validate(settings), refuse, refuse)  # type: ignore[arg-type]


def test_words_are_taken_however_they_are_written(say: Say) -> None:
    engine = select(words=["  Hey  Jarvis", "hey jarvis", "ALEXA"])
    assert isinstance(engine, MicroWake)
    assert set(engine.scores) == {"hey jarvis", "alexa"}


def test_threshold_and_refractory_reach_the_engine(say: Say) -> None:
    assert events(select(threshold=1.0), say("Hey Jarvis.")) == []


def test_no_word_is_an_error() -> None:
    with pytest.raises(ConfigError, match="wake"):
        select(words=[" "])


def test_open_engine_hears_and_tells_its_licence(
    say: Say, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        engine = select(engine="open", words=["hey jarvis", "alexa"])
    assert isinstance(engine, OpenWake)
    assert "non-commercial" in caplog.text
    assert [e.word for e in events(engine, say("Hey Jarvis, turn on the light."))] == ["hey jarvis"]
    engine.reset()
    assert [e.word for e in events(engine, say("Alexa."), start=60)] == ["alexa"]
    engine.reset()
    assert events(engine, say("What is the weather like tomorrow?"), start=120) == []


def test_open_engine_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyopen_wakeword", None)
    with pytest.raises(ModelError, match=r"pip install .pyopen-wakeword"):
        select(engine="open")


def test_open_engine_names_its_words() -> None:
    with pytest.raises(ModelError, match="hey rhasspy"):
        select(engine="open", words=["hello house"])
