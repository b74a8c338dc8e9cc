"""A real Mosquitto that goes away and comes back: nothing late, nothing twice, all rebuilt."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from assistant.config import MqttSettings
from assistant.errors import MqttError
from assistant.mqtt import connection as connection_module
from assistant.mqtt import link
from assistant.mqtt.connection import Connection
from assistant.mqtt.message import Message
from tests.mqtt.conftest import Ear, Open, ready, until
from tests.support.mosquitto import Mosquitto


class Registry:
    """What somebody knows who hears retained messages, and forgets them when the broker goes."""

    def __init__(self, connection: Connection) -> None:
        self.known: dict[str, bytes] = {}
        connection.watch(self._on_state)
        connection.subscribe("home/#", self._on_message)

    def _on_state(self, connected: bool) -> None:
        if not connected:
            self.known.clear()

    def _on_message(self, message: Message) -> None:
        self.known[message.topic] = message.payload


async def test_twenty_restarts(broker: Mosquitto, start: Open) -> None:
    expected = {f"home/{n}/config": b'{"name": "lamp %d"}' % n for n in range(50)}
    assistant, device = start(broker.settings()), start(broker.settings())
    registry = Registry(assistant)
    session = 0
    carried_out: list[tuple[str, int]] = []
    device.subscribe("lamp/set", lambda m: carried_out.append((m.payload.decode(), session)))
    await ready(assistant, device)
    for topic, payload in expected.items():
        await assistant.publish(topic, payload, retain=True)
    broker.save()

    async def command(name: str) -> None:
        # A broker that is killed may have confirmed what no device will ever see.
        with suppress(MqttError):
            await assistant.publish("lamp/set", name, expiry=5)

    for session in range(20):
        await ready(assistant, device)
        await until(lambda: registry.known == expected)
        given = [f"{session}/{n}" for n in range(5)]
        # Given while it is up: carried out.
        assert all(await asyncio.gather(*(assistant.publish("lamp/set", name) for name in given)))
        await until(lambda: set(given) <= {name for name, _ in carried_out})  # noqa: B023
        # Given while it goes down: carried out now or never.
        going = [asyncio.create_task(command(f"{session}/down {n}")) for n in range(5)]
        await asyncio.sleep(0)
        broker.kill()
        await asyncio.gather(*going)
        await until(lambda: not assistant.connected and not device.connected)
        # Given while it is down: refused.
        with pytest.raises(MqttError, match="not sent; there is no connection"):
            await assistant.publish("lamp/set", f"{session}/too late")
        await until(lambda: registry.known == {})
        broker.start()
    await ready(assistant, device)
    session = 20
    assert await assistant.publish("lamp/set", "20/last")
    await until(lambda: ("20/last", 20) in carried_out)

    twice = [name for name, times in Counter(name for name, _ in carried_out).items() if times > 1]
    assert twice == [], "nothing is carried out twice"
    late = [(name, when) for name, when in carried_out if name.split("/")[0] != str(when)]
    assert late == [], "nothing is carried out after a restart"


async def test_what_is_said_of_an_outage(
    tmp_path: Path, start: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "assistant.mqtt")
    broker = Mosquitto(tmp_path)
    states: list[bool] = []
    here = start(broker.settings())
    here.watch(states.append)
    assert not here.connected
    await until(lambda: "nothing answers" in caplog.text)
    await asyncio.sleep(0.5)  # several attempts go by
    with broker:
        await ready(here)
        broker.restart()
        await until(lambda: states == [True, False, True])
        await ready(here)
    await until(lambda: states == [True, False, True, False])
    where = f"127.0.0.1:{broker.port}"
    said = [(r.levelname, r.getMessage()) for r in caplog.records]
    up = ("INFO", f"connected to the MQTT broker at {where}, MQTT 5")
    nothing = f"nothing answers at {where}; check that the MQTT broker runs there, and "
    assert said[:3] == [
        ("WARNING", f"{nothing}mqtt.host and mqtt.port; trying again"),
        up,
        ("WARNING", f"lost the MQTT broker at {where}: the connection broke off; trying again"),
    ]
    assert said[3] == up
    assert len(said) == 5, "one line when it goes, one when it comes"


async def test_not_connected_means_not_sent_ever(tmp_path: Path, start: Open) -> None:
    broker = Mosquitto(tmp_path)
    ear = Ear()
    here = start(broker.settings())
    here.subscribe("lock/set", ear)
    with pytest.raises(MqttError, match="lock/set: not sent"):
        await here.publish("lock/set", "UNLOCK")
    with broker:
        await ready(here)
        await here.publish("lock/set", "LOCK")
        await ear.hears("LOCK")
    assert ear.payloads == ["LOCK"]


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that has just gone silent is not asked whether it is still there."""
    monkeypatch.setattr(link, "FRESH", 60.0)


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_dead_connection_is_noticed_before_anything_is_sent(
    broker: Mosquitto, start: Open, monkeypatch: pytest.MonkeyPatch, qos: int
) -> None:
    monkeypatch.setattr(link, "FRESH", 0.0)
    monkeypatch.setattr(connection_module, "CONFIRM_TIMEOUT", 0.3)
    ear = Ear()
    here, there = start(broker.settings(protocol="3.1.1")), start(broker.settings())
    there.subscribe("lock/set", ear)
    await ready(here, there)
    broker.freeze()
    with pytest.raises(MqttError, match="lock/set: not sent"):
        await here.publish("lock/set", "UNLOCK", qos=qos)
    monkeypatch.undo()
    broker.thaw()
    await ready(here)
    await here.publish("lock/set", "LOCK", qos=qos)
    await ear.hears("LOCK")
    assert ear.payloads == ["LOCK"]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_was_under_way_is_reported_and_not_sent_again(
    broker: Mosquitto, start: Open, protocol: str, qos: int
) -> None:
    ear = Ear()
    here, there = start(broker.settings(), protocol=protocol), start(broker.settings())
    there.subscribe("lock/set", ear)
    await ready(here, there)
    broker.freeze()
    under_way = [
        asyncio.create_task(here.publish("lock/set", "UNLOCK", qos=qos)) for _ in range(50)
    ]
    await asyncio.sleep(0.1)
    broker.restart()
    results = await asyncio.gather(*under_way, return_exceptions=True)
    assert {type(r) for r in results} == {MqttError}
    sent = [r for r in results if "it is not sent again" in str(r)]
    kept = [r for r in results if "not sent; the MQTT broker" in str(r) and "lost" in str(r)]
    assert (len(sent), len(kept)) == (20, 30), "no more are under way than a broker allows"
    await ready(here, there)
    await here.publish("lock/set", "LOCK")
    await ear.hears("LOCK")
    assert ear.payloads == ["LOCK"]


@pytest.mark.usefixtures("trusted")
async def test_a_broker_that_does_not_confirm_is_given_up(
    broker: Mosquitto,
    start: Open,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(connection_module, "CONFIRM_TIMEOUT", 0.3)
    here = start(broker.settings())
    await ready(here)
    broker.freeze()
    with pytest.raises(MqttError, match="perhaps it was carried out, it is not sent again"):
        await here.publish("lock/set", "UNLOCK")
    assert not here.connected
    broker.thaw()
    await ready(here)
    assert "it did not confirm a message within 0.3 s" in caplog.text


@pytest.mark.usefixtures("trusted")
async def test_the_deadline_outlives_a_caller_who_stops_waiting(
    broker: Mosquitto, start: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "CONFIRM_TIMEOUT", 0.3)
    here = start(broker.settings())
    await ready(here)
    broker.freeze()
    impatient = asyncio.create_task(here.publish("lock/set", "UNLOCK"))
    await asyncio.sleep(0.05)
    impatient.cancel()
    await until(lambda: not here.connected)
    broker.thaw()
    await ready(here)


@pytest.mark.usefixtures("trusted")
async def test_a_hanging_broker_does_not_hold_up_the_end(broker: Mosquitto) -> None:
    connection = Connection(broker.settings())
    running = asyncio.create_task(connection.run())
    await ready(connection)
    broker.freeze()
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=4.0)
    assert done, "the daemon must be able to end soon; a confirmation is waited for 5 s"


async def test_the_end_does_not_wait_for_a_connection_attempt() -> None:
    # 192.0.2.0/24 belongs to nobody (RFC 5737): packets to it are lost or refused.
    running = asyncio.create_task(Connection(MqttSettings(host="192.0.2.1")).run())
    await asyncio.sleep(0.1)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=4.0)
    assert done
