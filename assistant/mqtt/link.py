"""One network connection to a broker, from its CONNECT to its end; never used twice.

A new connection gets a new paho client, because an old one keeps what was not confirmed and
sends it again: nobody wants the door unlocked ten minutes late. For the same reason a link that
owes us a confirmation for too long is cut, together with what the kernel has not sent yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from assistant.config import MqttSettings
from assistant.errors import MqttError
from assistant.mqtt import credentials, failure
from assistant.mqtt.message import Message

Version = Literal["5", "3.1.1"]

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for each of: TCP connection, TLS handshake, the broker's answer."""
SUBACK_TIMEOUT: Final = 30.0
"""Seconds for confirming subscriptions; a broker may send thousands of retained messages first."""
MAX_PACKET: Final = 4 * 2**20
"""Bytes of the largest packet the broker may send us (MQTT 5), so that none fills our memory."""
WINDOW: Final = 20
"""Unconfirmed publications at a time, unless the broker wants fewer."""
FRESH = 1.0
"""Seconds of silence after which the broker is asked whether it is still there before a
publication is handed to the network: a connection can be dead for a minute before TCP knows."""
_FILTERS_PER_PACKET: Final = 100
_PACKETS_PER_TURN: Final = 32
_NO_SUBSCRIBERS: Final = 0x10
_DISCARD_UNSENT: Final = struct.pack("ii", 1, 0)  # struct linger: on, for no time at all

log = logging.getLogger(__name__)


def broker_address(settings: MqttSettings) -> tuple[str, int]:
    """Host and port these settings mean: without a host, where the embedded broker listens."""
    if settings.host is None:
        return settings.embedded_host, settings.embedded_port
    return settings.host, settings.port or (8883 if settings.tls else 1883)


def shown_address(settings: MqttSettings) -> str:
    """The same for people."""
    host, port = broker_address(settings)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _new_client(
    settings: MqttSettings, version: Version, client_id: str, will: str | None
) -> Client:
    protocol = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=protocol[version],
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_TIMEOUT
    if (context := credentials.tls_context(settings)) is not None:
        client.tls_set_context(context)
    secret = credentials.password(settings)
    if settings.username is not None:
        client.username_pw_set(settings.username, secret)
    if will is not None:
        client.will_set(will, b"offline", qos=1, retain=True)
    return client


def _properties(packet: int, **values: int) -> Properties:
    """MQTT 5 properties of a packet of this type."""
    properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho has no types here
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


@dataclass(slots=True)
class _Unconfirmed:
    """A packet the broker has yet to confirm. The result is None when the link was lost first."""

    answer: asyncio.Future[ReasonCode | None]
    deadline: asyncio.TimerHandle


class Link:
    """A connection that the broker accepted. All methods belong to the event loop's thread."""

    def __init__(
        self,
        settings: MqttSettings,
        version: Version,
        on_message: Callable[[Message], None],
        client: Client,
    ) -> None:
        self.version: Final = version
        self.address: Final = shown_address(settings)
        self.last_progress = time.monotonic()
        """Monotonic time at which the broker last sent something, be it the answer to a ping."""
        self._settings = settings
        self._on_message = on_message
        self._client = client
        self._loop = asyncio.get_running_loop()
        self.lost: Final[asyncio.Future[str]] = self._loop.create_future()
        """Done when the connection has ended, with the reason in words."""
        self._answered: asyncio.Future[tuple[ReasonCode, Properties | None]] = (
            self._loop.create_future()
        )
        self._unconfirmed: dict[int, _Unconfirmed] = {}
        self._subscribing: dict[int, tuple[list[str], _Unconfirmed]] = {}
        self._asked: dict[int, _Unconfirmed] = {}
        self._window = asyncio.Semaphore(WINDOW)
        self._ticker: asyncio.Task[None] | None = None
        self._socket_error = ""
        self._leaving = False

    @classmethod
    async def open(
        cls,
        settings: MqttSettings,
        version: Version,
        on_message: Callable[[Message], None],
        *,
        client_id: str,
        will: str | None,
    ) -> Link:
        """Connect with a clean session. `will` is a topic to which the broker writes "offline",
        retained, once we are gone without a word. `on_message` is called for what arrives and
        must not raise.

        Raises MqttError saying why there is no connection (see `failure`), and ConfigError when
        passwords or certificates can't be read.
        """
        link = cls(settings, version, on_message, _new_client(settings, version, client_id, will))
        try:
            await link._connect()
        except BaseException:
            link.cut("given up while connecting")
            raise
        link._ticker = asyncio.create_task(link._tick(), name="mqtt-keepalive")
        return link

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        expiry: int | None,
        timeout: float,  # noqa: ASYNC109 - bounds the packet, which outlives a cancelled caller
    ) -> bool:
        """Publish, and wait until the broker has confirmed (qos 0: until it was handed to the
        network). Returns False when the broker says that nobody is subscribed.

        Raises MqttError when it was not sent, or not confirmed within `timeout` seconds; the link
        is then cut, so that nothing arrives late. That holds even if the caller stops waiting.
        A broker that has been silent for FRESH seconds must answer a question first.
        """
        if time.monotonic() - self.last_progress > FRESH and await self.ask(timeout) is None:
            raise MqttError(f"{topic}: not sent; the MQTT broker at {self.address} is lost")
        try:
            async with asyncio.timeout(timeout):
                await self._window.acquire()
        except TimeoutError as error:
            raise MqttError(
                f"{topic}: not sent; the MQTT broker at {self.address} is too slow to confirm"
            ) from error
        mid = self._send(topic, payload, qos, retain, expiry)
        waiting = self._owed(mid, timeout, f"it did not confirm a message within {timeout:g} s")
        self._unconfirmed[mid] = waiting
        answer = await waiting.answer
        if answer is None:
            raise MqttError(
                f"{topic}: the MQTT broker at {self.address} was lost before it confirmed "
                f"({self.lost.result()}); perhaps it was carried out, it is not sent again"
            )
        if answer.is_failure:
            raise MqttError(f"{topic}: the MQTT broker at {self.address} refuses it: {answer}")
        return answer.value != _NO_SUBSCRIBERS

    def subscribe(self, filters: Mapping[str, int]) -> list[asyncio.Future[ReasonCode | None]]:
        """Ask for these filters, with their quality of service, at once; what is published
        afterwards is answered on them. Futures are done when the broker has confirmed, or the
        link is lost. Refusals are logged.
        """
        answers: list[asyncio.Future[ReasonCode | None]] = []
        names = list(filters)
        if self.lost.done():
            return answers
        for start in range(0, len(names), _FILTERS_PER_PACKET):
            part = names[start : start + _FILTERS_PER_PACKET]
            if self.version == "5":
                code, mid = self._client.subscribe(
                    [(name, SubscribeOptions(qos=filters[name])) for name in part]
                )
            else:
                code, mid = self._client.subscribe([(name, filters[name]) for name in part])
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
                break  # the link has just been lost; `lost` says so
            waiting = self._owed(mid, SUBACK_TIMEOUT, "it did not confirm a subscription")
            self._subscribing[mid] = (part, waiting)
            answers.append(waiting.answer)
        return answers

    def unsubscribe(self, topic_filter: str) -> None:
        """Give a filter back. Messages that are under way may still arrive."""
        if not self.lost.done():
            self._client.unsubscribe(topic_filter)

    async def ask(self, timeout: float) -> float | None:  # noqa: ASYNC109 - cuts the link, too
        """Have the broker answer a question; seconds that took. None: the link is lost, which it
        is as well when there is no answer within `timeout` seconds."""
        # To give back a filter nobody has is the cheapest request that brings an answer. (paho
        # keeps its pings to itself.)
        asked = time.monotonic()
        code, mid = self._client.unsubscribe(f"{self._settings.base_topic}/nobody")
        if self.lost.done() or code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            return None
        waiting = self._owed(mid, timeout, "it no longer answers")
        self._asked[mid] = waiting
        if await waiting.answer is None:
            return None
        return time.monotonic() - asked

    def leave(self) -> None:
        """End the connection properly: the broker does not speak our will."""
        if not self.lost.done():
            self._leaving = True
            self._client.disconnect()
            # It was queued for the writer; a socket that takes nothing now won't do so later.
            self._writable()
        self.cut("we left")

    def cut(self, reason: str) -> None:
        """End the connection at once, without a word; what was not sent never will be."""
        client = self._client
        if (sock := client.socket()) is not None:
            self._forget(sock)
            sock.close()
        # paho still holds the closed socket, and would tell us about it some day.
        client.on_socket_close = None
        client.on_socket_register_write = None
        client.on_socket_unregister_write = None
        self._lose(reason)

    # -- connecting ---------------------------------------------------------------------------

    async def _connect(self) -> None:
        await self._open_socket()
        client = self._client
        sock = client.socket()
        if sock is None:  # closed again while CONNECT was written
            raise failure.hung_up(self.address, self._socket_error or "it hung up")
        # Only from here on does anything happen in callbacks, so all of it on this thread.
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_paho_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_log = self._on_log
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_socket_register_write
        client.on_socket_unregister_write = self._on_socket_unregister_write
        self._loop.add_reader(sock.fileno(), self._readable)
        if client.want_write():
            self._loop.add_writer(sock.fileno(), self._writable)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await asyncio.wait((self._answered, self.lost), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            raise failure.hung_up(self.address, "it says nothing") from error
        if not self._answered.done():
            raise failure.hung_up(self.address, self._socket_error or self.lost.result())
        reason, properties = self._answered.result()
        if reason.is_failure:
            raise failure.refused(self.address, reason)
        client.on_log = None
        if (limit := getattr(properties, "ReceiveMaximum", WINDOW)) < WINDOW:
            self._window = asyncio.Semaphore(limit)

    async def _open_socket(self) -> None:
        """Look the name up, connect and send CONNECT: paho blocks for these.

        The thread is our own and a daemon, not one of the loop's pool: a name server that hangs
        must not hold up the end of the program.
        """
        host, port = broker_address(self._settings)
        opened: asyncio.Future[None] = self._loop.create_future()

        def tune(_client: Client, _userdata: Any, sock: Any) -> None:
            if opened.cancelled():
                raise OSError("nobody waits for this connection any more")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                # Data the broker's machine does not acknowledge must not arrive minutes later.
                milliseconds = int(CONNECT_TIMEOUT * 1000)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

        def report(error: Exception | None) -> None:
            if opened.done():
                return
            if error is None:
                opened.set_result(None)
            else:
                opened.set_exception(error)

        def connect() -> None:
            outcome: Exception | None = None
            try:
                if self.version == "5":
                    limits = _properties(PacketTypes.CONNECT, MaximumPacketSize=MAX_PACKET)
                    self._client.connect(host, port, self._settings.keepalive, properties=limits)
                else:
                    self._client.connect(host, port, self._settings.keepalive)
            except Exception as error:  # reported to whom it concerns, below
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(report, outcome)

        self._client.on_socket_open = tune
        threading.Thread(target=connect, name="mqtt-connect", daemon=True).start()
        try:
            await opened
        except (OSError, ValueError) as error:
            raise failure.unreachable(self.address, error) from error
        finally:
            opened.cancel()

    # -- the socket ---------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            for _ in range(_PACKETS_PER_TURN):
                if self._client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                    self.last_progress = time.monotonic()
                sock = self._client.socket()
                if not isinstance(sock, ssl.SSLSocket) or not sock.pending():
                    return
            # Decrypted bytes are left that no selector will announce.
            self._loop.call_soon(self._readable)
        except Exception as error:  # paho chokes on what is not MQTT in many ways
            log.warning("the MQTT broker at %s sent nonsense", self.address, exc_info=True)
            self.cut(f"it sent something that is not MQTT ({error!r})")

    def _writable(self) -> None:
        self._client.loop_write()

    def _forget(self, sock: Any) -> None:
        """Stop watching a socket that is about to be closed."""
        if sock.fileno() < 0:
            return
        self._loop.remove_reader(sock.fileno())
        self._loop.remove_writer(sock.fileno())
        if not self._leaving:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD_UNSENT)

    async def _tick(self) -> None:
        while not self.lost.done():
            await asyncio.sleep(1)
            self._client.loop_misc()  # sends pings, and notices when they go unanswered

    def _lose(self, reason: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._ticker is not None:
            self._ticker.cancel()
        for waiting in self._unconfirmed.values():
            self._window.release()  # for those who wait for a place; they find the link lost
            self._settle(waiting, None)
        others = [waiting for _, waiting in self._subscribing.values()]
        for waiting in (*others, *self._asked.values()):
            self._settle(waiting, None)
        self._unconfirmed.clear()
        self._subscribing.clear()
        self._asked.clear()

    # -- packets ------------------------------------------------------------------------------

    def _send(self, topic: str, payload: bytes, qos: int, retain: bool, expiry: int | None) -> int:
        """Hand a publication to paho; its packet id. The window's place is given back on error."""
        properties = None
        if expiry is not None and self.version == "5":
            properties = _properties(PacketTypes.PUBLISH, MessageExpiryInterval=expiry)
        try:
            if self.lost.done():
                raise MqttError(f"{topic}: not sent; the MQTT broker at {self.address} was lost")
            info = self._client.publish(topic, payload, qos, retain, properties)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise MqttError(
                    f"{topic}: not sent to the MQTT broker at {self.address}: {info.rc}"
                )
        except ValueError as error:
            self._window.release()
            raise MqttError(f"{topic}: can't be sent: {error}") from error
        except MqttError:
            self._window.release()
            raise
        return int(info.mid)

    def _owed(self, mid: int, timeout: float, reproach: str) -> _Unconfirmed:
        return _Unconfirmed(
            answer=self._loop.create_future(),
            deadline=self._loop.call_later(timeout, self.cut, reproach),
        )

    def _settle(self, waiting: _Unconfirmed, answer: ReasonCode | None) -> None:
        waiting.deadline.cancel()
        if not waiting.answer.done():  # else its caller has stopped waiting
            waiting.answer.set_result(answer)

    # -- what paho calls ----------------------------------------------------------------------

    def _on_socket_register_write(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._loop.add_writer(sock.fileno(), self._writable)

    def _on_socket_unregister_write(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._loop.remove_writer(sock.fileno())

    def _on_socket_close(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._forget(sock)

    def _on_connect(
        self,
        _client: Client,
        _userdata: Any,
        _flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if not self._answered.done():
            self._answered.set_result((reason, properties))

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._lose(f"it says: {reason}")
        elif reason.getName() == "Keep alive timeout":
            self._lose("it has fallen silent")
        elif reason.getName() == "Protocol error":
            self._lose(f"it sent something that is not MQTT {self.version}")
        elif reason.is_failure:
            self._lose("the connection broke off")
        else:
            self._lose("we left")

    def _on_paho_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            log.debug("dropping a message whose topic is not UTF-8")
            return
        self._on_message(Message(topic, bytes(message.payload), message.retain, message.qos))

    def _on_publish(
        self,
        _client: Client,
        _userdata: Any,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if (waiting := self._unconfirmed.pop(mid, None)) is not None:
            self._window.release()
            self._settle(waiting, reason)

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: Any,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        names, waiting = self._subscribing.pop(mid, ([], None))
        for name, reason in zip(names, reasons, strict=False):
            if reason.is_failure:
                log.warning(
                    "the MQTT broker at %s refuses the subscription to %s: %s; "
                    "allow it in the broker's access rules",
                    self.address,
                    name,
                    reason,
                )
        if waiting is not None:
            self._settle(waiting, reasons[0] if reasons else None)

    def _on_unsubscribe(
        self,
        _client: Client,
        _userdata: Any,
        mid: int,
        _reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if (waiting := self._asked.pop(mid, None)) is not None:
            self._settle(waiting, ReasonCode(PacketTypes.PUBACK, "Success"))

    def _on_log(self, _client: Client, _userdata: Any, level: int, text: str) -> None:
        # While connecting, paho tells only its log why the socket failed.
        if level == LogLevel.MQTT_LOG_ERR:
            self._socket_error = text
