"""A broker in memory: keeps retained messages, remembers what was published."""

from __future__ import annotations

import json
from typing import Any

from assistant.home.discovery.consumer import Discovery
from assistant.home.model import Device, Home
from assistant.home.registry import Registry
from assistant.mqtt.message import Message
from assistant.mqtt.topics import matches


class Wire:
    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.handlers: list[tuple[str, Any]] = []
        self.published: list[tuple[str, str, int, bool, int | None]] = []
        self.listened = True

    def subscribe(self, topic_filter: str, handler: Any, qos: int = 1) -> None:
        self.handlers.append((topic_filter, handler))
        for topic, payload in tuple(self.retained.items()):
            if matches(topic_filter, topic):
                handler(Message(topic, payload, True, 1))

    def unsubscribe(self, topic_filter: str, handler: Any) -> None:
        self.handlers.remove((topic_filter, handler))

    async def publish(
        self,
        topic: str,
        payload: str | bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry: int | None = None,
    ) -> bool:
        text = payload if isinstance(payload, str) else payload.decode()
        self.published.append((topic, text, qos, retain, expiry))
        return self.listened

    def say(self, topic: str, payload: Any = "", *, retain: bool = True) -> None:
        """As a device: texts and bytes as they are, anything else as JSON."""
        if not isinstance(payload, str | bytes):
            payload = json.dumps(payload)
        data = payload.encode() if isinstance(payload, str) else payload
        if retain:
            self.retained.pop(topic, None)
            if data:
                self.retained[topic] = data
        for topic_filter, handler in tuple(self.handlers):
            if matches(topic_filter, topic):
                handler(Message(topic, data, False, 1))

    @property
    def topics(self) -> set[str]:
        return {topic for topic, _ in self.handlers}


def discovering(home: Home | None = None, wire: Wire | None = None) -> tuple[Wire, Registry]:
    """A wire and a registry that discovery keeps in step with it."""
    wire = wire or Wire()
    registry = Registry(home)
    Discovery(registry, wire).start()
    return wire, registry


def only(registry: Registry) -> Device:
    (device,) = registry.home().devices.values()
    return device
