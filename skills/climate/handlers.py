"""Heating and cooling."""

from __future__ import annotations

from assistant.home.model import DeviceType
from assistant.plan import Plan
from assistant.skill import Request
from assistant.understand.target import act, amount

_CLIMATE = (DeviceType.CLIMATE,)


def set_temperature(request: Request) -> Plan:
    """ "Set the bedroom to 19 degrees", "to 19 degrees and a half" (`and_half`)."""
    params = {"temperature": request.slots["temperature"] + request.slots.get("and_half", 0)}
    return act(request, "set_temperature", _CLIMATE, params, many="kind" not in request.slots)


def adjust_temperature(request: Request) -> Plan:
    """ "A bit warmer"."""
    return act(request, "adjust_temperature", _CLIMATE, amount(request), many=_several(request))


def set_mode(request: Request) -> Plan:
    """ "Set the thermostat to heating"."""
    return act(request, "set_mode", _CLIMATE, {"mode": request.slots["mode"]})


def turn_on(request: Request) -> Plan:
    """ "Turn on the heating"."""
    return act(request, "turn_on", _CLIMATE, many=_several(request))


def turn_off(request: Request) -> Plan:
    """ "Heating off"."""
    return act(request, "turn_off", _CLIMATE, many=_several(request))


def _several(request: Request) -> bool:
    """Whether "the heating" of the whole home is spoken of rather than one appliance."""
    return str(request.slots.get("kind", "")).endswith("+")
