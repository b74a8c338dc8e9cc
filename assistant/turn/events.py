"""What a turn tells its observers, in order: the demo's display, the trace, the log."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.home.action import Outcome
from assistant.plan import Plan
from assistant.stt.transcript import Transcript
from assistant.wake.engine import WakeEvent


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """Something happened in turn `turn` at monotonic second `time`."""

    turn: str
    source: str
    time: float


@dataclass(frozen=True, slots=True)
class Woken(TurnEvent):
    """The wake word was heard (None: the turn was opened by text or a follow-up)."""

    wake: WakeEvent | None


@dataclass(frozen=True, slots=True)
class Heard(TurnEvent):
    """A partial or the final transcript."""

    transcript: Transcript


@dataclass(frozen=True, slots=True)
class SpeechEnded(TurnEvent):
    """The endpointer decided: `reason` is "silence", "too_long", "nothing_said" or "stream_end".

    `speech_end` is the monotonic second at which the last speech was heard.
    """

    reason: str
    speech_end: float


@dataclass(frozen=True, slots=True)
class Planned(TurnEvent):
    """Understanding and policy are done; `model` names the language model that planned, if one did.

    What a model planned may have been carried out in part already.
    """

    plan: Plan
    model: str = ""


@dataclass(frozen=True, slots=True)
class Carried(TurnEvent):
    """One action on one device has its outcome."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Replied(TurnEvent):
    """The words of the reply are known."""

    text: str


@dataclass(frozen=True, slots=True)
class Spoke(TurnEvent):
    """The first audio of the reply left for the loudspeaker."""


@dataclass(frozen=True, slots=True)
class StageDone(TurnEvent):
    """Stage `name` ran from `start` to `end` (monotonic seconds)."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class TurnEnded(TurnEvent):
    """The turn is over; `error` says what went wrong, if anything did."""

    error: str = ""
