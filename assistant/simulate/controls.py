"""What a hand would touch: numbers, choices, buttons, scenes."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from assistant.simulate.appliance import Appliance, Order, Steps, choose, read_object, within


@dataclass
class Number(Appliance):
    """A number that can be set; it takes and reports JSON."""

    component: ClassVar[str] = "number"
    vocabulary: ClassVar[tuple[str, ...]] = ("value",)
    _: KW_ONLY
    value: float = 0.0
    minimum: float = 0.0
    maximum: float = 100.0
    step: float = 1.0
    device_class: str = "temperature"
    unit_of_measurement: str = "°C"

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        return {
            "command_topic": "~/set",
            "command_template": '{"target": {{ value }}}',
            "state_topic": "~/state",
            "value_template": "{{ value_json.target }}",
            "min": self.minimum,
            "max": self.maximum,
            "step": self.step,
            "device_class": self.device_class,
            "unit_of_measurement": self.unit_of_measurement,
        }

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        return {"state": json.dumps({"target": self.value})}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance."""
        wanted = within(str(read_object(payload).get("target")), self.minimum, self.maximum)
        self.value = round(wanted / self.step) * self.step
        yield from ()


@dataclass
class Select(Appliance):
    """A choice of one among `choices`."""

    component: ClassVar[str] = "select"
    vocabulary: ClassVar[tuple[str, ...]] = ("option",)
    _: KW_ONLY
    option: str = ""
    choices: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        return {
            "command_topic": "~/set",
            "state_topic": "~/state",
            "options": list(self.choices),
        }

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        return {"state": self.option}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance."""
        self.option = choose(payload, **{choice: choice for choice in self.choices})
        yield from ()


@dataclass
class Button(Appliance):
    """A push button; it has no state, but makes others do something."""

    component: ClassVar[str] = "button"
    _: KW_ONLY
    orders: tuple[Order, ...] = ()

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        return {"command_topic": "~/set"}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance."""
        choose(payload, press="PRESS")
        yield from self.orders


@dataclass
class Scene(Appliance):
    """A scene: several appliances at once."""

    component: ClassVar[str] = "scene"
    _: KW_ONLY
    orders: tuple[Order, ...] = ()

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        return {"command_topic": "~/set", "payload_on": "ON"}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance."""
        choose(payload, on="ON")
        yield from self.orders
