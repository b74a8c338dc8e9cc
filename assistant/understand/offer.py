"""What a home offers to be done: each action of each device, with the values it may take.

Made of the vocabulary and the devices. The grammar (`assistant.understand.schema`) and the prompt
(`assistant.understand.prompt`) are two writings of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from assistant.home import colour
from assistant.home.action import Action, ParamValue
from assistant.home.model import Device, DeviceType, Home, Risk, State
from assistant.home.vocabulary import ActionError, ActionSpec, Param, ParamKind, Vocabulary
from assistant.understand.handles import Handles

STARTED_HERE: Final = frozenset({"start_timer", "delay"})
"""Actions whose `area` is where they were asked for: the planner knows it, the model need not."""
_OF_SENTENCES: Final = frozenset({"schedule", "remind", "cancel_schedule", "skip_schedule"})
"""Actions that the sentences alone ask for: a model is too easily wrong about times."""
OF_POLICY: Final = frozenset({"does", "approved"})
"""Parameters by which the policy asks beforehand about what is done later."""

_MOST_VALUES: Final = 401
_LONGEST_TEXT: Final = 80
_LONG_TEXTS: Final = {"message": 200, "command": 200}
_UNBOUNDED: Final = 10_000
_FINEST: Final = {"temperature": 0.5, "color_temp": 100.0}
"""Steps of parameters whose device names none."""
_AMOUNTS: Final = {"%": (1, 100, 1.0), "K": (100, 3000, 100.0), "°": (0.5, 20, 0.5)}
"""Low, high and step of an amount by which something is changed, by its unit."""
_MODES: Final = ("off", "heat", "cool", "auto", "heat_cool", "dry", "fan_only")
_OWN_RANGE: Final[Mapping[DeviceType, str]] = {
    DeviceType.CLIMATE: "temperature",
    DeviceType.LIGHT: "color_temp",
    DeviceType.FAN: "percentage",
    DeviceType.NUMBER: "value",
}
"""The parameter that `Device.minimum`, `maximum` and `step` are about."""
_MIDDLE: Final[State] = {
    "brightness": 50,
    "percentage": 50,
    "volume": 50,
    "color_temp": 3500,
    "target_temperature": 20,
}
_ENDS: Final[tuple[State, ...]] = ({"on": True, "position": 100}, {"on": False, "position": 0})
"""States in which actions are tried that depend on the state."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Any whole number from `low` to `high`."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these, and nothing else."""

    values: tuple[bool | int | float | str, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Any words on one line, up to `longest` characters."""

    longest: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter as offered. Areas and timers are given by their handles."""

    name: str
    takes: Whole | OneOf | Words
    required: bool
    unit: str = ""


Slots = tuple[Slot, ...]


def offers(
    device: Device, home: Home, handles: Handles, vocabulary: Vocabulary, never: Collection[str]
) -> Iterator[tuple[ActionSpec, Slots]]:
    """What `device` can be told to do; nothing where the owner has forbidden it.

    `never`: actions left out, as name or name:device id.
    """
    if not device.exposed or device.risk is Risk.FORBIDDEN:
        return
    for spec in vocabulary.possible(device):
        if spec.name in never or f"{spec.name}:{device.id}" in never:
            continue
        slots = _slots(spec, device, home, handles, vocabulary)
        if slots is None or not _works_in_any_state(spec, slots, device, vocabulary):
            continue
        yield spec, slots


def offers_alone(
    home: Home, handles: Handles, vocabulary: Vocabulary, never: Collection[str]
) -> Iterator[tuple[ActionSpec, Slots]]:
    """What can be done that concerns no device."""
    for spec in vocabulary.actions.values():
        if spec.types or spec.name in never or spec.name in _OF_SENTENCES:
            continue
        slots = _slots(spec, None, home, handles, vocabulary)
        if slots is not None:
            yield spec, slots


def accepts(vocabulary: Vocabulary, device: Device, action: Action) -> bool:
    """Whether `device` can take `action`, as far as can be told from what it is.

    A relative amount on a device that has not said its state counts: the executor will tell.
    """
    try:
        vocabulary.check(device, vocabulary.resolve(device, action))
    except ActionError as error:
        return error.reason == "unknown_state"
    return True


def _works_in_any_state(
    spec: ActionSpec, slots: Slots, device: Device, vocabulary: Vocabulary
) -> bool:
    """Whether what a relative action comes to, as its device's state decides, is possible too.

    It may not be: a thing of a range that ends below where it begins, a lamp that only toggles.
    """
    first = slots[0].takes if slots else None
    if spec.resolve is None or (slots and slots[0].name != "direction"):
        return True
    params = {"direction": str(first.values[0])} if isinstance(first, OneOf) else {}
    action = Action(spec.name, (device.id,), params)
    states = (replace(device, state={**_MIDDLE, **state}) for state in _ENDS)
    return all(accepts(vocabulary, probe, action) for probe in states)


def _slots(
    spec: ActionSpec,
    device: Device | None,
    home: Home,
    handles: Handles,
    vocabulary: Vocabulary,
) -> Slots | None:
    """The parameters of `spec`; None where a needed one has no value to take."""
    slots = []
    names = {param.name for param in spec.params}
    if "timer" in names and not home.timers:
        return None
    for param in spec.params:
        if param.name in OF_POLICY or (param.name == "area" and spec.name in STARTED_HERE):
            continue
        if param.name == "name" and "timer" in names:
            continue  # a timer is told by its number
        if param.name == "factor":
            continue  # a level is as easily told outright, by who knows the present one
        takes = _takes(spec, param, device, home, handles, vocabulary)
        # What turns an action into its opposite is always said.
        required = param.required or param.kind in (ParamKind.FLAG, ParamKind.CHOICE)
        if param.name == "timer":
            required = len(home.timers) > 1
        if takes is not None:
            slots.append(Slot(param.name, takes, required, param.unit))
        elif required:
            return None
    return tuple(slots)


def _takes(
    spec: ActionSpec,
    param: Param,
    device: Device | None,
    home: Home,
    handles: Handles,
    vocabulary: Vocabulary,
) -> Whole | OneOf | Words | None:
    match param.kind:
        case ParamKind.NUMBER:
            return _numbers(spec, param, device, vocabulary)
        case ParamKind.FLAG:
            return OneOf((True, False))
        case ParamKind.CHOICE:
            return _one_of(param.choices)
        case ParamKind.COLOUR:
            return _one_of(colour.NAMES)
    options = device.options if device else ()
    match param.name:
        case "area":
            return _one_of(handles.areas)
        case "timer":
            return _one_of(handles.timers)
        case "mode":
            has_modes = device is not None and "mode" in device.capabilities
            return _one_of(options or (_MODES if has_modes else ()))
        case "option":
            return _one_of(options)
        case "source" if options:
            return _one_of(options)
    return Words(_LONG_TEXTS.get(param.name, _LONGEST_TEXT))


def _one_of(values: Collection[str]) -> OneOf | None:
    values = [value for value in values if value.strip()]
    return OneOf(tuple(dict.fromkeys(values))) if values else None


def _numbers(
    spec: ActionSpec, param: Param, device: Device | None, vocabulary: Vocabulary
) -> Whole | OneOf | None:
    low, high, step = param.low, param.high, _FINEST.get(param.name, 1.0)
    base = 0.0
    if param.name == "delta" and low is None and param.unit in _AMOUNTS:
        low, high, step = _AMOUNTS[param.unit]
    if device is not None and _OWN_RANGE.get(device.type) == param.name:
        low = _highest(low, device.minimum)
        high = _lowest(high, device.maximum)
        # Fans round to their own steps, which seldom are whole numbers.
        if device.step and device.step > 0 and device.type is not DeviceType.FAN:
            step = device.step
        if device.type is DeviceType.NUMBER and low is not None:
            base = low
    low = -_UNBOUNDED if low is None else low
    high = _UNBOUNDED if high is None else high

    def works(value: float) -> bool:
        # Relative amounts are limited as they are worked out.
        if device is None or param.name == "delta":
            return True
        params: dict[str, ParamValue] = {param.name: value}
        return accepts(vocabulary, device, Action(spec.name, (device.id,), params))

    if not math.isfinite(high - low) or high < low:
        return None
    first = base + math.ceil((low - base) / step - 1e-6) * step
    count = math.floor((high - first) / step + 1e-6) + 1
    if count < 1:
        return None
    whole = step == 1 and first == int(first)
    if count <= _MOST_VALUES and not whole:
        numbers = (_tidy(first + n * step) for n in range(count))
        values = [number for number in dict.fromkeys(numbers) if works(number)]
        return OneOf(tuple(values)) if values else None
    bounds = Whole(math.ceil(first), math.floor(first + (count - 1) * step))
    if bounds.low > bounds.high or not works(bounds.low) or not works(bounds.high):
        return None
    return bounds


def _tidy(value: float) -> int | float:
    value = round(value, 2)
    return int(value) if value == int(value) else value


def _highest(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)


def _lowest(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else min(a, b)
