"""Asking before something is done, where it is not sure enough that it was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from assistant.home.action import Action
from assistant.plan import Plan, PlanKind, Speech

_OPENING: Final = frozenset({"unlock", "open", "set_position"})


def may_open(action: Action) -> bool:
    """Whether `action` may open or unlock something, which is not done on a guess."""
    return action.name in _OPENING


def asked_first(plan: Plan) -> Plan:
    """`plan`, of kind ACT, as the question whether to do it: a yes carries it out."""
    gravest = next(filter(may_open, plan.actions), plan.actions[0])
    speech = Speech("core.confirm", {"action": gravest.name, "devices": gravest.devices})
    return replace(plan, kind=PlanKind.ASK, confirm=True, speech=speech)
