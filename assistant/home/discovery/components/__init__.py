"""What each kind of MQTT entity says of itself and understands: options in, Appliance out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from assistant.home.discovery.components import (
    climate,
    cover,
    fan,
    light,
    lock,
    sensor,
    setting,
    switch,
    vacuum,
    valve,
)
from assistant.home.discovery.config import Appliance, Config

Builder = Callable[[Config, str], Appliance]
"""Options and the home's temperature unit in, Appliance out; raises DiscoveryError."""

BUILDERS: Final[Mapping[str, Builder]] = {
    "binary_sensor": sensor.binary_sensor,
    "button": switch.button,
    "climate": climate.climate,
    "cover": cover.cover,
    "fan": fan.fan,
    "light": light.light,
    "lock": lock.lock,
    "number": setting.number,
    "scene": switch.scene,
    "select": setting.select,
    "sensor": sensor.sensor,
    "switch": switch.switch,
    "vacuum": vacuum.vacuum,
    "valve": valve.valve,
}
