"""Shopping and to-do lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assistant.home.model import Device, DeviceType
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request
from assistant.understand.commands import parts_of
from assistant.understand.language import load_language
from assistant.understand.normal import squeeze
from assistant.understand.target import UNKNOWN, act, find, refuse

_LIST = (DeviceType.TODO_LIST,)


def add(request: Request) -> Plan:
    """ "Put milk on the shopping list", "put milk, eggs and bread on it"."""
    if _points_at_nothing(request):
        return UNKNOWN
    item = str(request.slots["item"])
    plan = act(request, "list_add", _LIST, {"item": item}, prefer=_for_shopping)
    items = _enumerated(item, request)
    actions = (
        replace(action, params={**action.params, "item": one})
        for action in plan.actions
        for one in items
    )
    return replace(plan, actions=tuple(actions))


def complete(request: Request) -> Plan:
    """ "Tick milk off the shopping list"."""
    return _take(request, "list_complete")


def remove(request: Request) -> Plan:
    """ "Delete milk from the shopping list"."""
    return _take(request, "list_remove")


def read(request: Request) -> Plan:
    """ "What's on the shopping list?"."""
    found = find(request, _LIST, prefer=_for_shopping)
    if found.problem is not None:
        return found.problem
    chosen = found.devices[0]
    values = {"name": chosen.name, "items": _items(chosen)}
    speech = Speech("read", values)
    return Plan(PlanKind.ANSWER, query="list_get", devices=(chosen.id,), speech=speech)


def has(request: Request) -> Plan:
    """ "Is milk on the shopping list?"."""
    found = find(request, _LIST, prefer=_for_shopping)
    if found.problem is not None:
        return found.problem
    said, chosen = str(request.slots["item"]), found.devices[0]
    item = _listed(request, [chosen])
    values = {"name": chosen.name, "item": item or said, "yes": item is not None}
    speech = Speech("has", values)
    return Plan(PlanKind.ANSWER, query="list_get", devices=(chosen.id,), speech=speech)


def _enumerated(item: str, request: Request) -> list[str]:
    """The items that commas part; without any, "bread and butter" is one."""
    language = load_language(request.utterance.language)
    return [part.text for part in parts_of(item, language)] if "," in item else [item]


def _take(request: Request, action: str) -> Plan:
    """Take an item off: spelt as it stands on the list."""
    said = str(request.slots["item"])
    if _points_at_nothing(request):
        return UNKNOWN
    found = find(request, _LIST, prefer=_for_shopping)
    if found.problem is None:
        item = _listed(request, found.devices)
        if item is None:
            return refuse("not_on_list", item=said, name=found.devices[0].name)
        said = item
    return act(request, action, _LIST, {"item": said}, prefer=_for_shopping)


def _points_at_nothing(request: Request) -> bool:
    """Whether "it" may be anything but a list: "take the lid off it"."""
    lists = {device.id for device in request.home.exposed() if device.type in _LIST}
    return bool(request.slots.get("it")) and not lists.intersection(request.recent)


def _listed(request: Request, lists: Sequence[Device]) -> str | None:
    """The item spoken of as one of `lists` has it; articles tell nothing."""
    articles = load_language(request.utterance.language).articles

    def bare(item: str) -> list[str]:
        words = squeeze(item).split()
        while len(words) > 1 and words[0] in articles:
            words = words[1:]
        return words

    said = bare(str(request.slots["item"]))
    return next((item for one in lists for item in _items(one) if bare(item) == said), None)


def _items(device: Device) -> list[str]:
    items = device.state.get("items")
    return [str(i) for i in items] if isinstance(items, list | tuple) else []


def _for_shopping(device: Device) -> bool:
    return device.device_class == "shopping"
