"""Settings: numbers and choices."""

from __future__ import annotations

from collections.abc import Mapping

from assistant.errors import DiscoveryError
from assistant.home.action import Action
from assistant.home.discovery.config import Appliance, Command, Config, number_of, tidy
from assistant.home.discovery.wording import harmless
from assistant.home.model import Device, DeviceType, StateValue


def number(config: Config, unit: str) -> Appliance:
    """A number in a range (1 to 100 by steps of 1 where nothing is said)."""
    order = config.required_order("command_topic", "command_template")
    low, high, step = config.number("min", 1), config.number("max", 100), config.number("step", 1)
    if low >= high or step <= 0:
        raise DiscoveryError(f"no number lies from {low:g} to {high:g} by {step:g}")
    reset = config.text("payload_reset", "None")

    def read(text: str) -> Mapping[str, StateValue]:
        return {"value": None if text == reset else tidy(number_of(text))}

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        value = action.params["value"]
        return (order(value),)

    measured = harmless(config.text("unit_of_measurement"))
    readings = config.reading("state_topic", "value_template", read)
    return Appliance(
        DeviceType.NUMBER,
        commands,
        readings=readings,
        state={"unit": measured} if measured else {},
        optimistic=config.flag("optimistic") or not readings,
        minimum=low,
        maximum=high,
        step=step,
    )


def select(config: Config, unit: str) -> Appliance:
    """One of several options."""
    order = config.required_order("command_topic", "command_template")
    wire = {harmless(option): option for option in config.texts("options")}
    if not wire:
        raise DiscoveryError("options is missing")
    spoken = {option: name for name, option in wire.items()}

    def read(text: str) -> Mapping[str, StateValue]:
        if text == "None":
            return {"option": None}
        if text not in spoken:
            raise DiscoveryError(f"{text[:40]!r} is none of the options")
        return {"option": spoken[text]}

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        return (order(wire[str(action.params["option"])]),)

    readings = config.reading("state_topic", "value_template", read)
    return Appliance(
        DeviceType.SELECT,
        commands,
        readings=readings,
        optimistic=config.flag("optimistic") or not readings,
        options=tuple(wire),
    )
