"""Fans."""

from __future__ import annotations

from assistant.home.model import DeviceType
from assistant.plan import Plan
from assistant.skill import Request
from assistant.understand.target import act, amount

_FAN = (DeviceType.FAN,)


def turn_on(request: Request) -> Plan:
    """ "Turn on the fan"."""
    return act(request, "turn_on", _FAN)


def turn_off(request: Request) -> Plan:
    """ "Fan off"."""
    return act(request, "turn_off", _FAN)


def toggle(request: Request) -> Plan:
    """ "Toggle the fan"."""
    return act(request, "toggle", _FAN)


def set_speed(request: Request) -> Plan:
    """ "Set the fan to high"."""
    return act(request, "set_fan_speed", _FAN, {"percentage": request.slots["percent"]})


def adjust_speed(request: Request) -> Plan:
    """ "Make the fan a bit faster"."""
    return act(request, "adjust_fan_speed", _FAN, amount(request))


def swing(request: Request) -> Plan:
    """ "Make the fan oscillate"."""
    return act(request, "oscillate", _FAN, {"oscillating": request.slots["oscillating"]})
