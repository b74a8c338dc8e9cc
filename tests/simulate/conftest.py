"""A virtual home on a real Mosquitto, and an ear on the same broker."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiomqtt
import pytest

from assistant.simulate.home import VirtualHome


@dataclass
class Broker:
    """A Mosquitto process on loopback, without persistence."""

    port: int
    host: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = subprocess.Popen(
            [binary, "-p", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                socket.create_connection((self.host, self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        broker = Broker(free.getsockname()[1])
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
async def home(broker: Broker) -> AsyncIterator[VirtualHome]:
    async with VirtualHome(broker.host, broker.port, latency=(0.0, 0.01)) as home:
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

    async def until(self, topic: str, payload: str, within: float = 5.0) -> None:
        """Return once `payload` is the last word on `topic`."""
        async with asyncio.timeout(within):
            while self.retained.get(topic) != payload:
                self._news.clear()
                await self._news.wait()

    async def say(self, topic: str, payload: str, retain: bool = False) -> None:
        await self.client.publish(topic, payload, qos=1, retain=retain)


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[Ear]:
    async with aiomqtt.Client(broker.host, broker.port) as client:
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
async def ear(broker: Broker, home: VirtualHome) -> AsyncIterator[Ear]:
    async with listening(broker) as ear:
        yield ear
