"""Passwords, certificates, and what is said when they don't fit: connection and probe."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from assistant.errors import ConfigError
from assistant.mqtt.connection import Connection
from assistant.mqtt.credentials import password, tls_context
from assistant.mqtt.probe import probe
from tests.mqtt.conftest import Open, ready, until
from tests.support.mosquitto import Mosquitto, executable, free_port


@dataclass(frozen=True)
class Certificates:
    """Two authorities; the broker and the client of the first, and a client of the second."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def other_ca(self) -> Path:
        return self.folder / "other-ca.pem"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    other.cert_pem.write_to_path(str(folder / "other-ca.pem"))
    for name, issued in {
        "broker": ca.issue_cert("127.0.0.1", "localhost"),
        "elsewhere": ca.issue_cert("elsewhere.example"),
        "client": ca.issue_cert("assistant@home.example"),
        "stranger": other.issue_cert("stranger@example.com"),
    }.items():
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    return Certificates(folder)


@pytest.fixture
def with_password(tmp_path: Path) -> Iterator[Mosquitto]:
    passwords = tmp_path / "passwd"
    subprocess.run(
        [executable("mosquitto_passwd"), "-b", "-c", passwords, "me", "sésame"],
        check=True,
        capture_output=True,
    )
    with Mosquitto(tmp_path, f"password_file {passwords}", anonymous=False) as broker:
        yield broker


def tls_broker(folder: Path, certificates: Certificates, name: str, *lines: str) -> Mosquitto:
    issued = certificates.folder
    return Mosquitto(
        folder,
        listener=f"cafile {certificates.ca}\ncertfile {issued / name}.pem\n"
        f"keyfile {issued / name}.key\n" + "\n".join(lines),
    )


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_password(with_password: Mosquitto, start: Open, protocol: str) -> None:
    settings = with_password.settings(username="me", password="sésame", protocol=protocol)
    here = start(settings)
    await ready(here)
    assert here.version == protocol
    report = await probe(settings)
    assert (report.error, report.version) == (None, protocol)
    assert report.round_trip is not None
    assert here.connected, "a probe does not throw the daemon out"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_wrong_password_is_told_once_and_mended_without_a_restart(
    with_password: Mosquitto,
    start: Open,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
) -> None:
    file = tmp_path / "password"
    file.write_text("wrong\n")
    settings = with_password.settings(username="me", password_file=file, protocol=protocol)
    report = await probe(settings)
    assert report.error is not None
    assert "mqtt.username" in report.error
    here = start(settings)
    await until(lambda: "refuses us" in caplog.text)
    await asyncio.sleep(0.5)
    assert caplog.text.count("refuses us") == 1
    file.write_text("sésame\nignored\n")
    await ready(here)


@pytest.mark.parametrize(
    ("changes", "content", "complaint"),
    [
        ({"username": "me"}, None, r"mqtt\.password_file: .*: can't be read \(No such file"),
        ({"username": "me"}, b"", r"mqtt\.password_file: .* no password in its first line"),
        ({"username": "me"}, b"\nx", r"mqtt\.password_file: .* no password in its first line"),
        ({"username": "me"}, b"\xff", r"mqtt\.password_file: .* is not UTF-8"),
        ({}, b"secret", r"mqtt\.username: is missing"),
    ],
)
def test_password_files_that_are_no_use(
    tmp_path: Path, changes: dict[str, Any], content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    settings = Mosquitto(tmp_path).settings(password_file=file, **changes)
    with pytest.raises(ConfigError, match=complaint):
        password(settings)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_tls(tmp_path: Path, certificates: Certificates, start: Open, protocol: str) -> None:
    with tls_broker(tmp_path, certificates, "broker") as broker:
        here = start(broker.settings(tls=True, ca_file=certificates.ca, protocol=protocol))
        await ready(here)
        heard: list[bytes] = []
        here.subscribe("t/#", lambda m: heard.append(m.payload))
        # Many in one go: TLS decrypts more at a time than a socket says it holds.
        await asyncio.gather(*(here.publish(f"t/{n}", f"{n:>1000}") for n in range(300)))
        await until(lambda: len(heard) == 300)
        await here.publish("t/large", "x" * 200_000)
        await until(lambda: len(heard) == 301)


async def test_tls_of_a_proxy_that_joins_packets(
    broker: Mosquitto, certificates: Certificates, start: Open
) -> None:
    # Mosquitto encrypts each packet by itself; others don't, and then decrypting one packet
    # leaves others in memory, where no selector sees them.
    encryption = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    folder = certificates.folder
    encryption.load_cert_chain(folder / "broker.pem", folder / "broker.key")

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", broker.port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(16_000):
                await asyncio.sleep(0.05)  # more packets gather
                sink.write(data)
            sink.close()

        with suppress(OSError):
            await asyncio.gather(pump(reader, back), pump(there, writer))

    async with await asyncio.start_server(proxy, "127.0.0.1", 0, ssl=encryption) as server:
        port = server.sockets[0].getsockname()[1]
        plain = start(broker.settings())
        encrypted = start(broker.settings(port=port, tls=True, ca_file=certificates.ca))
        await ready(plain, encrypted)
        for number in range(100):
            await plain.publish(f"t/{number}", "x", retain=True)
        heard: list[str] = []
        encrypted.subscribe("t/#", lambda m: heard.append(m.topic))
        await until(lambda: len(heard) == 100)


async def test_client_certificate(tmp_path: Path, certificates: Certificates, start: Open) -> None:
    folder = certificates.folder
    with tls_broker(tmp_path, certificates, "broker", "require_certificate true") as broker:
        settings = broker.settings(tls=True, ca_file=certificates.ca)
        mine = {"cert_file": folder / "client.pem", "key_file": folder / "client.key"}
        await ready(start(settings, **mine))
        stranger = {"cert_file": folder / "stranger.pem", "key_file": folder / "stranger.key"}
        for wrong in ({}, stranger):
            report = await probe(settings.model_copy(update=wrong))
            assert report.error is not None
            assert "mqtt.cert_file" in report.error


@pytest.mark.parametrize(
    ("certificate", "changes", "complaint"),
    [
        ("broker", {"ca_file": "other-ca.pem"}, "can't prove who it is .* mqtt.ca_file"),
        ("broker", {}, "can't prove who it is .* mqtt.ca_file"),
        ("elsewhere", {"ca_file": "ca.pem"}, "can't prove who it is .* not valid for .* mqtt.host"),
        ("broker", {"tls": False}, "gave no proper answer .* mqtt.tls"),
    ],
    ids=["another authority", "unknown authority", "another name", "TLS forgotten"],
)
async def test_why_there_is_no_tls(
    tmp_path: Path,
    certificates: Certificates,
    certificate: str,
    changes: dict[str, Any],
    complaint: str,
) -> None:
    with tls_broker(tmp_path, certificates, certificate) as broker:
        paths = {k: certificates.folder / v for k, v in changes.items() if isinstance(v, str)}
        report = await probe(broker.settings(**{"tls": True, **changes, **paths}))
    assert re.search(complaint, report.error or ""), report.error


async def test_tls_to_a_port_without(broker: Mosquitto, certificates: Certificates) -> None:
    report = await probe(broker.settings(tls=True, ca_file=certificates.ca))
    assert report.error is not None
    assert "mqtt.port" in report.error or "mqtt.tls" in report.error


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tls": False, "ca_file": "ca.pem"}, r"mqtt\.ca_file: has no effect without tls"),
        ({"ca_file": "missing.pem"}, r"mqtt\.ca_file: .* can't be read"),
        ({"ca_file": "client.key"}, r"mqtt\.ca_file: .* can't be used"),
        ({"cert_file": "missing.pem"}, r"mqtt\.cert_file: .* can't be read"),
        ({"cert_file": "client.pem"}, r"mqtt\.cert_file: .* can't be used"),
        ({"cert_file": "client.pem", "key_file": "broker.key"}, r"key_file: .* belong together"),
        ({"key_file": "client.key"}, r"mqtt\.key_file: has no effect without cert_file"),
    ],
)
def test_certificate_files_that_are_no_use(
    certificates: Certificates, changes: dict[str, Any], complaint: str
) -> None:
    paths = {k: certificates.folder / v for k, v in changes.items() if isinstance(v, str)}
    settings = Mosquitto(certificates.folder).settings(**{"tls": True, **changes, **paths})
    with pytest.raises(ConfigError, match=complaint):
        tls_context(settings)


async def test_unusable_certificates_end_it_at_once(certificates: Certificates) -> None:
    settings = Mosquitto(certificates.folder).settings(tls=True, ca_file=Path("/nowhere"))
    with pytest.raises(ConfigError, match=r"mqtt\.ca_file"):
        await Connection(settings).run()
    report = await probe(settings)
    assert report.error is not None
    assert "mqtt.ca_file" in report.error


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        ("127.0.0.1", "nothing answers at 127.0.0.1:.* mqtt.port"),
        ("no-such-host.invalid", "the name of the MQTT broker .* is not known .* mqtt.host"),
    ],
)
async def test_why_it_can_not_be_reached(tmp_path: Path, host: str, complaint: str) -> None:
    report = await probe(Mosquitto(tmp_path).settings(host=host, port=free_port()))
    assert (report.version, report.round_trip) == (None, None)
    assert re.search(complaint, report.error or ""), report.error


async def test_a_port_on_which_something_else_answers(tmp_path: Path) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(web, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        report = await probe(Mosquitto(tmp_path).settings(port=port))
    assert re.search("gave no proper answer .* an MQTT port", report.error or ""), report.error


async def test_ipv6_addresses_are_shown_as_such(tmp_path: Path) -> None:
    port = free_port()  # of the other loopback; a machine may be without this one
    report = await probe(Mosquitto(tmp_path).settings(host="::1", port=port))
    assert report.address == f"[::1]:{port}"
    assert report.error is not None
