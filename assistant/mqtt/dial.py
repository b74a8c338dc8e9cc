"""Which version of MQTT to speak: 5 where the broker can, 3.1.1 where not."""

from __future__ import annotations

import time
from collections.abc import Callable

from assistant.config import MqttSettings
from assistant.mqtt.failure import HungUpError, VersionRefusedError
from assistant.mqtt.link import Link, Version
from assistant.mqtt.message import Message

FORGET_REFUSAL = 3600.0
"""Seconds after which a broker that refused MQTT 5 is asked again: it may have been replaced."""


class Dialler:
    """Opens links to one broker, and remembers what it speaks."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._refused_5_at: float | None = None

    async def dial(
        self, on_message: Callable[[Message], None], *, client_id: str, will: str | None
    ) -> Link:
        """Open a link; errors and parameters as in `Link.open`."""
        for version in self._versions():
            last = version == "3.1.1" or self._settings.protocol == "5"
            try:
                return await Link.open(
                    self._settings, version, on_message, client_id=client_id, will=will
                )
            except VersionRefusedError:
                if last:
                    raise
                self._refused_5_at = time.monotonic()
            except HungUpError:
                # Some old brokers hang up on MQTT 5, or fall silent; but so does one that is going
                # down, hence nothing is remembered.
                if last:
                    raise
        raise AssertionError("there is always a last version")

    def _versions(self) -> tuple[Version, ...]:
        if self._settings.protocol != "auto":
            return (self._settings.protocol,)
        refused = self._refused_5_at
        if refused is not None and time.monotonic() - refused < FORGET_REFUSAL:
            return ("3.1.1",)
        return ("5", "3.1.1")
