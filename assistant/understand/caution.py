"""Asking before something is done, where it is not sure enough that it was meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from assistant.home.action import Action
from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.offer import STARTED_HERE

_OPENING: Final = frozenset({"unlock", "open", "set_position"})


def may_open(action: Action) -> bool:
    """Whether `action` may open or unlock something, which is not done on a guess."""
    return action.name in _OPENING


def asked_first(plan: Plan) -> Plan:
    """`plan`, of kind ACT, as the question whether to do it: a yes carries it out."""
    gravest = next(filter(may_open, plan.actions), plan.actions[0])
    speech = Speech("core.confirm", {"action": gravest.name, "devices": gravest.devices})
    return replace(plan, kind=PlanKind.ASK, confirm=True, speech=speech)


def question_about(actions: Iterable[Action], home: Home) -> Speech:
    """Whether to do all of `actions`, told one by one."""
    return Speech("core.confirm_steps", {"steps": [_step(action, home) for action in actions]})


def _step(action: Action, home: Home) -> dict[str, Any]:
    """`action` for the words of a question: nothing in it is an id."""
    values: list[str] = []
    for key, value in action.params.items():
        if key == "area":
            area = home.area(str(value))
            # Where a timer begins needs no saying.
            told = area.name if area is not None and action.name not in STARTED_HERE else ""
        elif key == "timer":
            told = next((t.name for t in home.timers if t.id == value and t.name), "")
        else:
            told = str(value) if key != "seconds" else ""
        values += [told] if told else []
    names = [home.devices[i].name for i in action.devices]
    seconds = action.params.get("seconds")
    return {"action": action.name, "names": names, "values": values, "seconds": seconds}
