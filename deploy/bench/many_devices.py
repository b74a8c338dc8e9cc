"""Homes of any size, and what people say in them: to see how understanding grows with devices."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from assistant.home.model import Area, Device, DeviceType, Floor, Home
from assistant.home.vocabulary import ACTIONS

PER_AREA: Final = 10
_ROOMS: Final = (
    "Kitchen", "Living Room", "Bedroom", "Bathroom", "Study", "Hallway", "Cellar", "Attic",
    "Garage", "Nursery", "Workshop", "Laundry", "Library", "Pantry", "Conservatory", "Gym",
    "Guest Room", "Den",
)  # fmt: skip
_THINGS: Final = (
    (DeviceType.LIGHT, "Ceiling Light"), (DeviceType.LIGHT, "Floor Lamp"),
    (DeviceType.LIGHT, "Reading Lamp"), (DeviceType.SWITCH, "Heater Plug"),
    (DeviceType.COVER, "Blinds"), (DeviceType.CLIMATE, "Thermostat"),
    (DeviceType.MEDIA_PLAYER, "Speaker"), (DeviceType.FAN, "Fan"),
    (DeviceType.SENSOR, "Humidity"), (DeviceType.BINARY_SENSOR, "Window"),
)  # fmt: skip
_ABLE: Final = {
    kind: frozenset(need for spec in ACTIONS if kind in spec.types for need in spec.needs)
    for kind in DeviceType
}
_SAID: Final = (
    "turn on the {device}", "turn off the {device} please", "switch the {device} off",
    "set the {area} lights to forty percent", "dim the lights in the {area}",
    "turn off all the lights except the {area}", "open the blinds in the {area}",
    "set the temperature in the {area} to twenty one degrees", "is the {device} on",
    "which lights are on", "how warm is it in the {area}", "turn the {area} speaker down a bit",
    "turn off the {device} and the {other}", "turn the {area} and {room} lights off",
    "set a timer for ten minutes", "turn on the, no, turn off the {device}",
    "turn on the {device} and set the {other} to fifty percent, then close the {area} blinds",
    "don't turn on the {device}", "tell me something about the weather on mars",
    "turn of the {device}", "tern on the {device}", "turn on teh {area} lights",
    "turn off the moon",
    "turn everything off", "make it a bit warmer in the {area}",
)  # fmt: skip


def home_of(count: int) -> Home:
    """A home of `count` devices, ten to an area."""
    areas = []
    for number in range(-(-count // PER_AREA)):
        name = _ROOMS[number % len(_ROOMS)]
        if number >= len(_ROOMS):
            name = f"{name} {number // len(_ROOMS) + 1}"
        areas.append(Area(f"area{number}", name, floor=f"floor{number % 3}"))
    devices = {}
    for number in range(count):
        area = areas[number // PER_AREA]
        kind, name = _THINGS[number % len(_THINGS)]
        device = Device(
            f"{kind}.d{number}", f"{area.name} {name}", kind, area=area.id, capabilities=_ABLE[kind]
        )
        devices[device.id] = device
    return Home(
        id=f"{count} devices",
        floors=tuple(
            Floor(f"floor{n}", ("Ground Floor", "Upstairs", "Basement")[n]) for n in range(3)
        ),
        areas=tuple(areas),
        devices=MappingProxyType(devices),
    )


def said_in(home: Home, count: int, dice: random.Random) -> Iterator[str]:
    """What is said in `home`: commands, questions, several at once, misheard, and chit-chat."""
    devices = list(home.devices.values())
    for number in range(count):
        areas = dice.sample(home.areas, 2) if len(home.areas) > 1 else home.areas * 2
        yield _SAID[number % len(_SAID)].format(
            device=dice.choice(devices).name.lower(),
            other=dice.choice(devices).name.lower(),
            area=areas[0].name.lower(),
            room=areas[1].name.lower(),
        )
