"""More of the same, or less of it: "a bit more", "not that much"."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from assistant.home.action import Action, ParamValue
from assistant.home.model import Home
from assistant.home.vocabulary import VOCABULARY, ActionError
from assistant.plan import Plan
from assistant.understand.target import can

_RELATIVE: Final = {
    "set_brightness": "adjust_brightness",
    "set_position": "adjust_position",
    "set_temperature": "adjust_temperature",
    "set_fan_speed": "adjust_fan_speed",
    "set_volume": "adjust_volume",
}
_ABSOLUTE: Final = {relative: absolute for absolute, relative in _RELATIVE.items()}
_BY_DEGREES: Final = frozenset({*_RELATIVE.values(), "adjust_color_temp"})
_ALL_THE_WAY: Final = {"open": "up", "close": "down"}
_OPPOSITE: Final = {"up": "down", "down": "up", "warmer": "cooler", "cooler": "warmer"}


def does(plan: Plan) -> set[str]:
    """The actions of `plan`, those by degrees as what they come to."""
    return {_ABSOLUTE.get(action.name, action.name) for action in plan.actions}


def by_degrees(action: Action, more: bool, home: Home) -> Action | None:
    """What goes on with `action`, or takes back a part of it; None: nothing does."""
    action = replace(action, devices=tuple(i for i in action.devices if i in home.devices))
    if not action.devices:
        return None
    if action.name in _ALL_THE_WAY:
        devices = tuple(i for i in action.devices if can(home.devices[i], "adjust_position"))
        if more or not devices:
            return None
        back = _OPPOSITE[_ALL_THE_WAY[action.name]]
        return Action("adjust_position", devices, {"direction": back})
    if action.name in _RELATIVE:
        way = "up" if more else "down"
        name = _RELATIVE[action.name]
        devices = tuple(i for i in action.devices if can(home.devices[i], name))
        return Action(name, devices, {"direction": way}) if devices else None
    if action.name not in _BY_DEGREES:
        return None
    if more:
        return action
    params: dict[str, ParamValue] = dict(action.params)
    if isinstance(direction := params.get("direction"), str):
        params["direction"] = _OPPOSITE[direction]
    elif isinstance(delta := params.get("delta"), int | float):
        params["delta"] = -delta
    back_again = replace(action, params=params)
    half = _half(back_again, home)
    if half is not None:
        back_again = replace(action, params={**params, "delta": half})
    return back_again


def levelled(action: Action, way: str, home: Home) -> Action | None:
    """What brings the devices of `action` to a level further up or down; None where it has none."""
    name = _RELATIVE.get(action.name, action.name)
    if name not in _RELATIVE.values():
        return None
    devices = tuple(i for i in action.devices if i in home.devices and can(home.devices[i], name))
    return Action(name, devices, {"direction": way}) if devices else None


def is_by_degrees(plan: Plan) -> bool:
    """Whether all that `plan` does is more or less of something."""
    return {action.name for action in plan.actions} <= _BY_DEGREES


def _half(action: Action, home: Home) -> float | None:
    """Half of what `action` comes to, with its sign if it has no direction; None: not known."""
    device = home.devices[action.devices[0]]
    try:
        resolved = VOCABULARY.resolve(device, action)
    except ActionError:
        return None
    for key, value in VOCABULARY.effect(device, resolved).items():
        then, now = _number(value), _number(device.state.get(key))
        if then is not None and now is not None and then != now:
            change = (then - now) / 2
            if abs(change) >= 2:
                change = math.trunc(change)
            return abs(change) if "direction" in action.params else change
    return None


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
