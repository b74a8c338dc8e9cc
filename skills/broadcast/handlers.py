"""Announcements in the whole house."""

from __future__ import annotations

from assistant.home.action import Action
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request


def broadcast(request: Request) -> Plan:
    """ "Tell everybody that dinner is ready"."""
    message = request.slots["message"]
    actions = (Action("broadcast", (), {"message": message}),)
    return Plan(PlanKind.ACT, actions=actions, speech=Speech("broadcast", {"message": message}))
