"""Lights: on and off, dimmed, coloured; by the default schema of discovery and by the json one."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from assistant.home.colour import from_rgb, to_rgb
from assistant.simulate.appliance import Appliance, Steps, choose, read_object, within


@dataclass
class Light(Appliance):
    """A light that is on or off. With `wrapped`, it reports JSON under that key, like Tasmota."""

    component: ClassVar[str] = "light"
    vocabulary: ClassVar[tuple[str, ...]] = ("on",)
    _: KW_ONLY
    on: bool = False
    payload_on: str = "ON"
    payload_off: str = "OFF"
    wrapped: str = ""

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        options = {"command_topic": "~/set", "state_topic": "~/state"}
        if (self.payload_on, self.payload_off) != ("ON", "OFF"):
            options |= {"payload_on": self.payload_on, "payload_off": self.payload_off}
        if self.wrapped:
            options["state_value_template"] = f"{{{{ value_json.{self.wrapped} }}}}"
        return options

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        state = self.payload_on if self.on else self.payload_off
        return {"state": json.dumps({self.wrapped: state}) if self.wrapped else state}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance."""
        self.on = choose(payload, on=self.payload_on, off=self.payload_off) == "on"
        yield from ()


@dataclass
class TopicDimmer(Light):
    """A dimmer with a topic of its own for brightness, which runs to `scale`."""

    vocabulary: ClassVar[tuple[str, ...]] = ("on", "brightness")
    _: KW_ONLY
    brightness: int = 100
    scale: int = 100

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        return super().options() | {
            "brightness_command_topic": "~/set/brightness",
            "brightness_state_topic": "~/brightness",
            "brightness_scale": self.scale,
        }

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        level = round(self.brightness * self.scale / 100)
        return super().reports() | {"brightness": str(level)}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance. Brightness 0 is off; any other switches on, as most firmware does."""
        if channel != "set/brightness":
            yield from super().obey(channel, payload)
            return
        level = round(within(payload, 0, self.scale) * 100 / self.scale)
        self.on = level > 0
        self.brightness = level or self.brightness


@dataclass
class JsonLight(Appliance):
    """A light that takes and reports JSON, as Zigbee2MQTT's do: brightness runs to `scale`.

    A colour lamp has `color_temp` (K) or `color` (a name, or "#rrggbb"), never both: setting one
    ends the other. On the wire `color_temp` is in mireds, or in kelvins with `kelvin`, and a
    colour is red, green and blue from 0 to 255.
    """

    component: ClassVar[str] = "light"
    vocabulary: ClassVar[tuple[str, ...]] = ("on", "brightness", "color_temp", "color")
    _: KW_ONLY
    on: bool = False
    brightness: int = 100
    color_temp: int | None = None
    color: str | None = None
    modes: tuple[str, ...] = ("brightness",)
    scale: int = 254
    kelvin: bool = False
    range_kelvin: tuple[int, int] = (2000, 6500)

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        options: dict[str, Any] = {
            "schema": "json",
            "command_topic": "~/set",
            "state_topic": "~/state",
            "brightness": True,
            "brightness_scale": self.scale,
            "supported_color_modes": list(self.modes),
        }
        if "color_temp" in self.modes:
            warm, cold = self.range_kelvin
            if self.kelvin:
                options |= {"color_temp_kelvin": True, "min_kelvin": warm, "max_kelvin": cold}
            else:
                options |= {"min_mireds": _mired(cold), "max_mireds": _mired(warm)}
        return options

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        report: dict[str, Any] = {
            "state": "ON" if self.on else "OFF",
            "brightness": round(self.brightness * self.scale / 100),
            "linkquality": 132,
        }
        if rgb := to_rgb(self.color or ""):
            report |= {"color_mode": "rgb", "color": dict(zip("rgb", rgb, strict=True))}
        elif self.color_temp is not None:
            wire = self.color_temp if self.kelvin else _mired(self.color_temp)
            report |= {"color_mode": "color_temp", "color_temp": wire}
        return {"state": json.dumps(report)}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance. What this light has not got is ignored, as real ones do."""
        command = read_object(payload)
        if "state" in command:
            self.on = choose(str(command["state"]), on="ON", off="OFF") == "on"
        if "brightness" in command:
            level = round(within(str(command["brightness"]), 0, self.scale) * 100 / self.scale)
            self.on, self.brightness = level > 0, level or self.brightness
        if "color_temp" in command and "color_temp" in self.modes:
            wire = within(str(command["color_temp"]), 1, 10_000)
            warm, cold = self.range_kelvin
            kelvin = round(wire) if self.kelvin else _mired(wire)
            self.color, self.color_temp = None, min(max(kelvin, warm), cold)
        if isinstance(command.get("color"), dict) and "rgb" in self.modes:
            red, green, blue = (within(str(command["color"].get(c)), 0, 255) for c in "rgb")
            self.color, self.color_temp = from_rgb(red, green, blue), None
        yield from ()


def _mired(kelvin: float) -> int:
    """The other of the two: a million by kelvins is mireds, and the reverse."""
    return round(1_000_000 / kelvin)
