"""MQTT 5 where the broker can, 3.1.1 where not."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from assistant.config import MqttSettings
from assistant.mqtt import dial
from assistant.mqtt.embedded import embedded_broker
from assistant.mqtt.probe import probe
from tests.mqtt.conftest import Open, ready, until
from tests.support.mosquitto import Mosquitto


class Gate:
    """A port in front of a broker that treats CONNECTs of MQTT 5 in its own way."""

    def __init__(self, broker: Mosquitto, answer: bytes) -> None:
        self.levels: list[int] = []
        self._broker = broker
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = await reader.readexactly(9)  # one byte of length, as the packets here are short
        self.levels.append(start[8])
        if start[8] == 5:
            writer.write(self._answer)
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._broker.port)
        back.write(start)
        with suppress(OSError):
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@pytest.mark.parametrize(
    ("answer", "levels"),
    [
        (bytes((0x20, 0x02, 0x00, 0x01)), [5, 4, 4]),
        (bytes((0x20, 0x03, 0x00, 0x84, 0x00)), [5, 4, 4]),
        (b"", [5, 4, 5, 4]),
    ],
    ids=["refused as 3.1.1 does", "refused as 5 does", "hung up"],
)
async def test_an_old_broker_gets_the_old_version(
    broker: Mosquitto, start: Open, answer: bytes, levels: list[int]
) -> None:
    gate = Gate(broker, answer)
    async with await asyncio.start_server(gate.serve, "127.0.0.1", 0) as server:
        here = start(broker.settings(port=server.sockets[0].getsockname()[1]))
        await ready(here)
        assert here.version == "3.1.1"
        broker.restart()
        await until(lambda: not here.connected)
        await ready(here)
        assert gate.levels == levels, "a refusal is remembered"


async def test_a_refusal_is_forgotten_in_time(
    broker: Mosquitto, start: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "FORGET_REFUSAL", 0.0)
    gate = Gate(broker, bytes((0x20, 0x02, 0x00, 0x01)))
    async with await asyncio.start_server(gate.serve, "127.0.0.1", 0) as server:
        here = start(broker.settings(port=server.sockets[0].getsockname()[1]))
        await ready(here)
        broker.restart()
        await until(lambda: not here.connected)
        await ready(here)
        assert gate.levels == [5, 4, 5, 4]


@pytest.mark.parametrize(("wanted", "spoken"), [("auto", "3.1.1"), ("3.1.1", "3.1.1"), ("5", None)])
async def test_the_embedded_broker_speaks_3_1_1(wanted: str, spoken: str | None) -> None:
    async with embedded_broker(MqttSettings(embedded_port=0)) as settings:
        report = await probe(settings.model_copy(update={"protocol": wanted}))
    assert report.version == spoken
    assert (report.error is None) is (spoken is not None)
    assert spoken or 'mqtt.protocol = "auto"' in (report.error or "")


@pytest.mark.parametrize(("wanted", "spoken"), [("auto", "5"), ("3.1.1", "3.1.1"), ("5", "5")])
async def test_mosquitto_speaks_what_is_wanted(
    broker: Mosquitto, start: Open, wanted: str, spoken: str
) -> None:
    here = start(broker.settings(protocol=wanted))
    await ready(here)
    assert here.version == spoken
