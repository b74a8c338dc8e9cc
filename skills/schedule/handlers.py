"""Commands and reminders for a time. They are kept by `assistant.turn.schedules`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

from assistant.home.action import Action, ParamValue
from assistant.home.occasion import Occasion
from assistant.home.scheduled import MOST, Scheduled, written
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request
from assistant.understand.back import put_back
from assistant.understand.later import is_for_later
from assistant.understand.normal import squeeze
from assistant.understand.target import UNKNOWN, refuse
from assistant.understand.when import (
    NoOccasionError,
    day_of,
    days_of,
    has_day,
    has_time,
    occasion_of,
)

_MOST_TOLD: Final = 6
_LONGEST: Final = 200
"""Letters of a command or a message."""

_USUALLY: Final = {"fixed": 9 * 60}
"""When one is reminded of what is for a day alone: at nine."""


def schedule(request: Request) -> Plan:
    """ "At half past seven open the blinds": only what is a command now can be one later."""
    command = str(request.slots["command"])
    inner = request.alone(command)
    if inner.kind in (PlanKind.ASK, PlanKind.REFUSE):
        # It is asked which one is meant, but not heard: an answer would be carried out at once.
        return Plan(PlanKind.REFUSE, speech=inner.speech)
    if len(command) > _LONGEST or not is_for_later(command, inner, request.slots.get("now")):
        return UNKNOWN
    params: dict[str, ParamValue] = {"command": command, "does": written(inner.actions)}
    return _planned(request, "schedule", params, command)


def until(request: Request) -> Plan:
    """ "Turn off the heating until eleven": now, and back again at eleven."""
    command = str(request.slots["command"])
    inner = request.alone(command)
    if not is_for_later(command, inner):
        return UNKNOWN
    back = put_back(request, command, inner)
    if back is None:
        return refuse("not_back") if any(a.devices for a in inner.actions) else UNKNOWN
    params: dict[str, ParamValue] = {"command": back.command, "does": written(back.actions)}
    later = _planned(request, "schedule", params, back.command)
    if later.kind is not PlanKind.ACT or later.speech is None:
        return later
    later = replace(later, speech=replace(later.speech, key="schedule.schedule"))
    parts = {"parts": [inner, later]}
    actions = (*inner.actions, *later.actions)
    return Plan(PlanKind.ACT, actions=actions, speech=Speech("core.done", parts))


def keep(request: Request) -> Plan:
    """ "Leave the light on until ten": at ten it is turned off."""
    command = str(request.slots["then"]).format(thing=request.slots["thing"])
    return schedule(replace(request, slots={**request.slots, "command": command}))


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
    actions = tuple(_cancelling(one, request) for one in found)
    what = [one.command or one.message for one in found]
    return Plan(PlanKind.ACT, actions=actions, speech=Speech("cancel", {"what": what}))


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
    if not found:
        return UNKNOWN
    for_good = bool(days_of(request.slots)) or not has_day(request.slots)
    day = day_of(request.slots, _here(request))
    actions = tuple(
        Action("cancel_schedule", (), {"schedule": one.id})
        if for_good or not one.occasion.recurs
        else Action("skip_schedule", (), {"schedule": one.id, "day": str(day)})
        for one in found
    )
    what = [one.command for one in found]
    if for_good:
        return Plan(PlanKind.ACT, actions=actions, speech=Speech("cancel", {"what": what}))
    values = {"what": what, "on": _day_told(request)}
    return Plan(PlanKind.ACT, actions=actions, speech=Speech("skip", values))


def _waiting(request: Request) -> list[Scheduled]:
    """What waits for its time, and what waits for some minutes to pass: that has ids below 0."""
    waiting = list(request.home.schedules)
    for place, one in enumerate(request.home.delayed):
        coming = _now(request) + one.remaining
        local = request.home.whereabouts.local(coming)
        at = Occasion(day=local.date(), clock=local.time().replace(second=0, microsecond=0))
        does = request.alone(one.command).actions
        waiting.append(Scheduled(-1 - place, at, coming, one.command, area=one.area, does=does))
    return sorted(waiting, key=lambda one: one.next)


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
    return Plan(PlanKind.ACT, actions=(Action(action, (), params),), speech=Speech(action, values))


def _now(request: Request) -> float:
    return request.utterance.spoken_at or time.time()


def _here(request: Request) -> datetime:
    return request.home.whereabouts.local(_now(request))


def _is_meant(one: Scheduled, request: Request) -> bool:
    """Whether the sentence speaks of `one`: by a device, by words of it, by day, by time."""
    slots = request.slots
    if "name" in slots:
        ids = set(request.names["name"].get(slots["name"], ()))
        if not any(ids & set(action.devices) for action in one.does):
            return False
    if "about" in slots and not _speaks_of(one, str(slots["about"])):
        return False
    if has_day(slots) and not _comes_on(one, request):
        return False
    return not has_time(slots) or _is_at(one, request)


def _comes_on(one: Scheduled, request: Request) -> bool:
    if days := days_of(request.slots):
        return one.occasion.days == days
    day = day_of(request.slots, _here(request))
    return one.occasion.on(day, request.home.whereabouts) is not None


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
    """What a wording needs to know of an occasion that comes next at `coming`."""
    local = request.home.whereabouts.local(coming)
    clock = occasion.clock or local.time()
    return {
        "on": _on(occasion.day or local.date(), occasion.days, request),
        "hour": clock.hour,
        "minute": clock.minute,
        "sun": occasion.sun,
        "offset": occasion.offset,
    }


def _day_told(request: Request) -> dict[str, Any]:
    days = days_of(request.slots)
    return _on(day_of(request.slots, _here(request)), days, request)


def _on(day: date, days: Iterable[int], request: Request) -> dict[str, Any]:
    return {
        "days": sorted(days),
        "ahead": None if days else (day - _here(request).date()).days,
        "weekday": day.weekday(),
        "day": day.day,
        "month": day.month,
    }
