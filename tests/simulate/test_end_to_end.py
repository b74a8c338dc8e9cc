"""The assistant's own discovery, registry and executor against the virtual home, over Mosquitto."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assistant.home.action import Action, Result
from assistant.home.discovery.consumer import Discovery
from assistant.home.executor import Executor
from assistant.home.file import load_overrides
from assistant.home.model import Device
from assistant.home.registry import Registry
from assistant.mqtt.connection import Connection
from assistant.simulate.home import VirtualHome
from assistant.simulate.house import FLOORS, home_file
from tests.support.mosquitto import Mosquitto


@dataclass
class Both:
    """The virtual home and what the assistant makes of it."""

    virtual: VirtualHome
    registry: Registry

    def device(self, device_id: str) -> Device:
        return self.registry.home().devices[device_id]

    async def agree(self, within: float = 20.0) -> list[str]:
        """Wait until the registry has every truth; what it has not by then."""
        try:
            async with asyncio.timeout(within):
                while self._differences():
                    await self._news()
        except TimeoutError:
            return self._differences()
        return []

    def _differences(self) -> list[str]:
        devices = self.registry.home().devices
        lines = []
        for device_id, truth in self.virtual.states().items():
            device = devices.get(device_id)
            if device is None or not device.available:
                lines.append(f"{device_id} is {'away' if device else 'missing'}")
            elif device.reports_state:
                known = {key: device.state.get(key) for key in truth}
                if known != truth:
                    lines.append(f"{device_id} is {truth}, but {known} is known")
        return lines

    async def _news(self) -> None:
        news = asyncio.Event()
        end: Callable[[], None] = self.registry.subscribe(lambda _: news.set())
        try:
            await news.wait()
        finally:
            end()


@pytest.fixture
async def both(broker: Mosquitto, home: VirtualHome, tmp_path: Path) -> AsyncIterator[Both]:
    file = tmp_path / "home.toml"
    file.write_text(home_file(), encoding="utf-8")
    registry = Registry(overrides=load_overrides(file))
    connection = Connection(broker.settings())
    connection.watch(registry.set_online)
    discovery = Discovery(registry, connection)
    discovery.start()
    life = asyncio.create_task(connection.run())
    both = Both(home, registry)
    assert await both.agree() == []
    yield both
    discovery.stop()
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)


async def test_exactly_these_devices_in_exactly_these_areas(both: Both) -> None:
    found = both.registry.home()
    assert set(found.devices) == set(both.virtual.appliances)
    for device_id, appliance in both.virtual.appliances.items():
        device = found.devices[device_id]
        area = found.area(device.area)
        assert (device.name.lower(), area and area.name, device.type) == (
            appliance.name.lower(),
            appliance.area,
            appliance.component,
        )
        floor = found.floor(area.floor if area else None)
        assert floor is not None
        assert appliance.area in FLOORS[floor.name]
    assert len(found.areas) == 6
    hidden = {d.id for d in found.devices.values() if not d.exposed}
    assert hidden == {"sensor.robot_vacuum_battery"}
    silent = {d.id for d in found.devices.values() if not d.reports_state}
    assert silent == {"switch.bathroom_heater", "scene.movie_night", "button.doorbell"}


ACTIONS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("turn_on", {}, "light.kitchen_light", {"on": True}),
    ("turn_on", {}, "light.hall_light", {"on": True}),
    ("turn_on", {}, "light.bathroom_light", {"on": True}),
    (
        "set_brightness",
        {"brightness": 30},
        "light.living_room_light",
        {"on": True, "brightness": 30},
    ),
    ("set_brightness", {"brightness": 33}, "light.bedroom_light", {"on": True, "brightness": 33}),
    ("set_brightness", {"brightness": 61}, "light.bedside_lamp", {"on": True, "brightness": 61}),
    ("set_color", {"color": "blue"}, "light.floor_lamp", {"on": True, "color": "blue"}),
    ("set_color_temp", {"color_temp": 4000}, "light.floor_lamp", {"color_temp": 4000}),
    ("set_color_temp", {"color_temp": 2700}, "light.bedside_lamp", {"color_temp": 2700}),
    ("close", {}, "cover.living_room_blinds", {"position": 0}),
    ("open", {}, "cover.bedroom_blinds", {"position": 100}),
    ("set_position", {"position": 40}, "cover.bedroom_blinds", {"position": 40}),
    ("open", {}, "cover.garage_door", {"position": 100}),
    ("set_temperature", {"temperature": 22.5}, "climate.thermostat", {"target_temperature": 22.5}),
    ("set_mode", {"mode": "cool"}, "climate.thermostat", {"mode": "cool"}),
    ("turn_off", {}, "climate.thermostat", {"mode": "off", "on": False}),
    ("lock", {}, "lock.front_door", {"locked": True}),
    ("turn_on", {}, "fan.ceiling_fan", {"on": True}),
    ("set_fan_speed", {"percentage": 70}, "fan.ceiling_fan", {"on": True, "percentage": 70}),
    ("turn_on", {}, "switch.tv", {"on": True}),
    ("turn_on", {}, "switch.coffee_maker", {"on": True}),
    ("turn_on", {}, "switch.washing_machine", {"on": True}),
    ("vacuum_start", {}, "vacuum.robot_vacuum", {"vacuum": "cleaning"}),
]


async def test_every_action_is_confirmed_and_true(both: Both) -> None:
    executor = Executor(both.registry, timeout=3.0)
    for name, params, device, state in ACTIONS:
        both.virtual.reset()
        assert await both.agree() == []
        (outcome,) = await executor.execute([Action(name, (device,), params)])
        assert (outcome.result, outcome.reason) == (Result.CONFIRMED, ""), (name, device)
        assert await both.virtual.wait_until({device: state}) == []
        assert await both.agree() == []
        assert {c.device for c in both.virtual.commands} == {device}


async def test_without_a_report_it_is_only_sent(both: Both) -> None:
    executor = Executor(both.registry)
    actions = [
        Action("turn_on", ("switch.bathroom_heater",)),
        Action("activate_scene", ("scene.movie_night",)),
    ]
    outcomes = await executor.execute(actions)
    assert [o.result for o in outcomes] == [Result.SENT] * 2
    await both.virtual.wait_for("switch.bathroom_heater", "on", True)
    await both.virtual.wait_for("switch.tv", "on", True)
    await both.virtual.wait_for("cover.living_room_blinds", "position", 0)


async def test_a_deaf_device_fails_and_an_unplugged_one_is_not_tried(both: Both) -> None:
    executor = Executor(both.registry, timeout=1.0)
    both.virtual.ignore("light.kitchen_light")
    both.virtual.offline("light.hall_light")
    async with asyncio.timeout(20):
        while both.device("light.hall_light").available:
            await both._news()
    lights = ("light.kitchen_light", "light.hall_light")
    outcomes = await executor.execute([Action("turn_on", lights)])
    assert {o.device: (o.result, o.reason) for o in outcomes} == {
        "light.kitchen_light": (Result.FAILED, "no_report"),
        "light.hall_light": (Result.REFUSED, "unavailable"),
    }


async def test_what_is_done_by_hand_is_known(both: Both) -> None:
    both.virtual.arrange(
        {
            "binary_sensor.back_door": {"on": True},
            "sensor.bedroom_temperature": {"value": 18.5},
            "lock.front_door": {"locked": True},
            "light.floor_lamp": {"on": True, "color": "green", "color_temp": None},
        }
    )
    assert await both.agree() == []
