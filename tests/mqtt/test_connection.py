"""The connection on a real Mosquitto: what it carries, and what it says."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path

import aiomqtt
import pytest

from assistant.config import MqttSettings
from assistant.errors import ConfigError, MqttError
from assistant.mqtt import inbox
from assistant.mqtt.connection import Connection
from tests.mqtt.conftest import Ear, Open, ready, until
from tests.support.mosquitto import Mosquitto


async def test_messages_arrive_in_order_and_whole(broker: Mosquitto, start: Open) -> None:
    ear = Ear()
    here, there = start(broker.settings()), start(broker.settings())
    there.subscribe("t/+", ear, qos=1)
    await ready(here, there)
    for number in range(200):
        await here.publish(f"t/{number % 3}", str(number), qos=number % 3)
    await ear.until(lambda e: len(e.messages) == 200)
    assert ear.payloads == [str(number) for number in range(200)]
    assert {(m.topic, m.qos, m.retain) for m in ear.messages[:3]} == {
        ("t/0", 0, False),
        ("t/1", 1, False),
        ("t/2", 1, False),
    }
    assert here.connected
    assert here.version == "5"


async def test_many_at_once_are_all_confirmed(broker: Mosquitto, start: Open) -> None:
    ear = Ear()
    here = start(broker.settings())
    here.subscribe("many", ear)
    await ready(here)
    results = await asyncio.gather(*(here.publish("many", str(n)) for n in range(500)))
    assert all(results)
    await ear.until(lambda e: len(e.messages) == 500)


async def test_retained_messages_come_with_each_subscription(
    broker: Mosquitto, start: Open
) -> None:
    first, second, none = Ear(), Ear(), Ear()
    here = start(broker.settings())
    here.subscribe("lamp/#", first)
    here.subscribe("lamps/#", none)
    await ready(here)
    await here.publish("lamp/state", "on", retain=True)
    assert not (await first.hears("on")).retain
    here.subscribe("lamp/#", second)
    assert (await second.hears("on")).retain
    await here.publish("lamp/state", "", retain=True)
    await second.hears("")
    assert none.messages == []


async def test_a_large_home_arrives_whole(broker: Mosquitto, start: Open) -> None:
    ear = Ear()
    here = start(broker.settings())
    await ready(here)
    await asyncio.gather(
        *(here.publish(f"home/{n}/config", "x" * 500, retain=True) for n in range(2000))
    )
    here.subscribe("home/+/config", ear)
    await ear.until(lambda e: len(e.messages) == 2000)
    assert len({m.topic for m in ear.messages}) == 2000


async def test_an_unsubscribed_handler_hears_no_more(broker: Mosquitto, start: Open) -> None:
    gone, stays, last = Ear(), Ear(), Ear()
    here = start(broker.settings())
    here.subscribe("a", gone)
    here.subscribe("a", stays)
    here.subscribe("b", gone)
    here.subscribe("c", last)
    await ready(here)
    here.unsubscribe("a", gone)
    here.unsubscribe("b", gone)
    here.unsubscribe("never", gone)
    for topic in ("a", "b", "c"):
        await here.publish(topic, topic)
    await last.hears("c")
    assert (gone.payloads, stays.payloads) == ([], ["a"])


async def test_a_handler_with_overlapping_filters_hears_a_message_once(
    broker: Mosquitto, start: Open
) -> None:
    ear, last = Ear(), Ear()
    here = start(broker.settings())
    for topic_filter in ("x/#", "x/+", "x/y"):
        here.subscribe(topic_filter, ear, qos=0)
    here.subscribe("end", last)
    await ready(here)
    await here.publish("x/y", "1")
    await here.publish("end", "end")
    await last.hears("end")
    # A broker may send one copy for each filter, but no more than that.
    assert 1 <= len(ear.messages) <= 3


async def test_a_handler_that_fails_harms_nobody_else(
    broker: Mosquitto, start: Open, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_message: object) -> None:
        raise RuntimeError("no such lamp")

    def broken_watcher(_connected: bool) -> None:
        raise RuntimeError("no such home")

    ear = Ear()
    here = start(broker.settings())
    here.watch(broken_watcher)
    here.subscribe("t", broken)
    here.subscribe("t", ear)
    await ready(here)
    await here.publish("t", "1")
    await here.publish("t", "2")
    await ear.hears("2")
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert (
        errors
        == ["a change of the MQTT connection could not be handled"]
        + ["a message on 't' could not be handled"] * 2
    )


async def test_an_enormous_message_is_dropped_and_the_next_one_heard(
    broker: Mosquitto, start: Open, caplog: pytest.LogCaptureFixture
) -> None:
    ear = Ear()
    here, there = start(broker.settings()), start(broker.settings())
    there.subscribe("t", ear)
    await ready(here, there)
    for payload in (b"x" * (inbox.MAX_PAYLOAD + 1), b"y" * 6 * 2**20, b"z" * inbox.MAX_PAYLOAD):
        await here.publish("t", payload)
    await here.publish("t", "next")
    await ear.hears("next")
    assert [len(m.payload) for m in ear.messages] == [inbox.MAX_PAYLOAD, 4]
    assert there.connected
    assert sum("are more than" in r.getMessage() for r in caplog.records) == 1


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0", "\ud800"])
async def test_what_is_no_topic_is_not_sent(broker: Mosquitto, start: Open, topic: str) -> None:
    here = start(broker.settings())
    await ready(here)
    with pytest.raises(MqttError, match="is not an MQTT topic"):
        await here.publish(topic, "x")
    with pytest.raises(MqttError, match="is not an MQTT topic filter"):
        here.subscribe(topic.replace("a/+", "a+").replace("#", "#/a"), Ear())
    assert here.connected


async def test_the_result_tells_whether_anybody_listens(broker: Mosquitto, start: Open) -> None:
    here = start(broker.settings())
    here.subscribe("heard", Ear())
    await ready(here)
    assert await here.publish("heard", "x") is True
    assert await here.publish("unheard", "x") is False


async def test_the_other_side_sees_when_a_command_expires(broker: Mosquitto, start: Open) -> None:
    here = start(broker.settings())
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5
    ) as device:
        await device.subscribe("lock/set", qos=1)
        await ready(here)
        await here.publish("lock/set", "UNLOCK", expiry=7)
        await here.publish("lock/set", "LOCK")
        messages = device.messages
        unlock, lock = await anext(messages), await anext(messages)
    assert unlock.payload == b"UNLOCK"
    assert getattr(unlock.properties, "MessageExpiryInterval", None) == 7
    assert lock.payload == b"LOCK"
    assert not hasattr(lock.properties, "MessageExpiryInterval")


async def test_a_sleeping_device_does_not_carry_out_an_expired_command(
    broker: Mosquitto, start: Open
) -> None:
    here = start(broker.settings())
    await ready(here)

    def device(clean: bool) -> aiomqtt.Client:
        return aiomqtt.Client(
            "127.0.0.1",
            broker.port,
            identifier="sleepy",
            clean_session=clean,
            protocol=aiomqtt.ProtocolVersion.V311,
        )

    async with device(clean=False) as awake:
        await awake.subscribe("lock/set", qos=1)
    await here.publish("lock/set", "UNLOCK", expiry=1)
    await here.publish("lock/set", "LOCK", expiry=60)
    await asyncio.sleep(2.1)  # Mosquitto counts whole seconds
    async with device(clean=False) as awake:
        message = await anext(awake.messages)
    assert message.payload == b"LOCK"


async def test_status_while_it_runs_and_after(broker: Mosquitto, start: Open) -> None:
    ear = Ear()
    watching = start(broker.settings())
    watching.subscribe("home/status", ear)
    await ready(watching)
    running = asyncio.create_task(
        Connection(broker.settings(base_topic="home", client_id="home")).run()
    )
    await ear.hears("online")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await ear.hears("offline")
    late = Ear()
    watching.subscribe("home/status", late)
    assert (await late.hears("offline")).retain
    assert ear.payloads.count("offline") >= 1


async def test_a_crash_is_announced_by_the_broker(
    broker: Mosquitto, start: Open, tmp_path: Path
) -> None:
    ear = Ear()
    watching = start(broker.settings())
    watching.subscribe("crash/status", ear)
    await ready(watching)
    program = (
        "import asyncio; from assistant.config import MqttSettings; "
        "from assistant.mqtt.connection import Connection; "
        f"asyncio.run(Connection(MqttSettings(host='127.0.0.1', port={broker.port}, "
        "base_topic='crash', client_id='crash')).run())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    await ear.hears("online")
    process.kill()
    await process.wait()
    await ear.hears("offline")
    late = Ear()
    watching.subscribe("crash/status", late)
    assert (await late.hears("offline")).retain


async def test_refusals_by_access_rules_are_told(
    tmp_path: Path, start: Open, caplog: pytest.LogCaptureFixture
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic read open/#\ntopic readwrite mine/#\n")
    with Mosquitto(tmp_path, f"acl_file {rules}") as broker:
        here = start(broker.settings(), base_topic="mine")
        await ready(here)
        with pytest.raises(MqttError, match=r"open/lamp: the MQTT broker .* refuses it: Not auth"):
            await here.publish("open/lamp", "on")
        assert here.connected
        assert await here.publish("mine/lamp", "on") is False


async def test_a_twin_with_our_client_id_is_suspected(
    broker: Mosquitto, start: Open, caplog: pytest.LogCaptureFixture
) -> None:
    first = start(broker.settings(), client_id="twin")
    await ready(first)
    assert "does another client use" not in caplog.text
    start(broker.settings(), client_id="twin")
    await until(lambda: "does another client use mqtt.client_id 'twin', too?" in caplog.text)


async def test_signs_of_life(broker: Mosquitto, start: Open) -> None:
    here = start(broker.settings())
    assert time.monotonic() - here.last_progress < 1, "waiting counts as life"
    await ready(here)
    before = here.last_progress
    await here.publish("t", "x")
    assert here.last_progress > before


async def test_an_idle_connection_is_pinged(broker: Mosquitto, start: Open) -> None:
    here = start(broker.settings(), keepalive=1)
    await ready(here)
    before = here.last_progress
    await until(lambda: here.last_progress > before)


async def test_unreadable_credentials_end_it_at_once(tmp_path: Path) -> None:
    missing = tmp_path / "password"
    settings = MqttSettings(host="127.0.0.1", username="me", password_file=missing)
    with pytest.raises(ConfigError, match=r"mqtt\.password_file: .*password: can't be read"):
        await Connection(settings).run()
