"""Keeps the registry in step with what devices announce, report, and take back.

The registry that results is the same whatever order the messages come in: ids are decided among
all entities known, and states are asked for once an entity is.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from assistant.errors import DiscoveryError, MqttError
from assistant.home.action import Action
from assistant.home.discovery import payload
from assistant.home.discovery.claims import Claims
from assistant.home.discovery.config import Command
from assistant.home.discovery.entity import Availability, Description, described
from assistant.home.model import Device
from assistant.home.registry import Registry
from assistant.home.vocabulary import ActionError
from assistant.mqtt.message import Handler, Message

log = logging.getLogger(__name__)

ENTITY_LIMIT: Final = 5000
"""Entities in all; what comes after is dropped."""
STATE_LIMIT: Final = 262144
"""Bytes of a state message; longer ones are dropped."""
_COMPLAINT_LIMIT: Final = 1000


class Broker(Protocol):
    """What is needed of a connection (`assistant.mqtt.connection.Connection`, or a test's)."""

    def subscribe(self, topic_filter: str, handler: Handler, qos: int = 1) -> None:
        """Have `handler` called for messages on the filter, retained ones included."""
        ...

    def unsubscribe(self, topic_filter: str, handler: Handler) -> None:
        """Undo `subscribe`."""
        ...

    async def publish(
        self,
        topic: str,
        payload: str | bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry: int | None = None,
    ) -> bool:
        """Publish now or raise MqttError; False where it is known that nobody listens."""
        ...


@dataclass(slots=True)
class _Known:
    """An entity in use."""

    description: Description
    availability: Availability
    device_id: str | None = None
    """Under which it is in the registry; None: its double is."""
    topics: set[str] = field(default_factory=set)
    """What is heard for it."""
    stale: bool = True
    """The registry has not got its description yet."""
    expired: bool = False
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)

    def stop_timers(self) -> None:
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()


class MqttCarrier:
    """Carries commands to one discovered entity."""

    def __init__(self, broker: Broker, description: Description, expiry: int) -> None:
        self._broker = broker
        self._commands = description.appliance.commands
        self._expiry = expiry

    async def carry(self, device: Device, action: Action) -> tuple[str, ...]:
        """See Carrier. Every command expires at the broker after a few seconds (MQTT 5)."""
        commands = self._worded(device, action)
        for command in commands:
            heard = await self._broker.publish(
                command.topic,
                command.payload,
                qos=command.qos,
                retain=command.retain,
                expiry=self._expiry,
            )
            if not heard:
                raise MqttError(f"{command.topic}: nobody is subscribed; is {device.name} on?")
        return tuple(dict.fromkeys(command.topic for command in commands))

    def _worded(self, device: Device, action: Action) -> tuple[Command, ...]:
        if self._commands is None:
            raise ActionError("unsupported", f"{device.name} takes no commands")
        try:
            return self._commands(device, action)
        except DiscoveryError as error:
            raise MqttError(f"{device.name}: the command can't be worded: {error}") from error


class Discovery:
    """Listens to configuration messages under `prefix` and fills `registry`.

    Belongs to the event loop. `expiry`: seconds after which the broker drops a command it could
    not deliver. The owner tells the registry when the broker comes and goes
    (`connection.watch(registry.set_online)`).
    """

    def __init__(
        self,
        registry: Registry,
        broker: Broker,
        *,
        prefix: str = "homeassistant",
        expiry: int = 5,
    ) -> None:
        self._registry = registry
        self._broker = broker
        self._prefix = prefix
        self._expiry = expiry
        self._digests: dict[str, bytes] = {}  # of the configuration in use, by topic
        self._known: dict[str, _Known] = {}  # by key
        self._keys: dict[str, set[str]] = {}  # keys by configuration topic
        self._claims = Claims()
        self._by_topic: dict[str, set[str]] = {}  # keys of those who hear a topic
        self._last: dict[str, bytes] = {}  # last payload on each topic heard
        self._complaints: set[str] = set()

    @property
    def _filters(self) -> tuple[str, str]:
        return f"{self._prefix}/+/+/config", f"{self._prefix}/+/+/+/config"

    def start(self) -> None:
        """Begin to listen."""
        for topic_filter in self._filters:
            self._broker.subscribe(topic_filter, self._configured)

    def stop(self) -> None:
        """Listen no more; the registry keeps what it has."""
        for topic_filter in self._filters:
            self._broker.unsubscribe(topic_filter, self._configured)
        for topic in self._by_topic:
            self._broker.unsubscribe(topic, self._heard)
        self._by_topic.clear()
        for known in self._known.values():
            known.stop_timers()

    # ------------------------------------------------------------------- configurations

    def _configured(self, message: Message) -> None:
        digest = hashlib.sha256(message.payload).digest()
        if self._digests.get(message.topic) == digest:
            return  # once more, after a reconnection
        try:
            found = payload.entities(message.topic, self._prefix, message.payload)
        except DiscoveryError as error:
            self._complain(message.topic, error)
            return
        if found is None:
            return
        descriptions = []
        for entity in found:
            try:
                description = described(entity, self._registry.temperature_unit)
            except DiscoveryError as error:
                self._complain(entity.key, error)
                # A part that can't be read is no reason to lose the one that was there.
                old = self._known.get(entity.key)
                description = old.description if old else None
            if description is not None:
                descriptions.append(description)
        self._update(message.topic, descriptions)
        if message.topic in self._keys:
            self._digests[message.topic] = digest
        else:
            self._digests.pop(message.topic, None)

    def _update(self, topic: str, descriptions: list[Description]) -> None:
        """Make `descriptions` all that is known from this configuration topic."""
        now = {description.claim.key: description for description in descriptions}
        touched: set[str] = set()
        for key in [k for k in self._keys.get(topic, ()) if k not in now]:
            touched |= self._forget(key)
        for key, description in now.items():
            if key not in self._known and len(self._known) >= ENTITY_LIMIT:
                self._complain(topic, DiscoveryError(f"more than {ENTITY_LIMIT} entities"))
                break
            touched |= self._learn(key, description)
        self._keys[topic] = {key for key in now if key in self._known}
        if not self._keys[topic]:
            del self._keys[topic]
        self._place(touched)
        for key in now:
            if key in self._known:
                self._listen(self._known[key])

    def _learn(self, key: str, description: Description) -> set[str]:
        """Take an entity in, or its update; the keys whose id may have changed."""
        known = self._known.get(key)
        availability = Availability(description.presences, description.presence_mode)
        if known is None:
            self._known[key] = _Known(description, availability)
        else:
            known.stop_timers()
            if known.description.presences != description.presences:
                known.availability = availability
            known.description, known.expired, known.stale = description, False, True
        return self._claims.put(description.claim)

    def _forget(self, key: str) -> set[str]:
        """Let go of an entity; the keys whose id may have changed."""
        known = self._known.pop(key)
        known.stop_timers()
        for topic in known.topics:
            self._release(topic, key)
        if known.device_id:
            self._registry.remove(known.device_id)
        return self._claims.remove(key)

    def _place(self, keys: set[str]) -> None:
        """Put these entities into the registry, under the ids they get now."""
        places = {key: self._claims.id_of(key) for key in sorted(keys) if key in self._known}
        for key, device_id in places.items():
            known = self._known[key]
            if known.device_id and known.device_id != device_id:
                self._registry.remove(known.device_id)
                known.device_id = None
        for key, device_id in places.items():
            known = self._known[key]
            if device_id is None:
                double = self._claims.original(key)
                self._complain(key, DiscoveryError(f"the entity is configured by {double} already"))
            elif known.device_id != device_id or known.stale:
                moved = known.device_id != device_id
                known.device_id, known.stale = device_id, False
                self._put(known, device_id)
                if moved:
                    self._repeat(known)

    def _put(self, known: _Known, device_id: str) -> None:
        description = known.description
        device = replace(description.device, id=device_id, available=known.availability.available)
        carrier = MqttCarrier(self._broker, description, self._expiry)
        self._registry.put(device, carrier, area_name=description.area_name)

    # ------------------------------------------------------------------- states

    def _listen(self, known: _Known) -> None:
        """Hear the topics that an entity has now, and no longer those that it had."""
        key = known.description.claim.key
        before, now = known.topics, known.description.topics()
        known.topics = now
        for topic in sorted(now):
            listeners = self._by_topic.get(topic)
            if listeners is None:
                # One subscription a topic: the broker sends what is retained to the first who
                # asks, and whoever comes later is told what was heard last.
                self._by_topic[topic] = {key}
                self._broker.subscribe(topic, self._heard)
            else:
                listeners.add(key)
                if topic in self._last:
                    self._tell(known, topic, self._last[topic])
        for topic in sorted(before - now):
            self._release(topic, key)

    def _release(self, topic: str, key: str) -> None:
        listeners = self._by_topic[topic]
        listeners.discard(key)
        if not listeners:
            del self._by_topic[topic]
            self._last.pop(topic, None)
            self._broker.unsubscribe(topic, self._heard)

    def _heard(self, message: Message) -> None:
        listeners = self._by_topic.get(message.topic)
        if listeners is None:
            return
        if len(message.payload) > STATE_LIMIT:
            size = len(message.payload)
            self._complain(message.topic, DiscoveryError(f"a message of {size} bytes is too long"))
            return
        self._last[message.topic] = message.payload
        for key in tuple(listeners):
            if key in self._known:
                self._tell(self._known[key], message.topic, message.payload)

    def _repeat(self, known: _Known) -> None:
        """Tell an entity that got another id what was said to it before."""
        for topic in sorted(known.topics):
            if topic in self._last:
                self._tell(known, topic, self._last[topic])

    def _tell(self, known: _Known, topic: str, data: bytes) -> None:
        """Give an entity a payload on one of its topics."""
        if known.device_id is None:
            return
        key = known.description.claim.key
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._complain(f"{key} {topic}", DiscoveryError("not UTF-8 text"))
            return
        try:
            known.availability.hear(topic, text)
        except DiscoveryError as error:
            self._complain(f"{key} {topic}", error)
        self._update_availability(known)
        if not text:
            return
        for reading in known.description.appliance.readings:
            if reading.topic != topic:
                continue
            try:
                changes = reading.read(text)
            except DiscoveryError as error:
                self._complain(f"{key} {topic}", error)
                continue
            if changes:
                self._registry.report(known.device_id, changes)
                self._keep_time(known, turned_on=changes.get("on") is True)

    # ------------------------------------------------------------------- what ages

    def _update_availability(self, known: _Known) -> None:
        if known.device_id is not None:
            there = known.availability.available and not known.expired
            self._registry.set_available(known.device_id, there)

    def _keep_time(self, known: _Known, *, turned_on: bool) -> None:
        appliance = known.description.appliance
        if appliance.expire_after:
            known.expired = False
            self._update_availability(known)
            self._later(known, "expire", appliance.expire_after, self._expire)
        if appliance.off_delay and turned_on:
            self._later(known, "off", appliance.off_delay, self._turn_off)

    def _later(
        self, known: _Known, name: str, seconds: float, act: Callable[[_Known], None]
    ) -> None:
        if name in known.timers:
            known.timers[name].cancel()
        known.timers[name] = asyncio.get_running_loop().call_later(seconds, act, known)

    def _expire(self, known: _Known) -> None:
        known.expired = True
        self._update_availability(known)

    def _turn_off(self, known: _Known) -> None:
        if known.device_id is not None:
            self._registry.report(known.device_id, {"on": False})

    # ------------------------------------------------------------------- complaints

    def _complain(self, about: str, error: DiscoveryError) -> None:
        """Log once per topic."""
        if about in self._complaints:
            return
        if len(self._complaints) >= _COMPLAINT_LIMIT:
            self._complaints.clear()
        self._complaints.add(about)
        log.warning("%.200s: dropped: %.300s", about, error)
