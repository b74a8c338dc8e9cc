"""What only reports: measured values, contacts, and what a machine is at."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from assistant.simulate.appliance import Appliance, Steps


@dataclass
class Sensor(Appliance):
    """A value, measured (with a `unit`) or in words.

    With `wrapped`, it is reported as JSON under that key. Other appliances of the same device may
    set the value by an order.
    """

    component: ClassVar[str] = "sensor"
    vocabulary: ClassVar[tuple[str, ...]] = ("value", "unit")
    _: KW_ONLY
    value: float | str = 0.0
    unit: str | None = None
    device_class: str | None = None
    wrapped: str = ""
    values: tuple[str, ...] = ()
    """The words of a sensor that reports one of several."""

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        options: dict[str, Any] = {"state_topic": "~/state"}
        if self.device_class:
            options["device_class"] = self.device_class
        if self.unit:
            options |= {
                "unit_of_measurement": self.unit,
                "state_class": "measurement",
            }
        if self.values:
            options |= {"device_class": "enum", "options": list(self.values)}
        if self.wrapped:
            options["value_template"] = f"{{{{ value_json.{self.wrapped} }}}}"
        return options

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        return {
            "state": json.dumps({self.wrapped: self.value}) if self.wrapped else str(self.value)
        }

    def obey(self, channel: str, payload: str) -> Steps:
        """Take the word in `payload`, from another part of the same device."""
        if payload not in self.values:
            raise ValueError(f"{payload!r} is none of {', '.join(self.values) or '(nothing)'}")
        self.value = payload
        yield from ()


@dataclass
class Contact(Appliance):
    """A door or window contact: on is open."""

    component: ClassVar[str] = "binary_sensor"
    vocabulary: ClassVar[tuple[str, ...]] = ("on",)
    _: KW_ONLY
    on: bool = False
    device_class: str = "door"

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        return {
            "state_topic": "~/state",
            "device_class": self.device_class,
            "value_template": "{{ 'OFF' if value_json.contact else 'ON' }}",
        }

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        return {"state": json.dumps({"contact": not self.on, "battery": 100})}
