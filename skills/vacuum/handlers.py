"""Robot vacuum cleaners."""

from __future__ import annotations

from assistant.home.model import DeviceType
from assistant.plan import Plan
from assistant.skill import Request
from assistant.understand.target import Found, act, carry, find, place_name, place_of, refuse

_VACUUM = (DeviceType.VACUUM,)


def start(request: Request) -> Plan:
    """ "Start the vacuum"."""
    return act(request, "vacuum_start", _VACUUM)


def come_home(request: Request) -> Plan:
    """ "Send the vacuum back to its base"."""
    return act(request, "vacuum_return", _VACUUM)


def pause(request: Request) -> Plan:
    """ "Pause the vacuum"."""
    return act(request, "vacuum_pause", _VACUUM)


def stop(request: Request) -> Plan:
    """ "Stop the vacuum"."""
    return act(request, "vacuum_stop", _VACUUM)


def clean_area(request: Request) -> Plan:
    """ "Vacuum the kitchen": by a vacuum that knows rooms, else by the one that is there."""
    robots = [d for d in request.home.exposed() if d.type in _VACUUM]
    if "name" in request.slots:
        robots = list(find(request, _VACUUM).devices) or robots
    areas = place_of(request)
    clever = [d for d in robots if "clean_area" in d.capabilities]
    if clever and areas is not None and len(areas) == 1:
        return carry(
            request, "vacuum_clean_area", Found(tuple(clever[:1])), {"area": next(iter(areas))}
        )
    there = [d for d in robots if areas is not None and d.area in areas] or robots
    if len(there) != 1:
        return refuse("core.not_in_place", kind="vacuum", place=place_name(request))
    return carry(request, "vacuum_start", Found(tuple(there)), reply="start")
