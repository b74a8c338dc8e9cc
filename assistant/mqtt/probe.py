"""Whether the broker can be reached and accepts us, for `assistant doctor`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from assistant.config import MqttSettings
from assistant.errors import ConfigError, MqttError
from assistant.mqtt.dial import Dialler
from assistant.mqtt.link import Version, shown_address

ANSWER_TIMEOUT = 5.0
"""Seconds the broker has for an answer."""


@dataclass(frozen=True, slots=True)
class BrokerReport:
    """What a visit at the broker showed."""

    address: str
    version: Version | None
    """Version of MQTT spoken; None: not connected."""
    round_trip: float | None
    """Seconds from a request to its answer."""
    error: str | None
    """What is wrong and how to mend it; None: nothing."""


async def probe(settings: MqttSettings) -> BrokerReport:
    """Connect as these settings say, ask the broker something, and leave.

    It goes under a client id of its own, so that a running daemon keeps its connection. Nothing
    is published.
    """
    address = shown_address(settings)
    try:
        link = await Dialler(settings).dial(
            lambda _message: None,
            client_id=f"{settings.client_id}-doctor-{secrets.token_hex(3)}",
            will=None,
        )
    except (MqttError, ConfigError) as error:
        return BrokerReport(address, None, None, str(error))
    try:
        round_trip = await link.ask(ANSWER_TIMEOUT)
        if round_trip is None:
            lost = f"lost the MQTT broker at {address} again: {link.lost.result()}"
            return BrokerReport(address, link.version, None, lost)
        return BrokerReport(address, link.version, round_trip, None)
    finally:
        link.leave()
