"""Scenes and scripts. A place said with a scene is part of the way people speak, not a filter."""

from __future__ import annotations

from dataclasses import replace

from assistant.home.model import DeviceType
from assistant.plan import Plan
from assistant.skill import Request
from assistant.understand.target import act


def activate(request: Request) -> Plan:
    """ "Activate movie night"."""
    return act(_placeless(request), "activate_scene", (DeviceType.SCENE,))


def run(request: Request) -> Plan:
    """ "Run the leaving home script"."""
    return act(_placeless(request), "run_script", (DeviceType.SCRIPT,))


def _placeless(request: Request) -> Request:
    slots = {k: v for k, v in request.slots.items() if k not in ("area", "floor", "everywhere")}
    return replace(request, slots=slots)
