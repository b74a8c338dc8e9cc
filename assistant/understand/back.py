"""What puts back what a command will change, and how one says that: "turn it off until eleven".

It is put into words because what is done later is understood when its time comes, like all else
that is scheduled. The words count only where they mean just that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from assistant.home.action import Action
from assistant.home.model import Device
from assistant.home.restore import restoring
from assistant.home.vocabulary import VOCABULARY, ActionError
from assistant.plan import Plan, PlanKind
from assistant.skill import Request

_OPPOSITE: Final = {
    "turn_on": "turn_off",
    "turn_off": "turn_on",
    "open": "close",
    "close": "open",
    "lock": "unlock",
    "unlock": "lock",
    "mute": "unmute",
    "unmute": "mute",
    "play_media": "media_stop",
    "vacuum_start": "vacuum_return",
    "vacuum_clean_area": "vacuum_return",
}
_LONGEST: Final = 200
"""Letters of what is said."""
_MOST_NAMED: Final = 4
_LONGEST_VERB: Final = 3
"""Words at the beginning of a command that may be its verb."""


@dataclass(frozen=True, slots=True)
class Back:
    """What is done later, and the words for it."""

    command: str
    actions: tuple[Action, ...]
    changes: bool = True
    """False: nothing is to change now, so that this is the opposite of what was said."""


def put_back(request: Request, command: str, plan: Plan) -> Back | None:
    """What puts back what `command` changes, which makes `plan`; None: it can't be told or said.

    The slot `back` has the words for each action, with {name} and its parameters in them; the slot
    `joint` joins names, and sentences, and `there` tells a name in a room.
    """
    actions = _putting_back(request, plan.actions)
    changes = bool(actions)
    actions = actions or _opposite(plan.actions)
    texts = []
    for action in actions:
        said = (text for text in _sentences(request, command, action) if len(text) <= _LONGEST)
        text = next((text for text in said if _means(request.alone(text), [action])), None)
        if text is None:
            return None
        texts.append(text)
    whole = str(request.slots["joint"]).join(texts)
    if not texts or len(whole) > _LONGEST or not _means(request.alone(whole), actions):
        return None
    return Back(whole, tuple(actions), changes)


def singly(actions: Iterable[Action]) -> set[tuple[str, str, str]]:
    """What is done to each device alone, to be compared."""
    return {(a.name, i, repr(sorted(a.params.items()))) for a in actions for i in a.devices}


def _putting_back(request: Request, done: Iterable[Action]) -> list[Action]:
    """The actions that put back what `done` changes."""
    devices = request.home.devices
    of_device = _of_device(done)
    return _together(
        back for i, those in of_device.items() for back in _restoring(devices[i], those)
    )


def _opposite(done: Iterable[Action]) -> list[Action]:
    return _together(
        Action(_OPPOSITE[those[0].name], (i,))
        for i, those in _of_device(done).items()
        if len(those) == 1 and those[0].name in _OPPOSITE
    )


def _of_device(actions: Iterable[Action]) -> dict[str, list[Action]]:
    of_device: dict[str, list[Action]] = {}
    for action in actions:
        for device_id in action.devices:
            of_device.setdefault(device_id, []).append(action)
    return of_device


def _restoring(device: Device, done: Sequence[Action]) -> tuple[Action, ...]:
    try:
        resolved = [VOCABULARY.resolve(device, action) for action in done]
        effects = [VOCABULARY.effect(device, action) for action in resolved]
    except (ActionError, KeyError):  # its state is not known
        return ()
    state = dict(device.state)
    for effect in effects:  # what is coloured is not white any more
        shown = {"color": None} if "color_temp" in effect else {}
        shown |= {"color_temp": None} if "color" in effect else {}
        state |= {**shown, **effect}
    if len(done) == 1 and done[0].name in ("turn_on", "turn_off"):
        if device.state.get("on") in (None, state.get("on")):
            return ()
        return (Action(_OPPOSITE[done[0].name], (device.id,)),)
    after = replace(device, state=MappingProxyType(state))
    return restoring(device, after, resolved) or ()


def _together(actions: Iterable[Action]) -> list[Action]:
    """`actions`, those that do the same to several devices as one."""
    merged: dict[str, Action] = {}
    for action in actions:
        key = repr((action.name, sorted(action.params.items())))
        known = merged.get(key)
        devices = (*known.devices, *action.devices) if known else action.devices
        merged[key] = Action(action.name, devices, action.params)
    return list(merged.values())


def _sentences(request: Request, command: str, action: Action) -> Iterator[str]:
    """What may say `action`: in the words of `command` about its devices, or by their names."""
    forms: Mapping[str, str] = request.slots["back"]
    form = forms.get(action.name)
    if form is None:
        return
    params = {key: _written(value) for key, value in action.params.items()}
    words = command.split() if not params else []  # what it said of how much is another now
    for length in range(1, min(_LONGEST_VERB, len(words) - 1) + 1):
        for end in (len(words), -1):
            if rest := " ".join(words[length:end]):
                yield form.format(name=rest, **params)
    devices = [request.home.devices[i] for i in action.devices]
    if len(devices) > _MOST_NAMED:
        return
    joint, there = str(request.slots["joint"]), str(request.slots["there"])
    names = [device.name for device in devices]
    areas = [area.name if (area := request.home.area(d.area)) else "" for d in devices]
    yield form.format(name=joint.join(names), **params)
    placed = [there.format(name=n, area=a) for n, a in zip(names, areas, strict=True)]
    yield form.format(name=joint.join(placed), **params)


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _means(plan: Plan, actions: Sequence[Action]) -> bool:
    """Whether `plan` does `actions` and nothing else."""
    if plan.kind not in (PlanKind.ACT, PlanKind.ASK) or (plan.devices and not plan.confirm):
        return False
    return singly(plan.actions) == singly(actions)
