"""A broker of our own, for homes that have none: amqtt, in this process.

It speaks MQTT 3.1.1, on loopback unless told otherwise, and keeps retained messages in a file.
It is meant for a first try, a demo and tests, and serves a small home well; what it lacks are
TLS, access rules and message expiry. Mosquitto is the broker to grow into.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker, RetainedApplicationMessage
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from assistant.config import MqttSettings
from assistant.errors import MqttError
from assistant.mqtt import credentials, retained

SAVE_INTERVAL = 60.0
"""Seconds between writes of the retained messages while they change."""
STOP_TIMEOUT = 1.0
"""Seconds clients have at the end to take what is still meant for them."""
_LISTENER = "default"
_LEVEL_MQTT_5 = 5
_REFUSAL_MQTT_5 = bytes((0x20, 0x03, 0x00, 0x84, 0x00))
"""CONNACK of MQTT 5: unsupported protocol version, no properties."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def embedded_broker(
    settings: MqttSettings, *, retained_file: Path | None = None
) -> AsyncIterator[MqttSettings]:
    """Run a broker on `embedded_host` and `embedded_port` (0: a free one) inside the context.

    Yields settings that lead a Connection to it. Clients must give the user and password of the
    settings, where these are set; without, the broker serves loopback only. `retained_file`
    outlives the broker; without it, retained messages die with it.

    Raises MqttError, saying what to do, when the port is taken, the address is not ours, or the
    broker would be open to the network.
    """
    host = settings.embedded_host
    secret = credentials.password(settings)
    if settings.username is None and not _is_loopback(host):
        raise MqttError(
            f"the embedded broker won't serve {host} to anybody: set mqtt.username and "
            'mqtt.password, or mqtt.embedded_host = "127.0.0.1", or use Mosquitto'
        )
    _quieten()
    broker = _Broker(_configuration(settings.username, secret))
    server = await _listen(broker, host, settings.embedded_port)
    await broker.start()
    broker.restore(retained.load(retained_file) if retained_file else {})
    await server.start_serving()
    port: int = server.sockets[0].getsockname()[1]
    log.info("embedded MQTT broker on %s port %d", host, port)
    keeper = asyncio.create_task(_keep(broker, retained_file), name="mqtt-retained")
    try:
        yield settings.model_copy(
            update={
                "host": _reachable(host),
                "port": port,
                "protocol": "3.1.1",
                "tls": False,
                "ca_file": None,
                "cert_file": None,
                "key_file": None,
            }
        )
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        if retained_file is not None:
            _save(broker.snapshot(), retained_file)
        server.close()
        await broker.stop()


class PasswordAuth(BaseAuthPlugin):  # type: ignore[misc]  # amqtt has no types for us
    """Lets in who gives the one user and password; amqtt loads it by name."""

    @dataclass
    class Config:
        """What to give."""

        username: str
        password: str

    async def authenticate(self, *, session: Session) -> bool:
        """Compare in constant time."""
        given = f"{session.username or ''}\0{session.password or ''}"
        wanted = f"{self.config.username}\0{self.config.password}"
        return hmac.compare_digest(given.encode(), wanted.encode())


class _RewoundReader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt has no types for us
    """Gives some bytes that were read already once more."""

    def __init__(self, start: bytes, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._start = start

    async def read(self, n: int = -1) -> bytes:
        """The next `n` bytes; EOFError when the stream ends before."""
        again, self._start = self._start[:n], self._start[n:]
        rest: bytes = await super().read(n - len(again)) if len(again) < n else b""
        return again + rest


class _Broker(Broker):  # type: ignore[misc]  # amqtt has no types for us
    """amqtt's broker behind a socket of ours, with three of its gaps closed."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        super().__init__(configuration)
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves; whatever goes wrong concerns only this client."""
        self._writers.add(writer)
        try:
            start = await _first_bytes(reader)
            if start[-1] == _LEVEL_MQTT_5:
                writer.write(_REFUSAL_MQTT_5)
                await writer.drain()
                return
            await self.external_connected(
                _RewoundReader(start, reader), StreamWriterAdapter(writer), _LISTENER
            )
        except (OSError, EOFError, ValueError) as error:
            log.debug("the embedded broker lost a client: %r", error)
        except Exception:
            log.warning("the embedded broker dropped a client", exc_info=True)
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        # amqtt calls this for every new client with the filters of all the others, too: a client
        # would get what it never asked for, and the loop around fails when one subscribes then.
        owners = self.subscriptions.get(subscription[0], [])
        if any(owner.client_id == session.client_id for owner, _ in owners):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    def snapshot(self) -> dict[str, tuple[bytes, int]]:
        """All retained messages."""
        return {
            topic: (bytes(message.data), message.qos or 0)
            for topic, message in self.retained_messages.items()
        }

    def restore(self, messages: dict[str, tuple[bytes, int]]) -> None:
        """Take up what `snapshot` gave."""
        for topic, (payload, qos) in messages.items():
            self.retained_messages[topic] = RetainedApplicationMessage(None, topic, payload, qos)

    async def stop(self) -> None:
        """Close all connections, those of clients that don't listen after STOP_TIMEOUT."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self.shutdown()
        except TimeoutError:
            log.debug("some clients had to be thrown out")
        for writer in self._writers:
            writer.transport.abort()


def _configuration(username: str | None, secret: str | None) -> dict[str, Any]:
    # Without "plugins" amqtt would load its own, which log every packet and publish $SYS.
    plugins: dict[str, dict[str, Any]] = {
        "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
    }
    if username is not None:
        name = f"{PasswordAuth.__module__}.{PasswordAuth.__qualname__}"
        plugins = {name: {"username": username, "password": secret or ""}}
    # "external": we own the socket, so we choose the port and say what is wrong with it.
    return {"listeners": {_LISTENER: {"type": "external"}}, "plugins": plugins}


async def _listen(broker: _Broker, host: str, port: int) -> asyncio.Server:
    try:
        return await asyncio.start_server(broker.serve, host, port, start_serving=False)
    except OSError as error:
        remedy = {
            errno.EADDRINUSE: "something listens there already; if it is an MQTT broker, set "
            "mqtt.host to use it, else choose another mqtt.embedded_port",
            errno.EACCES: "only root may use that port; choose an mqtt.embedded_port above 1023",
            errno.EADDRNOTAVAIL: "this machine has no such address; check mqtt.embedded_host",
        }.get(error.errno or 0, f"{error.strerror}; check mqtt.embedded_host")
        raise MqttError(f"no embedded MQTT broker on {host} port {port}: {remedy}") from error


async def _first_bytes(reader: asyncio.StreamReader) -> bytes:
    """A CONNECT packet up to its protocol level (MQTT 3.1.1, section 3.1).

    amqtt reads the whole packet before it looks at the level, and hangs on those of MQTT 5.
    """
    start = await reader.readexactly(2)
    while start[-1] & 0x80:  # the remaining length goes on
        if len(start) > 4:
            raise ValueError("not MQTT")
        start += await reader.readexactly(1)
    start += await reader.readexactly(2)
    name_length = int.from_bytes(start[-2:])
    if name_length > len("MQIsdp"):
        raise ValueError("not MQTT")
    return start + await reader.readexactly(name_length + 1)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(host: str) -> str:
    """Where a client on this machine finds a broker that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not a bind


def _quieten() -> None:
    """amqtt reports every client that leaves as an error, transitions each change of state."""
    if not log.isEnabledFor(logging.DEBUG):
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.WARNING)


async def _keep(broker: _Broker, path: Path | None) -> None:
    """Write the retained messages now and then, for the day the power fails."""
    saved: dict[str, tuple[bytes, int]] = {}
    while path is not None:
        await asyncio.sleep(SAVE_INTERVAL)
        if (current := broker.snapshot()) != saved:
            await asyncio.to_thread(_save, current, path)
            saved = current


def _save(messages: dict[str, tuple[bytes, int]], path: Path) -> None:
    try:
        retained.save(path, messages)
    except OSError as error:
        log.warning("%s: retained messages can't be kept: %s", path, error.strerror)
