"""Locks."""

from __future__ import annotations

from assistant.home.model import DeviceType
from assistant.plan import Plan
from assistant.skill import Request
from assistant.understand.target import act

_LOCK = (DeviceType.LOCK,)


def lock(request: Request) -> Plan:
    """ "Lock the front door"."""
    return act(request, "lock", _LOCK)


def unlock(request: Request) -> Plan:
    """ "Unlock the front door": the policy asks first."""
    return act(request, "unlock", _LOCK)
