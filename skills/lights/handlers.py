"""Lights."""

from __future__ import annotations

from dataclasses import replace

from assistant.home.action import Action
from assistant.home.model import DeviceType
from assistant.plan import Plan, PlanKind
from assistant.skill import Request
from assistant.understand.target import act, amount

_LIGHT = (DeviceType.LIGHT,)


def turn_on(request: Request) -> Plan:
    """ "Turn on the kitchen lights"."""
    return act(request, "turn_on", _LIGHT)


def turn_off(request: Request) -> Plan:
    """ "Lights off"."""
    return act(request, "turn_off", _LIGHT)


def toggle(request: Request) -> Plan:
    """ "Toggle the desk lamp"."""
    return act(request, "toggle", _LIGHT)


def set_brightness(request: Request) -> Plan:
    """ "Set the lamp to 40 percent"."""
    return act(request, "set_brightness", _LIGHT, {"brightness": request.slots["percent"]})


def adjust_brightness(request: Request) -> Plan:
    """ "A bit brighter", "dim the lights by twenty percent": of several, those that are on."""
    plan = act(request, "adjust_brightness", _LIGHT, amount(request))
    if plan.kind is not PlanKind.ACT:
        return plan
    lights = plan.actions[0].devices
    lit = tuple(i for i in lights if request.home.devices[i].state.get("on") is not False)
    return replace(plan, actions=(replace(plan.actions[0], devices=lit or lights),))


def set_color(request: Request) -> Plan:
    """ "Make the strip blue", "make the strip blue at twenty percent"."""
    plan = act(request, "set_color", _LIGHT, {"color": request.slots["color"]})
    if "percent" not in request.slots or not plan.actions:
        return plan
    level = Action(
        "set_brightness", plan.actions[0].devices, {"brightness": request.slots["percent"]}
    )
    return replace(plan, actions=(*plan.actions, level))


def set_color_temp(request: Request) -> Plan:
    """ "Set the desk lamp to warm white"."""
    return act(request, "set_color_temp", _LIGHT, {"color_temp": request.slots["color_temp"]})


def adjust_color_temp(request: Request) -> Plan:
    """ "Make the light warmer"."""
    return act(request, "adjust_color_temp", _LIGHT, {"direction": request.slots["direction"]})
