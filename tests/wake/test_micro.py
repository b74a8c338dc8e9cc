from __future__ import annotations

import re

import numpy as np
import pytest

from assistant.audio.pcm import SAMPLE_RATE
from assistant.errors import ModelError
from assistant.wake.micro import MICRO_WORDS, MicroWake
from tests.wake.conftest import LEAD, Say, chunks, events
from tests.wake.sentences import ORDINARY


@pytest.mark.parametrize("word", MICRO_WORDS)
@pytest.mark.parametrize("speed", [0.9, 1.0, 1.2])
@pytest.mark.parametrize("following", [".", ", turn on the kitchen light."])
def test_hears_each_word_among_all(say: Say, word: str, speed: float, following: str) -> None:
    heard = events(MicroWake(MICRO_WORDS), say(word.title() + following, speed))
    assert [event.word for event in heard] == [word]
    assert heard[0].score > 0.8


@pytest.mark.parametrize("word", ["hey jarvis", "hey mycroft", "alexa"])
@pytest.mark.parametrize("noise", ["white", "pink"])
def test_hears_words_in_noise(say: Say, word: str, noise: str) -> None:
    heard = events(MicroWake([word]), say(f"{word.title()}, open the blinds.", noise=noise))
    assert [event.word for event in heard] == [word]


def test_ordinary_sentences_do_not_wake(say: Say) -> None:
    engine = MicroWake(MICRO_WORDS)
    speech = np.concatenate([say(sentence) for sentence in ORDINARY])
    assert events(engine, speech) == []


def test_event_is_at_the_end_of_the_word(say: Say) -> None:
    word_alone = len(say("Hey Jarvis.")) / SAMPLE_RATE - 2 * LEAD
    [event] = events(MicroWake(["hey jarvis"]), say("Hey Jarvis."), start=100.0)
    assert 100 + LEAD + 0.3 < event.time < 100 + LEAD + word_alone + 0.3


def test_second_word_within_refractory_time_is_not_heard(say: Say) -> None:
    twice = np.concatenate([say("Hey Jarvis."), say("Hey Jarvis.")])
    assert len(events(MicroWake(["hey jarvis"], refractory=30), twice)) == 1
    assert len(events(MicroWake(["hey jarvis"], refractory=1), twice)) == 2


def test_threshold_moves_the_decision(say: Say) -> None:
    speech = say("Hey Travis, come here.")
    strict, lax = MicroWake(["hey jarvis"], threshold=1.0), MicroWake(["hey jarvis"], threshold=0)
    assert events(strict, speech) == []
    assert events(lax, speech)


def test_scores_rise_with_the_word(say: Say) -> None:
    engine = MicroWake(["hey jarvis", "alexa"])
    best = {"hey jarvis": 0.0, "alexa": 0.0}
    for chunk in chunks(say("Hey Jarvis.")):
        engine.process(chunk)
        best = {word: max(score, engine.scores[word]) for word, score in best.items()}
    assert best["hey jarvis"] > 0.97
    assert best["alexa"] < 0.5


def test_reset_forgets_half_a_word(say: Say) -> None:
    speech = say("Hey Jarvis.")
    half = int((LEAD + 0.45) * SAMPLE_RATE)
    engine = MicroWake(["hey jarvis"])
    assert events(engine, speech[:half]) == []
    engine.reset()
    assert events(engine, speech[half:]) == []
    assert len(events(engine, speech, start=60)) == 1


def test_unknown_word_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match=re.escape("hey jarvis") + ".*phrase"):
        MicroWake(["hey computer"])
