"""Who wants to hear what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paho.mqtt.matcher import MQTTMatcher

from assistant.mqtt.message import Handler


class Subscriptions:
    """Handlers by topic filter. Several may share a filter, and one may have several filters."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[Handler, int]] = {}
        self._matcher: Any = MQTTMatcher()  # type: ignore[no-untyped-call]  # paho has no types here

    def add(self, topic_filter: str, handler: Handler, qos: int) -> None:
        """Let `handler` hear `topic_filter`; once more changes its qos."""
        handlers = self._wanted.setdefault(topic_filter, {})
        handlers[handler] = qos
        self._matcher[topic_filter] = handlers

    def remove(self, topic_filter: str, handler: Handler) -> bool:
        """Undo add (unknown pairs are no error); whether nobody wants the filter any more."""
        handlers = self._wanted.get(topic_filter)
        if handlers is None or handlers.pop(handler, None) is None or handlers:
            return False
        del self._wanted[topic_filter]
        del self._matcher[topic_filter]
        return True

    def handlers(self, topic: str) -> list[Handler]:
        """Those who hear `topic`, each once, however many of its filters match."""
        return list({h: None for found in self._matcher.iter_match(topic) for h in found})

    def qos(self, topic_filter: str) -> int:
        """The highest quality of service asked for with this filter."""
        return max(self._wanted[topic_filter].values())

    def filters(self) -> Mapping[str, int]:
        """All filters with their quality of service: what to tell a new connection."""
        return {topic_filter: self.qos(topic_filter) for topic_filter in self._wanted}
