"""Robot vacuums."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from assistant.errors import DiscoveryError
from assistant.home.action import Action
from assistant.home.discovery.config import Appliance, Command, Config
from assistant.home.discovery.wording import harmless
from assistant.home.model import Device, DeviceType, StateValue
from assistant.home.vocabulary import ActionError

_STATES: Final = frozenset({"cleaning", "docked", "paused", "idle", "returning", "error"})
_FEATURES: Final = ("start", "stop", "return_home", "status", "clean_spot")
# Feature of the configuration: our capability, our action, option and default of the payload.
_ORDERS: Final = {
    "start": ("start", "vacuum_start", "payload_start", "start"),
    "pause": ("pause", "vacuum_pause", "payload_pause", "pause"),
    "stop": ("stop", "vacuum_stop", "payload_stop", "stop"),
    "return_home": ("return", "vacuum_return", "payload_return_to_base", "return_to_base"),
}


def vacuum(config: Config, unit: str) -> Appliance:
    """One topic for all commands; the state is JSON."""
    order = config.order("command_topic", "command_template")
    clean = config.order("clean_segments_command_topic", "clean_segments_command_template")
    features = config.texts("supported_features", _FEATURES)
    payloads = {
        action: config.text(option, default)
        for feature, (_, action, option, default) in _ORDERS.items()
        if order is not None and feature in features
    }

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        if action.name == "vacuum_clean_area" and clean is not None:
            segment = _segment(device, str(action.params["area"]))
            return (clean(json.dumps([segment])),)
        if order is None or action.name not in payloads:
            raise ActionError("unsupported", f"{device.name} can't {action.name}")
        return (order(payloads[action.name]),)

    readings = config.reading("state_topic", "value_template", _read)
    capabilities = {_ORDERS[f][0] for f in features if f in _ORDERS and order is not None}
    if clean is not None:
        capabilities.add("clean_area")
    return Appliance(
        DeviceType.VACUUM, commands, frozenset(capabilities), readings, optimistic=not readings
    )


def _read(text: str) -> Mapping[str, StateValue]:
    try:
        report: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DiscoveryError("not JSON") from error
    if not isinstance(report, dict):
        raise DiscoveryError("not a JSON object")
    changes: dict[str, StateValue] = {}
    if "state" in report:
        state = report["state"]
        if state is not None and (not isinstance(state, str) or state not in _STATES):
            raise DiscoveryError(f"{str(state)[:40]!r} is no state of a vacuum")
        changes["vacuum"] = state
    segments = report.get("segments")
    if isinstance(segments, dict) and len(segments) <= 64:
        changes["segments"] = {
            key[:64]: harmless(str(name)) for key, name in sorted(segments.items())
        }
    return changes


def _segment(device: Device, area: str) -> str:
    segments = device.state.get("segments")
    for key, name in segments.items() if isinstance(segments, Mapping) else ():
        if str(name).casefold() == area.casefold():
            return str(key)
    raise ActionError("unsupported", f"{device.name} knows no part called {area}")
