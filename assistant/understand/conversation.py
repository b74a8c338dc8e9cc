"""What was said last, one memory a source: questions of ours that wait for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.home.model import Device, Home
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.language import Language
from assistant.understand.normal import squeeze


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
