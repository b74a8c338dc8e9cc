"""Covers: blinds, curtains, garage doors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from assistant.errors import DiscoveryError
from assistant.home.action import Action
from assistant.home.discovery.config import Appliance, Command, Config, number_of
from assistant.home.model import Device, DeviceType, StateValue
from assistant.home.vocabulary import ActionError


def cover(config: Config, unit: str) -> Appliance:
    """OPEN, CLOSE, STOP on one topic, positions on another, each where it is there."""
    order = config.order("command_topic", "command_template")
    set_position = config.order("set_position_topic", "set_position_template")
    if order is None and set_position is None:
        raise DiscoveryError("command_topic is missing")
    scale = Scale.of(config)
    payloads = {
        name: config.text(f"payload_{name}", name.upper())
        for name in ("open", "close", "stop")
        if order is not None and not config.is_null(f"payload_{name}")
    }
    has_position = config.topic("position_topic") is not None
    readings = (
        *config.reading(
            "state_topic", "value_template", state_reader(config, with_position=not has_position)
        ),
        *config.reading("position_topic", "position_template", scale.read),
    )

    def position_command(percent: float) -> Command:
        if set_position is None:
            raise ActionError("unsupported", "it takes no position")
        return set_position(
            scale.to_wire(percent),
            position=round(percent),
            position_open=scale.opened,
            position_closed=scale.closed,
        )

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        if action.name == "set_position":
            percent = float(str(action.params["position"]))
            if set_position is not None:
                return (position_command(percent),)
        elif order is not None and action.name in payloads:
            return (order(payloads[action.name]),)
        elif action.name in ("open", "close"):
            return (position_command(100 if action.name == "open" else 0),)
        raise ActionError("unsupported", f"{device.name} can't {action.name}")

    capabilities = {
        "open_close": {"open", "close"} <= payloads.keys() or set_position is not None,
        "position": set_position is not None,
        "stop": "stop" in payloads,
    }
    return Appliance(
        DeviceType.COVER,
        commands,
        frozenset(name for name, there in capabilities.items() if there),
        readings,
        optimistic=config.flag("optimistic") or not readings,
        unreported=frozenset() if config.has("state_topic") else frozenset({"moving"}),
    )


class Scale:
    """The device's own numbers for closed and open, between which it counts."""

    def __init__(self, closed: float, opened: float) -> None:
        if closed == opened:
            raise DiscoveryError("position_open and position_closed are the same")
        self.closed, self.opened = closed, opened

    @classmethod
    def of(cls, config: Config) -> Scale:
        """As the options say; 0 to 100 where they do not."""
        return cls(config.number("position_closed", 0), config.number("position_open", 100))

    def to_percent(self, wire: float) -> int:
        """Percent open, within 0 to 100."""
        share = (wire - self.closed) / (self.opened - self.closed)
        return round(100 * min(1.0, max(0.0, share)))

    def to_wire(self, percent: float) -> int:
        """The device's number for percent open."""
        return round(self.closed + percent / 100 * (self.opened - self.closed))

    def read(self, text: str) -> Mapping[str, StateValue]:
        """A number, or JSON that holds it as `position`."""
        if text == "None":
            return {"position": None}
        if text.startswith("{"):
            try:
                held = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise DiscoveryError("not JSON") from error
            if "position" not in held:
                return {}
            text = str(held["position"])
        return {"position": self.to_percent(number_of(text))}


def state_reader(
    config: Config, *, with_position: bool
) -> Callable[[str], Mapping[str, StateValue]]:
    """Reads open, closed, opening, closing, stopped; with `with_position` the first two are all
    that is known of the position."""
    resting: dict[str, dict[str, StateValue]] = {
        config.text("state_stopped", "stopped"): {"moving": "stopped"},
        config.text("state_open", "open"): {"moving": "stopped", "position": 100},
        config.text("state_closed", "closed"): {"moving": "stopped", "position": 0},
    }
    if not with_position:
        resting = {text: {"moving": "stopped"} for text in resting}
    states: dict[str, dict[str, StateValue]] = {
        "None": {"moving": None, **({"position": None} if with_position else {})},
        config.text("state_opening", "opening"): {"moving": "opening"},
        config.text("state_closing", "closing"): {"moving": "closing"},
        **resting,
    }

    def read(text: str) -> Mapping[str, StateValue]:
        if text not in states:
            raise DiscoveryError(f"{text[:40]!r} is no state of a cover")
        return states[text]

    return read
