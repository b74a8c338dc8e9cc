"""Time and date."""

from __future__ import annotations

from datetime import datetime
from time import time as seconds

from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request


def time(request: Request) -> Plan:
    """ "What time is it?"."""
    now = _now(request)
    values = {"hour": now.hour, "minute": now.minute}
    return Plan(PlanKind.ANSWER, query="get_time", speech=Speech("time", values))


def date(request: Request) -> Plan:
    """ "What's the date?"."""
    now = _now(request)
    values = {"weekday": now.weekday(), "day": now.day, "month": now.month, "year": now.year}
    return Plan(PlanKind.ANSWER, query="get_date", speech=Speech("date", values))


def _now(request: Request) -> datetime:
    """The local time at which the sentence was spoken."""
    spoken = request.utterance.spoken_at
    return request.home.whereabouts.local(spoken or seconds())
