"""What commands that talk to the configured home have in common: a guest at its broker."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from assistant.config import Settings
from assistant.errors import ConfigError, MqttError
from assistant.paths import directories

if TYPE_CHECKING:
    from assistant.compose import HomeLink
    from assistant.home.registry import Registry

log = logging.getLogger(__name__)

SETTLE = 0.4
"""Seconds without a new device after which the home is taken to have announced itself."""
PATIENCE = 5.0
"""Seconds the broker has to answer."""


@asynccontextmanager
async def visited_home(settings: Settings) -> AsyncIterator[HomeLink]:
    """The configured home, all devices known, beside a daemon that may be running.

    Raises MqttError when the broker does not answer.
    """
    from assistant.compose import open_home, settled

    # Not the daemon's client id and status topic, or each would throw the other out.
    mqtt = settings.mqtt.model_copy(
        update={
            "client_id": f"{settings.mqtt.client_id}-{os.getpid()}",
            "base_topic": f"{settings.mqtt.base_topic}/command-{os.getpid()}",
        }
    )
    guest = settings.model_copy(update={"mqtt": mqtt})
    async with open_home(guest, directories()) as link:
        try:
            async with asyncio.timeout(PATIENCE):
                await link.connection.ready()
        except TimeoutError:
            raise MqttError(
                f"the broker {link.mqtt.host} port {link.mqtt.port or 'by default'} does not "
                "answer; find out why with: assistant doctor"
            ) from None
        await settled(link.registry, SETTLE)
        yield link


def check_area(area: str | None, registry: Registry) -> None:
    """Raise ConfigError where the home has no area with the id `area`."""
    known = [known.id for known in registry.home().areas]
    if area is not None and area not in known:
        there = f"there are: {', '.join(known)}" if known else "it has none"
        raise ConfigError(f"--area: the home has no area with the id {area!r}; {there}")


def warn_of_emptiness(link: HomeLink) -> None:
    """Say that commands can do nothing, where the home has no devices."""
    if not link.registry.home().devices:
        log.warning(
            "no devices have announced themselves at the MQTT broker %s port %s; why that may be: "
            "assistant devices",
            link.mqtt.host,
            link.mqtt.port or "by default",
        )
