"""What is plugged in and works by itself: plugs, the washing machine, the robot vacuum."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from assistant.simulate.appliance import Appliance, Order, Steps, choose


@dataclass
class Switch(Appliance):
    """A plug or relay. An `optimistic` one never says whether it obeyed.

    `orders_on` and `orders_off` are what it makes other appliances do.
    """

    component: ClassVar[str] = "switch"
    vocabulary: ClassVar[tuple[str, ...]] = ("on",)
    _: KW_ONLY
    on: bool = False
    device_class: str = "outlet"
    optimistic: bool = False
    orders_on: tuple[Order, ...] = ()
    orders_off: tuple[Order, ...] = ()

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        options = {"command_topic": "~/set", "device_class": self.device_class}
        return options if self.optimistic else options | {"state_topic": "~/state"}

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        return {} if self.optimistic else {"state": "ON" if self.on else "OFF"}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance."""
        self.on = choose(payload, on="ON", off="OFF") == "on"
        yield from self.orders_on if self.on else self.orders_off


@dataclass
class Vacuum(Appliance):
    """A robot vacuum that takes `way_home` seconds back to its dock."""

    component: ClassVar[str] = "vacuum"
    vocabulary: ClassVar[tuple[str, ...]] = ("vacuum",)
    _: KW_ONLY
    vacuum: str = "docked"
    way_home: float = 1.0

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        return {
            "command_topic": "~/set",
            "state_topic": "~/state",
            "supported_features": ["start", "pause", "stop", "return_home", "locate", "status"],
        }

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        return {"state": json.dumps({"state": self.vacuum, "fan_speed": "medium"})}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance."""
        match choose(
            payload,
            start="start",
            pause="pause",
            stop="stop",
            home="return_to_base",
            locate="locate",
        ):
            case "start":
                self.vacuum = "cleaning"
            case "pause":
                self.vacuum = "paused"
            case "stop":
                self.vacuum = "idle"
            case "home" if self.vacuum != "docked":
                self.vacuum = "returning"
                yield self.way_home
                self.vacuum = "docked"
        yield from ()
