"""Lights, in the default schema (a topic each) and the json schema (one topic for all)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from assistant.errors import DiscoveryError
from assistant.home import colour
from assistant.home.action import Action
from assistant.home.discovery.components.switch import on_or_off
from assistant.home.discovery.config import Appliance, Command, Config, Reading, number_of
from assistant.home.model import Device, DeviceType, StateValue
from assistant.home.vocabulary import ActionError

_MIRED: Final = 1_000_000
_COLOUR_MODES: Final = ("hs", "rgb", "rgbw", "rgbww", "xy")


def light(config: Config, unit: str) -> Appliance:
    """A light of either schema."""
    schema = config.text("schema", "default").lower()
    if schema in ("default", "basic"):
        return _default(config)
    if schema == "json":
        return _json(config)
    raise DiscoveryError(f"lights of schema {schema[:40]!r} are not supported")


class _White:
    """Colour temperatures on the wire: mireds, or kelvins where the configuration says so."""

    def __init__(self, config: Config) -> None:
        self.kelvin = config.flag("color_temp_kelvin")
        coldest = config.number("min_mireds", 153)
        warmest = config.number("max_mireds", 500)
        if coldest < 1 or warmest <= coldest:
            raise DiscoveryError("min_mireds and max_mireds are no range")
        self.low = round(config.number("min_kelvin", _MIRED / warmest))
        self.high = round(config.number("max_kelvin", _MIRED / coldest))
        if not 1 <= self.low < self.high:
            raise DiscoveryError("min_kelvin and max_kelvin are no range")

    def to_wire(self, kelvin: float) -> int:
        return round(kelvin if self.kelvin else _MIRED / kelvin)

    def to_kelvin(self, wire: float) -> int:
        if wire < 1:
            raise DiscoveryError(f"{wire:g} is no colour temperature")
        return round(wire if self.kelvin else _MIRED / wire)


def _scale(config: Config) -> float:
    scale = config.number("brightness_scale", 255)
    if scale < 1:
        raise DiscoveryError("brightness_scale is below 1")
    return scale


def _percent(wire: float, scale: float) -> int:
    # A lamp that glows at all is not at 0 %.
    percent = 100 * min(1.0, max(0.0, wire / scale))
    return max(1, round(percent)) if percent > 0 else 0


def _level(percent: float, scale: float) -> int:
    return max(1, round(percent / 100 * scale))


# ------------------------------------------------------------------- default schema


def _default(config: Config) -> Appliance:
    order = config.required_order("command_topic", "command_template")
    on, off = config.text("payload_on", "ON"), config.text("payload_off", "OFF")
    scale, white = _scale(config), _White(config)
    set_level = config.order("brightness_command_topic", "brightness_command_template")
    set_white = config.order("color_temp_command_topic", "color_temp_command_template")
    paint = _painter(config)
    kind = config.text("on_command_type", "last")

    def styled(device: Device, style: Command, *, is_level: bool = False) -> tuple[Command, ...]:
        if is_level and kind == "brightness":
            return (style,)
        return (order(on), style) if kind == "first" else (style, order(on))

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        match action.name:
            case "turn_off":
                return (order(off),)
            case "turn_on" if kind == "brightness" and set_level is not None:
                held = device.state.get("brightness")
                percent = float(held) if isinstance(held, int | float) and held else 100.0
                return (set_level(_level(percent, scale)),)
            case "turn_on":
                return (order(on),)
            case "set_brightness" if set_level is not None:
                percent = float(str(action.params["brightness"]))
                if percent <= 0:
                    return (order(off),)
                return styled(device, set_level(_level(percent, scale)), is_level=True)
            case "set_color_temp" if set_white is not None:
                kelvin = float(str(action.params["color_temp"]))
                return styled(device, set_white(white.to_wire(kelvin)))
            case "set_color" if paint is not None:
                return styled(device, paint(_rgb(action)))
        raise ActionError("unsupported", f"{device.name} can't {action.name}")

    def read_level(text: str) -> Mapping[str, StateValue]:
        return {"brightness": None if text == "None" else _percent(number_of(text), scale)}

    def read_white(text: str) -> Mapping[str, StateValue]:
        if text == "None":
            return {"color_temp": None}
        return {"color_temp": white.to_kelvin(number_of(text)), "color": None}

    # Old firmware gives the template of the state by the name that other components have for it.
    own = config.has("state_value_template")
    state_template = "state_value_template" if own else "value_template"
    colours = _colour_readings(config)
    readings = (
        *config.reading("state_topic", state_template, on_or_off(on, off)),
        *config.reading("brightness_state_topic", "brightness_value_template", read_level),
        *config.reading("color_temp_state_topic", "color_temp_value_template", read_white),
        *colours,
    )
    silent = {
        "on": not config.has("state_topic"),
        "brightness": not config.has("brightness_state_topic"),
        "color_temp": not config.has("color_temp_state_topic"),
        "color": not colours,
    }
    capabilities = {
        "on_off": True,
        "brightness": set_level is not None,
        "color_temp": set_white is not None,
        "color": paint is not None,
    }
    return Appliance(
        DeviceType.LIGHT,
        commands,
        frozenset(name for name, there in capabilities.items() if there),
        readings,
        optimistic=config.flag("optimistic") or not config.has("state_topic"),
        unreported=frozenset(key for key, yes in silent.items() if yes),
        minimum=white.low if set_white is not None else None,
        maximum=white.high if set_white is not None else None,
    )


def _rgb(action: Action) -> colour.RGB:
    found = colour.to_rgb(str(action.params["color"]))
    if found is None:
        raise ActionError("unsupported", f"no colour is called {action.params['color']!r}")
    return found


def _painter(config: Config) -> Callable[[colour.RGB], Command] | None:
    """The command for a colour, in the first of the forms that the light takes."""
    hs = config.order("hs_command_topic", "hs_command_template")
    xy = config.order("xy_command_topic", "xy_command_template")
    if hs is not None:

        def by_hue(rgb: colour.RGB) -> Command:
            hue, saturation = colour.to_hs(rgb)
            return hs(f"{hue:g},{saturation:g}", hue=hue, sat=saturation)

        return by_hue
    for name, rest in (("rgb", ()), ("rgbw", ("white",)), ("rgbww", ("cold_white", "warm_white"))):
        order = config.order(f"{name}_command_topic", f"{name}_command_template")
        if order is not None:

            def by_channels(
                rgb: colour.RGB, order: Any = order, rest: tuple[str, ...] = rest
            ) -> Command:
                channels = dict(zip(("red", "green", "blue"), rgb, strict=True))
                channels |= dict.fromkeys(rest, 0)
                command: Command = order(",".join(map(str, channels.values())), **channels)
                return command

            return by_channels
    if xy is not None:

        def by_chromaticity(rgb: colour.RGB) -> Command:
            x, y = colour.to_xy(rgb)
            return xy(f"{x:g},{y:g}", x=x, y=y)

        return by_chromaticity
    return None


def _colour_readings(config: Config) -> tuple[Reading, ...]:
    def reader(
        convert: Callable[..., str], count: int
    ) -> Callable[[str], Mapping[str, StateValue]]:
        def read(text: str) -> Mapping[str, StateValue]:
            if text == "None":
                return {"color": None}
            numbers = [number_of(part) for part in text.split(",")]
            if len(numbers) < count:
                raise DiscoveryError(f"{text[:40]!r} is no colour")
            return {"color": convert(*numbers[:count]), "color_temp": None}

        return read

    forms = (
        ("hs", colour.from_hs, 2),
        ("rgb", _brightest, 3),
        ("rgbw", _brightest, 3),
        ("rgbww", _brightest, 3),
        ("xy", colour.from_xy, 2),
    )
    return tuple(
        reading
        for name, convert, count in forms
        for reading in config.reading(
            f"{name}_state_topic", f"{name}_value_template", reader(convert, count)
        )
    )


def _brightest(red: float, green: float, blue: float) -> str:
    """Name of a colour whatever its brightness: channels of a dimmed lamp are scaled up."""
    top = max(red, green, blue)
    if top <= 0:
        return "white"
    return colour.from_rgb(*(channel * 255 / top for channel in (red, green, blue)))


# ------------------------------------------------------------------- json schema


def _json(config: Config) -> Appliance:
    order = config.required_order("command_topic", None)
    scale, white = _scale(config), _White(config)
    modes = config.texts("supported_color_modes")
    # Older configurations name what the light has in flags of their own.
    modes += tuple(name for name in ("color_temp", "hs", "rgb", "xy") if _flagged(config, name))
    painted = next((mode for mode in _COLOUR_MODES if mode in modes), None)
    dims = config.flag("brightness", bool(set(modes) - {"onoff"}))

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        wanted: dict[str, Any] = {"state": "ON"}
        match action.name:
            case "turn_on":
                pass
            case "turn_off":
                wanted["state"] = "OFF"
            case "set_brightness":
                percent = float(str(action.params["brightness"]))
                if percent <= 0:
                    wanted["state"] = "OFF"
                else:
                    wanted["brightness"] = _level(percent, scale)
            case "set_color_temp":
                kelvin = float(str(action.params["color_temp"]))
                wanted["color_temp"] = white.to_wire(kelvin)
            case "set_color" if painted is not None:
                wanted["color"] = _colour_json(painted, _rgb(action))
            case _:
                raise ActionError("unsupported", f"{device.name} can't {action.name}")
        return (order(json.dumps(wanted, separators=(",", ":"))),)

    def read(text: str) -> Mapping[str, StateValue]:
        return _read_json(text, scale, white)

    readings = config.reading("state_topic", None, read)
    capabilities = {
        "on_off": True,
        "brightness": dims,
        "color_temp": "color_temp" in modes,
        "color": painted is not None,
    }
    has_white = "color_temp" in modes
    return Appliance(
        DeviceType.LIGHT,
        commands,
        frozenset(name for name, there in capabilities.items() if there),
        readings,
        optimistic=config.flag("optimistic") or not readings,
        minimum=white.low if has_white else None,
        maximum=white.high if has_white else None,
    )


def _flagged(config: Config, name: str) -> bool:
    return config.has(name) and config.flag(name)


def _colour_json(mode: str, rgb: colour.RGB) -> Mapping[str, float]:
    if mode == "hs":
        hue, saturation = colour.to_hs(rgb)
        return {"h": hue, "s": saturation}
    if mode == "xy":
        x, y = colour.to_xy(rgb)
        return {"x": x, "y": y}
    white = {"rgbw": ("w",), "rgbww": ("c", "w")}.get(mode, ())
    return dict(zip("rgb", rgb, strict=True)) | dict.fromkeys(white, 0)


def _read_json(text: str, scale: float, white: _White) -> Mapping[str, StateValue]:
    try:
        report = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DiscoveryError("not JSON") from error
    if not isinstance(report, dict):
        raise DiscoveryError("not a JSON object")
    changes: dict[str, StateValue] = {}
    if "state" in report:
        changes["on"] = {"ON": True, "OFF": False}.get(str(report["state"]))
    if report.get("brightness") is not None:
        changes["brightness"] = _percent(number_of(str(report["brightness"])), scale)
    shown = report.get("color")
    mode = report.get("color_mode")
    if report.get("color_temp") is not None and (mode == "color_temp" or mode is None):
        wire = number_of(str(report["color_temp"]))
        changes |= {"color_temp": white.to_kelvin(wire), "color": None}
    elif isinstance(shown, dict) and mode != "color_temp":
        changes |= {"color": _colour_of(shown), "color_temp": None}
    return changes


def _colour_of(shown: dict[str, Any]) -> StateValue:
    for keys, convert in (("rgb", _brightest), ("hs", colour.from_hs), ("xy", colour.from_xy)):
        if all(key in shown for key in keys):
            return convert(*(number_of(str(shown[key])) for key in keys))
    long = {"hue", "saturation"}
    if long <= shown.keys():
        return colour.from_hs(number_of(str(shown["hue"])), number_of(str(shown["saturation"])))
    raise DiscoveryError("a colour in no known form")
