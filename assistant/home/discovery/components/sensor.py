"""What only reports: sensors and binary sensors."""

from __future__ import annotations

import math
from collections.abc import Mapping

from assistant.errors import DiscoveryError
from assistant.home.discovery.components.switch import on_or_off
from assistant.home.discovery.config import Appliance, Config, tidy
from assistant.home.discovery.wording import harmless
from assistant.home.model import DeviceType, StateValue

_TEXT_LIMIT = 255


def sensor(config: Config, unit: str) -> Appliance:
    """A number where it is one, else a text."""
    config.required_topic("state_topic")
    measured = harmless(config.text("unit_of_measurement"))
    return Appliance(
        DeviceType.SENSOR,
        readings=config.reading("state_topic", "value_template", _value),
        state={"unit": measured} if measured else {},
        expire_after=config.number_or_none("expire_after"),
    )


def binary_sensor(config: Config, unit: str) -> Appliance:
    """ON and OFF, or other payloads; some turn off by themselves."""
    config.required_topic("state_topic")
    read = on_or_off(config.text("payload_on", "ON"), config.text("payload_off", "OFF"))
    return Appliance(
        DeviceType.BINARY_SENSOR,
        readings=config.reading("state_topic", "value_template", read),
        off_delay=config.number_or_none("off_delay"),
        expire_after=config.number_or_none("expire_after"),
    )


def _value(text: str) -> Mapping[str, StateValue]:
    if text in ("None", "unknown", "unavailable"):
        return {"value": None}
    try:
        found = float(text)
    except ValueError:
        if len(text) > _TEXT_LIMIT:
            raise DiscoveryError(f"a value of {len(text)} characters is too long") from None
        return {"value": harmless(text, _TEXT_LIMIT)}
    return {"value": tidy(found) if math.isfinite(found) else None}
