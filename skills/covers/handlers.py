"""Blinds, curtains, shutters, doors, gates and valves."""

from __future__ import annotations

from assistant.home.action import ParamValue
from assistant.home.model import DeviceType
from assistant.plan import Plan
from assistant.skill import Request
from assistant.understand.target import act, amount

_VALVE = (DeviceType.VALVE,)
_BOTH = (DeviceType.COVER, DeviceType.VALVE)


def open(request: Request) -> Plan:  # noqa: A001 - handlers are called as their intents are
    """ "Open the blinds"."""
    return act(request, "open", _BOTH)


def close(request: Request) -> Plan:
    """ "Close the garage door"."""
    return act(request, "close", _BOTH)


def turn_on(request: Request) -> Plan:
    """ "Turn on the sprinkler": valves are opened."""
    return act(request, "open", _VALVE, reply="open")


def turn_off(request: Request) -> Plan:
    """ "Turn off the water"."""
    return act(request, "close", _VALVE, reply="close")


def stop(request: Request) -> Plan:
    """ "Stop the blinds"."""
    return act(request, "stop", _BOTH)


def set_position(request: Request) -> Plan:
    """ "Set the curtain to half"."""
    return act(request, "set_position", _BOTH, {"position": request.slots["percent"]})


def adjust_position(request: Request) -> Plan:
    """ "Open the blinds a bit more", "close them by a third" (of the way)."""
    params: dict[str, ParamValue] = {"direction": request.slots["direction"]}
    if "fraction" in request.slots:
        params["delta"] = round(100 * float(request.slots["fraction"]))
    else:
        params = amount(request)
    return act(request, "adjust_position", _BOTH, params)
