"""Text, home and context in; Plan out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from assistant.home.action import Action


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was said (or typed), to whom, where and when."""

    text: str
    language: str
    area: str | None = None
    """Id of the area the satellite stands in; None: not known."""
    source: str = "text"
    confidence: float = 1.0
    alternatives: tuple[str, ...] = ()
    spoken_at: float = 0.0
    """Seconds since the epoch; what "now" means for this utterance."""
    speaker: str = ""
    """Who said it, where that is known: what each of several people spoke of is kept apart."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Something to say that has not been worded yet: the key of a reply and its values."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)
    wordings: tuple[str, ...] = ()
    """What to say it with, where these are the user's own words; else those of `key`."""


class PlanKind(StrEnum):
    """What a plan amounts to."""

    ACT = "act"
    ANSWER = "answer"
    ASK = "ask"
    REFUSE = "refuse"
    CHAT = "chat"
    NOTHING = "nothing"
    """Understood, and there is nothing to do or say beyond an acknowledgement ("never mind")."""
    UNKNOWN = "unknown"
    """Not understood."""


SETTLED: Final = frozenset({PlanKind.ACT, PlanKind.ANSWER, PlanKind.CHAT, PlanKind.NOTHING})
"""Kinds of plans after which nothing is left to ask or to explain."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the assistant intends.

    ACT carries `actions` (in order); its words come from the outcomes, through the reply key
    `speech.key` when all went well. All other kinds actuate nothing and say `speech`.
    """

    kind: PlanKind
    intent: str = ""
    skill: str = ""
    actions: tuple[Action, ...] = ()
    speech: Speech | None = None
    score: float = 1.0
    query: str = ""
    """For answers: the query of the vocabulary ("get_state")."""
    devices: tuple[str, ...] = ()
    """For answers: the devices spoken about."""
    confirm: bool = False
    """For ASK by the policy: yes carries out `actions`. A question of choice has it False."""
    pin: bool = False
    """For ASK with `confirm`: it takes the PIN, a yes won't do."""
    besides: Speech | None = None
    """Said after all else: what the policy left out of the plan, and why."""
    first: tuple[Plan, ...] = ()
    """Answers that are given before all else, whatever becomes of the plan: what was asked in the
    same sentence, before anything was ordered."""
    after: tuple[Plan, ...] = ()
    """Answers that are given after all else; the `sentence` of each is the question, for what it
    is about may have changed by then."""
    sentence: str = ""
    """The sentence that says in full what was said in part ("and the hall"); "" where it was said
    in full."""

    @property
    def commanded(self) -> tuple[str, ...]:
        """Ids of the devices that something is done to, in order, each once."""
        return tuple(dict.fromkeys(i for action in self.actions for i in action.devices))


@dataclass(frozen=True, slots=True)
class Exchange:
    """An utterance and what was replied to it. `devices`: ids of those it was about."""

    said: str
    replied: str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What was said and done just before, in the same conversation."""

    recent: tuple[str, ...] = ()
    """Ids of the devices of the last turn: what "it" may mean."""
    together: tuple[str, ...] = ()
    """Those and the devices that the turns before did the same to, as far as one went on with
    another ("and the hall"): what "both" may mean."""
    text: str = ""
    """The last sentence that made a plan; "" where there is none, or it was too long ago."""
    plan: Plan | None = None
    """The plan it made."""


NO_CONTEXT: Final = Context()
"""At the beginning of a conversation."""
