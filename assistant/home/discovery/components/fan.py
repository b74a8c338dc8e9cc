"""Fans: on and off, speed, oscillation."""

from __future__ import annotations

import math
from collections.abc import Mapping

from assistant.errors import DiscoveryError
from assistant.home.action import Action
from assistant.home.discovery.components.switch import on_or_off
from assistant.home.discovery.config import Appliance, Command, Config, number_of
from assistant.home.model import Device, DeviceType, StateValue


def fan(config: Config, unit: str) -> Appliance:
    """A topic each for on, speed and oscillation, where they are there."""
    order = config.required_order("command_topic", "command_template")
    set_speed = config.order("percentage_command_topic", "percentage_command_template")
    swing = config.order("oscillation_command_topic", "oscillation_command_template")
    on, off = config.text("payload_on", "ON"), config.text("payload_off", "OFF")
    swinging = config.text("payload_oscillation_on", "oscillate_on")
    still = config.text("payload_oscillation_off", "oscillate_off")
    low = round(config.number("speed_range_min", 1))
    speeds = round(config.number("speed_range_max", 100)) - low + 1
    if low < 1 or speeds < 1:
        raise DiscoveryError("no speed lies between speed_range_min and speed_range_max")
    reset = config.text("payload_reset_percentage", "None")

    # The speed 0 is off, low - 1 on the wire.
    def read_speed(text: str) -> Mapping[str, StateValue]:
        if text == reset:
            return {"percentage": None}
        share = (number_of(text) - low + 1) / speeds
        return {"percentage": round(100 * min(1.0, max(0.0, share)))}

    def read_swing(text: str) -> Mapping[str, StateValue]:
        if text not in (swinging, still):
            raise DiscoveryError(f"{text[:40]!r} is no oscillation")
        return {"oscillating": text == swinging}

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        if action.name == "oscillate" and swing is not None:
            wanted = action.params.get("oscillating", True) is True
            return (swing(swinging if wanted else still),)
        if action.name == "set_fan_speed" and set_speed is not None:
            percentage = float(str(action.params["percentage"]))
            if percentage <= 0:
                return (order(off),)
            speed = set_speed(math.ceil(speeds * percentage / 100 - 1e-6) + low - 1)
            # A fan that stands is started first: not all start for a speed alone.
            return (speed,) if device.state.get("on") else (order(on), speed)
        return (order(on if action.name == "turn_on" else off),)

    readings = (
        *config.reading("state_topic", "state_value_template", on_or_off(on, off)),
        *config.reading("percentage_state_topic", "percentage_value_template", read_speed),
        *config.reading("oscillation_state_topic", "oscillation_value_template", read_swing),
    )
    capabilities = {"on_off": True, "speed": set_speed is not None, "oscillate": swing is not None}
    silent = {
        "on": not config.has("state_topic"),
        "percentage": not config.has("percentage_state_topic"),
        "oscillating": not config.has("oscillation_state_topic"),
    }
    return Appliance(
        DeviceType.FAN,
        commands,
        frozenset(name for name, there in capabilities.items() if there),
        readings,
        optimistic=config.flag("optimistic") or not readings,
        unreported=frozenset(key for key, yes in silent.items() if yes),
        step=100 / speeds if set_speed is not None else None,
    )
