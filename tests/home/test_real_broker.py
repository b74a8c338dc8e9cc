"""The virtual home, a real Mosquitto, the real connection: announced, commanded, believed."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from assistant.home.action import Action, Result
from assistant.home.discovery.consumer import Discovery
from assistant.home.executor import Executor
from assistant.home.file import load_overrides
from assistant.home.registry import Registry
from assistant.mqtt.backoff import Backoff
from assistant.mqtt.connection import Connection
from assistant.simulate.home import VirtualHome
from assistant.simulate.house import home_file
from tests.support.mosquitto import Mosquitto


@pytest.fixture
def broker(tmp_path: Any) -> Any:
    with Mosquitto(tmp_path) as broker:
        yield broker


@asynccontextmanager
async def daemon(broker: Any, overrides: Any = None) -> Any:
    """What the daemon does about the home: a connection, discovery, a registry."""
    connection = Connection(broker.settings(), backoff=Backoff(first=0.02, cap=0.1))
    registry = Registry(overrides=overrides)
    connection.watch(registry.set_online)
    Discovery(registry, connection).start()
    task = asyncio.create_task(connection.run())
    try:
        yield registry
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any, within: Any = 30.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def agrees(registry: Any, virtual: Any) -> Any:
    """Whether the appliances are there, the registry knows each, and of each what is true."""
    if not virtual.announced:
        return False
    devices = registry.home().devices
    if set(devices) != set(virtual.appliances):
        return False
    for key, truth in virtual.states().items():
        device = devices[key]
        if not device.available:
            return False
        known = {k: device.state.get(k) for k in truth} if device.reports_state else truth
        for name, value in truth.items():
            told = known[name]
            if isinstance(value, float | int) and not isinstance(value, bool):
                if not isinstance(told, float | int) or abs(told - value) > 0.01 * abs(value) + 1:
                    return False
            elif told != value:
                return False
    return True


COMMANDS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("light.kitchen_light", "turn_on", {}, {"on": True}),
    ("light.kitchen_light", "toggle", {}, {"on": False}),
    ("light.hall_light", "turn_on", {}, {"on": True}),
    ("light.bathroom_light", "turn_on", {}, {"on": True}),
    (
        "light.living_room_light",
        "set_brightness",
        {"brightness": 30},
        {"on": True, "brightness": 30},
    ),
    ("light.living_room_light", "adjust_brightness", {"delta": 20}, {"on": True, "brightness": 50}),
    ("light.bedroom_light", "set_brightness", {"brightness": 5}, {"on": True, "brightness": 5}),
    ("light.floor_lamp", "set_color", {"color": "blue"}, {"on": True, "color": "blue"}),
    ("light.bedside_lamp", "set_color_temp", {"color_temp": 4000}, {"color_temp": 4000}),
    ("cover.living_room_blinds", "close", {}, {}),
    ("cover.bedroom_blinds", "set_position", {"position": 40}, {}),
    ("cover.garage_door", "open", {}, {}),
    ("climate.thermostat", "set_temperature", {"temperature": 22}, {"target_temperature": 22.0}),
    ("climate.thermostat", "set_mode", {"mode": "cool"}, {"mode": "cool"}),
    ("climate.thermostat", "turn_off", {}, {"on": False}),
    ("fan.ceiling_fan", "set_fan_speed", {"percentage": 30}, {"on": True, "percentage": 30}),
    ("fan.ceiling_fan", "oscillate", {}, {"oscillating": True}),
    ("fan.ceiling_fan", "turn_off", {}, {"on": False}),
    ("lock.front_door", "lock", {}, {"locked": True}),
    ("lock.front_door", "unlock", {}, {"locked": False}),
    ("switch.tv", "turn_on", {}, {"on": True}),
    ("switch.washing_machine", "turn_on", {}, {"on": True}),
    ("vacuum.robot_vacuum", "vacuum_start", {}, {"vacuum": "cleaning"}),
    ("vacuum.robot_vacuum", "vacuum_return", {}, {}),
    ("number.fridge_temperature", "set_value", {"value": 4}, {"value": 4}),
    ("select.washing_machine_program", "select_option", {"option": "Wool"}, {"option": "wool"}),
]
SENT: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("switch.bathroom_heater", "turn_on", {}, {"on": True}),
    ("scene.movie_night", "activate_scene", {}, {}),
    ("button.doorbell", "press", {}, {}),
]


async def test_every_appliance_is_found_commanded_and_believed(broker: Any, tmp_path: Any) -> None:
    home_toml = tmp_path / "home.toml"
    home_toml.write_text(home_file(), encoding="utf-8")
    async with (
        VirtualHome("127.0.0.1", broker.port) as virtual,
        daemon(broker, load_overrides(home_toml)) as registry,
    ):
        await until(lambda: agrees(registry, virtual))
        home = registry.home()
        assert {a.name for a in home.areas} == {a.area for a in virtual.appliances.values()}
        assert all(area.floor for area in home.areas)
        for key, appliance in virtual.appliances.items():
            assert home.devices[key].name == appliance.name
            assert home.area(home.devices[key].area).name == appliance.area
            assert home.devices[key].exposed is not appliance.diagnostic
        execute = Executor(registry, timeout=3.0).execute
        for device, name, params, truth in COMMANDS:
            (outcome,) = await execute([Action(name, (device,), params)])
            assert outcome.result is Result.CONFIRMED, outcome
            state = virtual.states()[device]
            assert {k: state[k] for k in truth} == truth, (name, state)
        for device, name, params, truth in SENT:
            (outcome,) = await execute([Action(name, (device,), params)])
            assert outcome.result is Result.SENT, outcome
            for key, value in truth.items():
                await virtual.wait_for(device, key, value)
        await virtual.wait_for("cover.living_room_blinds", "position", 0)
        (outcome,) = await execute([Action("stop", ("cover.living_room_blinds",))])
        assert outcome.result is Result.CONFIRMED


async def test_appliances_that_are_unplugged_or_do_not_obey(broker: Any) -> None:
    async with VirtualHome("127.0.0.1", broker.port) as virtual, daemon(broker) as registry:
        await until(lambda: agrees(registry, virtual))
        execute = Executor(registry, timeout=1.0).execute
        virtual.ignore("switch.tv")
        virtual.offline("light.kitchen_light")
        await until(lambda: not registry.device("light.kitchen_light").available)
        deaf, gone = await execute(
            [Action("turn_on", ("switch.tv",)), Action("turn_on", ("light.kitchen_light",))]
        )
        assert (deaf.result, deaf.reason) == (Result.FAILED, "no_report")
        assert (gone.result, gone.reason) == (Result.REFUSED, "unavailable")
        virtual.heal("light.kitchen_light")
        await until(lambda: registry.device("light.kitchen_light").available)


async def test_the_registry_is_the_same_after_the_broker_was_killed(broker: Any) -> None:
    async with VirtualHome("127.0.0.1", broker.port) as virtual, daemon(broker) as registry:
        await until(lambda: agrees(registry, virtual))
        before = registry.home()
        for _ in range(3):
            broker.kill()
            await until(lambda: not any(d.available for d in registry.home().devices.values()))
            await until(lambda: not virtual.announced)
            (outcome,) = await Executor(registry).execute([Action("turn_on", ("switch.tv",))])
            assert (outcome.result, outcome.reason) == (Result.REFUSED, "unavailable")
            broker.start()
            await until(lambda: agrees(registry, virtual))
        after = registry.home()
        assert dict(after.devices) == dict(before.devices)
        assert (after.areas, after.revision) == (before.areas, before.revision)
        assert not virtual.states()["switch.tv"]["on"]


async def test_a_new_start_finds_what_is_retained(broker: Any) -> None:
    async with VirtualHome("127.0.0.1", broker.port) as virtual:
        async with daemon(broker) as registry:
            await until(lambda: agrees(registry, virtual))
            first = registry.home()
        async with daemon(broker) as registry:
            await until(lambda: agrees(registry, virtual))
            assert dict(registry.home().devices) == dict(first.devices)
            assert registry.home().areas == first.areas


async def test_appliances_that_are_taken_away(broker: Any) -> None:
    async with daemon(broker) as registry:
        async with VirtualHome("127.0.0.1", broker.port, leave_no_trace=True) as virtual:
            await until(lambda: agrees(registry, virtual))
        await until(lambda: not registry.home().devices)
        assert registry.home().areas == ()
