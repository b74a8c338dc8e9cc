"""Decides when somebody who speaks to us has begun and has finished.

A state machine over chunks: no clock, no model, no waiting of its own, so that the same sound
always gives the same decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE
from assistant.config import EndpointSettings

MIN_SPEECH = 0.09
"""Seconds of speech below which a burst is a click or a clatter, and counts as silence."""

MAX_BURST_GAP = 0.1
"""Seconds of silence inside a burst that has not lasted MIN_SPEECH yet."""

LIKELY_END = 0.19
"""Seconds of silence after which decoding may be begun in the hope that this is the end."""

HYSTERESIS = 0.15
"""Speech goes on until its probability falls this far below the one it began with."""

WAKE_TAIL = 0.3
"""Seconds within which speech that goes on from the wake word is still the wake word."""

_CHUNK = CHUNK_SAMPLES / SAMPLE_RATE


class Completeness(Enum):
    """What the transcript so far says about whether more is to come."""

    COMPLETE = "complete"
    """A whole command."""
    UNKNOWN = "unknown"
    """Nothing is known, as before the first transcript."""
    INCOMPLETE = "incomplete"
    """Something is plainly missing: "turn on the"."""
    NOTHING = "nothing"
    """What was taken for speech holds no words: a cough, a clatter. It does not end the wait."""


Reason = Literal["silence", "too_long", "nothing_said", "stream_end"]


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at monotonic second `time`, a little before this is known."""

    time: float


@dataclass(frozen=True, slots=True)
class LikelyEnd:
    """Silence since `speech_end`: decode now, and the text is ready if this is the end."""

    speech_end: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """The likely end was none: speech has gone on since `time`."""

    time: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The utterance is over, and so is the endpointer.

    `speech_start` and `speech_end` are monotonic seconds, None when nothing was said;
    `decided` is the second at which the decision fell.
    """

    reason: Reason
    speech_start: float | None
    speech_end: float | None
    decided: float


EndpointEvent = SpeechStarted | LikelyEnd | Resumed | Ended


class _Phase(Enum):
    WAKE_TAIL = "the wake word may still be sounding"
    WAITING = "nothing said yet"
    SPEAKING = "speech"
    TRAILING = "silence after speech"
    ENDED = "over"


class Endpointer:
    """Follows one utterance from monotonic second `start` to its end.

    After a wake word (`after_wake`) `start` is the second at which that ended; speech that goes
    on from there and ceases within WAKE_TAIL belongs to it.
    """

    def __init__(
        self, settings: EndpointSettings, start: float, *, after_wake: bool = False
    ) -> None:
        self._settings = settings
        self._start = start
        self._phase = _Phase.WAKE_TAIL if after_wake else _Phase.WAITING
        self._voiced = False
        self._likely_told = False
        self._burst_start: float | None = None
        self._burst_speech = 0.0
        self._burst_gap = 0.0
        self._speech_start: float | None = None
        self._speech_end: float | None = None

    @property
    def speech_start(self) -> float | None:
        """Monotonic second at which speech began; None while nothing was said."""
        return self._speech_start

    @property
    def speech_end(self) -> float | None:
        """Monotonic second at which the last speech was heard; None while nothing was said."""
        return self._speech_end

    def process(
        self,
        time: float,
        probability: float,
        completeness: Completeness = Completeness.UNKNOWN,
    ) -> EndpointEvent | None:
        """Take the next chunk, which began at `time` and holds speech with `probability`.

        `completeness` is what the newest transcript says. Raises ValueError after the end.
        """
        if self._phase is _Phase.ENDED:
            raise ValueError("the utterance is over: begin a new endpointer")
        threshold = self._settings.vad_threshold - (HYSTERESIS if self._voiced else 0.0)
        self._voiced = probability >= max(threshold, 0.01)
        now = time + _CHUNK
        if self._phase is _Phase.WAKE_TAIL:
            return self._in_wake_tail(now)
        if self._phase is _Phase.SPEAKING:
            return self._while_speaking(now)
        began = self._burst(time)
        if began is not None:
            return self._speech_confirmed(began, now)
        if self._phase is _Phase.WAITING:
            return self._while_waiting(now)
        return self._while_trailing(now, completeness)

    def stream_end(self, time: float) -> Ended:
        """The source ended at `time`, and the utterance with it."""
        return self._end("stream_end", time)

    def _in_wake_tail(self, now: float) -> EndpointEvent | None:
        if not self._voiced:
            self._phase = _Phase.WAITING
        elif now - self._start >= WAKE_TAIL:
            return self._speech_confirmed(self._start, now)
        return None

    def _burst(self, time: float) -> float | None:
        """Follow a burst of speech out of silence; its start, once it has lasted long enough."""
        if self._voiced:
            if self._burst_start is None:
                self._burst_start, self._burst_speech = time, 0.0
            self._burst_speech += _CHUNK
            self._burst_gap = 0.0
            if self._burst_speech >= MIN_SPEECH:
                began, self._burst_start = self._burst_start, None
                return began
        elif self._burst_start is not None:
            self._burst_gap += _CHUNK
            if self._burst_gap > MAX_BURST_GAP:
                self._burst_start = None
        return None

    def _speech_confirmed(self, began: float, now: float) -> EndpointEvent | None:
        self._phase = _Phase.SPEAKING
        self._speech_end = now
        if self._speech_start is None:
            self._speech_start = began
            return SpeechStarted(began)
        if self._likely_told:
            self._likely_told = False
            return Resumed(began)
        return None

    def _while_waiting(self, now: float) -> EndpointEvent | None:
        if self._burst_start is None and now - self._start >= self._settings.nothing_said:
            return self._end("nothing_said", now)
        return None

    def _while_speaking(self, now: float) -> EndpointEvent | None:
        if self._voiced:
            self._speech_end = now
        else:
            self._phase = _Phase.TRAILING
        return self._too_long(now)

    def _while_trailing(self, now: float, completeness: Completeness) -> EndpointEvent | None:
        if self._burst_start is not None:  # speech may be about to resume: not now
            return self._too_long(now)
        assert self._speech_end is not None  # noqa: S101 - there was speech before it trailed off
        # A hair less, because times are sums of chunks and limits are round numbers.
        silence = now - self._speech_end + 1e-6
        if completeness is Completeness.NOTHING:
            if now - self._start >= self._settings.nothing_said:
                return self._end("nothing_said", now)
        elif silence >= self._limit(completeness):
            return self._end("silence", now)
        if not self._likely_told and silence >= LIKELY_END:
            self._likely_told = True
            return LikelyEnd(self._speech_end)
        return self._too_long(now)

    def _limit(self, completeness: Completeness) -> float:
        if completeness is Completeness.COMPLETE:
            return self._settings.silence_complete
        if completeness is Completeness.INCOMPLETE:
            return self._settings.silence_incomplete
        return self._settings.silence

    def _too_long(self, now: float) -> Ended | None:
        if self._speech_start is None or now - self._speech_start < self._settings.max_utterance:
            return None
        return self._end("too_long", now)

    def _end(self, reason: Reason, now: float) -> Ended:
        self._phase = _Phase.ENDED
        return Ended(reason, self._speech_start, self._speech_end, now)
