"""What is asked about a command for later: all that would be asked about it when its time comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from assistant.errors import HomeError
from assistant.home.action import Action
from assistant.home.model import Home
from assistant.home.occasion import occasion_from
from assistant.home.scheduled import Approval, actions_from
from assistant.plan import Plan, PlanKind
from assistant.understand.normal import squeeze

PUT_OFF: Final = frozenset({"delay", "schedule", "remind"})
"""Actions by which something else is done later: that can't be one of them."""
_VERBATIM: Final = frozenset({"broadcast", "list_add", "list_complete", "list_remove"})
"""Actions that may say when, of what they say or keep."""

Check = Callable[[Plan, datetime], Plan]
"""What the policy makes of a plan that is carried out at a moment, in local time."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was agreed to when a command was scheduled."""

    actions: tuple[Action, ...]
    how: Approval

    def settles(self, asked: Plan) -> bool:
        """Whether the question `asked` has been answered: the same was to be done, no less secret.

        What the words mean by now may be something else, if the home has changed.
        """
        if asked.kind is not PlanKind.ASK or not asked.confirm or not self.how:
            return False
        meant = {(a.name, i) for a in self.actions for i in a.devices or ("",)}
        wanted = {(a.name, i) for a in asked.actions for i in a.devices or ("",)}
        return wanted <= meant and (self.how == "pin" or not asked.pin)


def checked_for_later(plan: Plan, home: Home, now: float, check: Check) -> Plan:
    """`plan`, which the policy lets pass or asks about, in view of what it will do later.

    `check` is asked about each command as of the moment when it comes next after `now` (seconds
    since the epoch). A yes, or the PIN, to the question that comes of it is kept with the command.
    """
    if plan.kind not in (PlanKind.ACT, PlanKind.ASK):
        return plan
    question: Plan | None = plan if plan.kind is PlanKind.ASK else None
    actions = []
    for action in plan.actions:
        if action.name == "schedule":
            does = actions_from(str(action.params["does"]))
            checked = check(Plan(PlanKind.ACT, actions=does), _moment(action, home, now))
            if checked.kind is PlanKind.REFUSE:
                return replace(plan, kind=checked.kind, actions=(), speech=checked.speech)
            if checked.kind is PlanKind.ASK:
                approved = "pin" if checked.pin else "yes"
                action = replace(action, params={**action.params, "approved": approved})
                if question is None or (checked.pin and not question.pin):
                    question = checked
        actions.append(action)
    if question is None:
        return plan
    if question is plan:  # "which one?" stays one: no yes answers it
        return replace(plan, actions=tuple(actions))
    return replace(
        plan,
        kind=PlanKind.ASK,
        actions=tuple(actions),
        confirm=True,
        pin=question.pin,
        speech=question.speech,
    )


def _moment(action: Action, home: Home, now: float) -> datetime:
    try:
        coming = occasion_from(str(action.params["when"])).after(now, home.whereabouts)
    except HomeError:  # whoever performs it will say so
        coming = None
    return home.whereabouts.local(now if coming is None else coming)


def is_for_later(command: str, plan: Plan, now_words: str | None = None) -> bool:
    """Whether `command`, which makes `plan` now, can be done later in its place.

    `now_words` ("now|at once": what says that it is not for later) are given where the time was
    said after the command. It may then belong to a part of it only: to the last of several
    commands ("turn the fan on, and the fan off at ten"), or to what is to be said word for word
    ("announce that dinner is at seven").
    """
    if plan.kind is not PlanKind.ACT or plan.first or plan.after:
        return False
    if PUT_OFF.intersection(a.name for a in plan.actions):
        return False
    if now_words is None:
        return True
    if plan.speech is not None and "parts" in plan.speech.values:
        devices = [device for action in plan.actions for device in action.devices]
        said = f" {squeeze(command)} "
        some_now = any(f" {word} " in said for word in now_words.split("|"))
        if some_now or len(set(devices)) < len(devices):
            return False
    return not any(
        isinstance(value, str) and action.name in _VERBATIM and command.endswith(value)
        for action in plan.actions
        for value in action.params.values()
    )
