"""The broker of our own."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from assistant.config import MqttSettings
from assistant.errors import MqttError
from assistant.mqtt.embedded import embedded_broker
from assistant.mqtt.probe import probe
from tests.mqtt.conftest import Ear, Open, ready, until

ANY_PORT = MqttSettings(embedded_port=0)


async def test_clients_meet_on_it(start: Open) -> None:
    async with embedded_broker(ANY_PORT) as settings:
        ear = Ear()
        here, there = start(settings), start(settings)
        there.subscribe("t/#", ear)
        await ready(here, there)
        await asyncio.gather(*(here.publish(f"t/{n}", str(n)) for n in range(300)))
        await ear.until(lambda e: len(e.messages) == 300)
        assert sorted(map(int, ear.payloads)) == list(range(300))


@pytest.mark.parametrize("qos", [0, 1])
async def test_retained_messages_reach_those_who_ask(start: Open, qos: int) -> None:
    async with embedded_broker(ANY_PORT) as settings:
        here = start(settings)
        everything, lamps = Ear(), Ear()
        here.subscribe("#", everything)
        await ready(here)
        for number in range(100):
            await here.publish(f"lamp/{number}", "on", retain=True)
        await here.publish("lamp/0", "", retain=True)
        # Others that come and go meanwhile; amqtt trips over that when it is left alone.
        others = [start(settings) for _ in range(10)]
        for number, other in enumerate(others):
            other.subscribe(f"other/{number}", Ear())
        last = start(settings)
        last.subscribe("lamp/+", lamps, qos=qos)
        await ready(last, *others)
        await lamps.until(lambda e: len(e.messages) == 99)
        assert {m.topic for m in lamps.messages} == {f"lamp/{n}" for n in range(1, 100)}
        assert all(m.retain for m in lamps.messages)


async def test_the_last_will_is_spoken(start: Open) -> None:
    async with embedded_broker(ANY_PORT) as settings:
        watching = start(settings)
        ear = Ear()
        watching.subscribe("crash/status", ear)
        await ready(watching)
        program = (
            "import asyncio; from assistant.config import MqttSettings; "
            "from assistant.mqtt.connection import Connection; "
            f"asyncio.run(Connection(MqttSettings(host='127.0.0.1', port={settings.port}, "
            "base_topic='crash', client_id='crash')).run())"
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        await ear.hears("online")
        process.kill()
        await process.wait()
        await ear.hears("offline")


async def test_retained_messages_outlive_it(start: Open, tmp_path: Path) -> None:
    file = tmp_path / "state" / "retained.json"
    async with embedded_broker(ANY_PORT, retained_file=file) as settings:
        here = start(settings)
        await ready(here)
        await here.publish("lamp/config", b'{"name": "\xc3\xbc"}', retain=True)
        await here.publish("lamp/raw", b"\xff\x00", retain=True)
        await here.publish("lamp/gone", "x", retain=True)
        await here.publish("lamp/gone", "", retain=True)
        await here.publish("lamp/passing", "x")
    assert file.stat().st_mode & 0o077 == 0, "states are nobody else's business"
    async with embedded_broker(ANY_PORT, retained_file=file) as settings:
        ear = Ear()
        there = start(settings)
        there.subscribe("lamp/#", ear)
        await ready(there)
        await there.publish("lamp/end", "end")
        await ear.hears("end")
    assert {m.topic: m.payload for m in ear.messages if m.retain} == {
        "lamp/config": b'{"name": "\xc3\xbc"}',
        "lamp/raw": b"\xff\x00",
    }


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "messages": {"a": ["?", 1]}}', b"\xff"],
)
async def test_a_damaged_file_is_told_and_started_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file = tmp_path / "retained.json"
    file.write_bytes(content)
    async with embedded_broker(ANY_PORT, retained_file=file) as settings:
        assert (await probe(settings)).error is None
    assert f"{file}: retained messages can't be read" in caplog.text
    async with embedded_broker(ANY_PORT, retained_file=file):
        pass
    assert caplog.text.count("can't be read") == 1, "it was written anew"


async def test_a_file_that_can_not_be_written_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    async with embedded_broker(ANY_PORT, retained_file=tmp_path / "file" / "retained.json"):
        pass
    assert "retained messages can't be kept" in caplog.text


async def test_a_port_in_use(start: Open) -> None:
    async with embedded_broker(ANY_PORT) as settings:
        again = MqttSettings(embedded_port=settings.port or 0)
        with pytest.raises(MqttError, match=r"something listens there already; .* mqtt\.host"):
            async with embedded_broker(again):
                pass
        assert (await probe(settings)).error is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"embedded_host": "0.0.0.0"}, "won't serve 0.0.0.0 to anybody: set mqtt.username"),
        ({"embedded_host": "::"}, "won't serve :: to anybody"),
        ({"embedded_host": "192.0.2.1", "username": "me"}, "this machine has no such address"),
        ({"embedded_host": "no-such-host.invalid", "username": "me"}, "mqtt.embedded_host"),
    ],
)
async def test_where_it_does_not_listen(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MqttError, match=complaint):
        async with embedded_broker(MqttSettings(embedded_port=0, **changes)):
            pass


async def test_the_network_needs_a_password() -> None:
    account = {"username": "me", "password": "sésame"}
    served = MqttSettings(embedded_port=0, embedded_host="0.0.0.0", **account)  # type: ignore[arg-type]
    async with embedded_broker(served) as settings:
        assert settings.host == "127.0.0.1"
        assert (await probe(settings)).error is None
        for wrong in (
            {"username": "you"},
            {"password": None},
            {"username": None, "password": None},
        ):
            report = await probe(settings.model_copy(update=wrong))
            assert report.error is not None
            assert "refuses us" in report.error


async def test_nonsense_and_rudeness_harm_nobody(
    start: Open, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.INFO)
    async with embedded_broker(ANY_PORT) as settings:
        address = ("127.0.0.1", settings.port or 0)
        here = start(settings)
        ear = Ear()
        here.subscribe("t", ear)
        await ready(here)
        for nonsense in (
            b"",
            b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
            b"\x10\xff\xff\xff\xff\xff\xff",
            b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00",
            b"\x10\x0c\x00\x04MQTT\x07\x02\x00\x00\x00\x00",
            b"\x30\x05\x00\x01txx",
            bytes(range(256)) * 100,
        ):
            with socket.create_connection(address) as rude:
                rude.sendall(nonsense)
            await here.publish("t", "alive")
        await ear.until(lambda e: len(e.messages) == 7)
    noise = [r for r in caplog.records if r.name.startswith(("amqtt", "transitions", "asyncio"))]
    assert noise == []
    assert [str(w.message) for w in recwarn] == []


async def test_it_ends_although_clients_stay(start: Open) -> None:
    async with embedded_broker(ANY_PORT) as settings:
        here = start(settings)
        await ready(here)
        silent = socket.create_connection(("127.0.0.1", settings.port or 0))
    await until(lambda: not here.connected)
    silent.close()
