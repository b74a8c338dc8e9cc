"""The states that a model is told of with an utterance. Each token of them is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from assistant.home.model import Device, DeviceType, Home, State
from assistant.understand.grounding import Mentions
from assistant.understand.handles import Handles
from assistant.understand.mood import Mood
from assistant.understand.prompt_text import plain, value

_MOST: Final = {Mood.QUESTION: 12, Mood.ORDER: 6, Mood.FORBIDDING: 6}
_LONGEST_UNIT: Final = 12
_ONLY_TELLS: Final = frozenset(
    {DeviceType.SENSOR, DeviceType.BINARY_SENSOR, DeviceType.WEATHER, DeviceType.PERSON}
)
_OPENINGS: Final = frozenset({"door", "garage_door", "opening", "window"})
"""Classes of binary sensors that are on where something is open."""
_WHILE_ON: Final = frozenset({"brightness", "percentage", "volume"})
"""State keys of hardly any interest while it is off."""
_DETAILS: Final = frozenset({"color_temp", "color", "effect", "oscillating", "muted", "source"})
"""State keys of hardly any interest to an order, nor while it is off."""
_UNSAID: Final = frozenset({"unit", "condition_words"})
"""State keys that are told with another, or of no interest to anybody."""
_TELLING: Final = frozenset(
    {"mode", "media", "vacuum", "option", "location", "condition", "text", "moving"}
)
"""State keys whose value tells by itself what it is."""


def states(home: Home, handles: Handles, mentions: Mentions, mood: Mood) -> list[str]:
    """The states of the devices that the utterance most likely is about, in the home's order.

    Of one that it calls by its name all is told, of others what an answer is likely to need.
    """
    devices: Sequence[Device] = home.exposed()
    weights = {device.id: mentions.weight(device) for device in devices}
    if mentions.anything and not any(weights.values()):
        weights = {device.id: int(_active(device)) for device in devices}
    else:
        devices = [d for d in devices if _is_about(d, mentions, mood)] or devices
    told = {device.id: _state(device, mentions, mood) for device in devices if weights[device.id]}
    likeliest = sorted(filter(told.get, told), key=lambda i: -weights[i])[: _MOST[mood]]
    return [f"{handles.of_device[i]} {told[i]}" for i in told if i in likeliest]


def _is_about(device: Device, mentions: Mentions, mood: Mood) -> bool:
    """Whether an answer may need the state of `device`: to an order that of a sensor matters only
    where it speaks of it, or of things of its kind.
    """
    if mood is not Mood.QUESTION and device.type in _ONLY_TELLS:
        return mentions.calls(device) or mentions.has_kind_of(device)
    return mentions.concerns(device)


def _active(device: Device) -> bool:
    state = device.state
    position = state.get("position")
    is_open = isinstance(position, int | float) and position > 0
    return state.get("on") is True or is_open or state.get("locked") is False


def _state(device: Device, mentions: Mentions, mood: Mood) -> str:
    if not device.available:
        return "can't be reached"
    state = {k: v for k, v in device.state.items() if v is not None and k not in _UNSAID}
    asked, is_off = mood is Mood.QUESTION, state.get("on") is False
    idle = (_DETAILS if is_off or not asked else frozenset()) | (_WHILE_ON if is_off else set())
    if not (mentions.calls(device) and (asked or not is_off)):
        state = {key: told for key, told in state.items() if key not in idle or told is True}
    if state.get("moving") == "stopped":
        del state["moving"]
    if "text" in state or (not is_off and _tells_that_it_is_on(state)):
        state.pop("on", None)
    elif is_off:
        state.pop("mode", None)
        state.pop("media", None)
    if device.device_class in _OPENINGS and isinstance(on := state.get("on"), bool):
        return "open" if on else "closed"
    return ", ".join(_told(key, device.state) for key in state)


def _tells_that_it_is_on(state: State) -> bool:
    return state.get("mode", "off") != "off" or state.get("media") in ("playing", "paused")


def _told(key: str, state: State) -> str:
    told = state[key]
    match key, told:
        case "on", bool():
            return "on" if told else "off"
        case "locked", bool():
            return "locked" if told else "unlocked"
        case "muted" | "oscillating", bool():
            return key if told else f"not {key}"
        case "position", 0 | 100:
            return "open" if told else "closed"
        case "position", _:
            return f"{value(told)}% open"
        case "brightness" | "percentage", _:
            return f"{value(told)}%"
        case "color_temp", _:
            return f"{value(told)} K"
        case "current_temperature", _:
            return f"now {value(told)}"
        case "target_temperature", _:
            return f"set to {value(told)}"
        case "value" | "temperature", _:
            return value(told) + _unit(state.get("unit"))
        case "items", _:
            return value(told) if told else "empty"
    return value(told) if key in _TELLING else f"{key} {value(told)}"


def _unit(unit: object) -> str:
    told = plain(unit)[:_LONGEST_UNIT] if isinstance(unit, str) else ""
    return told if told in ("", "%") else f" {told}"
