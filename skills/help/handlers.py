"""What can I say?"""

from __future__ import annotations

from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request


def help(request: Request) -> Plan:  # noqa: A001 - handlers are called as their intents are
    """ "What can you do?": examples from what this home has."""
    types = sorted({d.type.value for d in request.home.exposed()})
    area = request.home.areas[0].name if request.home.areas else ""
    return Plan(PlanKind.CHAT, speech=Speech("help", {"types": types, "area": area}))
