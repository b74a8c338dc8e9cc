"""A home without appliances: actions change the registry and nothing else.

For `assistant replay`, for trying sentences, and for homes from files in tests.
"""

from __future__ import annotations

from collections.abc import Callable

from assistant.home.action import Action
from assistant.home.model import Device, DeviceType, Home, StateValue
from assistant.home.registry import Registry

# What a thermostat does when it is just turned on, in order of preference.
_WHEN_ON = ("heat_cool", "auto", "heat", "cool", "fan_only", "dry")


class MemoryCarrier:
    """Obeys every action at once by reporting its effect."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def carry(self, device: Device, action: Action) -> tuple[str, ...]:
        """Apply the effect of `action` to the registry."""
        changes = self._registry.vocabulary.effect(device, action)
        self._registry.report(device.id, _completed(device, changes))
        return ()


def in_memory(home: Home, exposes: Callable[[Device], bool] = lambda _: True) -> Registry:
    """A registry of all devices of `home`, each obeying from memory. `exposes`: see `Registry`."""
    registry = Registry(home, exposes=exposes)
    carrier = MemoryCarrier(registry)
    for device in home.devices.values():
        registry.put(device, carrier)
    return registry


def _completed(device: Device, changes: dict[str, StateValue]) -> dict[str, StateValue]:
    """`changes` with what a real device would change along with them."""
    if device.type is DeviceType.CLIMATE and "mode" not in changes and "on" in changes:
        if not changes["on"]:
            return {**changes, "mode": "off"}
        if device.state.get("mode", "off") == "off":
            mode = next((m for m in _WHEN_ON if m in device.options), "heat")
            return {**changes, "mode": mode}
    starts = device.type is DeviceType.FAN and changes.get("on") and "percentage" not in changes
    if starts and not device.state.get("percentage") and "speed" in device.capabilities:
        return {**changes, "percentage": 100}
    if device.type is DeviceType.LIGHT and "color" in changes:
        return {**changes, "color_temp": None}
    if device.type is DeviceType.LIGHT and "color_temp" in changes:
        return {**changes, "color": None}
    if device.type is DeviceType.VACUUM and changes.get("vacuum") == "returning":
        return {"vacuum": "docked"}
    return changes
