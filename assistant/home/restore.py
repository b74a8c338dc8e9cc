"""Back to how it was: the actions that undo what was done to a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from assistant.home.action import Action, ParamValue
from assistant.home.model import Device, DeviceType, StateValue
from assistant.home.vocabulary import VOCABULARY, ActionError

_PLAYING: Final = {"playing": "media_play", "paused": "media_pause", "idle": "media_stop"}
_VACUUMING: Final = {
    "docked": "vacuum_return",
    "returning": "vacuum_return",
    "cleaning": "vacuum_start",
    "paused": "vacuum_pause",
    "idle": "vacuum_stop",
}
_LIST_INVERSE: Final = {
    "list_add": "list_remove",
    "list_remove": "list_add",
    "list_complete": "list_add",
}


def restoring(before: Device, now: Device, done: Sequence[Action]) -> tuple[Action, ...] | None:
    """What brings the device from `now` back to `before` as far as `done` changed it.

    Empty: it is so already. None: no action does, or it is not known how it was.
    """
    if before.type is DeviceType.TODO_LIST:
        return _lists(now, done)
    touched: set[str] = set()
    for action in done:
        try:
            touched |= set(VOCABULARY.effect(before, action))
        except (ActionError, KeyError):
            return None
    # Of a turned light the level is remembered; a song that was interrupted is not.
    changing = any(action.name == "play_media" for action in done)
    if not touched or (changing and before.state.get("media") == "playing"):
        return None
    if not any(before.state.get(key) is not None for key in touched):
        return None
    actions = tuple(_BACK[before.type](before, now, touched)) if before.type in _BACK else ()
    if not actions and any(before.state.get(k) != now.state.get(k) for k in touched):
        return None
    fits = all(VOCABULARY.spec(action.name).fits(now) for action in actions)
    return actions if fits else None


def _lists(now: Device, done: Sequence[Action]) -> tuple[Action, ...] | None:
    if any(action.name not in _LIST_INVERSE for action in done):
        return None
    return tuple(
        Action(_LIST_INVERSE[action.name], (now.id,), {"item": action.params["item"]})
        for action in reversed(done)
    )


def _to(device: Device, name: str, **params: ParamValue) -> Action:
    return Action(name, (device.id,), params)


def _number(value: StateValue) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _differs(before: Device, now: Device, key: str) -> bool:
    return before.state.get(key) is not None and before.state.get(key) != now.state.get(key)


def _switched(before: Device, now: Device) -> Iterator[Action]:
    if _differs(before, now, "on"):
        yield _to(now, "turn_on" if before.state["on"] else "turn_off")


def _switch(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    yield from _switched(before, now)


def _light(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    colour, white = before.state.get("color"), _number(before.state.get("color_temp"))
    if before.state.get("on") is False:
        yield from _switched(before, now)
        return
    if {"color", "color_temp"} & touched:
        if isinstance(colour, str) and _differs(before, now, "color"):
            yield _to(now, "set_color", color=colour)
        elif not colour and white is not None and _differs(before, now, "color_temp"):
            yield _to(now, "set_color_temp", color_temp=white)
    level = _number(before.state.get("brightness"))
    if level is not None and _differs(before, now, "brightness"):
        yield _to(now, "set_brightness", brightness=level)
    else:
        yield from _switched(before, now)


def _fan(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    swinging = before.state.get("oscillating")
    if "oscillating" in touched and isinstance(swinging, bool):
        if _differs(before, now, "oscillating"):
            yield _to(now, "oscillate", oscillating=swinging)
        return
    speed = _number(before.state.get("percentage"))
    if before.state.get("on") and speed and _differs(before, now, "percentage"):
        yield _to(now, "set_fan_speed", percentage=speed)
    else:
        yield from _switched(before, now)


def _climate(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    mode = before.state.get("mode")
    wanted = _number(before.state.get("target_temperature"))
    if wanted is not None and _differs(before, now, "target_temperature"):
        yield _to(now, "set_temperature", temperature=wanted)
    if isinstance(mode, str) and mode != "off" and _differs(before, now, "mode"):
        yield _to(now, "set_mode", mode=mode)
    else:
        yield from _switched(before, now)


def _opening(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    position = _number(before.state.get("position"))
    if position is None or not _differs(before, now, "position"):
        return
    if position in (0, 100):
        yield _to(now, "open" if position else "close")
    else:
        yield _to(now, "set_position", position=position)


def _lock(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    if _differs(before, now, "locked"):
        yield _to(now, "lock" if before.state["locked"] else "unlock")


def _player(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    volume, source = _number(before.state.get("volume")), before.state.get("source")
    if volume is not None and "volume" in touched and _differs(before, now, "volume"):
        yield _to(now, "set_volume", volume=volume)
    if "muted" in touched and _differs(before, now, "muted"):
        yield _to(now, "mute" if before.state["muted"] else "unmute")
    if isinstance(source, str) and "source" in touched and _differs(before, now, "source"):
        yield _to(now, "set_source", source=source)
    playing = str(before.state.get("media"))
    if "media" in touched and before.state.get("on") is not False and playing in _PLAYING:
        if _differs(before, now, "media"):
            yield _to(now, _PLAYING[playing])
    elif "on" in touched:
        yield from _switched(before, now)


def _vacuum(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    was = str(before.state.get("vacuum"))
    if was in _VACUUMING and _differs(before, now, "vacuum"):
        yield _to(now, _VACUUMING[was])


def _set_number(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    value = _number(before.state.get("value"))
    if value is not None and _differs(before, now, "value"):
        yield _to(now, "set_value", value=value)


def _select(before: Device, now: Device, touched: set[str]) -> Iterator[Action]:
    option = before.state.get("option")
    if isinstance(option, str) and _differs(before, now, "option"):
        yield _to(now, "select_option", option=option)


_BACK: Final[dict[DeviceType, Callable[[Device, Device, set[str]], Iterator[Action]]]] = {
    DeviceType.LIGHT: _light,
    DeviceType.SWITCH: _switch,
    DeviceType.FAN: _fan,
    DeviceType.CLIMATE: _climate,
    DeviceType.COVER: _opening,
    DeviceType.VALVE: _opening,
    DeviceType.LOCK: _lock,
    DeviceType.MEDIA_PLAYER: _player,
    DeviceType.VACUUM: _vacuum,
    DeviceType.NUMBER: _set_number,
    DeviceType.SELECT: _select,
}
