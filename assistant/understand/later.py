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
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.commands import parts_of
from assistant.understand.language import Language
from assistant.understand.moment import moment
from assistant.understand.mood import opens_as_order, without_politeness
from assistant.understand.normal import fold, squeeze

PUT_OFF: Final = frozenset({"delay", "schedule", "remind"})
"""Actions by which something else is done later: that can't be one of them."""
_TAKE_OUT: Final = frozenset({"cancel_schedule", "skip_schedule"})
"""Actions on what is done later: "cancel the alarm at seven" tells which."""
_VERBATIM: Final = frozenset({"broadcast", "list_add", "list_complete", "list_remove"})
"""Actions that may say when, of what they say or keep."""

_TIMED: Final = frozenset({"core.confirm", "core.confirm_quiet", "core.ask_pin"})
"""Questions of the policy that the skills `timers` and `schedule` have with a time in them."""
_FOR_A_TIME: Final = "schedule.until"
"""What is done, and put back after a while: that may be put off."""

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
        if does := actions_from(str(action.params.get("does", "[]"))):
            due = due_at(action, home, now)
            checked = check(Plan(PlanKind.ACT, actions=does), home.whereabouts.local(due))
            checked = checked_for_later(checked, home, due, check)
            if checked.kind is PlanKind.REFUSE:
                return replace(plan, kind=checked.kind, actions=(), speech=checked.speech)
            if checked.kind is PlanKind.ASK:
                approved = "pin" if checked.pin else "yes"
                action = replace(action, params={**action.params, "approved": approved})
                if question is None or (checked.pin and not question.pin):
                    question = replace(checked, speech=_with_time(checked, action, home, now))
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


def due_at(action: Action, home: Home, now: float) -> float:
    """When something is done that `action` puts off, in seconds since the epoch."""
    if "seconds" in action.params:
        return now + float(str(action.params["seconds"]))
    try:
        due = occasion_from(str(action.params["when"])).after(now, home.whereabouts)
    except HomeError:  # whoever performs it will say so
        due = None
    return now if due is None else due


def _with_time(asked: Plan, action: Action, home: Home, now: float) -> Speech | None:
    """The question `asked` about what `action` puts off, with the time at which it comes."""
    speech = asked.speech
    if speech is None or speech.key not in _TIMED:
        return speech
    key = speech.key.partition(".")[2]
    if seconds := action.params.get("seconds"):
        return Speech(f"timers.{key}", {**speech.values, "seconds": seconds})
    try:
        occasion = occasion_from(str(action.params["when"]))
    except HomeError:
        return speech
    when = moment(occasion, due_at(action, home, now), now, home.whereabouts)
    return Speech(f"schedule.{key}", {**speech.values, "moment": when})


def is_for_later(command: str, plan: Plan, now_words: str | None = None) -> bool:
    """Whether `command`, which makes `plan` now, can be done later in its place.

    `now_words` ("now|at once": what says that it is not for later) are given where the time was
    said after the command. It may then belong to a part of it only: to the last of several
    commands ("turn the fan on, and the fan off at ten"), or to what is to be said word for word
    ("announce that dinner is at seven").
    """
    if plan.kind is not PlanKind.ACT or plan.first or plan.after:
        return False
    names = {action.name for action in plan.actions}
    puts_off = PUT_OFF & names
    if names & _TAKE_OUT:
        return False
    if puts_off and ("remind" in puts_off or f"{plan.skill}.{plan.intent}" != _FOR_A_TIME):
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


def are_several_orders(command: str, language: Language) -> bool:
    """Whether `command` has several verbs: "for ten minutes" after it is about the last alone."""
    bodies = (without_politeness(fold(p.text), language)[0] for p in parts_of(command, language))
    return sum(opens_as_order(squeeze(body), language) for body in bodies) > 1
