"""Whether the state that a device reports is the one it was told to take.

Devices round (brightness 0-255, colour temperature in mireds, fans with four speeds) and take their
time (covers, locks), so equality is the wrong question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from assistant.home import colour
from assistant.home.model import Device, DeviceType, StateValue

# Largest difference that still counts as done, per state key.
_TOLERANCE: Final[Mapping[str, float]] = {
    "brightness": 1.5,
    "position": 2.5,
    "percentage": 1.5,
    "volume": 2.5,
    "target_temperature": 0.3,
    "value": 1e-6,
}
# States on the way count for these: a robot sent home answers "returning", or is there already.
_AS_GOOD: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("vacuum", "returning"): frozenset({"returning", "docked"}),
    ("vacuum", "idle"): frozenset({"idle", "paused", "docked"}),
    ("vacuum", "paused"): frozenset({"paused", "idle"}),
}


def has_obeyed(before: Device, now: Device, wanted: Mapping[str, StateValue]) -> bool:
    """Whether `now` shows every wanted key, given the device as it was before the command.

    A cover or valve that has begun to move towards the wanted position counts: it takes half a
    minute to get there, and the person who asked sees it move. Nothing else is taken on trust.
    """
    return all(_shows(before, now, key, value) for key, value in wanted.items())


def is_on_its_way(now: Device, wanted: Mapping[str, StateValue]) -> bool:
    """Whether a lock says that it is turning the way it should: worth a longer wait."""
    if now.type is not DeviceType.LOCK or "locked" not in wanted:
        return False
    return now.state.get("moving") == ("locking" if wanted["locked"] else "unlocking")


def _shows(before: Device, now: Device, key: str, wanted: StateValue) -> bool:
    reported = now.state.get(key)
    if key == "position" and now.type in (DeviceType.COVER, DeviceType.VALVE):
        return _same_number(now, key, reported, wanted) or _moves_there(before, now, wanted)
    if key == "moving" and wanted == "stopped":
        return reported not in ("opening", "closing")
    if reported is None:
        return False
    if isinstance(wanted, bool) or isinstance(reported, bool):
        return reported is wanted
    if isinstance(wanted, int | float):
        return _same_number(now, key, reported, wanted)
    if isinstance(wanted, str) and isinstance(reported, str):
        if key == "color":
            return colour.same(reported, wanted)
        good = _AS_GOOD.get((key, wanted))
        return reported in good if good else reported.casefold() == wanted.casefold()
    return reported == wanted


def _same_number(now: Device, key: str, reported: StateValue, wanted: StateValue) -> bool:
    if not isinstance(reported, int | float) or not isinstance(wanted, int | float):
        return False
    allowed = _TOLERANCE.get(key, 0.5)
    if key == "color_temp":
        # One mired is 42 K at 6500 K, and lamps clip to what their tubes can do.
        allowed = max(60.0, 0.03 * wanted)
    elif key in ("percentage", "target_temperature", "value") and now.step:
        allowed = max(allowed, now.step / 2 + 1e-9)
    return abs(reported - wanted) <= allowed


def _moves_there(before: Device, now: Device, wanted: StateValue) -> bool:
    if not isinstance(wanted, int | float):
        return False
    start = before.state.get("position")
    here = now.state.get("position")
    known = start if isinstance(start, int | float) else here
    upwards = wanted > known if isinstance(known, int | float) else wanted >= 50
    if now.state.get("moving") == ("opening" if upwards else "closing"):
        return True
    if isinstance(start, int | float) and isinstance(here, int | float):
        return here - start >= 1 if upwards else start - here >= 1
    return False
