"""When an utterance begins and ends: drawn, and heard by the real voice activity model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.audio.endpoint import (
    Completeness,
    Ended,
    Endpointer,
    EndpointEvent,
    LikelyEnd,
    Resumed,
    SpeechStarted,
)
from assistant.audio.noise import coloured_noise, mixed
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm
from assistant.audio.vad import SileroVad
from assistant.config import EndpointSettings

CHUNK = CHUNK_SAMPLES / SAMPLE_RATE
SETTINGS = EndpointSettings()
UNKNOWN = Completeness.UNKNOWN


def follow(
    drawn: Sequence[tuple[float, float]],
    completeness: Completeness = UNKNOWN,
    settings: EndpointSettings = SETTINGS,
    after_wake: bool = False,
) -> list[EndpointEvent]:
    """The events of probabilities drawn as (seconds, probability); it starts at 10 s."""
    endpointer = Endpointer(settings, 10.0, after_wake=after_wake)
    probabilities = [p for seconds, p in drawn for _ in range(round(seconds / CHUNK))]
    events: list[EndpointEvent] = []
    for number, probability in enumerate(probabilities):
        event = endpointer.process(10.0 + number * CHUNK, probability, completeness)
        if event is not None:
            events.append(event)
        if isinstance(event, Ended):
            break
    return events


def end_of(events: Sequence[EndpointEvent]) -> Ended:
    last = events[-1]
    assert isinstance(last, Ended), events
    return last


@pytest.mark.parametrize(
    ("completeness", "silence"),
    [
        (Completeness.COMPLETE, SETTINGS.silence_complete),
        (Completeness.UNKNOWN, SETTINGS.silence),
        (Completeness.INCOMPLETE, SETTINGS.silence_incomplete),
    ],
)
def test_silence_ends_it_by_what_was_said(completeness: Completeness, silence: float) -> None:
    events = follow([(0.5, 0.02), (1.5, 0.95), (4.0, 0.02)], completeness)
    assert [type(e) for e in events] == [SpeechStarted, LikelyEnd, Ended]
    end = end_of(events)
    assert end.reason == "silence"
    assert end.speech_start == pytest.approx(10.5, abs=CHUNK)
    assert end.speech_end == pytest.approx(12.0, abs=CHUNK)
    assert end.speech_end is not None
    assert silence <= end.decided - end.speech_end + 1e-5 < silence + CHUNK


def test_a_pause_within_speech_is_a_likely_end_that_is_taken_back() -> None:
    events = follow([(1.0, 0.9), (0.5, 0.1), (1.0, 0.9), (2.0, 0.1)])
    assert [type(e) for e in events] == [SpeechStarted, LikelyEnd, Resumed, LikelyEnd, Ended]
    assert end_of(events).speech_end == pytest.approx(12.5, abs=2 * CHUNK)


def test_a_short_pause_is_not_even_a_likely_end() -> None:
    events = follow([(1.0, 0.9), (0.128, 0.1), (1.0, 0.9), (2.0, 0.1)])
    assert [type(e) for e in events] == [SpeechStarted, LikelyEnd, Ended]


@pytest.mark.parametrize("probability", [0.02, 0.3, 0.49])
def test_when_nothing_is_said(probability: float) -> None:
    end = end_of(follow([(20.0, probability)]))
    assert (end.reason, end.speech_start, end.speech_end) == ("nothing_said", None, None)
    assert end.decided == pytest.approx(10 + SETTINGS.nothing_said, abs=CHUNK)


def test_clicks_are_neither_speech_nor_its_continuation() -> None:
    clicks = [(0.3, 0.02), (0.064, 0.95)] * 60
    assert end_of(follow(clicks)).reason == "nothing_said"
    end = end_of(follow([(1.0, 0.9), *clicks]))
    assert end.reason == "silence"
    assert end.speech_end == pytest.approx(11.0, abs=CHUNK)


def test_probabilities_between_the_thresholds_keep_speech_going_but_do_not_begin_it() -> None:
    assert end_of(follow([(20.0, 0.4)])).reason == "nothing_said"
    assert end_of(follow([(0.5, 0.9), (3.0, 0.4), (2.0, 0.1)])).speech_end == pytest.approx(
        13.5, abs=2 * CHUNK
    )


def test_noise_that_is_taken_for_speech_ends_at_the_longest_utterance() -> None:
    end = end_of(follow([(40.0, 0.8)]))
    assert end.reason == "too_long"
    assert end.decided == pytest.approx(10 + SETTINGS.max_utterance, abs=2 * CHUNK)


def test_an_utterance_that_begins_late_has_its_full_length() -> None:
    end = end_of(follow([(4.9, 0.0), (10.0, 0.9), (5.0, 0.0)]))
    assert end.reason == "silence"
    assert end.speech_end == pytest.approx(24.9, abs=2 * CHUNK)


def test_the_tail_of_the_wake_word_is_not_the_command() -> None:
    tail = [(0.16, 0.9), (0.6, 0.05)]
    assert end_of(follow([*tail, (20.0, 0.02)], after_wake=True)).reason == "nothing_said"
    end = end_of(follow([*tail, (1.0, 0.9), (2.0, 0.05)], after_wake=True))
    assert end.speech_start == pytest.approx(10.76, abs=2 * CHUNK)


def test_a_command_in_one_breath_with_the_wake_word_is_heard() -> None:
    end = end_of(follow([(0.5, 0.9), (2.0, 0.05)], after_wake=True))
    assert (end.reason, end.speech_start) == ("silence", 10.0)


def test_speech_without_words_does_not_end_the_wait() -> None:
    end = end_of(follow([(0.3, 0.9), (20.0, 0.02)], Completeness.NOTHING))
    assert end.reason == "nothing_said"
    assert end.decided == pytest.approx(10 + SETTINGS.nothing_said, abs=CHUNK)


def test_the_end_of_the_source_is_the_end() -> None:
    endpointer = Endpointer(SETTINGS, 0.0)
    for number in range(10):
        endpointer.process(number * CHUNK, 0.9)
    end = endpointer.stream_end(0.32)
    assert (end.reason, end.speech_start) == ("stream_end", 0.0)
    with pytest.raises(ValueError, match="over"):
        endpointer.process(0.32, 0.0)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(CHUNK, 3.0), st.floats(0, 1)), max_size=40),
    st.sampled_from(Completeness),
)
def test_whatever_is_heard_it_comes_to_an_end(
    drawn: list[tuple[float, float]], completeness: Completeness
) -> None:
    end = end_of(follow([*drawn, (30.0, 0.6)], completeness))
    assert end.decided <= 10 + SETTINGS.nothing_said + SETTINGS.max_utterance + 1


def hear(vad: SileroVad, pcm: Pcm) -> list[EndpointEvent]:
    stream = vad.stream()
    drawn = []
    for start in range(0, len(pcm.samples) - CHUNK_SAMPLES + 1, CHUNK_SAMPLES):
        chunk = AudioChunk(pcm.samples[start : start + CHUNK_SAMPLES], start / SAMPLE_RATE)
        drawn.append((CHUNK, stream.process(chunk)))
    return follow(drawn)


def with_silence(command: Pcm) -> Pcm:
    before, after = np.zeros(SAMPLE_RATE, np.int16), np.zeros(8 * SAMPLE_RATE, np.int16)
    return Pcm(np.concatenate((before, command.samples, after)), SAMPLE_RATE)


@pytest.mark.parametrize("pink", [True, False])
@pytest.mark.parametrize("snr", [30, 12, 6, 0])
def test_real_speech_in_noise_is_bounded_and_does_not_stay_open(
    vad: SileroVad, command: Pcm, snr: float, pink: bool
) -> None:
    noise = coloured_noise(4, -30, pink=pink)
    end = end_of(hear(vad, mixed(with_silence(command), noise, snr)))
    assert end.reason == "silence"
    assert end.speech_start == pytest.approx(11.0, abs=0.3)
    assert end.speech_end == pytest.approx(11.0 + command.duration, abs=0.35)


@pytest.mark.parametrize("pink", [True, False])
@pytest.mark.parametrize("level", [-50, -30, -15])
def test_noise_alone_is_nothing_said(vad: SileroVad, level: float, pink: bool) -> None:
    end = end_of(hear(vad, coloured_noise(8, level, pink=pink)))
    assert (end.reason, end.speech_start) == ("nothing_said", None)


def test_clatter_is_nothing_said(vad: SileroVad) -> None:
    random = np.random.default_rng(3)
    sound = coloured_noise(8, -45).samples.astype(float)
    for start in random.integers(0, len(sound) - 2000, 25):
        ring = random.uniform(800, 4000)
        time = np.arange(1600) / SAMPLE_RATE
        sound[start : start + 1600] += (
            12000 * np.sin(2 * np.pi * ring * time) * np.exp(-time / 0.02)
        )
    pcm = Pcm(np.clip(sound, -32768, 32767).astype(np.int16), SAMPLE_RATE)
    assert end_of(hear(vad, pcm)).reason == "nothing_said"


def test_streams_of_one_model_do_not_disturb_each_other(vad: SileroVad, command: Pcm) -> None:
    alone, first, second = vad.stream(), vad.stream(), vad.stream()
    chunks = [
        AudioChunk(command.samples[i : i + CHUNK_SAMPLES], 0.0)
        for i in range(0, 20 * CHUNK_SAMPLES, CHUNK_SAMPLES)
    ]
    silence = AudioChunk(np.zeros(CHUNK_SAMPLES, np.int16), 0.0)
    expected = [alone.process(chunk) for chunk in chunks]
    heard = []
    for chunk in chunks:
        heard.append(first.process(chunk))
        second.process(silence)
    assert heard == expected
    first.reset()
    assert [first.process(chunk) for chunk in chunks] == expected
