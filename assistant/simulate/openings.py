"""What opens and closes: blinds, the garage door, locks. All of it takes its time."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from assistant.simulate.appliance import Appliance, Steps, choose, within

COVER_STEP = 10
"""Percent a cover moves between two reports."""


@dataclass
class Cover(Appliance):
    """Blinds or a door that take `travel` seconds from one end to the other.

    With `positions` it reports and takes positions, counted from the other end when `inverted`.
    """

    component: ClassVar[str] = "cover"
    vocabulary: ClassVar[tuple[str, ...]] = ("position",)
    _: KW_ONLY
    position: int = 0
    device_class: str = "blind"
    positions: bool = True
    inverted: bool = False
    travel: float = 1.5
    moving: str = ""

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        options: dict[str, Any] = {
            "command_topic": "~/set",
            "state_topic": "~/state",
            "device_class": self.device_class,
        }
        if self.positions:
            options |= {"position_topic": "~/position", "set_position_topic": "~/set/position"}
        if self.inverted:
            options |= {"position_open": 0, "position_closed": 100}
        return options

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        resting = "closed" if self.position == 0 else "open"
        reports = {"state": self.moving or resting}
        if self.positions:
            reports["position"] = str(self._wire(self.position))
        return reports

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance."""
        if channel == "set/position" and self.positions:
            target = self._wire(round(within(payload, 0, 100)))
        else:
            match choose(payload, open="OPEN", close="CLOSE", stop="STOP"):
                case "open":
                    target = 100
                case "close":
                    target = 0
                case _:
                    target = self.position
        try:
            while self.position != target:
                self.moving = "opening" if target > self.position else "closing"
                yield self.travel * COVER_STEP / 100
                way = target - self.position
                self.position += max(-COVER_STEP, min(COVER_STEP, way))
        finally:
            self.moving = ""

    def _wire(self, position: int) -> int:
        return 100 - position if self.inverted else position


@dataclass
class Lock(Appliance):
    """A lock whose bolt takes `travel` seconds; it reports JSON."""

    component: ClassVar[str] = "lock"
    vocabulary: ClassVar[tuple[str, ...]] = ("locked",)
    _: KW_ONLY
    locked: bool = False
    travel: float = 0.3
    moving: str = ""

    def options(self) -> dict[str, Any]:
        """See Appliance."""
        return {
            "command_topic": "~/set",
            "state_topic": "~/state",
            "value_template": "{{ value_json.lock }}",
        }

    def reports(self) -> dict[str, str]:
        """See Appliance."""
        resting = "LOCKED" if self.locked else "UNLOCKED"
        return {"state": json.dumps({"lock": self.moving or resting, "battery": 87})}

    def obey(self, channel: str, payload: str) -> Steps:
        """See Appliance."""
        lock = choose(payload, lock="LOCK", unlock="UNLOCK") == "lock"
        if lock == self.locked:
            return
        try:
            self.moving = "LOCKING" if lock else "UNLOCKING"
            yield self.travel
            self.locked = lock
        finally:
            self.moving = ""
