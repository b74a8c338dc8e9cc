"""The virtual house: who lives where. Six rooms on two floors.

Names are such that small recognisers hear them well; between them the appliances use every
dialect of discovery that `assistant.home` has to read.
"""

from __future__ import annotations

import json
from typing import Final

from assistant.simulate.appliance import Appliance, Dialect, Order, slug
from assistant.simulate.comfort import Fan, Thermostat
from assistant.simulate.controls import Button, Number, Scene, Select
from assistant.simulate.lights import JsonLight, Light, TopicDimmer
from assistant.simulate.machines import Switch, Vacuum
from assistant.simulate.openings import Cover, Lock
from assistant.simulate.sensors import Contact, Sensor

FLOORS: Final = {
    "Ground floor": ("Living room", "Kitchen", "Hall", "Garage"),
    "Upstairs": ("Bedroom", "Bathroom"),
}
FLOOR_ALIASES: Final = {"Ground floor": ("downstairs",), "Upstairs": ("first floor", "upper floor")}
AREA_ALIASES: Final = {
    "Living room": ("lounge",),
    "Hall": ("hallway",),
    "Garage": ("utility room",),
}
DEVICE_ALIASES: Final = {
    "switch.tv": ("television",),
    "vacuum.robot_vacuum": ("vacuum", "vacuum cleaner", "robot"),
    "switch.coffee_maker": ("coffee machine",),
    "number.fridge_temperature": ("fridge",),
}

WASHING = "Washing machine"


def appliances() -> list[Appliance]:
    """All appliances, new, in the state in which the day begins."""
    return [*_living_room(), *_kitchen(), *_hall(), *_garage(), *_bedroom(), *_bathroom()]


def _living_room() -> list[Appliance]:
    area = "Living room"
    return [
        JsonLight(
            "Living room light", area, on=False, brightness=80, scale=254, dialect=Dialect.SHORT
        ),
        JsonLight(
            "Floor lamp",
            area,
            on=False,
            brightness=100,
            color_temp=2703,
            modes=("color_temp", "rgb"),
            dialect=Dialect.SHORT,
        ),
        Cover("Living room blinds", area, position=100),
        Thermostat("Thermostat", area, dialect=Dialect.SHORT),
        Switch("TV", area, on=False),
        Vacuum("Robot vacuum", area, dialect=Dialect.DEVICE),
        Sensor(
            "Robot vacuum",
            area,
            part="battery",
            value=91,
            unit="%",
            device_class="battery",
            diagnostic=True,
            dialect=Dialect.DEVICE,
        ),
        Scene(
            "Movie night",
            area,
            orders=(
                Order("light.living_room_light", "set", '{"state": "ON", "brightness": 51}'),
                Order("light.floor_lamp", "set", '{"state": "OFF"}'),
                Order("cover.living_room_blinds", "set", "CLOSE"),
                Order("switch.tv", "set", "ON"),
            ),
        ),
    ]


def _kitchen() -> list[Appliance]:
    area = "Kitchen"
    return [
        Light("Kitchen light", area),
        Switch("Coffee maker", area, dialect=Dialect.SHORT),
        Number(
            "Fridge",
            area,
            part="temperature",
            value=5,
            minimum=2,
            maximum=8,
            dialect=Dialect.DEVICE,
        ),
        Contact("Kitchen window", area, device_class="window", dialect=Dialect.SHORT),
    ]


def _hall() -> list[Appliance]:
    area = "Hall"
    return [
        Light("Hall light", area, wrapped="POWER", dialect=Dialect.SHORT),
        Lock("Front door", area, locked=False),
        Contact("Back door", area, device_class="door"),
        Button("Doorbell", area, dialect=Dialect.SHORT),
    ]


def _garage() -> list[Appliance]:
    area = "Garage"
    return [
        Cover("Garage door", area, device_class="garage", positions=False, travel=2.0),
        Switch(
            WASHING,
            area,
            device_class="switch",
            orders_on=(Order("sensor.washing_machine_status", "set", "running"),),
            orders_off=(Order("sensor.washing_machine_status", "set", "idle"),),
            dialect=Dialect.DEVICE,
        ),
        Sensor(
            WASHING,
            area,
            part="status",
            value="idle",
            values=("idle", "running", "finished"),
            dialect=Dialect.DEVICE,
        ),
        Select(
            WASHING,
            area,
            part="program",
            option="cotton",
            choices=("cotton", "wool", "quick"),
            dialect=Dialect.DEVICE,
        ),
    ]


def _bedroom() -> list[Appliance]:
    area = "Bedroom"
    return [
        TopicDimmer("Bedroom light", area, brightness=70, scale=100),
        JsonLight(
            "Bedside lamp",
            area,
            brightness=40,
            color_temp=3000,
            modes=("color_temp",),
            scale=255,
            kelvin=True,
        ),
        Cover("Bedroom blinds", area, position=0, inverted=True, dialect=Dialect.SHORT),
        Fan("Ceiling fan", area, dialect=Dialect.SHORT),
        Sensor(
            "Bedroom",
            area,
            part="temperature",
            value=21.5,
            unit="°C",
            device_class="temperature",
            wrapped="temperature",
            dialect=Dialect.SHORT,
        ),
    ]


def _bathroom() -> list[Appliance]:
    area = "Bathroom"
    return [
        Light("Bathroom light", area, payload_on="1", payload_off="0", dialect=Dialect.SHORT),
        Switch("Bathroom heater", area, device_class="switch", optimistic=True),
        Sensor("Bathroom", area, part="humidity", value=55, unit="%", device_class="humidity"),
    ]


def home_file() -> str:
    """What discovery can't tell, as an overrides file (TOML): floors, and other names."""
    tables = []
    for floor, areas in FLOORS.items():
        tables.append(_table(f"floors.{slug(floor)}", name=floor, aliases=FLOOR_ALIASES[floor]))
        tables += [
            _table(
                f"areas.{slug(area)}",
                name=area,
                aliases=AREA_ALIASES.get(area, ()),
                floor=slug(floor),
            )
            for area in areas
        ]
    tables += [_table(f'devices."{device}"', aliases=a) for device, a in DEVICE_ALIASES.items()]
    return "\n".join(tables)


def _table(header: str, **values: str | tuple[str, ...]) -> str:
    # A JSON string, or list of strings, is a TOML one as well.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([f"[{header}]", *lines, ""])
