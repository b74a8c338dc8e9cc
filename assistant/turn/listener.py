"""One source's ears and mouth: from its chunks to turns, and from replies to its sink.

Between turns only the wake word and the voice activity are computed. A turn listens until the
endpointer decides; then it thinks and speaks in a task of its own, during which the wake word is
still heard: it silences the reply and opens the next turn (barge-in). A question of ours opens
the microphone for one answer without the wake word.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from assistant.audio.chime import Chime
from assistant.audio.endpoint import Completeness, Ended, Endpointer, LikelyEnd, Resumed
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Samples
from assistant.audio.ports import AudioSource
from assistant.audio.ring import PreRoll
from assistant.audio.vad import VadStream
from assistant.config import EndpointSettings
from assistant.errors import AssistantError
from assistant.plan import Utterance
from assistant.stt.session import RecognitionSession
from assistant.stt.transcript import Recogniser, Transcript
from assistant.turn.events import Heard, SpeechEnded, StageDone, TurnEnded, Woken
from assistant.turn.reading_ahead import ReadingAhead
from assistant.turn.respond import Responder
from assistant.turn.saying import Words
from assistant.turn.speaking import Mouth, Speaking
from assistant.turn.trace import Observer
from assistant.understand.conversation import Conversation
from assistant.understand.pin import HIDDEN
from assistant.wake.engine import WakeEngine, WakeEvent
from assistant.wake.match import strip_wake_phrase
from assistant.wake.verify import Verifier

log = logging.getLogger(__name__)

LATE_WAKE: Final = 4.0
"""Seconds by which an engine may report a wake word late: a phrase without a pause after it."""

VOICING_KEPT: Final = round(LATE_WAKE * SAMPLE_RATE / CHUNK_SAMPLES)

FOLLOW_UP_PRE_ROLL: Final = 0.2
"""Seconds kept from before the microphone opens for an answer: people answer early."""

GAP: Final = 3.0
"""Seconds without sound after which what was being said is given up: the sound card may come back
in an hour, and a command must not be carried out then."""

ANSWER_DELAY: Final = 3.0
"""Seconds allowed for recognising an answer, so that our question does not expire meanwhile."""


@dataclass(frozen=True, slots=True)
class Ears:
    """What hears: engines of one stream, and the recogniser they share with others."""

    vad: VadStream
    wake: WakeEngine
    recogniser: Recogniser
    verifier: Verifier | None = None
    """Who must hear the wake word as well; None: the engine's word is enough."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a listener behaves: the settings that concern it."""

    language: str
    area: str | None
    endpoint: EndpointSettings
    pre_roll: float
    answer_window: float
    waiting_after: float


@dataclass(slots=True)
class _Hearing:
    """An utterance being heard."""

    turn: str
    session: RecognitionSession
    endpointer: Endpointer
    opened: float
    wake: WakeEvent | None
    confirmed: asyncio.Task[bool] | None
    """The second opinion on the wake word, being formed while the user speaks."""
    reading: ReadingAhead
    completeness: Completeness = Completeness.UNKNOWN


@dataclass(slots=True)
class _Answering:
    """A turn that is thinking or speaking."""

    turn: str
    superseded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the wake word: the next turn has begun."""


class Listener:
    """Leads the turns of one source.

    `completeness` judges a partial transcript; `observe` is told of everything that happens.
    `clock` gives monotonic seconds, as the source's chunks have them.
    """

    def __init__(
        self,
        source: AudioSource,
        ears: Ears,
        mouth: Mouth,
        manners: Manners,
        responder: Responder,
        conversation: Conversation,
        completeness: Callable[[str], Completeness],
        observe: Observer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._ears = ears
        self._guard = mouth.guard
        self._speaking = Speaking(mouth, source.name, observe, clock)
        self._manners = manners
        self._responder = responder
        self._conversation = conversation
        self._completeness = completeness
        self._observe = observe
        self._now = clock
        self._pre_roll = PreRoll(manners.pre_roll + LATE_WAKE)
        self._voicing: deque[tuple[float, float]] = deque(maxlen=VOICING_KEPT)
        self._hearing: _Hearing | None = None
        self._answering: _Answering | None = None
        self._order = asyncio.Lock()
        self._turns = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._heard_until = float("inf")
        self._last_sound = 0.0
        self._tasks = asyncio.TaskGroup()
        self._source_open = False

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    async def run(self) -> None:
        """Listen until the source ends and all that was asked is answered. To be called once.

        Raises what the source raises, after the turns under way have ended; what was being said
        then is given up, for it may not be all.
        """
        failure: AssistantError | None = None
        try:
            async with self._tasks:
                self._source_open = True
                try:
                    async for chunk in self._source.chunks():
                        self._hear(chunk)
                except AssistantError as error:  # raised below, not in a group
                    failure = error
                self._source_open = False
                if self._hearing is not None and failure is not None:
                    self._give_up(self._hearing, "the sound broke off")
                elif self._hearing is not None:
                    ended = self._hearing.endpointer.stream_end(self._now())
                    self._end(self._hearing, ended)
        finally:
            self._source_open = False
            if self._hearing is not None:
                self._give_up(self._hearing, "the source has ended")
        if failure is not None:
            raise failure

    def announce(self, text: str) -> None:
        """Say `text`, after a chime, as soon as no turn is under way here."""
        if self._source_open:
            self._tasks.create_task(self._announce(text), name="announcement")

    async def _announce(self, text: str) -> None:
        while True:
            await self._idle.wait()
            async with self._order:
                if self._idle.is_set():
                    await self._speaking.chime(Chime.DONE)
                # The wake word may have cut the chime short: our voice must not be heard with
                # the user's, or what we say would be taken for a command.
                if not self._idle.is_set():
                    continue
                try:
                    await self._speaking.say(text, None)
                except AssistantError as failure:
                    log.error("%s: not announced: %s", self.name, failure)
                except Exception:  # whoever can't speak may still listen
                    log.exception("%s: not announced", self.name)
                return

    def _hear(self, chunk: AudioChunk) -> None:
        if chunk.time - self._heard_until > GAP:
            self._forget()
        self._heard_until = chunk.time + chunk.duration
        self._last_sound = self._now()
        self._pre_roll.push(chunk)
        speech = self._ears.vad.process(chunk)
        self._voicing.append((chunk.time, speech))
        wake = self._ears.wake.process(chunk)
        if self._hearing is not None:
            if wake is not None and self._hearing.wake is None:
                self._hearing.wake = wake  # said before an answer, where it need not be
            self._hearing.session.feed(chunk.samples)
            self._follow(self._hearing, chunk.time, speech)
        elif wake is not None and self._guard.allows(wake):
            self._barge_in()
            self._listen(secrets.token_hex(4), wake, wake.time)

    def _forget(self) -> None:
        """Begin anew after a gap."""
        if self._hearing is not None:
            self._give_up(self._hearing, "the sound broke off")
        self._pre_roll.clear()
        self._voicing.clear()
        self._ears.vad.reset()
        self._ears.wake.reset()

    def _watch_sound(self, hearing: _Hearing) -> None:
        """Give `hearing` up when there is no more sound, else look again later."""
        if self._hearing is not hearing:
            return
        left = self._last_sound + GAP - self._now()
        if left < 0:
            self._give_up(hearing, "the sound broke off")
        else:
            asyncio.get_running_loop().call_later(left + 0.1, self._watch_sound, hearing)

    def _give_up(self, hearing: _Hearing, reason: str) -> None:
        """End a turn in which there is nothing to answer."""
        self._hearing = None
        hearing.session.close()
        if hearing.confirmed is not None:
            hearing.confirmed.cancel()
        hearing.reading.stop()
        self._conversation.pending = None  # no answer came
        self._observe(TurnEnded(hearing.turn, self.name, self._now(), reason))
        self._note_idleness()

    def _note_idleness(self) -> None:
        if self._hearing is None and not self._turns:
            self._idle.set()
        else:
            self._idle.clear()

    def _barge_in(self) -> None:
        if self._answering is not None:
            self._answering.superseded.set()
        self._speaking.silence()

    def _listen(
        self, turn: str, wake: WakeEvent | None, since: float, silence: float | None = None
    ) -> None:
        """Open the microphone at monotonic second `since`, or earlier for what led to it."""
        endpoint = self._manners.endpoint
        if silence is not None:
            endpoint = endpoint.model_copy(update={"nothing_said": silence})
        early = self._manners.pre_roll if wake is not None else FOLLOW_UP_PRE_ROLL
        before = [chunk.samples for chunk in self._pre_roll.since(since - early)]
        hearing = _Hearing(
            turn=turn,
            session=RecognitionSession(
                self._ears.recogniser, on_partial=lambda t: self._partial(turn, t)
            ),
            endpointer=Endpointer(endpoint, since, after_wake=wake is not None),
            opened=since,
            wake=wake,
            confirmed=self._second_opinion(wake, before),
            reading=ReadingAhead(self._responder, self._conversation, self._uttered("")),
        )
        self._hearing = hearing
        self._note_idleness()
        self._watch_sound(hearing)
        if hearing.confirmed is not None:
            hearing.confirmed.add_done_callback(lambda check: self._checked(hearing, check))
        self._observe(Woken(turn, self.name, self._now(), wake))
        for samples in before:
            hearing.session.feed(samples)
        # What was said between the wake word's end and its discovery counts as said.
        for time_, speech in tuple(self._voicing):
            if time_ >= since and self._hearing is hearing:
                self._follow(hearing, time_, speech)

    def _second_opinion(
        self, wake: WakeEvent | None, sound: list[Samples]
    ) -> asyncio.Task[bool] | None:
        if self._ears.verifier is None or wake is None or not sound:
            return None
        check = asyncio.to_thread(self._ears.verifier.confirms, np.concatenate(sound), wake.word)
        return asyncio.create_task(check)

    def _checked(self, hearing: _Hearing, check: asyncio.Task[bool]) -> None:
        """Listen no longer to what the wake word did not precede."""
        if self._hearing is not hearing or check.cancelled() or check.exception() is not None:
            return
        if not check.result():
            self._give_up(hearing, _refuted(hearing))

    def _partial(self, turn: str, transcript: Transcript) -> None:
        hearing = self._hearing
        if hearing is None or hearing.turn != turn:
            return
        text = self._stripped(transcript.text, hearing.wake)
        hearing.completeness = self._completeness(text) if text else Completeness.NOTHING
        if self._awaits_pin():  # people say it slowly
            hearing.completeness = Completeness.INCOMPLETE
        if not transcript.final:
            self._observe(
                Heard(turn, self.name, self._now(), self._discreet(transcript, hearing.wake))
            )
        hearing.reading.heard(text, known=hearing.completeness is Completeness.COMPLETE)

    def _awaits_pin(self) -> bool:
        pending = self._conversation.pending
        return pending is not None and pending.plan.pin

    def _discreet(self, transcript: Transcript, wake: WakeEvent | None) -> Transcript:
        """`transcript` as others may see it: without a PIN that it may hold."""
        text, *others = (
            self._stripped(t, wake) for t in (transcript.text, *transcript.alternatives)
        )
        said = replace(self._uttered(text), alternatives=tuple(others))
        if not self._responder.confides(said, self._conversation):
            return transcript
        return replace(transcript, text=HIDDEN, words=(), alternatives=())

    def _follow(self, hearing: _Hearing, begin: float, speech: float) -> None:
        event = hearing.endpointer.process(begin, speech, hearing.completeness)
        if isinstance(event, LikelyEnd):
            hearing.session.likely_end()
        elif isinstance(event, Resumed):
            hearing.session.resumed()
        elif isinstance(event, Ended):
            self._end(hearing, event)

    def _end(self, hearing: _Hearing, ended: Ended) -> None:
        turn, now = hearing.turn, self._now()
        speech_end = ended.speech_end or now
        self._observe(SpeechEnded(turn, self.name, now, ended.reason, speech_end))
        self._observe(StageDone(turn, self.name, now, "listen", hearing.opened, speech_end))
        self._observe(StageDone(turn, self.name, now, "endpoint", speech_end, now))
        if ended.speech_start is None:
            self._give_up(hearing, "nothing was said")
            return
        self._hearing = None
        hearing.reading.stop()
        self._turns += 1
        answer = self._tasks.create_task(self._answer(hearing, now), name=f"turn {turn}")
        answer.add_done_callback(lambda _: self._answered(hearing))

    def _answered(self, hearing: _Hearing) -> None:
        # Here, for a task that is cancelled early never gets to its own clearing up.
        hearing.session.close()
        if hearing.confirmed is not None:
            hearing.confirmed.cancel()
        self._turns -= 1
        self._note_idleness()

    async def _answer(self, hearing: _Hearing, decided: float) -> None:
        """Everything after the end of speech. Ends the turn, whatever happens."""
        answering = _Answering(hearing.turn)
        error = ""
        waiting = asyncio.get_running_loop().call_later(
            self._manners.waiting_after, self._tell_to_wait, answering
        )
        try:
            async with self._order:
                self._answering = answering
                error = await self._respond(hearing, decided, answering, waiting)
        except AssistantError as failure:
            error = str(failure)
            log.error("turn %s: %s", hearing.turn, failure)
        except Exception as failure:  # one turn must not end the others
            error = f"{type(failure).__name__}: {failure}"
            log.exception("turn %s failed", hearing.turn)
        finally:
            waiting.cancel()
            if self._answering is answering:
                self._answering = None
            if error:
                # Perhaps it was never heard, and a yes must not mean what was not asked.
                self._conversation.pending = None
            self._observe(TurnEnded(hearing.turn, self.name, self._now(), error))

    async def _respond(
        self,
        hearing: _Hearing,
        decided: float,
        answering: _Answering,
        waiting: asyncio.TimerHandle,
    ) -> str:
        turn = hearing.turn
        transcript = await hearing.session.finish()
        if hearing.confirmed is not None and not await hearing.confirmed:
            return _refuted(hearing)
        now = self._now()
        self._observe(StageDone(turn, self.name, now, "recognise", decided, now))
        self._observe(Heard(turn, self.name, now, self._discreet(transcript, hearing.wake)))
        text = self._stripped(transcript.text, hearing.wake)
        if not text:
            return "nothing was understood"
        utterance = replace(
            self._uttered(text),
            confidence=transcript.confidence,
            alternatives=tuple(
                self._stripped(other, hearing.wake) for other in transcript.alternatives
            ),
            spoken_at=time.time(),
        )
        words = Words()

        def speak(piece: str) -> None:
            if not self._is_overtaken(answering):
                waiting.cancel()
                words.put(piece)

        saying = asyncio.create_task(self._speaking.say(words, turn))
        try:
            response = await self._responder.respond(
                utterance,
                self._conversation,
                turn=turn,
                observe=self._observe,
                speak=speak,
                interrupted=answering.superseded,
            )
            words.end()
            heard_out = await saying
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)
        if words.begun is None and self._is_overtaken(answering):
            return "interrupted by the next turn"
        if response.asks and heard_out and not self._hearing and self._source_open:
            self._await_answer()
        return ""

    def _is_overtaken(self, answering: _Answering) -> bool:
        """Whether the next turn has begun, so that nobody wants to hear of this one."""
        return answering.superseded.is_set() or self._hearing is not None

    def _await_answer(self) -> None:
        """Open the microphone for the answer to our question, which holds until that is heard."""
        now, window = self._now(), self._manners.answer_window
        if (pending := self._conversation.pending) is not None:
            expires = now + window + self._manners.endpoint.max_utterance + ANSWER_DELAY
            self._conversation.pending = replace(pending, expires=expires)
        self._listen(secrets.token_hex(4), None, now, window)

    def _tell_to_wait(self, answering: _Answering) -> None:
        if self._source_open and self._hearing is None and not answering.superseded.is_set():
            self._tasks.create_task(self._speaking.chime(Chime.WAITING))

    def _uttered(self, text: str) -> Utterance:
        return Utterance(text, self._manners.language, self._manners.area, self.name)

    def _stripped(self, text: str, wake: WakeEvent | None) -> str:
        return strip_wake_phrase(text, (wake.word,)) if wake is not None else text


def _refuted(hearing: _Hearing) -> str:
    return f"the recogniser did not hear “{hearing.wake.word if hearing.wake else ''}”"
