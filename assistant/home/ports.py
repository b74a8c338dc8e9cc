"""Who carries an action out: MQTT for real appliances, memory for homes from files."""

from __future__ import annotations

from typing import Protocol

from assistant.home.action import Action
from assistant.home.model import Device


class Carrier(Protocol):
    """Carries commands to devices. States come back through the registry, not from here."""

    async def carry(self, device: Device, action: Action) -> tuple[str, ...]:
        """Send `action` (absolute, checked) to `device`; return the topics written to.

        Raises MqttError when it could not be sent now (it is then not sent later either), and
        HomeError when the device has no such command.
        """
        ...


class Performer(Protocol):
    """Carries out actions that concern no device, such as timers; skills bring these."""

    async def perform(self, action: Action) -> None:
        """Do it. Raises SkillError with a message for the user when it can't be done."""
        ...
