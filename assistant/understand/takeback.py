"""What was said by mistake, and is to be something else: "no, ten minutes"."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from assistant.home.action import Action
from assistant.home.model import Home
from assistant.plan import Plan, PlanKind
from assistant.understand.pointing import started

SCHEDULING: Final = frozenset({"schedule", "remind"})
_TAKEN_BACK: Final = {
    "cancel_timer": {"start_timer", "delay"},
    "list_remove": {"list_add"},
    "cancel_schedule": SCHEDULING,
}
"""What is done before what, where the latter is said in the stead of something."""


def instead(plan: Plan, old: Plan, home: Home) -> Plan:
    """`plan`, after what `old` started or noted by mistake has been taken back."""
    if plan.kind is not PlanKind.ACT or old.kind is not PlanKind.ACT:
        return plan
    before: list[Action] = []
    for action in old.actions:
        match action.name:
            case "start_timer" if timer := started(action, home):
                before.append(Action("cancel_timer", (), {"timer": timer.id}))
            case "delay":
                command = action.params["command"]
                waiting = [one.id for one in home.delayed if one.command == command]
                before += [Action("cancel_timer", (), {"timer": i}) for i in waiting[-1:]]
            case "list_add" if plan.actions[0].devices == action.devices:
                item = action.params["item"]
                before.append(Action("list_remove", action.devices, {"item": item}))
            case "schedule" | "remind":
                said = action.params.get("command") or action.params.get("message")
                same = [s.id for s in home.schedules if said in (s.command, s.message)]
                before += [Action("cancel_schedule", (), {"schedule": i}) for i in same[-1:]]
    before = [action for action in before if action not in plan.actions]
    if not before:
        return plan
    # What is taken back has no words: the new one says it.
    if plan.speech is None or not (parts := plan.speech.values.get("parts")):
        return replace(plan, actions=(*before, *plan.actions))
    *others, last = parts
    parts = [*others, replace(last, actions=(*before, *last.actions))]
    speech = replace(plan.speech, values={**plan.speech.values, "parts": parts})
    return replace(plan, actions=tuple(a for p in parts for a in p.actions), speech=speech)


def without_take_back(plan: Plan) -> Plan:
    """`plan` without what `instead` had put before it."""
    names = {action.name for action in plan.actions}
    idle = {before for before, after in _TAKEN_BACK.items() if before in names and after & names}
    return replace(plan, actions=tuple(a for a in plan.actions if a.name not in idle))
