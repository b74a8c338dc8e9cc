"""What makes a room comfortable: thermostat and fan."""

from __future__ import annotations

import json
import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from assistant.simulate.appliance import Appliance, Steps, choose, read_object, within


@dataclass
class Thermostat(Appliance):
    """A thermostat that reports everything in one JSON object and takes settings one by one.

    The room keeps its temperature, so that what is said about it can be checked.
    """

    component: ClassVar[str] = "climate"
    vocabulary: ClassVar[tuple[str, ...]] = (
        "on",
        "mode",
        "current_temperature",
        "target_temperature",
    )
    _: KW_ONLY
    mode: str = "heat"
    current_temperature: float = 20.5
    target_temperature: float = 20.0
    modes: tuple[str, ...] = ("off", "heat", "cool", "auto")
    range_celsius: tuple[float, float] = (5.0, 30.0)
    step: float = 0.5

    @property
    def on(self) -> bool:
        """Whether it is in any mode but off."""
        return self.mode != "off"

    @on.setter
    def on(self, on: bool) -> None:
        if on != self.on:
            self.mode = "heat" if on else "off"

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        low, high = self.range_celsius
        return {
            "modes": list(self.modes),
            "mode_command_topic": "~/set/mode",
            "mode_state_topic": "~/state",
            "mode_state_template": "{{ value_json.mode }}",
            "temperature_command_topic": "~/set/temperature",
            "temperature_command_template": "{{ value | float }}",
            "temperature_state_topic": "~/state",
            "temperature_state_template": "{{ value_json.target }}",
            "current_temperature_topic": "~/state",
            "current_temperature_template": "{{ value_json.current | round(1) }}",
            "temperature_unit": "C",
            "min_temp": low,
            "max_temp": high,
            "temp_step": self.step,
        }

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        report = {
            "mode": self.mode,
            "target": self.target_temperature,
            "current": self.current_temperature,
        }
        return {"state": json.dumps(report)}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance. A temperature set while it is off is kept for later."""
        if channel == "set/temperature":
            wanted = within(payload, *self.range_celsius)
            self.target_temperature = round(wanted / self.step) * self.step
        else:
            self.mode = choose(payload, **{mode: mode for mode in self.modes})
        yield from ()


@dataclass
class Fan(Appliance):
    """A fan with a number of `speeds`, which it counts from 1 on the wire."""

    component: ClassVar[str] = "fan"
    vocabulary: ClassVar[tuple[str, ...]] = ("on", "percentage", "oscillating")
    _: KW_ONLY
    on: bool = False
    percentage: int = 50
    oscillating: bool = False
    speeds: int = 10

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        return {
            "command_topic": "~/set",
            "state_topic": "~/state",
            "percentage_command_topic": "~/set/speed",
            "percentage_command_template": '{"speed": {{ value }}}',
            "percentage_state_topic": "~/speed",
            "percentage_value_template": "{{ value_json.speed }}",
            "speed_range_min": 1,
            "speed_range_max": self.speeds,
            "oscillation_command_topic": "~/set/swing",
            "oscillation_state_topic": "~/swing",
            "payload_oscillation_on": "swing",
            "payload_oscillation_off": "still",
        }

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        return {
            "state": "ON" if self.on else "OFF",
            "speed": json.dumps({"speed": math.ceil(self.percentage * self.speeds / 100)}),
            "swing": "swing" if self.oscillating else "still",
        }

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance. Speed 0 is off; any other switches on."""
        if channel == "set/speed":
            speed = within(str(read_object(payload).get("speed")), 0, self.speeds)
            self.on = speed > 0
            self.percentage = round(speed * 100 / self.speeds) or self.percentage
        elif channel == "set/swing":
            self.oscillating = choose(payload, on="swing", off="still") == "on"
        else:
            self.on = choose(payload, on="ON", off="OFF") == "on"
        yield from ()
