"""Timers, and commands for later. The timers themselves are kept by `assistant.turn.timers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from assistant.home.action import Action, ParamValue
from assistant.home.model import Timer
from assistant.home.scheduled import written
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request
from assistant.understand.later import is_for_later
from assistant.understand.normal import squeeze
from assistant.understand.target import UNKNOWN, place_name, place_of, refuse

_LONGEST_NAME = 4
"""Words of a timer's name; what is longer is another sentence that happens to hold "timer"."""


def start(request: Request) -> Plan:
    """ "Set a timer for ten minutes", "start a five minute timer named pizza"."""
    seconds = _seconds(request.slots)
    if seconds <= 0:
        return UNKNOWN
    params: dict[str, ParamValue] = {"seconds": seconds}
    if name := str(request.slots.get("new_name", "")).strip():
        if len(name.split()) > _LONGEST_NAME:
            return UNKNOWN
        params["name"] = name
    if request.utterance.area:
        params["area"] = request.utterance.area
    values = {"seconds": seconds, "name": params.get("name", "")}
    return _act("start_timer", params, Speech("start", values))


def unset(request: Request) -> Plan:
    """ "Set a timer": for how long, is asked."""
    return Plan(PlanKind.ASK, speech=Speech("how_long"))


def cancel(request: Request) -> Plan:
    """ "Cancel the pizza timer"."""
    return _on_timer(request, "cancel_timer", _meant(request))


def cancel_all(request: Request) -> Plan:
    """ "Cancel all timers", "cancel all timers in the kitchen", "all but the pizza timer"."""
    if not request.home.timers:
        return refuse("none_running")
    if "spared" in request.slots:
        spared = request.slots["spared"]
        gone = [t for t in request.home.timers if squeeze(t.name or "") != spared]
        if not gone:
            return refuse("no_such_timer")
        actions = tuple(Action("cancel_timer", (), {"timer": timer.id}) for timer in gone)
        return Plan(
            PlanKind.ACT, actions=actions, speech=Speech("cancel_all", {"place": "", "but": spared})
        )
    place = place_name(request)
    params: dict[str, ParamValue] = {"area": place} if place else {}
    return _act("cancel_all_timers", params, Speech("cancel_all", {"place": place, "but": ""}))


def pause(request: Request) -> Plan:
    """ "Pause the timer"."""
    return _on_timer(
        request, "pause_timer", [t for t in _meant(request) if not t.paused] or _meant(request)
    )


def resume(request: Request) -> Plan:
    """ "Continue the one hour timer"."""
    return _on_timer(
        request, "resume_timer", [t for t in _meant(request) if t.paused] or _meant(request)
    )


def add_time(request: Request) -> Plan:
    """ "Add five minutes to the pizza timer"."""
    return _on_timer(request, "add_time", _meant(request), _seconds(request.slots))


def remove_time(request: Request) -> Plan:
    """ "Take five minutes off the kitchen timer"."""
    return _on_timer(request, "remove_time", _meant(request), _seconds(request.slots))


def status(request: Request) -> Plan:
    """ "How long is left on the timer?"."""
    timers = _meant(request)
    if not timers:
        return Plan(PlanKind.ANSWER, query="timer_status", speech=Speech("none_running"))
    speech = Speech("status", {"timers": _told(timers, request)})
    ids = tuple(t.id for t in timers)
    return Plan(PlanKind.ANSWER, query="timer_status", devices=ids, speech=speech)


def later(request: Request) -> Plan:
    """ "In five minutes, turn off the light": only what is a command now can be one later."""
    command = str(request.slots.get("then", "{command}")).format(**request.slots)
    seconds = _seconds(request.slots)
    inner = request.alone(command)
    if seconds <= 0 or not is_for_later(command, inner, request.slots.get("now")):
        return UNKNOWN
    params: dict[str, ParamValue] = {"seconds": seconds, "command": command}
    params["does"] = written(inner.actions)
    if request.utterance.area:
        params["area"] = request.utterance.area
    plan = _act("delay", params, Speech("later", {"seconds": seconds, "command": command}))
    return replace(plan, score=inner.score)


def _act(action: str, params: Mapping[str, ParamValue], speech: Speech) -> Plan:
    return Plan(PlanKind.ACT, actions=(Action(action, (), params),), speech=speech)


def _on_timer(request: Request, action: str, timers: list[Timer], seconds: float = 0) -> Plan:
    """Do `action` to the one of `timers`; of several, which one is asked."""
    if not timers:
        return refuse("no_such_timer" if request.home.timers else "none_running")
    if len(timers) > 1:
        return Plan(PlanKind.ASK, speech=Speech("which", {"timers": _told(timers, request)}))
    (timer,) = timers
    params: dict[str, ParamValue] = {"timer": timer.id}
    if seconds:
        params["seconds"] = seconds
    values = {"seconds": seconds, **_told([timer], request)[0]}
    return _act(action, params, Speech(request.intent, values))


def _meant(request: Request) -> list[Timer]:
    """The timers a sentence speaks of: by name, length or room; else those here."""
    slots, timers = request.slots, list(request.home.timers)
    if "timer_name" in slots:
        return [t for t in timers if t.name and squeeze(t.name) == slots["timer_name"]]
    if length := _seconds(slots, "of_"):
        return [t for t in timers if t.duration == length]
    if (areas := place_of(request)) is not None:
        return [t for t in timers if t.area in areas]
    here = request.utterance.area
    return [t for t in timers if here is not None and t.area == here] or timers


def _seconds(slots: Mapping[str, Any], prefix: str = "") -> int:
    """How long, in whole seconds; `and_hour` and `and_minute` are parts of one ("and a half")."""

    def said(slot: str) -> float:
        return float(slots.get(f"{prefix}{slot}", 0))

    hours = said("hours") + said("and_hour") + (0.5 if said("half_hour") else 0)
    minutes = said("minutes") + said("and_minute") + (0.5 if said("half_minute") else 0)
    return round(hours * 3600 + minutes * 60 + said("seconds") + said("part"))


def _told(timers: list[Timer], request: Request) -> list[dict[str, Any]]:
    home = request.home
    return [
        {
            "name": timer.name or "",
            "place": area.name if (area := home.area(timer.area)) else "",
            "duration": timer.duration,
            "remaining": timer.remaining,
            "paused": timer.paused,
        }
        for timer in timers
    ]
