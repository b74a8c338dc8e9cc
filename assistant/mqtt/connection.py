"""The assistant's connection to its broker: kept up, in order, and never late.

Promises: what arrives is handed to the handlers in order; what is published goes out now or not
at all; after every reconnection the broker's retained messages come again, so that whoever
listens can rebuild what it knows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from assistant.config import MqttSettings
from assistant.errors import AssistantError, ConfigError, MqttError
from assistant.mqtt import credentials
from assistant.mqtt.backoff import Backoff
from assistant.mqtt.dial import Dialler
from assistant.mqtt.failure import RefusedError
from assistant.mqtt.inbox import Inbox
from assistant.mqtt.link import Link, Version, shown_address
from assistant.mqtt.message import Handler, Message
from assistant.mqtt.subscriptions import Subscriptions
from assistant.mqtt.topics import is_filter, is_topic

CONFIRM_TIMEOUT = 5.0
"""Seconds the broker has to confirm a publication before the connection is taken for dead."""
FAREWELL_TIMEOUT = 0.5
"""Seconds it has for our "offline" at the end."""
SHORT_LIVED = 10.0
"""Seconds below which a connection counts as thrown out."""
SUSPICIOUS = 3
"""Short-lived connections in a row from which on that has a cause to be looked for."""

log = logging.getLogger(__name__)


class Connection:
    """One client of one broker. `run` belongs to a task of the owner; the rest can be called at
    any time on the event loop."""

    def __init__(self, settings: MqttSettings, *, backoff: Backoff | None = None) -> None:
        self._settings = settings
        self._backoff = backoff or Backoff()
        self._dialler = Dialler(settings)
        self._address = shown_address(settings)
        self._status_topic = f"{settings.base_topic}/status"
        self._subscriptions = Subscriptions()
        self._watchers: list[Callable[[bool], None]] = []
        self._inbox = Inbox()
        self._link: Link | None = None
        self._ready = asyncio.Event()
        self._complaints: set[str] = set()

    @property
    def connected(self) -> bool:
        """Whether messages can be published now."""
        return self._link is not None and not self._link.lost.done()

    @property
    def version(self) -> Version | None:
        """The version of MQTT spoken now; None while not connected."""
        return self._link.version if self._link else None

    @property
    def last_progress(self) -> float:
        """Monotonic time of the broker's last sign of life, at most twice `keepalive` ago while the
        connection is good (pings see to that). While there is no connection: now, for waiting is
        then all there is to do."""
        return self._link.last_progress if self._link else time.monotonic()

    async def ready(self) -> None:
        """Wait until connected with all subscriptions confirmed."""
        while True:
            await self._ready.wait()
            if self.connected:
                return
            await asyncio.sleep(0)  # just lost; that is being noted now

    def watch(self, watcher: Callable[[bool], None]) -> None:
        """Have `watcher` called with True after each connect, before the messages it brings, and
        with False after each loss, after the last message received. Not called at the end of
        `run`. It must not block."""
        self._watchers.append(watcher)

    def subscribe(self, topic_filter: str, handler: Handler, qos: int = 0) -> None:
        """Have `handler` called for messages on `topic_filter`, now and after every reconnection.

        The broker sends its retained messages with each call and each reconnection, also to the
        handlers that have the same filter already: handlers must not mind hearing a state twice.
        A refusal by the broker is logged. Raises MqttError when the filter is not well formed.

        `qos` is that between broker and us, and 0 loses nothing on a connection that stands. With
        1 Mosquitto keeps a thousand messages waiting and drops the rest: of the 3000 retained
        messages of a large home 1020 came.
        """
        if not is_filter(topic_filter):
            raise MqttError(f"{topic_filter!r} is not an MQTT topic filter")
        self._subscriptions.add(topic_filter, handler, qos)
        if self._link is not None:
            self._link.subscribe({topic_filter: self._subscriptions.qos(topic_filter)})

    def unsubscribe(self, topic_filter: str, handler: Handler) -> None:
        """Undo `subscribe`; nothing happens if there was none."""
        if self._subscriptions.remove(topic_filter, handler) and self._link is not None:
            self._link.unsubscribe(topic_filter)

    async def publish(
        self,
        topic: str,
        payload: str | bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry: int | None = None,
    ) -> bool:
        """Publish now, or raise MqttError: nothing is kept for later or sent a second time.

        Waits for the broker's confirmation (qos 0: until it was handed to the network). With
        MQTT 5 the broker drops the message when it could not deliver it within `expiry` seconds,
        and the result is False when it says that nobody is subscribed; True otherwise.

        Raises MqttError at once when not connected or when the topic is not well formed; else
        when the broker refuses, or does not confirm within CONFIRM_TIMEOUT. In the last case
        whether it was carried out is not known.
        """
        if not is_topic(topic):
            raise MqttError(f"{topic!r} is not an MQTT topic that can be written to")
        if self._link is None or self._link.lost.done():
            raise MqttError(f"{topic}: not sent; there is no connection to {self._address}")
        data = payload.encode() if isinstance(payload, str) else payload
        return await self._link.publish(
            topic, data, qos=qos, retain=retain, expiry=expiry, timeout=CONFIRM_TIMEOUT
        )

    async def run(self) -> None:
        """Connect, and keep connected, until cancelled; then say "offline" and leave properly.

        A broker that can't be reached is no error but waited for, with one line in the log when
        it goes and one when it comes. Raises ConfigError when password or certificates can't be
        read at the start.
        """
        credentials.password(self._settings)
        credentials.tls_context(self._settings)
        delivery = asyncio.create_task(
            self._inbox.deliver(self._dispatch, self._announce), name="mqtt-inbox"
        )
        try:
            await self._stay_connected()
        finally:
            delivery.cancel()
            await asyncio.gather(delivery, return_exceptions=True)

    async def _stay_connected(self) -> None:
        failures = short_lived = 0
        while True:
            delay = self._backoff.delay(failures)
            try:
                link = await self._dialler.dial(
                    self._inbox.put, client_id=self._settings.client_id, will=self._status_topic
                )
            except (MqttError, ConfigError) as error:
                self._complain(error)
                failures += 1
            else:
                connected_at = time.monotonic()
                loss = await self._serve(link)
                lasted = time.monotonic() - connected_at
                self._complain(MqttError(f"lost the MQTT broker at {self._address}: {loss}"))
                # Two clients with one id throw each other out without end, and not every broker
                # says why: hence no hurry after a connection that was over at once, and a hint.
                failures = 0 if lasted > delay else failures + 1
                short_lived = short_lived + 1 if lasted < SHORT_LIVED else 0
                if short_lived == SUSPICIOUS:
                    log.warning(
                        "connections to the MQTT broker at %s keep breaking off; does another "
                        "client use mqtt.client_id %r, too?",
                        self._address,
                        self._settings.client_id,
                    )
                delay = self._backoff.delay(failures)
            await asyncio.sleep(delay)

    async def _serve(self, link: Link) -> str:
        """Use `link` until it is lost; why it was."""
        self._complaints.clear()
        log.info("connected to the MQTT broker at %s, MQTT %s", self._address, link.version)
        self._link = link
        self._inbox.put_state(True)
        try:
            if confirmations := link.subscribe(self._subscriptions.filters()):
                await asyncio.wait(confirmations)
            try:
                await self.publish(self._status_topic, "online", retain=True)
            except MqttError as error:
                if not link.lost.done():  # else the loss is logged, once
                    log.warning("our status can't be published: %s", error)
            if not link.lost.done():
                self._ready.set()
            return await asyncio.shield(link.lost)
        except asyncio.CancelledError:
            await self._take_leave(link)
            raise
        finally:
            link.cut("no longer needed")
            self._ready.clear()
            self._link = None
            self._inbox.put_state(False)

    async def _take_leave(self, link: Link) -> None:
        try:
            await link.publish(
                self._status_topic,
                b"offline",
                qos=1,
                retain=True,
                expiry=None,
                timeout=FAREWELL_TIMEOUT,
            )
        except MqttError as error:
            log.debug("left without a word: %s", error)
        link.leave()

    def _complain(self, error: AssistantError) -> None:
        """Log the start of an outage, and later only what waiting won't mend."""
        text = str(error)
        news = not self._complaints or (
            isinstance(error, (RefusedError, ConfigError)) and text not in self._complaints
        )
        self._complaints.add(text)
        log.log(logging.WARNING if news else logging.DEBUG, "%s; trying again", text)

    def _dispatch(self, message: Message) -> None:
        for handler in self._subscriptions.handlers(message.topic):
            try:
                handler(message)
            except Exception:
                log.exception("a message on %.200r could not be handled", message.topic)

    def _announce(self, connected: bool) -> None:
        for watcher in self._watchers:
            try:
                watcher(connected)
            except Exception:
                log.exception("a change of the MQTT connection could not be handled")
