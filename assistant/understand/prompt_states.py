"""The states that a model is told of with an utterance. Each token of them is waited for."""

from __future__ import annotations

from typing import Final

from assistant.home.model import Device, Home
from assistant.understand.grounding import Mentions
from assistant.understand.handles import Handles
from assistant.understand.mood import Mood
from assistant.understand.prompt_text import value

_MOST: Final = {Mood.QUESTION: 12, Mood.ORDER: 6, Mood.FORBIDDING: 6}


def states(home: Home, handles: Handles, mentions: Mentions, mood: Mood) -> list[str]:
    """The states of the devices that the utterance most likely is about, in the home's order."""
    weighed = [(mentions.weight(device), device) for device in home.exposed()]
    if mentions.anything and not any(weight for weight, _ in weighed):
        weighed = [(int(_active(device)), device) for device in home.exposed()]
    best = sorted(
        (w for w, device in weighed if w and (device.state or not device.available)), reverse=True
    )[: _MOST[mood]]
    told = []
    for weight, device in weighed:
        if weight in best:
            best.remove(weight)
            told.append(f"{handles.of_device[device.id]} {_state(device)}")
    return told


def _active(device: Device) -> bool:
    state = device.state
    position = state.get("position")
    is_open = isinstance(position, int | float) and position > 0
    return state.get("on") is True or is_open or state.get("locked") is False


def _state(device: Device) -> str:
    if not device.available:
        return "can't be reached"
    return ", ".join(
        f"{key} {value(told)}" for key, told in device.state.items() if told is not None
    )
