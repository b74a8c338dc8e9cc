"""A virtual home on a real Mosquitto, and an ear on the same broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiomqtt
import pytest

from assistant.simulate.home import VirtualHome
from tests.support.mosquitto import Mosquitto


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
async def home(broker: Mosquitto) -> AsyncIterator[VirtualHome]:
    async with VirtualHome(
        "127.0.0.1", broker.port, latency=(0.0, 0.01), leave_no_trace=True
    ) as home:
        yield home


class Ear:
    """Hears everything on the broker and can speak."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.heard: list[tuple[str, str]] = []
        self.retained: dict[str, str] = {}
        self._news = asyncio.Event()

    async def listen(self) -> None:
        async for message in self.client.messages:
            topic, payload = str(message.topic), bytes(message.payload).decode()
            self.heard.append((topic, payload))
            self.retained[topic] = payload
            self._news.set()

    async def until(self, topic: str, payload: str, within: float = 20.0) -> None:
        """Return once `payload` is the last word on `topic`."""
        async with asyncio.timeout(within):
            while self.retained.get(topic) != payload:
                self._news.clear()
                await self._news.wait()

    async def say(self, topic: str, payload: str, retain: bool = False) -> None:
        await self.client.publish(topic, payload, qos=1, retain=retain)


@asynccontextmanager
async def listening(broker: Mosquitto) -> AsyncIterator[Ear]:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        ear = Ear(client)
        task = asyncio.create_task(ear.listen())
        await client.subscribe("#", qos=1)
        # All that is retained was delivered before what is published after the subscription.
        await client.publish("test/ready", "yes", qos=1)
        await ear.until("test/ready", "yes")
        try:
            yield ear
        finally:
            task.cancel()


@pytest.fixture
async def ear(broker: Mosquitto, home: VirtualHome) -> AsyncIterator[Ear]:
    async with listening(broker) as ear:
        yield ear
