"""What may do harm by what it is: ovens on smart plugs, garage doors on push-buttons.

MQTT knows no class "oven": such a thing arrives as a plug, and only its name tells. So the name is
asked as well. An owner who disagrees sets `risk` in the home file.
"""

from __future__ import annotations

import re
from typing import Final

from assistant.home.model import Device, DeviceType

_WORDS: Final = (
    # English
    "oven",
    "stove",
    "hob",
    "cooktop",
    "cooker",
    "grill",
    "clothes iron",
    "space heater",
    "garage door",
    "gate",
    "unlock",
    "door lock",
    "door opener",
    "alarm",
    "siren",
    "valve",
    # Italian
    "forno",
    "fornello",
    "fornelli",
    "piano cottura",
    "ferro da stiro",
    "stufa",
    "cancello",
    "basculante",
    "serratura",
    "apriporta",
    "portone",
    "allarme",
    "sirena",
    "valvola",
)
_NAMED: Final = re.compile(r"\b(?:" + "|".join(map(re.escape, _WORDS)) + r")\b", re.IGNORECASE)
_CLASSES: Final = frozenset({"oven", "stove", "cooktop", "siren", "alarm"})
# Types whose class says nothing about what hangs on them.
_ANONYMOUS: Final = frozenset(
    {
        DeviceType.SWITCH,
        DeviceType.BUTTON,
        DeviceType.SCENE,
        DeviceType.SCRIPT,
        DeviceType.NUMBER,
        DeviceType.SELECT,
    }
)


def is_hazardous(device: Device) -> bool:
    """Whether starting this device may burn, flood, wake the street, or let somebody in."""
    if device.device_class in _CLASSES:
        return True
    if device.type not in _ANONYMOUS:
        return False
    return any(_NAMED.search(name) for name in (device.name, *device.aliases))
