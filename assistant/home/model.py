"""A home as it stands at one moment: floors, areas, devices with their states, timers.

The JSON form (`home.json`) has the same fields; see `assistant.home.file`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from assistant.home.almanac import SOMEWHERE, Whereabouts
from assistant.home.scheduled import Delayed, Scheduled

StateValue = bool | int | float | str | None | Sequence["StateValue"] | Mapping[str, "StateValue"]
State = Mapping[str, StateValue]
EMPTY_STATE: Final[State] = MappingProxyType({})


class DeviceType(StrEnum):
    """What a device is, which decides what it can do."""

    LIGHT = "light"
    SWITCH = "switch"
    COVER = "cover"
    VALVE = "valve"
    FAN = "fan"
    CLIMATE = "climate"
    LOCK = "lock"
    MEDIA_PLAYER = "media_player"
    VACUUM = "vacuum"
    SENSOR = "sensor"
    BINARY_SENSOR = "binary_sensor"
    SCENE = "scene"
    SCRIPT = "script"
    BUTTON = "button"
    NUMBER = "number"
    SELECT = "select"
    TODO_LIST = "todo_list"
    PERSON = "person"
    WEATHER = "weather"


class Risk(StrEnum):
    """How much harm a wrong action does.

    The policy asks before RISKY, takes nothing but the PIN for PIN, and never does FORBIDDEN.
    """

    SAFE = "safe"
    RISKY = "risky"
    PIN = "pin"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Floor:
    """A storey."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Area:
    """A room, or any part of the home that people name. `floor` is a Floor's id."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    floor: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """An appliance, with its state as last reported.

    State keys: light `on, brightness (0-100), color_temp (K), color`; switch `on`; fan
    `on, percentage, oscillating`; cover and valve `position` (100 = open); lock `locked`;
    climate `on, mode, current_temperature, target_temperature`; media_player
    `on, media (playing|paused|idle), volume (0-100), muted`; vacuum
    `vacuum (cleaning|docked|returning|paused|idle|error)`; sensor `value, unit`; binary_sensor
    `on, text`; number `value`; select `option`; person `location`; weather
    `condition, temperature, unit`; todo_list `items`. Covers, valves and locks that say so also
    have `moving (opening|closing|stopped|locking|unlocking|jammed)`; media players `source`. A
    missing key means: not known.
    """

    id: str
    name: str
    type: DeviceType
    aliases: tuple[str, ...] = ()
    area: str | None = None
    device_class: str | None = None
    capabilities: frozenset[str] = frozenset()
    state: State = field(default_factory=lambda: EMPTY_STATE)
    available: bool = True
    exposed: bool = True
    risk: Risk | None = None
    """The owner's own risk class, over that of the action; None: the action's."""
    reports_state: bool = True
    """False for an optimistic device, which never says whether it obeyed."""
    unreported: frozenset[str] = frozenset()
    """State keys it takes commands for but never reports, though it reports others."""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    """Range of the settable number (climate: °C or °F as the home has it; light: K; fan: percent;
    number: its own)."""
    options: tuple[str, ...] = ()
    """Choices of a select; modes of a climate."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A running or paused timer."""

    id: str
    name: str | None
    area: str | None
    duration: float
    remaining: float
    paused: bool


@dataclass(frozen=True, slots=True)
class Home:
    """An immutable picture of the home, what understanding and replies are made from."""

    id: str = "home"
    language: str = "en"
    temperature_unit: str = "°C"
    floors: tuple[Floor, ...] = ()
    areas: tuple[Area, ...] = ()
    devices: Mapping[str, Device] = field(default_factory=dict)
    timers: tuple[Timer, ...] = ()
    delayed: tuple[Delayed, ...] = ()
    """Commands that wait for so many seconds to pass, the next one first."""
    schedules: tuple[Scheduled, ...] = ()
    """Commands and reminders that wait for their time, the next one first."""
    whereabouts: Whereabouts = SOMEWHERE
    revision: int = 0
    """Counts changes of what the home consists of (not of states): caches key on it."""

    def exposed(self) -> list[Device]:
        """Devices that may be spoken about and commanded."""
        return [d for d in self.devices.values() if d.exposed]

    def area(self, area_id: str | None) -> Area | None:
        """The area with this id, if there is one."""
        return next((a for a in self.areas if a.id == area_id), None)

    def areas_on(self, floors: Collection[str]) -> frozenset[str]:
        """Ids of the areas on any of `floors`, which are ids."""
        return frozenset(a.id for a in self.areas if a.floor in floors)

    def floor(self, floor_id: str | None) -> Floor | None:
        """The floor with this id, if there is one."""
        return next((f for f in self.floors if f.id == floor_id), None)
