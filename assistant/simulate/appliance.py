"""What every virtual appliance has: a name, a place, a true state, and its end of the wire.

An appliance knows nothing of MQTT. It names its channels; `assistant.simulate.discovery` makes
topics of them and `assistant.simulate.home` moves the messages.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Any, ClassVar

from assistant.home.model import StateValue


class Dialect(StrEnum):
    """How an appliance words its discovery; all are in use among real devices."""

    FULL = "full"
    """One entity a message, keys in full, the name on the entity."""
    SHORT = "short"
    """One entity a message, keys abbreviated, topics through `~`, the name on the device, and
    availability as JSON, as Zigbee2MQTT does."""
    DEVICE = "device"
    """All entities of a device in one message."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command to the appliance with the id `to`, on its `channel`, as on the wire."""

    to: str
    channel: str
    payload: str


Steps = Generator[float | Order, None, None]
"""What obeying consists of: seconds to wait, or orders to other appliances."""


@dataclass
class Appliance(ABC):
    """One thing that can be spoken about. Subclasses add what it is and how it speaks."""

    component: ClassVar[str]
    """Home Assistant's word for its kind."""
    vocabulary: ClassVar[tuple[str, ...]] = ()
    """Attributes that make up its state, named as in `assistant.home.model.Device`."""

    device: str
    """Name of the physical device; several appliances may be parts of one."""
    area: str
    """Name of the room it stands in."""
    _: KW_ONLY
    part: str = ""
    """Which part of the device it is ("status"); empty: the device itself."""
    dialect: Dialect = Dialect.FULL
    diagnostic: bool = False
    """Of interest to a technician alone: hidden from voice."""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.device} {self.part}".strip()

    @property
    def slug(self) -> str:
        """Its name as an identifier."""
        return slug(self.name)

    @property
    def id(self) -> str:
        """Its device id: component and slug ("light.kitchen_light")."""
        return f"{self.component}.{self.slug}"

    def state(self) -> dict[str, StateValue]:
        """The truth about it; what is not known is left out."""
        values = {key: getattr(self, key) for key in self.vocabulary}
        return {key: value for key, value in values.items() if value is not None}

    def assume(self, state: Mapping[str, StateValue]) -> None:
        """Take `state` at once, as if somebody had seen to it by hand.

        Raises ValueError for a key that it does not have.
        """
        for key, value in state.items():
            if key not in self.vocabulary:
                raise ValueError(f"{self.id} has no {key}; it has {', '.join(self.vocabulary)}")
            setattr(self, key, value)

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Its part of the discovery payload, keys in full; `~/X` stands for its channel X."""

    def reports(self) -> dict[str, str]:
        """What it reports of its state: payload by channel."""
        return {}

    def obey(self, channel: str, payload: str) -> Steps:
        """Carry out a command that came on `channel` ("set", "set/position").

        Its state is reported at each step and at the end; closing the generator interrupts it.
        Raises ValueError, on the way, for what it does not understand.
        """
        raise ValueError(f"{self.id} takes no commands: {channel} {payload}")


def slug(name: str) -> str:
    """`name` in the letters of an entity id."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def choose(payload: str, **meanings: str) -> str:
    """The meaning whose wire form is `payload`; ValueError where none is."""
    for meaning, wire in meanings.items():
        if wire == payload:
            return meaning
    raise ValueError(f"{payload!r} is none of {', '.join(meanings.values())}")


def within(payload: str, low: float, high: float) -> float:
    """The number in `payload`; ValueError where it is none or lies outside."""
    value = float(payload)
    if not low <= value <= high:
        raise ValueError(f"{payload} is not between {low:g} and {high:g}")
    return value


def read_object(payload: str) -> dict[str, Any]:
    """The JSON object in `payload`; ValueError where it is none."""
    value = json.loads(payload)
    if not isinstance(value, dict):
        raise ValueError(f"{payload!r} is no JSON object")
    return value
