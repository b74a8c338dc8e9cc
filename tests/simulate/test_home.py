"""The virtual home as a whole: announcing, faults, the broker's comings and goings, its command."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from assistant.config import MqttSettings
from assistant.errors import MqttError
from assistant.mqtt.embedded import embedded_broker
from assistant.simulate.home import VirtualHome
from tests.simulate.conftest import Ear, listening
from tests.support.mosquitto import Mosquitto, free_port

BRIDGE = "virtual-home/bridge/availability"
LIGHT = "virtual-home/light/kitchen_light"


def _entities(retained: dict[str, str]) -> list[dict[str, Any]]:
    """Every entity announced, abbreviations of what is looked at expanded."""
    entities = []
    for topic, payload in retained.items():
        if not topic.startswith("homeassistant/"):
            continue
        message = json.loads(payload)
        device = message.get("dev") or message["device"]
        area = device.get("sa") or device["suggested_area"]
        for entity in message.get("cmps", {"": message}).values():
            component = entity.get("p") or topic.split("/")[1]
            named = entity.get("def_ent_id") or entity.get("default_entity_id")
            entities.append(
                entity | {"id": named or f"{component}.{entity['object_id']}", "area": area}
            )
    return entities


async def test_everything_is_announced_once_and_retained(home: VirtualHome, ear: Ear) -> None:
    entities = _entities(ear.retained)
    announced = Counter((entity["id"], entity["area"]) for entity in entities)
    assert announced == Counter((a.id, a.area) for a in home.appliances.values())
    ids = [entity.get("uniq_id") or entity["unique_id"] for entity in entities]
    assert len(set(ids)) == len(ids)
    assert ear.retained[BRIDGE] == "online"


async def test_states_are_retained(home: VirtualHome, ear: Ear) -> None:
    for appliance in home.appliances.values():
        root = f"virtual-home/{appliance.component}/{appliance.slug}"
        for channel, payload in appliance.reports().items():
            assert ear.retained[f"{root}/{channel}"] == payload


async def test_announces_again_when_home_assistant_is_born(home: VirtualHome, ear: Ear) -> None:
    topic = "homeassistant/lock/virtual_home_front_door/config"
    config = ear.retained.pop(topic)
    await ear.say("homeassistant/status", "online")
    await ear.until(topic, config)


async def test_retained_commands_are_ignored(broker: Mosquitto) -> None:
    async with listening(broker) as ear:
        await ear.say(f"{LIGHT}/set", "ON", retain=True)
        async with VirtualHome("127.0.0.1", broker.port, leave_no_trace=True) as home:
            await ear.say("virtual-home/switch/tv/set", "ON")
            await home.wait_for("switch.tv", "on", True)
            assert home.states()["light.kitchen_light"] == {"on": False}
            assert [c.device for c in home.commands] == ["switch.tv"]
        await ear.say(f"{LIGHT}/set", "", retain=True)


async def test_a_repeated_command_is_answered(home: VirtualHome, ear: Ear) -> None:
    for _ in range(3):
        await ear.say(f"{LIGHT}/set", "ON")
        await ear.until(f"{LIGHT}/state", "ON")
        ear.retained.clear()
    assert [c.payload for c in home.commands] == ["ON"] * 3


async def test_commands_are_obeyed_in_order(home: VirtualHome, ear: Ear) -> None:
    for _ in range(5):
        await ear.say("virtual-home/light/bedroom_light/set/brightness", "20")
        await ear.say("virtual-home/light/bedroom_light/set", "OFF")
    await ear.say("virtual-home/light/bedroom_light/set/brightness", "60")
    await home.wait_for("light.bedroom_light", "brightness", 60)
    assert home.states()["light.bedroom_light"]["on"] is True
    times = [c.time for c in home.commands]
    assert len(times) == 11
    assert times == sorted(times)


async def test_an_unplugged_device_is_away_and_deaf(home: VirtualHome, ear: Ear) -> None:
    home.offline("light.kitchen_light")
    await ear.until("virtual-home/device/kitchen_light/availability", "offline")
    await ear.say(f"{LIGHT}/set", "ON")
    await ear.say("virtual-home/switch/tv/set", "ON")
    await home.wait_for("switch.tv", "on", True)
    home.heal("light.kitchen_light")
    await ear.until("virtual-home/device/kitchen_light/availability", "online")
    assert home.states()["light.kitchen_light"] == {"on": False}


async def test_a_deaf_device_does_nothing(home: VirtualHome, ear: Ear) -> None:
    home.ignore("light.kitchen_light")
    await ear.say(f"{LIGHT}/set", "ON")
    await ear.say("virtual-home/switch/tv/set", "ON")
    await home.wait_for("switch.tv", "on", True)
    assert home.states()["light.kitchen_light"] == {"on": False}
    assert [c.device for c in home.commands] == ["light.kitchen_light", "switch.tv"]


async def test_a_slow_device_obeys_after_the_others(home: VirtualHome, ear: Ear) -> None:
    home.slow("light.kitchen_light", 0.4)
    await ear.say(f"{LIGHT}/set", "ON")
    await ear.say("virtual-home/switch/tv/set", "ON")
    await home.wait_for("switch.tv", "on", True)
    assert home.states()["light.kitchen_light"] == {"on": False}
    await home.wait_for("light.kitchen_light", "on", True)


async def test_reset_begins_the_day_again(home: VirtualHome, ear: Ear) -> None:
    first = home.states()
    home.ignore("switch.tv")
    await ear.say(f"{LIGHT}/set", "ON")
    await ear.say("virtual-home/cover/living_room_blinds/set", "CLOSE")
    await ear.until(f"{LIGHT}/state", "ON")
    home.reset()
    await ear.until(f"{LIGHT}/state", "OFF")
    assert home.states() == first
    assert home.commands == ()
    await ear.say("virtual-home/switch/tv/set", "ON")
    await home.wait_for("switch.tv", "on", True)


async def test_arranging_is_reported(home: VirtualHome, ear: Ear) -> None:
    home.arrange({"binary_sensor.back_door": {"on": True}, "climate.thermostat": {"on": False}})
    await ear.until(
        "virtual-home/binary_sensor/back_door/state", '{"contact": false, "battery": 100}'
    )
    assert home.states()["climate.thermostat"]["mode"] == "off"
    with pytest.raises(ValueError, match="has no colour"):
        home.arrange({"switch.tv": {"colour": "red"}})


async def test_waiting_in_vain_says_what_is_there(home: VirtualHome) -> None:
    with pytest.raises(TimeoutError, match=r"light\.kitchen_light on is False, not True"):
        await home.wait_for("light.kitchen_light", "on", True, 0.05)


async def test_the_home_comes_back_with_its_broker(broker: Mosquitto) -> None:
    async with VirtualHome("127.0.0.1", broker.port, latency=(0, 0)) as home:
        for turn in range(3):
            broker.kill()
            home.arrange({"switch.tv": {"on": turn % 2 == 0}})
            broker.start()
            async with listening(broker) as ear:
                await ear.until(BRIDGE, "online")
                await ear.until("virtual-home/switch/tv/state", "ON" if turn % 2 == 0 else "OFF")
                assert len(_entities(ear.retained)) == len(home.appliances)
                await ear.say(f"{LIGHT}/set", "OFF" if turn % 2 else "ON")
                await home.wait_for("light.kitchen_light", "on", not turn % 2)


async def test_no_broker_is_said_at_once() -> None:
    port = free_port()
    home = VirtualHome("127.0.0.1", port, patience=0.5)
    with pytest.raises(MqttError, match=rf"127\.0\.0\.1:{port}.*name another"):
        async with home:
            pass


async def test_leaving(broker: Mosquitto) -> None:
    """Everything is marked offline, or gone without a trace."""
    async with VirtualHome("127.0.0.1", broker.port):
        pass
    async with listening(broker) as ear:
        assert ear.retained[BRIDGE] == "offline"
        assert _entities(ear.retained)
    async with VirtualHome("127.0.0.1", broker.port, leave_no_trace=True):
        pass
    async with listening(broker) as ear:
        assert ear.retained == {"test/ready": "yes"}


async def test_leaving_while_it_announces(broker: Mosquitto) -> None:
    """An end that comes together with a confirmation of the broker is an end all the same."""
    async with listening(broker) as ear:
        for turn in range(20):
            home = VirtualHome("127.0.0.1", broker.port, latency=(0, 0))
            await home.__aenter__()
            await ear.say("homeassistant/status", "online")
            await asyncio.sleep(0.001 * turn)
            async with asyncio.timeout(20):
                await home.__aexit__()


@pytest.mark.parametrize(("how", "left"), [(signal.SIGKILL, "offline"), (signal.SIGINT, "")])
async def test_as_a_command(broker: Mosquitto, how: signal.Signals, left: str) -> None:
    """Killed, its last will speaks; interrupted, it clears what it left on the broker."""
    command = [sys.executable, "-m", "assistant.simulate", "--port", str(broker.port)]
    async with listening(broker) as ear:
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
        try:
            await ear.until(BRIDGE, "online", 60)
            process.send_signal(how)
            await ear.until(BRIDGE, left)
        finally:
            async with asyncio.timeout(20):
                await process.wait()


async def test_the_command_writes_the_home_file(tmp_path: Path) -> None:
    file = tmp_path / "home.toml"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "assistant.simulate", "--write-home", str(file)
    )
    assert await process.wait() == 0
    assert "[floors.upstairs]" in file.read_text()


async def test_on_the_embedded_broker() -> None:
    async with (
        embedded_broker(MqttSettings(embedded_port=0)) as settings,
        VirtualHome(settings.host or "", settings.port or 0, latency=(0, 0)) as home,
        aiomqtt.Client(settings.host or "", settings.port or 0) as client,
    ):
        await client.publish(f"{LIGHT}/set", "ON", qos=1)
        await home.wait_for("light.kitchen_light", "on", True)
        await client.subscribe("homeassistant/#", qos=1)
        await client.subscribe(BRIDGE, qos=1)
        retained = {}
        async with asyncio.timeout(20):
            async for message in client.messages:
                retained[str(message.topic)] = bytes(message.payload).decode()
                if str(message.topic) == BRIDGE:
                    break
        assert len(_entities(retained)) == len(home.appliances)
