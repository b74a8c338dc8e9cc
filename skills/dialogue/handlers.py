"""What is asked about the last turn. A handler knows only this one: the turn itself answers."""

from __future__ import annotations

from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Handler, Request


def _asks(key: str) -> Handler:
    def handler(request: Request) -> Plan:
        # What is said where nothing came before.
        return Plan(PlanKind.NOTHING, speech=Speech(key))

    return handler


undo = _asks("nothing_to_undo")
cancel = _asks("nothing_to_cancel")
recount = _asks("nothing_done")
why = _asks("nothing_said")
repeat = _asks("nothing_said")
