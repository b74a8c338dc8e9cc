"""What is only told: switches, scenes, buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from assistant.errors import DiscoveryError
from assistant.home.action import Action
from assistant.home.discovery.config import Appliance, Command, Config
from assistant.home.model import Device, DeviceType, StateValue


def switch(config: Config, unit: str) -> Appliance:
    """ON and OFF, or other payloads; the states may be worded unlike the commands."""
    order = config.required_order("command_topic", "command_template")
    payloads = {
        "turn_on": config.text("payload_on", "ON"),
        "turn_off": config.text("payload_off", "OFF"),
    }
    read = on_or_off(
        config.text("state_on", payloads["turn_on"]), config.text("state_off", payloads["turn_off"])
    )

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        return (order(payloads[action.name]),)

    readings = config.reading("state_topic", "value_template", read)
    return Appliance(
        DeviceType.SWITCH,
        commands,
        frozenset({"on_off"}),
        readings,
        optimistic=config.flag("optimistic") or not readings,
    )


def scene(config: Config, unit: str) -> Appliance:
    """One payload that activates it."""
    return _pushed(DeviceType.SCENE, config, config.text("payload_on", "ON"))


def button(config: Config, unit: str) -> Appliance:
    """One payload that presses it."""
    return _pushed(DeviceType.BUTTON, config, config.text("payload_press", "PRESS"))


def _pushed(kind: DeviceType, config: Config, payload: str) -> Appliance:
    order = config.required_order("command_topic", "command_template")

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        return (order(payload),)

    return Appliance(kind, commands, optimistic=True)


def on_or_off(on: str, off: str) -> Callable[[str], Mapping[str, StateValue]]:
    """What reads a payload as `on`; "None" as not known."""
    meaning = {"None": None, off: False, on: True}

    def read(text: str) -> Mapping[str, StateValue]:
        if text not in meaning:
            raise DiscoveryError(f"{text[:40]!r} is neither on nor off")
        return {"on": meaning[text]}

    return read
