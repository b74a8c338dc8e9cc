"""Runs the virtual appliances on a broker: announces, listens, obeys, reports."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Self

import aiomqtt
import numpy as np

from assistant.errors import MqttError
from assistant.home.model import State, StateValue
from assistant.simulate import house
from assistant.simulate.appliance import Appliance, Order
from assistant.simulate.discovery import (
    OFFLINE,
    ONLINE,
    Topics,
    announcements,
    presence,
    removals,
)
from assistant.simulate.expectation import Expected, Wanted, shortfalls
from assistant.tasks import end

LOG = logging.getLogger(__name__)
CLIENT_ID = "mimo-voice-virtual-home"
WAITING_ORDERS = 16
"""Orders an appliance keeps while it is busy; later ones are dropped, as by a real one."""
KEPT_COMMANDS = 10_000
RETRY_SECONDS = (0.1, 5.0)
BROKER_SECONDS = 5.0
"""Seconds the broker has to take a connection, and our goodbye."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it arrived, at monotonic second `time`, for the appliance `device`."""

    time: float
    device: str
    topic: str
    payload: str


class VirtualHome:
    """A home full of appliances that speak Home Assistant MQTT discovery; an async context.

    Entering returns once everything is announced; it raises MqttError when no broker answers
    within `patience` seconds. After that a lost broker is waited for, and everything is announced
    again. Each order takes a time within `latency` (seconds), the same for the same `seed`.
    Leaving marks everything offline, or with `leave_no_trace` clears all that was retained.
    """

    def __init__(
        self,
        host: str,
        port: int = 1883,
        *,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        topics: Topics | None = None,
        appliances: Callable[[], Sequence[Appliance]] = house.appliances,
        latency: tuple[float, float] = (0.02, 0.08),
        seed: int = 0,
        client_id: str = CLIENT_ID,
        patience: float = 10.0,
        leave_no_trace: bool = False,
    ) -> None:
        self._host, self._port = host, port
        self._username, self._password, self._tls = username, password, tls
        self._topics = topics or Topics()
        self._build = appliances
        self._latency = latency
        self._random = np.random.default_rng(seed)
        self._client_id = client_id
        self._patience = patience
        self._leave_no_trace = leave_no_trace

        self._appliances = {a.id: a for a in appliances()}
        self._orders: dict[str, asyncio.Queue[Order]] = {
            device: asyncio.Queue(WAITING_ORDERS) for device in self._appliances
        }
        self._absent: set[str] = set()
        self._deaf: set[str] = set()
        self._slow: dict[str, float] = {}
        self._commands: deque[Command] = deque(maxlen=KEPT_COMMANDS)
        self._sent: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._unreported = asyncio.Event()
        self._announced = asyncio.Event()
        self._client: aiomqtt.Client | None = None
        self._last_error = ""
        self._life: asyncio.Task[None] | None = None
        self._leaving = False

    # ------------------------------------------------------------- what a test or demo asks

    @property
    def appliances(self) -> Mapping[str, Appliance]:
        """All appliances by id."""
        return self._appliances

    @property
    def commands(self) -> tuple[Command, ...]:
        """Commands that arrived since the start or the last reset, oldest first."""
        return tuple(self._commands)

    @property
    def announced(self) -> bool:
        """Whether the broker has all of it and hands it orders, as far as it knows."""
        return self._announced.is_set()

    def states(self) -> dict[str, State]:
        """The truth about every appliance, whether it was reported or not."""
        return {device: appliance.state() for device, appliance in self._appliances.items()}

    async def wait_for(self, device: str, key: str, value: Wanted, within: float = 20.0) -> None:
        """Return once `device` has `value`; TimeoutError, `within` seconds, says what it has."""
        if missing := await self.wait_until({device: {key: value}}, within):
            raise TimeoutError(f"{missing[0]}, after {within:g} s")

    async def wait_until(self, expected: Expected, within: float = 20.0) -> list[str]:
        """Wait until the home is as expected; what is not so `within` seconds, one line each."""
        try:
            async with asyncio.timeout(within):
                while shortfalls(self.states(), expected):
                    await self._changed.wait()
        except TimeoutError:
            return shortfalls(self.states(), expected)
        return []

    # ------------------------------------------------------------- what a test or demo does

    def arrange(self, states: Mapping[str, Mapping[str, StateValue]]) -> None:
        """Put appliances into these states at once, as by hand, and let them report it.

        Raises KeyError for an unknown appliance and ValueError for an unknown key.
        """
        for device, state in states.items():
            self._appliances[device].assume(state)
        self._note_change()

    def reset(self) -> None:
        """Begin the day again: all states as at first, faults mended, the command log empty."""
        self._appliances = {a.id: a for a in self._build()}
        for queue in self._orders.values():
            while not queue.empty():
                queue.get_nowait()
        self._absent.clear()
        self._deaf.clear()
        self._slow.clear()
        self._commands.clear()
        self._note_change()

    def offline(self, device: str) -> None:
        """Unplug: the physical device of this appliance says nothing and hears nothing."""
        self._absent.add(self._appliances[device].device)
        self._note_change()

    def ignore(self, device: str) -> None:
        """Let it hear commands and do nothing."""
        self._deaf.add(self._appliances[device].id)

    def slow(self, device: str, seconds: float) -> None:
        """Let it take `seconds` longer over every order."""
        self._slow[self._appliances[device].id] = seconds

    def heal(self, device: str) -> None:
        """Mend every fault of this appliance."""
        self._absent.discard(self._appliances[device].device)
        self._deaf.discard(device)
        self._slow.pop(device, None)
        self._note_change()

    # ------------------------------------------------------------- life

    async def __aenter__(self) -> Self:
        self._life = asyncio.create_task(self._live(), name="virtual-home")
        announced = asyncio.create_task(self._announced.wait())
        try:
            done, _ = await asyncio.wait(
                (self._life, announced), timeout=self._patience, return_when="FIRST_COMPLETED"
            )
            if not done:
                raise MqttError(
                    f"no broker takes the virtual home at {self._host}:{self._port} "
                    f"({self._last_error or 'no answer'}); start one, or name another host and port"
                )
            if self._life in done:
                await self._life
        except BaseException:
            await self._leave()
            raise
        finally:
            announced.cancel()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._leave()

    async def ended(self) -> None:
        """Wait for an end that nobody asked for; raises what caused it."""
        if self._life is not None:
            await asyncio.shield(self._life)

    async def _leave(self) -> None:
        try:
            if self._client is not None:
                async with asyncio.timeout(BROKER_SECONDS):
                    for topic, payload in self._parting_words().items():
                        await _retain(self._client, topic, payload)
        except (aiomqtt.MqttError, TimeoutError) as error:
            LOG.warning("the virtual home could not say goodbye: %s", error or "no answer")
        finally:
            self._leaving = True
            if self._life is not None:
                await end(self._life)

    def _parting_words(self) -> dict[str, str]:
        if not self._leave_no_trace:
            return {self._topics.bridge: OFFLINE}
        announced = announcements(list(self._appliances.values()), self._topics)
        return removals([*announced, *self._reports(), self._topics.bridge])

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as group:
            for device in self._orders:
                group.create_task(self._work(device))
            group.create_task(self._stay_connected())

    async def _stay_connected(self) -> None:
        shortest, longest = RETRY_SECONDS
        delay = shortest
        # Python 3.11's wait_for, with which aiomqtt connects, now and then swallows a cancellation.
        while not self._leaving:
            try:
                async with self._new_client() as client:
                    delay = shortest
                    if self._leaving:
                        break
                    self._client = client
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._listen(client))
                        group.create_task(self._speak(client))
            except* aiomqtt.MqttError as errors:
                error = errors.exceptions[0]
                if self._announced.is_set():
                    LOG.warning("the virtual home lost its broker: %s", error)
                self._last_error = str(error)
            self._client = None
            self._announced.clear()
            await asyncio.sleep(delay)
            delay = min(2 * delay, longest)

    def _new_client(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            self._host,
            self._port,
            username=self._username,
            password=self._password,
            tls_context=ssl.create_default_context() if self._tls else None,
            identifier=self._client_id,
            will=aiomqtt.Will(self._topics.bridge, OFFLINE, qos=1, retain=True),
            timeout=BROKER_SECONDS,
            # Or each report waits 40 ms for the broker to acknowledge our acknowledgement.
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )

    async def _speak(self, client: aiomqtt.Client) -> None:
        """Announce everything, then report what changes."""
        filters = [(self._topics.commands, 1), (self._topics.birth, 0)]
        await client.subscribe(filters, timeout=math.inf)
        await self._announce(client)
        await _retain(client, self._topics.bridge, ONLINE)
        self._sent.clear()
        while True:
            self._unreported.clear()
            for topic, payload in self._reports().items():
                if self._sent.get(topic) != payload:
                    self._sent[topic] = payload
                    await _retain(client, topic, payload)
            self._announced.set()
            await self._unreported.wait()

    async def _announce(self, client: aiomqtt.Client) -> None:
        for topic, payload in announcements(list(self._appliances.values()), self._topics).items():
            await _retain(client, topic, payload)

    def _reports(self) -> dict[str, str]:
        reports = {}
        for appliance in self._appliances.values():
            present = appliance.device not in self._absent
            reports[self._topics.availability(appliance)] = presence(appliance, present)
            if present:
                root = self._topics.root(appliance)
                reports |= {f"{root}/{c}": p for c, p in appliance.reports().items()}
        return reports

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            topic = str(message.topic)
            payload = bytes(message.payload).decode(errors="replace")
            if topic == self._topics.birth:
                if payload == ONLINE:
                    await self._announce(client)
                continue
            _, component, slug, channel = topic.removeprefix(self._topics.base).split("/", 3)
            device = f"{component}.{slug}"
            if message.retain or device not in self._appliances:
                LOG.warning("%s: ignored, %s", topic, "retained" if message.retain else "unknown")
                continue
            self._commands.append(Command(time.monotonic(), device, topic, payload))
            self._give(Order(device, channel, payload))

    # ------------------------------------------------------------- obeying

    def _give(self, order: Order) -> None:
        absent = self._appliances[order.to].device in self._absent
        if absent or order.to in self._deaf:
            LOG.info("%s: does not hear %s", order.to, order.payload)
            return
        try:
            self._orders[order.to].put_nowait(order)
        except asyncio.QueueFull:
            LOG.warning("%s: is busy and drops %s", order.to, order.payload)

    async def _work(self, device: str) -> None:
        """Carry out the orders to one appliance; a new one interrupts the one under way."""
        queue = self._orders[device]
        order: Order | None = None
        while True:
            order = order or await queue.get()
            latency = self._random.uniform(*self._latency) + self._slow.get(device, 0.0)
            await asyncio.sleep(latency)
            order = await self._obey(order, queue)

    async def _obey(self, order: Order, queue: asyncio.Queue[Order]) -> Order | None:
        """Carry out `order`; return the one that interrupted it, if one did."""
        appliance = self._appliances[order.to]
        interruption = None
        try:
            with closing(appliance.obey(order.channel, order.payload)) as steps:
                for step in steps:
                    if isinstance(step, Order):
                        self._give(step)
                        continue
                    self._note_change()
                    try:
                        async with asyncio.timeout(step):
                            interruption = await queue.get()
                        break
                    except TimeoutError:
                        continue
        except ValueError as error:
            LOG.warning("%s: does not understand %s: %s", order.to, order.channel, error)
        LOG.info("%s: %s %s → %s", order.to, order.channel, order.payload, appliance.state())
        # A real device answers every command with its state, whether that changed or not.
        root = self._topics.root(appliance)
        for channel in appliance.reports():
            self._sent.pop(f"{root}/{channel}", None)
        self._note_change()
        return interruption

    def _note_change(self) -> None:
        self._unreported.set()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _retain(client: aiomqtt.Client, topic: str, payload: str) -> None:
    # Without a timeout of aiomqtt's: Python 3.11's wait_for, which it uses for one, swallows a
    # cancellation that comes together with the broker's confirmation, and the home never ends.
    await client.publish(topic, payload, qos=1, retain=True, timeout=math.inf)
