"""Stopping what has just been set going: "open the blinds", and then "stop"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from assistant.home.action import Action
from assistant.home.model import DeviceType
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.asked import Asked
from assistant.understand.mood import without_politeness
from assistant.understand.normal import fold, squeeze
from assistant.understand.target import can

_STOPS: Final = {
    DeviceType.COVER: ("stop", "covers.stop"),
    DeviceType.VALVE: ("close", "covers.close"),
    DeviceType.VACUUM: ("vacuum_stop", "vacuum.stop"),
    DeviceType.MEDIA_PLAYER: ("media_stop", "media.stop"),
}
"""The action that stops a thing, and the words for it."""


def stopping(asked: Asked, said: Iterable[str]) -> Plan | None:
    """The plan that stops what was commanded last, where one of the forms `said` says just that.

    None: it does not, or there is nothing that could be stopped.
    """
    context, home = asked.context, asked.home
    if context.plan is None or not any(_says_stop(text, asked) for text in said):
        return None
    actions: dict[DeviceType, Action] = {}
    for device_id in context.together or context.recent:
        device = home.devices.get(device_id)
        name, _ = _STOPS.get(device.type, ("", "")) if device is not None else ("", "")
        if device is not None and name and can(device, name):
            before = actions[device.type].devices if device.type in actions else ()
            actions[device.type] = Action(name, (*before, device_id))
    if not actions:
        return None
    parts = [
        Plan(PlanKind.ACT, actions=(action,), speech=Speech(_STOPS[kind][1]))
        for kind, action in actions.items()
    ]
    speech = Speech("core.done", {"parts": parts})
    return Plan(PlanKind.ACT, "stop", "core", tuple(actions.values()), speech)


def _says_stop(text: str, asked: Asked) -> bool:
    words = squeeze(without_politeness(fold(text), asked.language)[0]).split()
    return " ".join(dict.fromkeys(words)) in asked.language.dialogue.stop
