"""Commands and reminders for a time. They are kept by `assistant.turn.schedules`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from assistant.home.action import Action, ParamValue
from assistant.home.occasion import Occasion
from assistant.home.scheduled import MOST, Scheduled, actions_from, written
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request
from assistant.understand.back import put_back, singly
from assistant.understand.language import load_language
from assistant.understand.later import PUT_OFF, are_several_orders, due_at, is_for_later
from assistant.understand.moment import day, moment
from assistant.understand.normal import squeeze
from assistant.understand.target import UNKNOWN, refuse
from assistant.understand.when import (
    NoOccasionError,
    day_of,
    days_of,
    has_day,
    has_time,
    occasion_of,
    seconds_of,
)

_MOST_TOLD: Final = 6
_LONGEST: Final = 200
"""Letters of a command or a message."""

_FURTHEST: Final = 7 * 24 * 3600
"""Seconds for which something may be done before it is put back."""

_USUALLY: Final = {"fixed": 9 * 60}
"""When one is reminded of what is for a day alone: at nine."""


def schedule(request: Request) -> Plan:
    """ "At half past seven open the blinds": only what is a command now can be one later."""
    command = _command(request)
    inner = request.alone(command)
    if inner.kind in (PlanKind.ASK, PlanKind.REFUSE):
        # It is asked which one is meant, but not heard: an answer would be carried out at once.
        return Plan(PlanKind.REFUSE, speech=inner.speech)
    if len(command) > _LONGEST or not is_for_later(command, inner, request.slots.get("now")):
        return UNKNOWN
    return _put_off(request, command, inner)


def until(request: Request) -> Plan:
    """ "Turn off the heating until eleven", or "for an hour": now, and back again later."""
    command, now = _command(request), request.slots.get("now")
    inner = request.alone(command)
    if inner.skill == "wishes":
        return UNKNOWN  # "we are going out for two hours" says how long something else lasts
    if inner.kind in (PlanKind.ASK, PlanKind.REFUSE) and inner.skill != "timers":
        # As above; but "start a timer for ten minutes" is one that is to ring.
        return Plan(PlanKind.REFUSE, speech=inner.speech)
    if not is_for_later(command, inner, now) or PUT_OFF & {a.name for a in inner.actions}:
        return UNKNOWN
    if now and are_several_orders(command, load_language(request.utterance.language)):
        return UNKNOWN
    back = put_back(request, command, inner)
    if back is None:
        return refuse("not_back") if any(a.devices for a in inner.actions) else UNKNOWN
    waiting = [one for one in _waiting_for(back.actions, request) if one.id < 0]  # for a while
    if waiting and not back.changes:  # it is to be as it was before that
        back = replace(back, command=waiting[0].command, actions=waiting[0].does)
    putting_back = Plan(PlanKind.ACT, actions=back.actions, score=inner.score)
    later = _instead_of_sooner(_put_off(request, back.command, putting_back), request)
    if later.kind is not PlanKind.ACT:
        return later
    parts = {"parts": [inner, later]}
    actions = (*inner.actions, *later.actions)
    speech = Speech("core.done", parts)
    return Plan(PlanKind.ACT, actions=actions, speech=speech, score=inner.score)


def keep(request: Request) -> Plan:
    """ "Leave the light on until ten", or "for ten minutes": then it is turned off."""
    return _instead_of_sooner(schedule(request), request)


def stay(request: Request) -> Plan:
    """ "Leave it on", where it was to be turned off in a while."""
    undone = request.slots["undone"]
    named = request.names["name"].get(request.slots.get("name", ""), ())
    meant = singly([Action(undone, (*named, *(request.recent if "it" in request.slots else ())))])
    found = [one for one in _waiting(request) if set() < singly(one.does) <= meant]
    return _cancelled([one for one in found if not one.occasion.recurs], request)


def wake(request: Request) -> Plan:
    """ "Wake me at half past six": in the morning, if nothing else is said."""
    message = str(request.slots["message"])
    plan = _planned(request, "remind", {"message": message}, message)
    if plan.kind is not PlanKind.ACT or plan.speech is None:
        return plan
    return replace(plan, speech=replace(plan.speech, key="wake"))


def remind(request: Request) -> Plan:
    """ "Remind me to take the bins out tomorrow at eight"."""
    message = str(request.slots["message"])
    if not message or len(message) > _LONGEST:
        return UNKNOWN
    if not has_time(request.slots):
        request = replace(request, slots={**request.slots, **_USUALLY})
    return _planned(request, "remind", {"message": message}, message)


def unclear(request: Request) -> Plan:
    """ "Open the blinds tomorrow": a day without a time."""
    command = str(request.slots["command"])
    if len(command.split()) < 2 or not is_for_later(command, request.alone(command), ""):
        return UNKNOWN
    return refuse("unclear")


def scheduled(request: Request) -> Plan:
    """ "What is scheduled for tomorrow?"."""
    found = [one for one in _waiting(request) if _is_meant(one, request)]
    if not found:
        values = {"on": _day_told(request) if has_day(request.slots) else None}
        return Plan(PlanKind.ANSWER, query="schedule_get", speech=Speech("none_scheduled", values))
    told: dict[str, Any] = {
        "scheduled": [_entry(one, request) for one in found[:_MOST_TOLD]],
        "more": max(0, len(found) - _MOST_TOLD),
    }
    return Plan(PlanKind.ANSWER, query="schedule_get", speech=Speech("scheduled", told))


def cancel(request: Request) -> Plan:
    """ "Cancel the schedule for the blinds". Of several, which one is asked."""
    waiting = _waiting(request)
    found = [one for one in waiting if _is_meant(one, request)]
    if not found:
        by_name = "name" in request.slots
        return UNKNOWN if by_name else refuse("none_so" if waiting else "none_at_all")
    if len(found) > 1 and "every_one" not in request.slots:
        told = [_entry(one, request) for one in found[:_MOST_TOLD]]
        return Plan(PlanKind.REFUSE, speech=Speech("cancel_which", {"scheduled": told}))
    return _cancelled(found, request)


def skip(request: Request) -> Plan:
    """ "Don't open the blinds tomorrow", where that was scheduled."""
    inner = request.alone(str(request.slots["command"]))
    if inner.kind not in (PlanKind.ACT, PlanKind.ASK):
        return UNKNOWN
    meant = {(a.name, device) for a in inner.actions for device in a.devices}
    found = [
        one
        for one in request.home.schedules
        if meant & {(a.name, device) for a in one.does for device in a.devices}
        and _is_meant(one, request)
    ]
    return _cancelled(found, request)


def _waiting(request: Request) -> list[Scheduled]:
    """What waits for its time, and what waits for some minutes to pass: that has ids below 0."""
    waiting = list(request.home.schedules)
    for place, one in enumerate(request.home.delayed):
        coming = _now(request) + one.remaining
        local = request.home.whereabouts.local(coming)
        at = Occasion(day=local.date(), clock=local.time().replace(second=0, microsecond=0))
        does = one.does or request.alone(one.command).actions
        waiting.append(Scheduled(-1 - place, at, coming, one.command, area=one.area, does=does))
    return sorted(waiting, key=lambda one: one.next)


def _cancelled(found: Sequence[Scheduled], request: Request) -> Plan:
    """The plan to cancel what was `found`, or to leave it out on the day that was said, if it comes
    on others too; UNKNOWN where nothing was.
    """
    if not found:
        return UNKNOWN
    what = [one.command or one.message for one in found]
    if days_of(request.slots) or not has_day(request.slots):
        actions = tuple(_cancelling(one, request) for one in found)
        return Plan(PlanKind.ACT, actions=actions, speech=Speech("schedule.cancel", {"what": what}))
    left_out = str(day_of(request.slots, _here(request)))
    actions = tuple(
        Action("skip_schedule", (), {"schedule": one.id, "day": left_out})
        if one.occasion.recurs
        else _cancelling(one, request)
        for one in found
    )
    values = {"what": what, "on": _day_told(request)}
    return Plan(PlanKind.ACT, actions=actions, speech=Speech("schedule.skip", values))


def _cancelling(one: Scheduled, request: Request) -> Action:
    if one.id < 0:
        return Action("cancel_timer", (), {"timer": request.home.delayed[-1 - one.id].id})
    return Action("cancel_schedule", (), {"schedule": one.id})


def _planned(request: Request, action: str, params: dict[str, ParamValue], what: str) -> Plan:
    """The plan to keep what is wanted for its time, or why that can't be."""
    if len(request.home.schedules) >= MOST:
        return Plan(PlanKind.REFUSE, speech=Speech("full", {"count": MOST}))
    try:
        occasion = occasion_of(request.slots, _now(request), request.home.whereabouts)
    except NoOccasionError as error:
        return refuse(str(error))
    coming = occasion.after(_now(request), request.home.whereabouts)
    if coming is None:
        return refuse("no_sun")
    params = {"when": str(occasion), **params}
    if request.utterance.area:
        params["area"] = request.utterance.area
    values = {"moment": _told(occasion, coming, request), "command": what, "message": what}
    speech = Speech(f"schedule.{action}", values)
    return Plan(PlanKind.ACT, actions=(Action(action, (), params),), speech=speech)


def _command(request: Request) -> str:
    """The command itself; the slot `then` has the form of one that was said in pieces."""
    return str(request.slots.get("then", "{command}")).format(**request.slots)


def _put_off(request: Request, command: str, plan: Plan) -> Plan:
    """The plan to do `command`, which makes `plan`, at the time that was said, or after it."""
    params: dict[str, ParamValue] = {"command": command, "does": written(plan.actions)}
    if has_time(request.slots):
        return replace(_planned(request, "schedule", params, command), score=plan.score)
    if not 0 < (seconds := seconds_of(request.slots)) <= _FURTHEST:
        return UNKNOWN
    params = {"seconds": seconds, **params}
    if request.utterance.area:
        params["area"] = request.utterance.area
    speech = Speech("timers.later", {"seconds": seconds, "command": command})
    delay = Action("delay", (), params)
    return Plan(PlanKind.ACT, actions=(delay,), speech=speech, score=plan.score)


def _waiting_for(does: Iterable[Action], request: Request) -> list[Scheduled]:
    """What waits, once, to do the same as `does` or a part of it."""
    all_of_it = singly(does)
    waiting = _waiting(request)
    return [o for o in waiting if not o.occasion.recurs and set() < singly(o.does) <= all_of_it]


def _instead_of_sooner(later: Plan, request: Request) -> Plan:
    """`later`, a plan to put something off, in the stead of what would do the same sooner."""
    if later.kind is not PlanKind.ACT:
        return later
    (action,) = later.actions
    due = due_at(action, request.home, _now(request))
    waiting = _waiting_for(actions_from(str(action.params["does"])), request)
    sooner = [_cancelling(one, request) for one in waiting if one.next <= due]
    # What is taken back has no words: the new one says it.
    return replace(later, actions=(*sooner, action))


def _now(request: Request) -> float:
    return request.utterance.spoken_at or time.time()


def _here(request: Request) -> datetime:
    return request.home.whereabouts.local(_now(request))


def _is_meant(one: Scheduled, request: Request) -> bool:
    """Whether the sentence speaks of `one`: by a device, by words of it, by day, by time.

    `alarms` has the messages with which one is woken.
    """
    slots = request.slots
    if "name" in slots:
        ids = set(request.names["name"].get(slots["name"], ()))
        if not any(ids & set(action.devices) for action in one.does):
            return False
    if "alarms" in slots and one.message not in slots["alarms"].split("|"):
        return False
    if "about" in slots and not _speaks_of(one, str(slots["about"])):
        return False
    if has_day(slots) and not _comes_on(one, request):
        return False
    return not has_time(slots) or _is_at(one, request)


def _comes_on(one: Scheduled, request: Request) -> bool:
    if days := days_of(request.slots):
        return one.occasion.days == days
    wanted = day_of(request.slots, _here(request))
    return one.occasion.on(wanted, request.home.whereabouts) is not None


def _is_at(one: Scheduled, request: Request) -> bool:
    """Whether it comes at the time that was said: that of morning or evening, if either may be."""
    try:
        meant = occasion_of(request.slots, _now(request), request.home.whereabouts)
    except NoOccasionError:
        return False
    ours = one.occasion
    if meant.clock is None or ours.clock is None:
        return (meant.sun, meant.offset) == (ours.sun, ours.offset)
    apart = (meant.clock.hour - ours.clock.hour) % 12
    return apart == 0 and meant.clock.minute == ours.clock.minute


def _speaks_of(one: Scheduled, about: str) -> bool:
    words = squeeze(f"{one.command} {one.message}").split()
    return all(any(_alike(said, word) for word in words) for said in squeeze(about).split())


def _alike(first: str, second: str) -> bool:
    """Whether they are the same word, be it for one thing or for several."""
    if first == second:
        return True
    short, long = sorted((first, second), key=len)
    return len(short) > 3 and len(long) - len(short) <= 1 and short[:-1] == long[: len(short) - 1]


def _entry(one: Scheduled, request: Request) -> dict[str, Any]:
    return {"what": one.command or one.message, "moment": _told(one.occasion, one.next, request)}


def _told(occasion: Occasion, coming: float, request: Request) -> dict[str, Any]:
    return moment(occasion, coming, _now(request), request.home.whereabouts)


def _day_told(request: Request) -> dict[str, Any]:
    here = _here(request)
    return day(day_of(request.slots, here), days_of(request.slots), here.date())
