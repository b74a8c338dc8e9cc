"""The one vocabulary of actions and queries: what can be done, to what, and what it amounts to.

Each action is declared once, as an `ActionSpec`, and serves everybody: sentences map onto it,
a language model's grammar is made from it, carriers carry it out, replies describe it. A skill
adds its own with `VOCABULARY.with_(specs)`.

An action's life: `resolve` turns a relative amount into an absolute one, `check` says whether the
device can do it, `effect` says which state the device will then report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from assistant.errors import HomeError
from assistant.home import colour, hazard
from assistant.home.action import Action, ParamValue
from assistant.home.model import Device, DeviceType, Risk, State, StateValue

Params = Mapping[str, ParamValue]
Effect = Callable[[Device, Params], dict[str, StateValue]]
Resolver = Callable[[Device, Params], Action]


class ActionError(HomeError):
    """An action does not fit its device. `reason` is a key as in `Outcome.reason`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ParamKind(StrEnum):
    """What a parameter's values look like."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"
    CHOICE = "choice"
    COLOUR = "colour"
    """An English colour name of `assistant.home.colour`, or "#rrggbb"."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of an action. `low` and `high` are inclusive; None: no bound."""

    name: str
    kind: ParamKind
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = True


def _no_effect(device: Device, params: Params) -> dict[str, StateValue]:
    return {}


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """Declaration of one action.

    No `types`: it concerns no device and is carried out by a Performer. `needs`: the device must
    have one of these capabilities (none listed: the type alone decides). `risky`: device type to
    the classes for which it asks first, None meaning every class.
    """

    name: str
    description: str
    types: frozenset[DeviceType] = frozenset()
    needs: frozenset[str] = frozenset()
    params: tuple[Param, ...] = ()
    risky: Mapping[DeviceType, frozenset[str] | None] = field(default_factory=dict)
    starts: bool = False
    """It opens or starts something: asks first on what is hazardous by name (an oven's plug)."""
    effect: Effect = _no_effect
    resolve: Resolver | None = None
    """Turns the relative action into the absolute one; None: it is absolute already."""

    def fits(self, device: Device) -> bool:
        """Whether the device is of a type, and has a capability, that this action wants."""
        if device.type not in self.types:
            return False
        return not self.needs or bool(self.needs & device.capabilities)


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """Declaration of one query: it reads and never actuates."""

    name: str
    description: str
    types: frozenset[DeviceType] = frozenset()
    params: tuple[Param, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """All actions and queries by name."""

    actions: Mapping[str, ActionSpec]
    queries: Mapping[str, QuerySpec]

    def with_(
        self, actions: Iterable[ActionSpec] = (), queries: Iterable[QuerySpec] = ()
    ) -> Vocabulary:
        """A vocabulary with these declarations added.

        Raises HomeError where a name is taken: a skill may not redefine what "unlock" means.
        """
        merged, asked = dict(self.actions), dict(self.queries)
        for action in actions:
            if action.name in merged or action.name in asked:
                raise HomeError(f"action {action.name!r} exists already; choose another name")
            merged[action.name] = action
        for query in queries:
            if query.name in merged or query.name in asked:
                raise HomeError(f"query {query.name!r} exists already; choose another name")
            asked[query.name] = query
        return Vocabulary(MappingProxyType(merged), MappingProxyType(asked))

    def spec(self, name: str) -> ActionSpec:
        """The declaration of an action. Raises ActionError ("unsupported") where there is none."""
        try:
            return self.actions[name]
        except KeyError:
            raise ActionError("unsupported", f"there is no action {name!r}") from None

    def possible(self, device: Device) -> list[ActionSpec]:
        """Every action this device can take."""
        return [spec for spec in self.actions.values() if spec.fits(device)]

    def resolve(self, device: Device, action: Action) -> Action:
        """The absolute action for this one device, from its state; values clamped or snapped.

        Relative amounts stay within the device's range; a dimmed light never goes out. Raises
        ActionError: "unsupported", or "unknown_state" where the state is needed and not known.
        """
        spec = self.spec(action.name)
        if not spec.fits(device):
            raise _unsupported(device, action)
        if spec.resolve is None:
            return replace(action, devices=(device.id,))
        return replace(spec.resolve(device, action.params), devices=(device.id,))

    def check(self, device: Device, action: Action) -> None:
        """Raise ActionError if the device can't take this (resolved) action.

        Reasons: "unsupported" (type, capability, unknown choice or parameter), "out_of_range".
        """
        spec = self.spec(action.name)
        if not spec.fits(device):
            raise _unsupported(device, action)
        check_params(spec, action.params)
        for name in _DEVICE_RANGE.get(device.type, ()):
            if name in action.params:
                _in_range(name, _number(action.params, name), device.minimum, device.maximum)
        for name in ("mode", "option"):
            value = action.params.get(name)
            if device.options and value is not None and value not in device.options:
                raise ActionError(
                    "unsupported",
                    f"{device.name} has no {name} {value!r}; it has {', '.join(device.options)}",
                )

    def effect(self, device: Device, action: Action) -> dict[str, StateValue]:
        """State changes that the (resolved) action amounts to; empty: no state shows it."""
        return self.spec(action.name).effect(device, action.params)

    def risk(self, device: Device | None, action: Action) -> Risk:
        """How much harm this action may do here; `device` None for actions without any.

        The owner's class (`Device.risk`) outranks the action's: SAFE lets a garage door open
        unasked, RISKY makes every action ask, FORBIDDEN allows none. A relative action is judged
        by what it comes to, and as risky where that can't be told.
        """
        if device is None:
            return Risk.SAFE
        if device.risk is not None:
            return device.risk
        spec = self.actions.get(action.name)
        if spec is None or not spec.fits(device):
            return Risk.SAFE
        try:
            action = self.resolve(device, action)
            spec = self.spec(action.name)
            wanted = spec.effect(device, action.params)
        except (ActionError, KeyError):
            # Can't be told from here: judged by the worst it may come to.
            opens = device.type in _OPENABLE
            spec = self.spec("open" if opens else "turn_on")
            wanted = {}
        if wanted.get("on") is False or wanted.get("position") == 0:
            return Risk.SAFE
        if spec.starts and hazard.is_hazardous(device):
            return Risk.RISKY
        classes = spec.risky.get(device.type, frozenset())
        return Risk.RISKY if classes is None or device.device_class in classes else Risk.SAFE


def check_params(spec: ActionSpec, params: Params) -> None:
    """Raise ActionError unless `params` are those of `spec`: names, kinds, choices, ranges."""
    known = {param.name: param for param in spec.params}
    for name in params:
        if name not in known:
            raise ActionError("unsupported", f"{spec.name} has no parameter {name!r}")
    for param in spec.params:
        if param.name not in params:
            if param.required:
                raise ActionError("unsupported", f"{spec.name} needs {param.name}")
            continue
        value = params[param.name]
        if param.kind is ParamKind.NUMBER:
            _in_range(param.name, _number(params, param.name), param.low, param.high)
        elif param.kind is ParamKind.FLAG and not isinstance(value, bool):
            raise ActionError("unsupported", f"{param.name} of {spec.name} is yes or no")
        elif param.kind is ParamKind.CHOICE and value not in param.choices:
            raise ActionError("unsupported", f"{param.name} can't be {value!r}")
        elif param.kind is ParamKind.COLOUR and (
            not isinstance(value, str) or colour.to_rgb(value) is None
        ):
            raise ActionError("unsupported", f"no colour is called {value!r}")
        elif param.kind is ParamKind.TEXT and not (isinstance(value, str) and value.strip()):
            raise ActionError("unsupported", f"{param.name} of {spec.name} is empty")


def _unsupported(device: Device, action: Action) -> ActionError:
    return ActionError("unsupported", f"{device.name} ({device.type}) can't {action.name}")


def _in_range(name: str, value: float, low: float | None, high: float | None) -> None:
    if low is not None and value < low:
        raise ActionError("out_of_range", f"{name} {value:g} is below {low:g}")
    if high is not None and value > high:
        raise ActionError("out_of_range", f"{name} {value:g} is above {high:g}")


def _number(params: Params, name: str) -> float:
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ActionError("unsupported", f"{name} must be a number, not {value!r}")
    return value


# ------------------------------------------------------------------- relative amounts

# What is assumed where a device has not said: the middle, so that either direction does something.
_ASSUMED: Final = {"volume": 30.0, "percentage": 50.0, "position": 50.0, "color_temp": 3500.0}
_UPWARDS: Final = {"up": 1, "down": -1}


def _known(state: State, key: str) -> float | None:
    value = state.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _change(params: Params, default: float, signs: Mapping[str, int] = _UPWARDS) -> float:
    """Signed amount of `direction` and `delta`; a bare direction means `default`."""
    direction = params.get("direction")
    sign = signs.get(direction) if isinstance(direction, str) else None
    if direction is not None and sign is None:
        raise ActionError("unsupported", f"direction can't be {direction!r}")
    if "delta" not in params:
        if sign is None:
            raise ActionError("unsupported", "neither a direction nor an amount is given")
        return sign * default
    delta = _number(params, "delta")
    return delta if sign is None else sign * abs(delta)


def _changed(now: float, params: Params, default: float) -> float:
    """`now` times the `factor`, where one is given; else by the amount of `_change`."""
    if "factor" in params:
        return now * _number(params, "factor")
    return now + _change(params, default)


def _clamp(value: float, low: float | None, high: float | None) -> float:
    if low is not None:
        value = max(low, value)
    if high is not None:
        value = min(high, value)
    return value


def _tidy(value: float) -> int | float:
    """Without the noise of binary fractions; whole numbers as int."""
    value = round(value, 2)
    return int(value) if value == int(value) else value


def _snap(value: float, step: float | None, low: float | None = None) -> float:
    if not step or step <= 0:
        return value
    base = low or 0.0
    return base + math.floor((value - base) / step + 0.5) * step


def _toggle(device: Device, params: Params) -> Action:
    if device.type in (DeviceType.COVER, DeviceType.VALVE):
        position = _known(device.state, "position")
        if position is None:
            raise ActionError("unknown_state", f"{device.name} has not said whether it is open")
        return Action("close" if position > 0 else "open")
    on = device.state.get("on")
    if not isinstance(on, bool):
        raise ActionError("unknown_state", f"{device.name} has not said whether it is on")
    return Action("turn_off" if on else "turn_on")


def _adjust_brightness(device: Device, params: Params) -> Action:
    now = _known(device.state, "brightness")
    # "Twice as bright" is said of the light there was; "by ten" of the darkness there is.
    if device.state.get("on") is False and "factor" not in params:
        now = 0.0
    elif now is None:
        now = 50.0
    target = _clamp(_changed(now, params, 20), 1, 100)
    return Action("set_brightness", params={"brightness": _tidy(target)})


def _adjust_color_temp(device: Device, params: Params) -> Action:
    now = _known(device.state, "color_temp") or _ASSUMED["color_temp"]
    # Warmer light has the lower colour temperature.
    change = _change(params, 700, {"cooler": 1, "up": 1, "warmer": -1, "down": -1})
    target = _clamp(now + change, device.minimum or 2000, device.maximum or 6500)
    return Action("set_color_temp", params={"color_temp": _tidy(target)})


def _set_color_temp(device: Device, params: Params) -> Action:
    """The nearest white the lamp has: who says "warm white" means no number of kelvins."""
    kelvin = _clamp(_number(params, "color_temp"), device.minimum, device.maximum)
    return Action("set_color_temp", params={"color_temp": _tidy(kelvin)})


def _adjust_position(device: Device, params: Params) -> Action:
    now = _known(device.state, "position")
    target = _changed(_ASSUMED["position"] if now is None else now, params, 20)
    return Action("set_position", params={"position": _tidy(_clamp(target, 0, 100))})


def _adjust_temperature(device: Device, params: Params) -> Action:
    now = _known(device.state, "target_temperature")
    if now is None:
        now = _known(device.state, "current_temperature")
    if now is None:
        raise ActionError("unknown_state", f"{device.name} has not said its temperature")
    target = _clamp(now + _change(params, 1), device.minimum, device.maximum)
    return Action("set_temperature", params={"temperature": _tidy(target)})


def _adjust_fan_speed(device: Device, params: Params) -> Action:
    now = _known(device.state, "percentage")
    if device.state.get("on") is False and "factor" not in params:
        now = 0.0
    elif now is None:
        now = _ASSUMED["percentage"]
    step = device.step or 0
    target = _clamp(_changed(now, params, max(25, step)), step or 1, 100)
    return _set_fan_speed(device, {"percentage": target})


def _adjust_volume(device: Device, params: Params) -> Action:
    now = _known(device.state, "volume")
    target = _changed(_ASSUMED["volume"] if now is None else now, params, 10)
    return Action("set_volume", params={"volume": _tidy(_clamp(target, 0, 100))})


def _set_fan_speed(device: Device, params: Params) -> Action:
    """A fan of four speeds can't do 40 %: the next speed up, as people rather hear it blow."""
    percentage = _number(params, "percentage")
    if device.step and 0 < percentage <= 100:
        steps = math.ceil(percentage / device.step - 1e-6)
        percentage = min(100.0, steps * device.step)
    return Action("set_fan_speed", params={"percentage": _tidy(percentage)})


def _set_temperature(device: Device, params: Params) -> Action:
    snapped = _snap(_number(params, "temperature"), device.step)
    return Action("set_temperature", params={**params, "temperature": _tidy(snapped)})


def _set_value(device: Device, params: Params) -> Action:
    snapped = _snap(_number(params, "value"), device.step, device.minimum)
    return Action("set_value", params={"value": _tidy(snapped)})


def _set_mode(device: Device, params: Params) -> Action:
    return Action("set_mode", params={"mode": _option(device, params.get("mode"))})


def _select_option(device: Device, params: Params) -> Action:
    return Action("select_option", params={"option": _option(device, params.get("option"))})


def _option(device: Device, said: ParamValue | None) -> str:
    """The device's own spelling of an option, found without regard to case."""
    text = str(said if said is not None else "")
    return next((o for o in device.options if o.casefold() == text.casefold()), text)


# ------------------------------------------------------------------- effects


def _fixed(**changes: StateValue) -> Effect:
    return lambda device, params: dict(changes)


def _brightness(device: Device, params: Params) -> dict[str, StateValue]:
    level = _number(params, "brightness")
    return {"on": True, "brightness": level} if level > 0 else {"on": False}


def _fan_speed(device: Device, params: Params) -> dict[str, StateValue]:
    level = _number(params, "percentage")
    return {"on": True, "percentage": level} if level > 0 else {"on": False}


def _lit(key: str) -> Effect:
    return lambda device, params: {"on": True, key: _scalar(params[key])}


def _taken(param: str, key: str) -> Effect:
    return lambda device, params: {key: _scalar(params[param])}


def _scalar(value: ParamValue) -> StateValue:
    return tuple(value) if isinstance(value, list | tuple) else value


def _temperature(device: Device, params: Params) -> dict[str, StateValue]:
    wanted: dict[str, StateValue] = {"target_temperature": _number(params, "temperature")}
    if "mode" in params:
        wanted |= _mode(device, params)
    return wanted


def _mode(device: Device, params: Params) -> dict[str, StateValue]:
    mode = str(params["mode"])
    return {"on": mode != "off", "mode": mode}


def _oscillating(device: Device, params: Params) -> dict[str, StateValue]:
    return {"oscillating": params.get("oscillating", True) is True}


def _items(device: Device) -> list[StateValue]:
    items = device.state.get("items")
    return list(items) if isinstance(items, list | tuple) else []


def _item_added(device: Device, params: Params) -> dict[str, StateValue]:
    return {"items": (*_items(device), str(params["item"]))}


def _item_gone(device: Device, params: Params) -> dict[str, StateValue]:
    gone = str(params["item"]).casefold()
    return {"items": tuple(i for i in _items(device) if str(i).casefold() != gone)}


# ------------------------------------------------------------------- declarations

_T = DeviceType
_OPENING_CLASSES: Final = frozenset({"garage", "garage_door", "gate", "door"})
# The parameter that a device's own minimum and maximum bound.
_DEVICE_RANGE: Final[Mapping[DeviceType, tuple[str, ...]]] = MappingProxyType(
    {_T.CLIMATE: ("temperature",), _T.NUMBER: ("value",)}
)
_ON_OFF: Final = frozenset({_T.LIGHT, _T.SWITCH, _T.FAN, _T.CLIMATE, _T.MEDIA_PLAYER})
_OPENABLE: Final = frozenset({_T.COVER, _T.VALVE})
_OPENING_IS_RISKY: Final[Mapping[DeviceType, frozenset[str] | None]] = MappingProxyType(
    {_T.COVER: _OPENING_CLASSES, _T.VALVE: None}
)


def _percent(name: str, *, required: bool = True) -> Param:
    return Param(name, ParamKind.NUMBER, "%", 0, 100, required=required)


def _text(name: str, *, required: bool = True) -> Param:
    return Param(name, ParamKind.TEXT, required=required)


def _relative(unit: str, *directions: str) -> tuple[Param, ...]:
    return (
        Param("direction", ParamKind.CHOICE, choices=directions or ("up", "down"), required=False),
        Param("delta", ParamKind.NUMBER, unit, required=False),
    )


_FACTOR: Final = Param("factor", ParamKind.NUMBER, low=0, high=10, required=False)
"""What a level is multiplied by; nothing a temperature is."""


def _of(*types: DeviceType) -> frozenset[DeviceType]:
    return frozenset(types)


def _has(*capabilities: str) -> frozenset[str]:
    return frozenset(capabilities)


_SECONDS: Final = Param("seconds", ParamKind.NUMBER, "s", 1, 7 * 24 * 3600)

_WHICH_TIMER: Final = (_text("timer", required=False), _text("name", required=False))
"""A timer is told by its id or by its name; with neither, it is the only one."""

_SCHEDULE: Final = Param("schedule", ParamKind.NUMBER)

ACTIONS: Final[tuple[ActionSpec, ...]] = (
    ActionSpec("turn_on", "turn on", _ON_OFF, _has("on_off"), starts=True, effect=_fixed(on=True)),
    ActionSpec("turn_off", "turn off", _ON_OFF, _has("on_off"), effect=_fixed(on=False)),
    ActionSpec(
        "toggle",
        "turn on if off, off if on; open if closed, close if open",
        _ON_OFF | _OPENABLE,
        _has("on_off", "open_close", "position"),
        resolve=_toggle,
    ),
    # lights
    ActionSpec(
        "set_brightness",
        "set the brightness of",
        _of(_T.LIGHT),
        _has("brightness"),
        (_percent("brightness"),),
        effect=_brightness,
    ),
    ActionSpec(
        "adjust_brightness",
        "make brighter or dimmer",
        _of(_T.LIGHT),
        _has("brightness"),
        (*_relative("%"), _FACTOR),
        resolve=_adjust_brightness,
    ),
    ActionSpec(
        "set_color",
        "set the colour of",
        _of(_T.LIGHT),
        _has("color"),
        (Param("color", ParamKind.COLOUR),),
        effect=_lit("color"),
    ),
    ActionSpec(
        "set_color_temp",
        "set the whiteness of",
        _of(_T.LIGHT),
        _has("color_temp"),
        (Param("color_temp", ParamKind.NUMBER, "K", 1000, 10000),),
        effect=_lit("color_temp"),
        resolve=_set_color_temp,
    ),
    ActionSpec(
        "adjust_color_temp",
        "make warmer or cooler in tone",
        _of(_T.LIGHT),
        _has("color_temp"),
        _relative("K", "warmer", "cooler", "up", "down"),
        resolve=_adjust_color_temp,
    ),
    # covers and valves
    ActionSpec(
        "open",
        "open",
        _OPENABLE,
        _has("open_close", "position"),
        risky=_OPENING_IS_RISKY,
        starts=True,
        effect=_fixed(position=100),
    ),
    ActionSpec(
        "close", "close", _OPENABLE, _has("open_close", "position"), effect=_fixed(position=0)
    ),
    ActionSpec(
        "stop",
        "stop moving",
        _OPENABLE,
        _has("open_close", "position", "stop"),
        effect=_fixed(moving="stopped"),
    ),
    ActionSpec(
        "set_position",
        "set the position of (100 is open)",
        _OPENABLE,
        _has("position"),
        (_percent("position"),),
        risky=_OPENING_IS_RISKY,
        effect=_taken("position", "position"),
    ),
    ActionSpec(
        "adjust_position",
        "open or close a little",
        _OPENABLE,
        _has("position"),
        (*_relative("%"), _FACTOR),
        resolve=_adjust_position,
    ),
    # locks
    ActionSpec("lock", "lock", _of(_T.LOCK), effect=_fixed(locked=True)),
    ActionSpec(
        "unlock", "unlock", _of(_T.LOCK), risky={_T.LOCK: None}, effect=_fixed(locked=False)
    ),
    # climate
    ActionSpec(
        "set_temperature",
        "set the temperature of",
        _of(_T.CLIMATE),
        _has("temperature"),
        (Param("temperature", ParamKind.NUMBER, "°", -50, 150), _text("mode", required=False)),
        starts=True,
        effect=_temperature,
        resolve=_set_temperature,
    ),
    ActionSpec(
        "adjust_temperature",
        "make warmer or cooler",
        _of(_T.CLIMATE),
        _has("temperature"),
        _relative("°"),
        resolve=_adjust_temperature,
    ),
    ActionSpec(
        "set_mode",
        "set the mode of",
        _of(_T.CLIMATE),
        _has("mode", "on_off"),
        (_text("mode"),),
        starts=True,
        effect=_mode,
        resolve=_set_mode,
    ),
    # fans
    ActionSpec(
        "set_fan_speed",
        "set the speed of",
        _of(_T.FAN),
        _has("speed"),
        (_percent("percentage"),),
        effect=_fan_speed,
        resolve=_set_fan_speed,
    ),
    ActionSpec(
        "adjust_fan_speed",
        "make faster or slower",
        _of(_T.FAN),
        _has("speed"),
        (*_relative("%"), _FACTOR),
        resolve=_adjust_fan_speed,
    ),
    ActionSpec(
        "oscillate",
        "swing, or stop swinging,",
        _of(_T.FAN),
        _has("oscillate"),
        (Param("oscillating", ParamKind.FLAG, required=False),),
        effect=_oscillating,
    ),
    # media
    ActionSpec(
        "media_play",
        "resume playing on",
        _of(_T.MEDIA_PLAYER),
        _has("playback"),
        effect=_fixed(on=True, media="playing"),
    ),
    ActionSpec(
        "media_pause",
        "pause",
        _of(_T.MEDIA_PLAYER),
        _has("playback"),
        effect=_fixed(media="paused"),
    ),
    ActionSpec(
        "media_stop",
        "stop playing on",
        _of(_T.MEDIA_PLAYER),
        _has("playback"),
        effect=_fixed(media="idle"),
    ),
    ActionSpec("media_next", "skip to the next on", _of(_T.MEDIA_PLAYER), _has("playback")),
    ActionSpec("media_previous", "go back to the last on", _of(_T.MEDIA_PLAYER), _has("playback")),
    ActionSpec(
        "play_media",
        "play something on",
        _of(_T.MEDIA_PLAYER),
        _has("play_media"),
        (_text("query"), _text("media_class", required=False)),
        effect=_fixed(on=True, media="playing"),
    ),
    ActionSpec(
        "set_volume",
        "set the volume of",
        _of(_T.MEDIA_PLAYER),
        _has("volume"),
        (_percent("volume"),),
        effect=_taken("volume", "volume"),
    ),
    ActionSpec(
        "adjust_volume",
        "make louder or quieter",
        _of(_T.MEDIA_PLAYER),
        _has("volume"),
        (*_relative("%"), _FACTOR),
        resolve=_adjust_volume,
    ),
    ActionSpec("mute", "mute", _of(_T.MEDIA_PLAYER), _has("volume"), effect=_fixed(muted=True)),
    ActionSpec(
        "unmute", "unmute", _of(_T.MEDIA_PLAYER), _has("volume"), effect=_fixed(muted=False)
    ),
    ActionSpec(
        "set_source",
        "switch the source of",
        _of(_T.MEDIA_PLAYER),
        _has("source", "play_media"),
        (_text("source"),),
        effect=_taken("source", "source"),
    ),
    # vacuums
    ActionSpec(
        "vacuum_start",
        "start cleaning with",
        _of(_T.VACUUM),
        _has("start"),
        effect=_fixed(vacuum="cleaning"),
    ),
    ActionSpec(
        "vacuum_return",
        "send home",
        _of(_T.VACUUM),
        _has("return"),
        effect=_fixed(vacuum="returning"),
    ),
    ActionSpec(
        "vacuum_pause",
        "pause",
        _of(_T.VACUUM),
        _has("pause", "start"),
        effect=_fixed(vacuum="paused"),
    ),
    ActionSpec(
        "vacuum_stop",
        "stop",
        _of(_T.VACUUM),
        _has("stop", "start"),
        effect=_fixed(vacuum="idle"),
    ),
    ActionSpec(
        "vacuum_clean_area",
        "clean one area with",
        _of(_T.VACUUM),
        _has("clean_area", "start"),
        (_text("area"),),
        effect=_fixed(vacuum="cleaning"),
    ),
    # things with one button, one number, one choice
    ActionSpec("activate_scene", "activate", _of(_T.SCENE), starts=True),
    ActionSpec("run_script", "run", _of(_T.SCRIPT), starts=True),
    ActionSpec("press", "press", _of(_T.BUTTON), starts=True),
    ActionSpec(
        "set_value",
        "set the number of",
        _of(_T.NUMBER),
        params=(Param("value", ParamKind.NUMBER),),
        starts=True,
        effect=_taken("value", "value"),
        resolve=_set_value,
    ),
    ActionSpec(
        "select_option",
        "choose for",
        _of(_T.SELECT),
        params=(_text("option"),),
        starts=True,
        effect=_taken("option", "option"),
        resolve=_select_option,
    ),
    # lists
    ActionSpec(
        "list_add",
        "put on the list",
        _of(_T.TODO_LIST),
        _has("add"),
        (_text("item"),),
        effect=_item_added,
    ),
    ActionSpec(
        "list_complete",
        "tick off the list",
        _of(_T.TODO_LIST),
        _has("complete"),
        (_text("item"),),
        effect=_item_gone,
    ),
    ActionSpec(
        "list_remove",
        "take off the list",
        _of(_T.TODO_LIST),
        _has("remove"),
        (_text("item"),),
        effect=_item_gone,
    ),
    # without a device: performed by skills
    ActionSpec(
        "start_timer",
        "start a timer",
        params=(_SECONDS, _text("name", required=False), _text("area", required=False)),
    ),
    ActionSpec("cancel_timer", "cancel a timer", params=_WHICH_TIMER),
    ActionSpec("cancel_all_timers", "cancel all timers", params=(_text("area", required=False),)),
    ActionSpec("pause_timer", "pause a timer", params=_WHICH_TIMER),
    ActionSpec("resume_timer", "resume a timer", params=_WHICH_TIMER),
    ActionSpec("add_time", "add time to a timer", params=(_SECONDS, *_WHICH_TIMER)),
    ActionSpec("remove_time", "take time off a timer", params=(_SECONDS, *_WHICH_TIMER)),
    ActionSpec(
        "delay",
        "do something later",
        params=(
            _SECONDS,
            _text("command"),
            _text("does", required=False),
            _text("approved", required=False),
            _text("area", required=False),
        ),
    ),
    ActionSpec("broadcast", "announce everywhere", params=(_text("message"),)),
    # When something is to be done (`assistant.home.occasion`), and what it does (`.scheduled`).
    ActionSpec(
        "schedule",
        "do something at a time",
        params=(
            _text("when"),
            _text("command"),
            _text("does"),
            _text("approved", required=False),
            _text("area", required=False),
        ),
    ),
    ActionSpec(
        "remind",
        "remind of something at a time",
        params=(_text("when"), _text("message"), _text("area", required=False)),
    ),
    ActionSpec("cancel_schedule", "cancel what is scheduled", params=(_SCHEDULE,)),
    ActionSpec(
        "skip_schedule", "leave out what is scheduled on a day", params=(_SCHEDULE, _text("day"))
    ),
)

QUERIES: Final[tuple[QuerySpec, ...]] = (
    QuerySpec("get_state", "say the state of", frozenset(DeviceType)),
    QuerySpec("get_temperature", "say the temperature", _of(_T.CLIMATE, _T.SENSOR, _T.WEATHER)),
    QuerySpec("get_weather", "say the weather", _of(_T.WEATHER)),
    QuerySpec("get_time", "say the time"),
    QuerySpec("get_date", "say the date"),
    QuerySpec("timer_status", "say how long a timer has left"),
    QuerySpec("schedule_get", "say what is scheduled"),
    QuerySpec("list_get", "read out the list", _of(_T.TODO_LIST)),
)

VOCABULARY: Final = Vocabulary(MappingProxyType({}), MappingProxyType({})).with_(ACTIONS, QUERIES)
"""What every home knows; skills derive their own from it."""
