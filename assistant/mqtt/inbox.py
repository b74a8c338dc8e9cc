"""Between the socket and the handlers: keeps the order, bounds the memory.

The socket is drained at full speed, because a broker drops messages for clients that read
slowly; handlers take theirs from here, and the event loop gets its turns in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from assistant.mqtt.message import Message

MAX_MESSAGES = 10_000
"""Messages kept for the handlers; newer ones are dropped."""
MAX_BYTES = 64 * 2**20
"""Bytes of payload kept for the handlers; messages beyond are dropped."""
MAX_PAYLOAD = 256 * 2**10
"""Bytes of payload from which a message is dropped: no device has that much to say."""

_MESSAGES_PER_TURN = 32
_LOGGED_TOPICS = 100

log = logging.getLogger(__name__)


class Inbox:
    """Messages, and changes of the connection between them, in the order they happened."""

    def __init__(self) -> None:
        self._entries: deque[Message | bool] = deque()
        self._messages = 0
        self._bytes = 0
        self._dropped = 0
        self._oversized: set[str] = set()
        self._filled = asyncio.Event()

    def put_state(self, connected: bool) -> None:
        """Note that the connection came up or was lost. Never dropped."""
        self._entries.append(connected)
        self._filled.set()

    def put(self, message: Message) -> None:
        """Take a message. One that is too large, or one too many, is dropped and logged once."""
        size = len(message.payload)
        if size > MAX_PAYLOAD:
            if message.topic not in self._oversized and len(self._oversized) < _LOGGED_TOPICS:
                self._oversized.add(message.topic)
                log.warning(
                    "dropping messages on %.200r: %d bytes are more than the %d accepted",
                    message.topic,
                    size,
                    MAX_PAYLOAD,
                )
            return
        if self._messages >= MAX_MESSAGES or self._bytes + size > MAX_BYTES:
            if not self._dropped:
                log.warning(
                    "dropping MQTT messages, the first on %.200r: %d wait already",
                    message.topic,
                    self._messages,
                )
            self._dropped += 1
            return
        self._entries.append(message)
        self._messages += 1
        self._bytes += size
        self._filled.set()

    async def deliver(
        self, on_message: Callable[[Message], None], on_state: Callable[[bool], None]
    ) -> None:
        """Hand out entries as they come, until cancelled. What is handed out must not raise."""
        while True:
            await self._filled.wait()
            for _ in range(min(_MESSAGES_PER_TURN, len(self._entries))):
                entry = self._entries.popleft()
                if isinstance(entry, bool):
                    on_state(entry)
                else:
                    self._messages -= 1
                    self._bytes -= len(entry.payload)
                    on_message(entry)
            if not self._entries:
                self._filled.clear()
                if self._dropped:
                    log.warning("%d MQTT messages were dropped", self._dropped)
                    self._dropped = 0
            await asyncio.sleep(0)
