"""A Mosquitto per test, connections that end with the test, and an ear on the broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.config import MqttSettings
from assistant.mqtt.backoff import Backoff
from assistant.mqtt.connection import Connection
from assistant.mqtt.message import Message
from tests.support.mosquitto import Mosquitto

PATIENCE = 30.0
QUICK = Backoff(first=0.05, cap=0.2)


class Ear:
    """A handler that keeps what it hears."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._news = asyncio.Event()

    def __call__(self, message: Message) -> None:
        self.messages.append(message)
        self._news.set()

    @property
    def payloads(self) -> list[str]:
        return [message.payload.decode(errors="replace") for message in self.messages]

    async def until(self, condition: Callable[[Ear], bool]) -> None:
        """Return once `condition` holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self._news.clear()
                await self._news.wait()

    async def hears(self, payload: str) -> Message:
        """The first message with this payload, once it has come."""
        await self.until(lambda ear: payload in ear.payloads)
        return next(m for m in self.messages if m.payload == payload.encode())


Open = Callable[..., Connection]
"""Starts a connection with these settings and changes to them; it ends with the test."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
async def start() -> AsyncIterator[Open]:
    tasks: list[asyncio.Task[None]] = []

    def open_connection(settings: MqttSettings, **changes: Any) -> Connection:
        unique = {"client_id": f"test-{len(tasks)}", "base_topic": f"test-{len(tasks)}"}
        settings = settings.model_copy(update={**unique, **changes})
        connection = Connection(settings, backoff=QUICK)
        tasks.append(asyncio.create_task(connection.run()))
        return connection

    yield open_connection
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results


async def until(condition: Callable[[], object]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing announces these
            await asyncio.sleep(0.005)


async def ready(*connections: Connection) -> None:
    """Return once all of them are connected and subscribed."""
    async with asyncio.timeout(PATIENCE):
        for connection in connections:
            await connection.ready()
