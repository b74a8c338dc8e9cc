from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from assistant.audio.pcm import Pcm
from assistant.errors import ModelError
from assistant.tts.normalise import load_normaliser
from assistant.tts.piper import Piper
from assistant.tts.speech import Speaker
from tests.tts.conftest import NotingSink


class SlowVoice:
    """Says each sentence as 0.1 s of sound, and lets a test see and hold what it is at."""

    name = "slow"
    language = "en"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.calls = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()

    def synthesise(self, sentence: str) -> Pcm:
        self.asked.append(sentence)
        self.calls.release()
        assert self.go.wait(20)
        if "broken" in sentence:
            raise ModelError("the voice broke; mend it")
        return Pcm(np.full(100, len(self.asked), np.int16), 1000)


def speaker(voice: SlowVoice) -> Speaker:
    return Speaker(voice, load_normaliser("en"))


async def test_a_real_reply_reaches_the_sink_sentence_by_sentence(joe: Piper) -> None:
    sink = NotingSink()
    said: list[str] = []
    text = "Done. It is 21.5 °C in the hall, and Dr. Smith called."
    await Speaker(joe, load_normaliser("en")).say(text, sink, said.append)
    assert said == ["Done.", "It is 21.5 °C in the hall, and Dr. Smith called."]
    assert [pcm.rate for pcm in sink.played] == [22050, 22050]
    assert sink.played[0].duration < 1 < 2 < sink.played[1].duration
    assert sink.stops == 0


async def test_one_sentence_is_made_ahead_and_no_more() -> None:
    voice, sink = SlowVoice(), NotingSink(pace=1.0)
    ahead: list[int] = []
    await speaker(voice).say(
        "One. Two. Three. Four.", sink, lambda _: ahead.append(len(voice.asked))
    )
    assert voice.asked == ["One.", "Two.", "Three.", "Four."]
    assert len(sink.played) == 4
    assert ahead[0] == 1
    assert all(made <= place + 2 for place, made in enumerate(ahead))


async def test_next_sentence_is_made_while_the_first_is_played() -> None:
    voice = SlowVoice()
    made_meanwhile: list[bool] = []

    class Sink(NotingSink):
        async def play(self, pcm: Pcm) -> None:
            if not self.played:
                both = [await asyncio.to_thread(voice.calls.acquire, timeout=20) for _ in range(2)]
                made_meanwhile.append(all(both))
            await super().play(pcm)

    await speaker(voice).say("One. Two.", Sink())
    assert made_meanwhile == [True]


async def test_streamed_text_is_spoken_before_it_is_complete() -> None:
    voice, sink = SlowVoice(), NotingSink()
    first_played = asyncio.Event()

    async def tokens() -> AsyncIterator[str]:
        yield "The light is on. "
        async with asyncio.timeout(20):
            await first_played.wait()
        yield "Any"
        yield "thing else?"

    await speaker(voice).say(tokens(), sink, lambda _: first_played.set())
    assert voice.asked == ["The light is on.", "Anything else?"]


async def test_barge_in_stops_at_once_and_nothing_more_is_played() -> None:
    voice, sink = SlowVoice(), NotingSink(pace=50.0)  # five seconds a sentence
    begun = asyncio.Event()
    task = asyncio.create_task(speaker(voice).say("One. Two. Three.", sink, lambda _: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sink.stops == 1
    assert not sink.playing
    assert sink.played == []
    assert len(voice.asked) <= 2


async def test_barge_in_does_not_wait_for_the_voice() -> None:
    voice, sink = SlowVoice(), NotingSink()
    voice.go.clear()
    task = asyncio.create_task(speaker(voice).say("One. Two.", sink))
    await asyncio.to_thread(voice.calls.acquire, timeout=20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not voice.go.is_set()
    voice.go.set()
    assert sink.played == []


async def test_a_voice_that_fails_is_reported_after_what_it_could_say() -> None:
    voice, sink = SlowVoice(), NotingSink()
    with pytest.raises(ModelError, match="mend it"):
        await speaker(voice).say("One. This is broken. Three.", sink)
    assert len(sink.played) == 1


@pytest.mark.parametrize("text", ["", "...", "😀", "\n\n"])
async def test_nothing_to_say_is_silent(text: str) -> None:
    voice, sink = SlowVoice(), NotingSink()
    await speaker(voice).say(text, sink)
    assert voice.asked == []
    assert sink.played == []
