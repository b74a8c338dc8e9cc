"""What a listener does at bad moments, with scripted ears: no model, no real time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, cast

import numpy as np
import pytest

from assistant.audio.endpoint import Completeness
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm, Samples
from assistant.config import EndpointSettings
from assistant.errors import AudioError
from assistant.plan import Plan, PlanKind, Utterance
from assistant.stt.transcript import Transcript
from assistant.tts.normalise import load_normaliser
from assistant.tts.speech import Speaker
from assistant.turn import listener as module
from assistant.turn.events import Heard, TurnEnded, TurnEvent, Woken
from assistant.turn.listener import Ears, Listener, Manners
from assistant.turn.respond import Responder, Response, Speak
from assistant.turn.speaking import Mouth
from assistant.understand.conversation import Conversation, Pending
from assistant.wake.engine import WakeEvent
from assistant.wake.guard import OwnVoiceGuard
from assistant.wake.verify import Verifier

CHUNK = CHUNK_SAMPLES / SAMPLE_RATE
SILENCE, SPEECH, WAKE = 0, 1, 2
QUESTION = Plan(PlanKind.ASK, confirm=True)
UNLOCK = Plan(PlanKind.ACT, "unlock")


class Room:
    """A source into which the test speaks; its clock runs as fast as it is spoken to."""

    name = "room"

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[AudioChunk | AudioError | None] = asyncio.Queue()
        self.time = self._heard = self._since = time.monotonic()

    def now(self) -> float:
        """The clock of somebody to whom all that was heard took its time."""
        return self._heard + time.monotonic() - self._since

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        while (chunk := await self._chunks.get()) is not None:
            if isinstance(chunk, AudioError):
                raise chunk
            self._heard, self._since = chunk.time + CHUNK, time.monotonic()
            yield chunk

    def hear(self, what: int, seconds: float = CHUNK) -> None:
        for _ in range(round(seconds / CHUNK)):
            self._chunks.put_nowait(AudioChunk(np.full(CHUNK_SAMPLES, what, np.int16), self.time))
            self.time += CHUNK

    def command(self) -> None:
        self.hear(WAKE)
        self.hear(SILENCE, 0.4)
        self.hear(SPEECH, 1.0)
        self.hear(SILENCE, 2.0)

    def close(self) -> None:
        self._chunks.put_nowait(None)

    def fail(self) -> None:
        self._chunks.put_nowait(AudioError("unplugged"))


class Scripted:
    """VAD, wake word, recogniser and its streams in one: they hear what the samples are."""

    name = language = "en"
    partial_interval = 0.0

    def __init__(self) -> None:
        self.text = "turn on the light"
        self.resets = 0

    def stream(self) -> Any:
        return self

    def set_vocabulary(self, _phrases: Any) -> tuple[str, ...]:
        return ()

    def accept(self, samples: Samples) -> None:
        pass

    def partial(self) -> Transcript:
        return Transcript(self.text, final=False)

    def final(self) -> Transcript:
        return Transcript(self.text, final=True)

    def reset(self) -> None:
        self.resets += 1


class Vad(Scripted):
    def process(self, chunk: AudioChunk) -> float:
        return float(chunk.samples[0] == SPEECH)


class Wake(Scripted):
    def process(self, chunk: AudioChunk) -> WakeEvent | None:
        if chunk.samples[0] != WAKE:
            return None
        return WakeEvent("hey jarvis", 0.9, chunk.time + chunk.duration)


class Voice:
    name = language = "en"

    def __init__(self) -> None:
        self.failing = False

    def synthesise(self, sentence: str) -> Pcm:
        if self.failing:
            raise RuntimeError("no voice")
        return Pcm(np.ones(100, np.int16), SAMPLE_RATE)


class Loudspeaker:
    """Counts what is played, and is slow where the test wants it."""

    playing = False

    def __init__(self) -> None:
        self.played = 0
        self.free = asyncio.Event()
        self.free.set()

    async def play(self, pcm: Pcm) -> None:
        self.played += 1
        await self.free.wait()

    def stop(self) -> None:
        pass


class Answers:
    """A responder: says what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.heard: list[Utterance] = []
        self.read: list[str] = []
        self.readable = asyncio.Event()
        self.readable.set()
        self.given_up = 0
        self.asks = False
        self.says = ["Shall I?"]
        self.interrupted = asyncio.Event()
        self.now = time.monotonic
        self.window = 6.0
        self.free = asyncio.Event()
        self.free.set()
        self.secret = ""
        self.model_first = False

    def confides(self, utterance: Utterance, talk: Conversation) -> bool:
        return utterance.text == self.secret

    async def ahead(self, partial: Utterance, talk: Conversation) -> None:
        self.read.append(partial.text)
        try:
            await self.readable.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise

    async def respond(
        self,
        utterance: Utterance,
        talk: Conversation,
        *,
        speak: Speak,
        interrupted: asyncio.Event,
        **_: Any,
    ) -> Response:
        self.heard.append(utterance)
        self.interrupted = interrupted
        for piece in self.says[:-1]:
            speak(piece)
        await self.free.wait()
        if self.asks:
            talk.pending = Pending(UNLOCK, self.now() + self.window)
        speak(self.says[-1])
        return Response(QUESTION, (), "Shall I?", self.asks)


class Stage:
    def __init__(self, verifier: Verifier | None = None) -> None:
        self.room, self.ears, self.answers = Room(), Scripted(), Answers()
        self.loud, self.voice, self.talk = Loudspeaker(), Voice(), Conversation()
        self.vad = Vad()
        self.judgement = Completeness.UNKNOWN
        self.events: list[TurnEvent] = []
        self.answers.now = self.room.now
        speaker = Speaker(cast(Any, self.voice), load_normaliser("en"))
        self.listener = Listener(
            self.room,
            Ears(cast(Any, self.vad), Wake(), self.ears, verifier),
            Mouth(speaker, self.loud, OwnVoiceGuard(["hey jarvis"])),
            Manners("en", None, EndpointSettings(), 1.5, 6.0, 60.0),
            cast(Responder, self.answers),
            self.talk,
            lambda _: self.judgement,
            self.events.append,
            self.room.now,
        )

    def woken(self) -> int:
        return sum(isinstance(e, Woken) for e in self.events)

    def partials(self) -> list[str]:
        heard = (e.transcript for e in self.events if isinstance(e, Heard))
        return [transcript.text for transcript in heard if not transcript.final]

    def ended(self) -> int:
        return len(self.errors())

    def errors(self) -> list[str]:
        return [e.error for e in self.events if isinstance(e, TurnEnded)]


@asynccontextmanager
async def stage(verifier: Verifier | None = None) -> AsyncIterator[Stage]:
    made = Stage(verifier)
    running = asyncio.create_task(made.listener.run())
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20.0):
        while not condition():  # noqa: ASYNC110 -- the worker thread has a say in it
            await asyncio.sleep(0.005)


async def test_what_was_said_before_a_gap_is_not_carried_out_after_it() -> None:
    async with stage() as it:
        it.room.hear(WAKE)
        it.room.hear(SILENCE, 0.4)
        it.room.hear(SPEECH, 1.0)
        await until(lambda: it.woken() == 1)
        it.room.time += 3600.0  # unplugged, and plugged in again
        it.room.hear(SILENCE, 3.0)
        await until(lambda: it.ended() == 1)
        await asyncio.sleep(0.05)
        assert it.answers.heard == []
        assert it.vad.resets == 1, "the voice activity goes on from before the gap"
        it.room.command()
        await until(lambda: len(it.answers.heard) == 1)


async def test_an_utterance_ends_when_the_sound_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GAP", 0.1)
    async with stage() as it:
        it.room.hear(WAKE)
        await until(lambda: it.ended() == 1)
        assert it.errors() == ["the sound broke off"]


@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_source_broke_off_in_is_not_taken_for_all_that_was_said(fails: bool) -> None:
    """What a recording ends with is whole; "turn off everything except" need not be."""
    it = Stage()
    it.room.hear(WAKE)
    it.room.hear(SILENCE, 0.4)
    it.room.hear(SPEECH, 1.0)
    it.room.fail() if fails else it.room.close()
    with pytest.raises(AudioError) if fails else nullcontext():
        await it.listener.run()
    assert it.errors() == (["the sound broke off"] if fails else [""])
    assert len(it.answers.heard) == (not fails)


async def test_a_voice_that_fails_to_announce_leaves_the_ears_open() -> None:
    async with stage() as it:
        it.voice.failing = True
        it.listener.announce("The eggs are done.")
        await until(lambda: it.loud.played == 1)  # the chime
        await asyncio.sleep(0.05)
        it.voice.failing = False
        it.room.command()
        await until(lambda: len(it.answers.heard) == 1)


async def test_nothing_is_announced_into_what_somebody_says() -> None:
    async with stage() as it:
        it.room.hear(WAKE)
        await until(lambda: it.woken() == 1)
        it.listener.announce("The eggs are done.")
        await asyncio.sleep(0.05)
        assert it.loud.played == 0
        it.room.hear(SILENCE, 0.4)
        it.room.hear(SPEECH, 1.0)
        it.room.hear(SILENCE, 2.0)
        # The answer first, then the chime and the announcement.
        await until(lambda: it.loud.played == 3)
        assert it.ended() == 1


async def test_the_wake_word_in_the_chime_puts_the_announcement_off() -> None:
    async with stage() as it:
        it.loud.free.clear()
        it.listener.announce("The eggs are done.")
        await until(lambda: it.loud.played == 1)
        it.room.hear(WAKE)
        await until(lambda: it.woken() == 1)
        it.loud.free.set()
        await asyncio.sleep(0.05)
        assert it.loud.played == 1
        it.room.hear(SILENCE, 6.0)
        await until(lambda: it.loud.played == 3)


async def test_a_turn_in_the_queue_is_not_answered_into_the_next() -> None:
    async with stage() as it:
        it.answers.free.clear()
        it.room.command()
        await until(lambda: len(it.answers.heard) == 1)
        it.room.command()
        await until(lambda: it.woken() == 2)
        it.room.hear(WAKE)
        await until(lambda: it.woken() == 3)
        it.answers.free.set()
        await until(lambda: it.ended() == 2)
        assert it.loud.played == 0
        assert len(it.answers.heard) == 2, "what was asked is done all the same"


async def test_a_question_that_was_never_asked_is_not_answered_by_yes() -> None:
    async with stage() as it:
        it.answers.asks = True
        it.answers.free.clear()
        it.room.command()
        await until(lambda: len(it.answers.heard) == 1)
        it.room.hear(WAKE)
        await until(lambda: it.woken() == 2)
        it.answers.free.set()
        await until(lambda: it.ended() == 1)
        assert it.talk.pending is None


async def test_a_question_that_could_not_be_spoken_is_not_answered_by_yes() -> None:
    async with stage() as it:
        it.answers.asks = it.voice.failing = True
        it.room.command()
        await until(lambda: it.ended() == 1)
        assert it.talk.pending is None


async def test_an_answer_may_take_longer_than_the_window_in_which_it_begins() -> None:
    async with stage() as it:
        it.answers.asks, it.answers.window = True, 0.01
        it.room.command()
        await until(lambda: it.woken() == 2)
        await asyncio.sleep(0.05)
        assert it.talk.pending is not None
        assert it.talk.pending.expires > it.room.now() + it.answers.window


async def test_a_question_nobody_answers_is_over_when_the_microphone_closes() -> None:
    async with stage() as it:
        it.answers.asks = True
        it.room.command()
        await until(lambda: it.woken() == 2)
        it.room.hear(SILENCE, 8.0)
        await until(lambda: it.ended() == 2)
        assert it.talk.pending is None


async def test_the_wake_word_may_be_said_before_an_answer() -> None:
    async with stage() as it:
        it.answers.asks = True
        it.room.command()
        await until(lambda: it.woken() == 2)
        it.answers.asks = False
        it.ears.text = "hey jarvis yes"
        it.room.hear(WAKE)
        it.room.hear(SPEECH, 0.6)
        it.room.hear(SILENCE, 2.0)
        await until(lambda: len(it.answers.heard) == 2)
        assert it.answers.heard[1].text == "yes"


class Doubter:
    def confirms(self, _samples: Samples, _word: str) -> bool:
        return False


async def test_a_refuted_wake_word_ends_the_turn_at_once() -> None:
    async with stage(cast(Verifier, Doubter())) as it:
        it.room.hear(WAKE)
        await until(lambda: it.ended() == 1)
        assert "did not hear" in it.errors()[0]


async def test_nothing_is_left_of_turns_that_wait_when_it_ends() -> None:
    async with stage() as it:
        it.answers.free.clear()
        for turn in (1, 2, 3):
            it.room.command()
            await until(lambda turn=turn: it.woken() == turn)  # type: ignore[misc]
        await asyncio.sleep(0.1)
    await until(lambda: not any(t.name == "recognition" for t in threading.enumerate()))


async def test_a_reply_is_spoken_while_it_is_still_being_written() -> None:
    async with stage() as it:
        it.answers.says = ["A walrus has tusks. ", "It likes clams."]
        it.answers.free.clear()
        it.room.command()
        await until(lambda: it.loud.played == 1)
        assert it.ended() == 0
        it.answers.free.set()
        await until(lambda: it.ended() == 1)
        assert it.loud.played == 2
        assert it.errors() == [""]


async def test_the_wake_word_interrupts_the_writing_too() -> None:
    async with stage() as it:
        it.answers.says = ["A walrus has tusks. ", "It likes clams."]
        it.answers.free.clear()
        it.loud.free.clear()
        it.room.command()
        await until(lambda: it.loud.played == 1)
        assert not it.answers.interrupted.is_set()
        it.room.hear(WAKE)
        await until(lambda: it.woken() == 2)
        assert it.answers.interrupted.is_set()
        it.answers.free.set()
        await until(lambda: it.ended() == 1)
        assert it.loud.played == 1, "it spoke into the next turn"


async def test_a_question_of_the_model_opens_the_microphone() -> None:
    async with stage() as it:
        it.answers.says = ["Which ", "lamp?"]
        it.answers.asks = True
        it.room.command()
        await until(lambda: it.woken() == 2)
        assert it.loud.played == 1


async def test_what_is_said_in_confidence_is_told_to_the_responder_alone() -> None:
    async with stage() as it:
        it.ears.text = it.answers.secret = "one two three four"
        it.room.command()
        await until(lambda: it.ended() == 1)
        assert [utterance.text for utterance in it.answers.heard] == ["one two three four"]
        assert [e.transcript.text for e in it.events if isinstance(e, Heard)][-1] == "****"
        assert "three" not in str(it.events)


async def test_what_two_partial_transcripts_agree_on_is_read_ahead() -> None:
    async with stage() as it:
        it.room.hear(WAKE)
        it.room.hear(SILENCE, 0.4)
        for text in ("what do you", "what do you think of", "what do you think of Warsaw"):
            it.ears.text = text
            it.room.hear(SPEECH, 0.2)
            await until(lambda text=text: it.partials()[-1:] == [text])  # type: ignore[misc]
        assert it.answers.read == ["what do you", "what do you think of"]
        it.room.hear(SILENCE, 2.0)
        await until(lambda: it.ended() == 1)


@pytest.mark.parametrize("model_first", [False, True])
async def test_what_a_template_knows_is_not_read_ahead_unless_the_model_is_asked_all_the_same(
    model_first: bool,
) -> None:
    async with stage() as it:
        it.judgement = Completeness.COMPLETE
        it.answers.model_first = model_first
        it.room.hear(WAKE)
        it.room.hear(SILENCE, 0.4)
        for text in ("turn on the light", "turn on the light in", "turn on the light in here"):
            it.ears.text = text
            it.room.hear(SPEECH, 0.2)
            await until(lambda text=text: it.partials()[-1:] == [text])  # type: ignore[misc]
        assert bool(it.answers.read) is model_first


async def test_reading_ahead_is_one_at_a_time_and_ends_with_the_utterance() -> None:
    async with stage() as it:
        it.answers.readable.clear()
        it.room.hear(WAKE)
        it.room.hear(SILENCE, 0.4)
        for text in ("what do you", "what do you think of", "what do you think of Warsaw"):
            it.ears.text = text
            it.room.hear(SPEECH, 0.2)
            await until(lambda text=text: it.partials()[-1:] == [text])  # type: ignore[misc]
        assert it.answers.read == ["what do you"]
        assert it.answers.given_up == 0
        it.room.hear(SILENCE, 2.0)
        await until(lambda: it.ended() == 1)
        assert it.answers.given_up == 1
        assert len(it.answers.heard) == 1
