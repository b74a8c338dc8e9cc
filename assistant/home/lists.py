"""The household's own lists: devices without a wire, kept in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from assistant.home.action import Action
from assistant.home.model import Device, DeviceType
from assistant.home.registry import Registry
from assistant.store import Store

SHOPPING, TASKS = "todo.shopping", "todo.tasks"


class Lists:
    """Puts the lists called `names` (id -> name) into the registry and carries their changes out.

    The store is the truth: another process, such as `assistant ask`, may change it.
    """

    def __init__(self, registry: Registry, store: Store, names: Mapping[str, str]) -> None:
        self._registry = registry
        self._store = store
        self._ids = tuple(names)
        for list_id, name in names.items():
            shopping = "shopping" if list_id == SHOPPING else None
            device = Device(
                list_id,
                name,
                DeviceType.TODO_LIST,
                device_class=shopping,
                capabilities=frozenset({"add", "complete", "remove"}),
            )
            registry.put(device, self)
        self.refresh()

    def refresh(self) -> None:
        """Show the registry what is on the lists now; call it before a turn."""
        for list_id in self._ids:
            self._registry.report(list_id, {"items": self._store.items(list_id)})

    async def carry(self, device: Device, action: Action) -> tuple[str, ...]:
        """Add, tick off or remove an item: on disk first, then in the registry."""
        current = replace(device, state={"items": self._store.items(device.id)})
        changes = self._registry.vocabulary.effect(current, action)
        items = changes.get("items")
        if isinstance(items, list | tuple):
            self._store.set_items(device.id, [str(item) for item in items])
        self.refresh()
        return ()
