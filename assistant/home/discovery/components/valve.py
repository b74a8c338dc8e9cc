"""Valves: like covers, with one topic for state and position."""

from __future__ import annotations

import json
from collections.abc import Mapping

from assistant.errors import DiscoveryError
from assistant.home.action import Action
from assistant.home.discovery.components.cover import Scale, state_reader
from assistant.home.discovery.config import Appliance, Command, Config
from assistant.home.model import Device, DeviceType, StateValue
from assistant.home.vocabulary import ActionError


def valve(config: Config, unit: str) -> Appliance:
    """OPEN and CLOSE, or with `reports_position` numbers instead."""
    order = config.required_order("command_topic", "command_template")
    counts = config.flag("reports_position")
    scale = Scale.of(config)
    payloads = {
        name: config.text(f"payload_{name}", name.upper())
        for name in ("open", "close")
        if not counts and not config.is_null(f"payload_{name}")
    }
    if config.has("payload_stop"):
        payloads["stop"] = config.text("payload_stop")
    read_state = state_reader(config, with_position=not counts)

    def read(text: str) -> Mapping[str, StateValue]:
        changes: dict[str, StateValue] = {}
        for part in _parts(text):
            try:
                changes |= read_state(part)
            except DiscoveryError:
                if not counts:
                    raise
                changes |= scale.read(part)
        return changes

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        if action.name in payloads:
            return (order(payloads[action.name]),)
        if counts and action.name in ("open", "close", "set_position"):
            percent = {"open": 100.0, "close": 0.0}.get(action.name)
            if percent is None:
                percent = float(str(action.params["position"]))
            return (order(scale.to_wire(percent)),)
        raise ActionError("unsupported", f"{device.name} can't {action.name}")

    readings = config.reading("state_topic", "value_template", read)
    return Appliance(
        DeviceType.VALVE,
        commands,
        frozenset({"open_close", *(["position"] if counts else []), *(payloads.keys() & {"stop"})}),
        readings,
        optimistic=config.flag("optimistic") or not readings,
    )


def _parts(text: str) -> list[str]:
    """State and position, of JSON that may hold both; or the text itself."""
    if not text.startswith("{"):
        return [text]
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DiscoveryError("not JSON") from error
    return [str(held[key]) for key in ("state", "position") if held.get(key) is not None]
