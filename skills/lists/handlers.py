"""Shopping and to-do lists."""

from __future__ import annotations

from assistant.home.model import Device, DeviceType
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request
from assistant.understand.normal import squeeze
from assistant.understand.target import act, find, refuse

_LIST = (DeviceType.TODO_LIST,)


def add(request: Request) -> Plan:
    """ "Put milk on the shopping list"."""
    return act(request, "list_add", _LIST, {"item": request.slots["item"]}, prefer=_for_shopping)


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
    item = next((i for i in _items(chosen) if squeeze(i) == squeeze(said)), None)
    values = {"name": chosen.name, "item": item or said, "yes": item is not None}
    speech = Speech("has", values)
    return Plan(PlanKind.ANSWER, query="list_get", devices=(chosen.id,), speech=speech)


def _take(request: Request, action: str) -> Plan:
    """Take an item off: spelt as it stands on the list."""
    said = str(request.slots["item"])
    found = find(request, _LIST, prefer=_for_shopping)
    if found.problem is None:
        item = next(
            (i for d in found.devices for i in _items(d) if squeeze(i) == squeeze(said)), None
        )
        if item is None:
            return refuse("not_on_list", item=said, name=found.devices[0].name)
        said = item
    return act(request, action, _LIST, {"item": said}, prefer=_for_shopping)


def _items(device: Device) -> list[str]:
    items = device.state.get("items")
    return [str(i) for i in items] if isinstance(items, list | tuple) else []


def _for_shopping(device: Device) -> bool:
    return device.device_class == "shopping"
