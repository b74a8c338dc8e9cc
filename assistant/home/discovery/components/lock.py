"""Locks."""

from __future__ import annotations

from collections.abc import Mapping

from assistant.errors import DiscoveryError
from assistant.home.action import Action
from assistant.home.discovery.config import Appliance, Command, Config
from assistant.home.model import Device, DeviceType, StateValue
from assistant.home.vocabulary import ActionError


def lock(config: Config, unit: str) -> Appliance:
    """LOCK and UNLOCK; a lock that wants a code can be locked, and opened by hand only."""
    order = config.required_order("command_topic", "command_template")
    payloads = {
        "lock": config.text("payload_lock", "LOCK"),
        "unlock": config.text("payload_unlock", "UNLOCK"),
    }
    wants_code = config.has("code_format")
    states: dict[str, dict[str, StateValue]] = {
        "None": {"locked": None, "moving": None},
        config.text("state_jammed", "JAMMED"): {"locked": None, "moving": "jammed"},
        config.text("state_locking", "LOCKING"): {"moving": "locking"},
        config.text("state_unlocking", "UNLOCKING"): {"moving": "unlocking"},
        config.text("state_unlocked", "UNLOCKED"): {"locked": False, "moving": None},
        config.text("state_locked", "LOCKED"): {"locked": True, "moving": None},
    }

    def read(text: str) -> Mapping[str, StateValue]:
        if text not in states:
            raise DiscoveryError(f"{text[:40]!r} is no state of a lock")
        return states[text]

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        if wants_code and action.name == "unlock":
            raise ActionError("unsupported", f"{device.name} wants a code, which can't be spoken")
        return (order(payloads[action.name]),)

    readings = config.reading("state_topic", "value_template", read)
    return Appliance(
        DeviceType.LOCK,
        commands,
        frozenset({"lock"}),
        readings,
        optimistic=config.flag("optimistic") or not readings,
    )
