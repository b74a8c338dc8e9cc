"""What is asked about the last turn: undo it, what was it, why, say it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from assistant.home.action import Action, ParamValue
from assistant.home.model import Home, Timer
from assistant.home.restore import restoring
from assistant.home.scheduled import Delayed, Scheduled, written
from assistant.plan import Plan, PlanKind, Speech
from assistant.turn.deeds import told_of
from assistant.understand.conversation import Conversation, Deed, Said

SKILL: Final = "dialogue"
"""The skill whose sentences ask so. Its handlers can't know what was said before: this does."""
_TIMER_INVERSE: Final = {
    "pause_timer": "resume_timer",
    "resume_timer": "pause_timer",
    "add_time": "remove_time",
    "remove_time": "add_time",
}


def in_hindsight(
    plan: Plan, conversation: Conversation, home: Home, now: float, speaker: str = ""
) -> Plan:
    """`plan`; where it asks about what was before, what that comes to at monotonic second `now`."""
    if plan.skill != SKILL:
        return plan
    lately = [s for s in conversation.lately(now, speaker) if not _asks_back(s)]
    last = next(iter(conversation.lately(now, speaker)), None)
    done = next((said for said in lately if said.deed is not None), None)
    match plan.intent:
        case "undo":
            return _undone(conversation.lately(now, speaker), home)
        case "only":
            return _only(last, plan.devices, home)
        case "cancel":
            if last is not None and last.deed is not None:
                return _undone(conversation.lately(now, speaker), home)
            return _says("nothing_to_cancel", PlanKind.NOTHING)
        case "recount":
            return _recounted(done)
        case "why":
            return _reason(lately[0] if lately else None)
        case _:
            return _repeated(lately[0] if lately else None)


def _asks_back(said: Said) -> bool:
    """Whether it was about another turn itself: it is not what "why" is about."""
    return said.plan is not None and said.plan.skill == SKILL and said.plan.intent != "undo"


def _says(key: str, kind: PlanKind = PlanKind.ANSWER, **values: object) -> Plan:
    return Plan(kind, intent=key, skill=SKILL, speech=Speech(f"{SKILL}.{key}", values))


def _words(said: Said) -> str:
    """What was said, in full: "yes" is to a question, "and the hall" goes on with something."""
    return (said.plan.sentence if said.plan is not None else "") or said.exchange.said


def _recounted(done: Said | None) -> Plan:
    if done is None:
        return _says("nothing_done")
    return _says("recount", said=_words(done), reply=done.exchange.replied)


def _reason(last: Said | None) -> Plan:
    if last is None:
        return _says("nothing_said")
    kind = last.plan.kind if last.plan is not None else PlanKind.UNKNOWN
    key = "why_done" if kind is PlanKind.ACT else "why_said"
    return _says(key, said=_words(last), reply=last.exchange.replied)


def _repeated(last: Said | None) -> Plan:
    if last is None or not last.exchange.replied:
        return _says("nothing_said")
    return _says("repeat", reply=last.exchange.replied)


def _undone(lately: Iterable[Said], home: Home) -> Plan:
    done = next((said for said in lately if said.deed is not None), None)
    if done is None or done.deed is None:
        return _says("nothing_to_undo", PlanKind.REFUSE)
    actions, lost = undoing(done.deed, home)
    if not actions:
        if lost:
            return _says("cannot_undo", PlanKind.REFUSE)
        return _says("undone_already", PlanKind.NOTHING)
    return replace(
        told_of(actions),
        intent="undo",
        skill=SKILL,
        besides=Speech(f"{SKILL}.but_not") if lost else None,
    )


def _only(last: Said | None, meant: Sequence[str], home: Home) -> Plan:
    """The plan that brings back how all was that `last` was done to, but for what is `meant`."""
    if last is None or last.deed is None:
        return _says("nothing_to_undo", PlanKind.REFUSE)
    spared = set(meant)
    others = tuple(a for a in last.deed.actions if a.devices and not spared & set(a.devices))
    return _undone([replace(last, deed=replace(last.deed, actions=others))], home)


def undoing(deed: Deed, home: Home) -> tuple[tuple[Action, ...], tuple[str, ...]]:
    """The actions that undo `deed` in `home` as it is now; and those of it that nothing undoes."""
    actions: list[Action] = []
    lost: list[str] = []
    of_device: dict[str, list[Action]] = {}
    for action in reversed(deed.actions):
        if not action.devices:
            back = _performed(action, deed.before, home)
            lost += [] if back else [action.name]
            actions += back
        for device in action.devices:
            of_device.setdefault(device, []).insert(0, action)
    for device_id, done in of_device.items():
        before, now = deed.before.devices.get(device_id), home.devices.get(device_id)
        restored = restoring(before, now, done) if before and now else None
        if restored is None:
            lost += [action.name for action in done]
        actions += restored or ()
    return _together(actions), tuple(dict.fromkeys(lost))


def _together(actions: Iterable[Action]) -> tuple[Action, ...]:
    """`actions`, those that do the same to several devices as one."""
    merged: dict[str, Action] = {}
    for action in actions:
        key = repr((action.name, sorted(action.params.items()), bool(action.devices)))
        known = merged.get(key)
        devices = action.devices if known is None else (*known.devices, *action.devices)
        merged[key] = Action(action.name, tuple(dict.fromkeys(devices)), action.params)
    return tuple(merged.values())


def _performed(action: Action, before: Home, home: Home) -> list[Action]:
    """What undoes an action without a device: one on timers, or something scheduled."""
    here = {timer.id for timer in home.timers}
    known = {timer.id for timer in before.timers}
    match action.name:
        case "start_timer":
            started = [t for t in home.timers if t.id not in known]
            return [Action("cancel_timer", (), {"timer": t.id}) for t in started]
        case "schedule" | "remind":
            kept = {one.id for one in before.schedules}
            new = [one.id for one in home.schedules if one.id not in kept]
            return [Action("cancel_schedule", (), {"schedule": one}) for one in new]
        case "delay":
            waited = {one.id for one in before.delayed}
            later = [one.id for one in home.delayed if one.id not in waited]
            return [Action("cancel_timer", (), {"timer": one}) for one in later]
        case "cancel_timer" | "cancel_all_timers":
            waiting = {one.id for one in home.delayed}
            gone = [_later_again(one) for one in before.delayed if one.id not in waiting]
            return [*(_again(t) for t in before.timers if t.id not in here), *gone]
        case "cancel_schedule":
            kept = {one.id for one in home.schedules}
            return [_scheduled_again(one) for one in before.schedules if one.id not in kept]
        case "pause_timer" | "resume_timer" | "add_time" | "remove_time":
            return [Action(_TIMER_INVERSE[action.name], (), action.params)]
    return []


def _later_again(one: Delayed) -> Action:
    """What puts off `one` as it was, but for what was approved of: that is asked again."""
    params: dict[str, ParamValue] = {"seconds": max(1, round(one.remaining))}
    params |= {"command": one.command} | ({"area": one.area} if one.area else {})
    params |= {"does": written(one.does)} if one.does else {}
    return Action("delay", (), params)


def _scheduled_again(one: Scheduled) -> Action:
    """What schedules `one` as it was, but for what was approved of: that is asked again."""
    params: dict[str, ParamValue] = {"when": str(one.occasion)}
    params |= {"area": one.area} if one.area else {}
    if one.message:
        return Action("remind", (), {**params, "message": one.message})
    does = {"command": one.command, "does": written(one.does)}
    return Action("schedule", (), {**params, **does})


def _again(timer: Timer) -> Action:
    params: dict[str, ParamValue] = {"seconds": max(1, round(timer.remaining))}
    if timer.name:
        params["name"] = timer.name
    if timer.area:
        params["area"] = timer.area
    return Action("start_timer", (), params)
