"""Switches and sockets, and everything at once."""

from __future__ import annotations

from dataclasses import replace

from assistant.home.model import DeviceType
from assistant.plan import Plan
from assistant.skill import Request
from assistant.understand.target import act

_SWITCH = (DeviceType.SWITCH,)
_EVERYTHING = (DeviceType.LIGHT, DeviceType.SWITCH, DeviceType.FAN, DeviceType.MEDIA_PLAYER)


def turn_on(request: Request) -> Plan:
    """ "Turn on the coffee maker"."""
    return act(request, "turn_on", _SWITCH)


def turn_off(request: Request) -> Plan:
    """ "Switch off the printer"."""
    return act(request, "turn_off", _SWITCH)


def toggle(request: Request) -> Plan:
    """ "Toggle the printer"."""
    return act(request, "toggle", _SWITCH)


def everything_off(request: Request) -> Plan:
    """ "Turn everything off downstairs": lights, switches, fans and players, but no heating."""
    plan = act(request, "turn_off", _EVERYTHING, many=True)
    if plan.speech is None:
        return plan
    but = any(slot.startswith("except_") for slot in request.slots)
    return replace(plan, speech=replace(plan.speech, values={**plan.speech.values, "but": but}))
