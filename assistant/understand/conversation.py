"""What was said last, one memory a source: the dialogue, and what of it waits for an answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from assistant.home.model import Device, Home
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.language import Language
from assistant.understand.normal import squeeze
from assistant.understand.prompt import Exchange

MOST_EXCHANGES: Final = 6
"""Exchanges that are remembered; the oldest is forgotten beyond this."""
LONGEST_MEMORY: Final = 300.0
"""Seconds after which an exchange is forgotten: "it" no longer means what was said this morning."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A question of ours. Until `expires` (monotonic seconds) the next utterance may answer it."""

    plan: Plan
    """What a yes, or a choice, carries out: of kind ACT."""
    expires: float
    choices: tuple[str, ...] = ()
    """Ids of the devices to choose from; none: the question wants yes or no."""


@dataclass(slots=True)
class Conversation:
    """The state of one source's dialogue. Owned by whoever runs its turns."""

    pending: Pending | None = None
    recent: tuple[str, ...] = ()
    """Devices of the last command: what "it" means."""
    _exchanges: deque[tuple[float, Exchange]] = field(
        default_factory=lambda: deque(maxlen=MOST_EXCHANGES)
    )

    def remember(self, exchange: Exchange, now: float) -> None:
        """`exchange` took place at monotonic second `now`."""
        self._exchanges.append((now, exchange))

    def history(self, now: float) -> tuple[Exchange, ...]:
        """What was said lately, the oldest first."""
        return tuple(e for time, e in self._exchanges if now - time <= LONGEST_MEMORY)


def answer(
    conversation: Conversation, text: str, home: Home, language: Language, now: float
) -> Plan | None:
    """The plan that `text` makes of the pending question; None: it is no answer to it.

    Either way the question is over: it is asked again by whoever wants it again.
    """
    pending, conversation.pending = conversation.pending, None
    if pending is None or now > pending.expires:
        return None
    said = squeeze(text)
    if said in language.no:
        return Plan(PlanKind.NOTHING, intent="no", skill="core", speech=Speech("core.cancelled"))
    if not pending.choices:
        return pending.plan if said in language.yes else None
    chosen = _chosen(
        said, [home.devices[i] for i in pending.choices if i in home.devices], home, language
    )
    if not chosen:
        return None
    ids = tuple(d.id for d in chosen)
    actions = tuple(replace(action, devices=ids) for action in pending.plan.actions)
    return replace(pending.plan, actions=actions)


def _chosen(said: str, choices: Sequence[Device], home: Home, language: Language) -> list[Device]:
    """Those of `choices` that every word of `said` fits: by name, alias or room."""
    idle = language.articles | language.dangling | language.fillers
    words = [word for word in said.split() if word not in idle]
    found, named = [], []
    for device in choices:
        area = home.area(device.area)
        names = [squeeze(name) for name in (device.name, *device.aliases)]
        places = [squeeze(name) for name in (area.name, *area.aliases)] if area else []
        if words and set(words) <= {w for name in (*names, *places) for w in name.split()}:
            found.append(device)
            if " ".join(words) in names:
                named.append(device)
    chosen = named or found
    # What fits every one of them chooses none.
    return [] if len(chosen) == len(choices) > 1 else chosen
