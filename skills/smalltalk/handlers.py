"""Greetings, thanks, jokes, never mind: talk that does nothing to the home."""

from __future__ import annotations

from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Handler, Request


def _says(key: str, kind: PlanKind = PlanKind.CHAT) -> Handler:
    def handler(request: Request) -> Plan:
        return Plan(kind, speech=Speech(key))

    return handler


greeting = _says("greeting")
night = _says("night")
thanks = _says("thanks")
who = _says("who")
mood = _says("mood")
listening = _says("listening")
joke = _says("joke")
explain = _says("explain")
nevermind = _says("nevermind", PlanKind.NOTHING)
