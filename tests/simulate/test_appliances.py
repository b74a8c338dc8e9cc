"""Every kind of appliance over a real broker: command in, state out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from assistant.simulate.home import VirtualHome
from tests.simulate.conftest import Ear

BASE = "virtual-home"

COMMANDS: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    # device, channel, payload, state that must result, what must be reported (JSON or text)
    ("light.kitchen_light", "set", "ON", {"on": True}, {"state": "ON"}),
    ("light.hall_light", "set", "ON", {"on": True}, {"state": {"POWER": "ON"}}),
    ("light.bathroom_light", "set", "1", {"on": True}, {"state": 1}),
    (
        "light.bedroom_light",
        "set/brightness",
        "35",
        {"on": True, "brightness": 35},
        {"state": "ON", "brightness": 35},
    ),
    ("light.bedroom_light", "set/brightness", "0", {"on": False, "brightness": 70}, {}),
    (
        "light.living_room_light",
        "set",
        '{"state": "ON", "brightness": 127}',
        {"on": True, "brightness": 50},
        {"state": {"state": "ON", "brightness": 127, "linkquality": 132}},
    ),
    (
        "light.floor_lamp",
        "set",
        '{"state": "ON", "color": {"r": 255, "g": 0, "b": 0}}',
        {"on": True, "color": "red"},
        {
            "state": {
                "state": "ON",
                "brightness": 254,
                "linkquality": 132,
                "color_mode": "rgb",
                "color": {"r": 255, "g": 0, "b": 0},
            }
        },
    ),
    ("light.floor_lamp", "set", '{"color_temp": 250}', {"color_temp": 4000}, {}),
    ("light.floor_lamp", "set", '{"color_temp": 50}', {"color_temp": 6500}, {}),
    ("light.bedside_lamp", "set", '{"color_temp": 4000}', {"color_temp": 4000}, {}),
    ("cover.living_room_blinds", "set", "CLOSE", {"position": 0}, {"state": "closed"}),
    ("cover.living_room_blinds", "set/position", "45", {"position": 45}, {"state": "open"}),
    ("cover.bedroom_blinds", "set/position", "70", {"position": 30}, {"position": 70}),
    ("cover.garage_door", "set", "OPEN", {"position": 100}, {"state": "open"}),
    (
        "climate.thermostat",
        "set/temperature",
        "22.4",
        {"target_temperature": 22.5, "mode": "heat"},
        {"state": {"mode": "heat", "target": 22.5, "current": 20.5}},
    ),
    ("climate.thermostat", "set/mode", "off", {"mode": "off", "on": False}, {}),
    (
        "lock.front_door",
        "set",
        "LOCK",
        {"locked": True},
        {"state": {"lock": "LOCKED", "battery": 87}},
    ),
    ("fan.ceiling_fan", "set", "ON", {"on": True, "percentage": 50}, {"state": "ON"}),
    (
        "fan.ceiling_fan",
        "set/speed",
        '{"speed": 7}',
        {"on": True, "percentage": 70},
        {"speed": {"speed": 7}},
    ),
    ("fan.ceiling_fan", "set/swing", "swing", {"oscillating": True}, {"swing": "swing"}),
    ("switch.tv", "set", "ON", {"on": True}, {"state": "ON"}),
    ("switch.coffee_maker", "set", "ON", {"on": True}, {"state": "ON"}),
    ("switch.bathroom_heater", "set", "ON", {"on": True}, {}),
    ("vacuum.robot_vacuum", "set", "start", {"vacuum": "cleaning"}, {}),
    ("vacuum.robot_vacuum", "set", "pause", {"vacuum": "paused"}, {}),
    ("vacuum.robot_vacuum", "set", "stop", {"vacuum": "idle"}, {}),
    ("number.fridge_temperature", "set", '{"target": 4}', {"value": 4}, {"state": {"target": 4.0}}),
    ("select.washing_machine_program", "set", "wool", {"option": "wool"}, {"state": "wool"}),
]


def _decoded(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload


@pytest.mark.parametrize(
    ("device", "channel", "payload", "state", "reports"),
    COMMANDS,
    ids=[f"{device} {payload}" for device, _, payload, _, _ in COMMANDS],
)
async def test_command(
    home: VirtualHome,
    ear: Ear,
    device: str,
    channel: str,
    payload: str,
    state: dict[str, Any],
    reports: dict[str, Any],
) -> None:
    root = f"{BASE}/{device.replace('.', '/')}"
    await ear.say(f"{root}/{channel}", payload)
    for key, value in state.items():
        await home.wait_for(device, key, value)
    for name, report in reports.items():
        wire = next(p for c, p in home.appliances[device].reports().items() if c == name)
        assert _decoded(wire) == report
        await ear.until(f"{root}/{name}", wire)
    assert [(c.device, c.payload) for c in home.commands] == [(device, payload)]


NONSENSE = [
    ("light.kitchen_light", "set", "MAYBE"),
    ("light.living_room_light", "set", "{"),
    ("light.living_room_light", "set", "[1]"),
    ("light.living_room_light", "set", '{"brightness": "much"}'),
    ("light.floor_lamp", "set", '{"color": {"r": 1}}'),
    ("cover.living_room_blinds", "set/position", "101"),
    ("cover.garage_door", "set/position", "50"),
    ("climate.thermostat", "set/temperature", "nan"),
    ("climate.thermostat", "set/mode", "party"),
    ("fan.ceiling_fan", "set/speed", "3"),
    ("number.fridge_temperature", "set", '{"target": 40}'),
    ("select.washing_machine_program", "set", "silk"),
    ("binary_sensor.back_door", "set", "ON"),
    ("sensor.bathroom_humidity", "set", "100"),
    ("scene.movie_night", "set", "OFF"),
]


async def test_nonsense_changes_nothing_and_is_noted(
    home: VirtualHome, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    before = home.states()
    for device, channel, payload in NONSENSE:
        await ear.say(f"{BASE}/{device.replace('.', '/')}/{channel}", payload)
    await ear.say(f"{BASE}/lock/front_door/set", "LOCK")
    await home.wait_for("lock.front_door", "locked", True)
    assert home.states() == before | {"lock.front_door": {"locked": True}}
    noted = [record.args for record in caplog.records if "does not understand" in record.msg]
    assert sorted(args[:2] for args in noted if isinstance(args, tuple)) == sorted(
        (device, channel) for device, channel, _ in NONSENSE
    )


async def test_blinds_say_that_they_move_and_stop_where_told(home: VirtualHome, ear: Ear) -> None:
    root = f"{BASE}/cover/living_room_blinds"
    await ear.say(f"{root}/set", "CLOSE")
    await ear.until(f"{root}/position", "80")
    await ear.say(f"{root}/set", "STOP")
    await ear.until(f"{root}/state", "open")
    assert (f"{root}/state", "closing") in ear.heard
    position = home.states()["cover.living_room_blinds"]["position"]
    assert isinstance(position, int)
    assert 0 < position < 100


async def test_a_lock_takes_its_time(home: VirtualHome, ear: Ear) -> None:
    await ear.say(f"{BASE}/lock/front_door/set", "LOCK")
    await home.wait_for("lock.front_door", "locked", True)
    wire = home.appliances["lock.front_door"].reports()["state"]
    await ear.until(f"{BASE}/lock/front_door/state", wire)
    states = [json.loads(p)["lock"] for t, p in ear.heard if t == f"{BASE}/lock/front_door/state"]
    assert states == ["UNLOCKED", "LOCKING", "LOCKED"]


async def test_the_vacuum_goes_home(home: VirtualHome, ear: Ear) -> None:
    home.arrange({"vacuum.robot_vacuum": {"vacuum": "cleaning"}})
    await ear.say(f"{BASE}/vacuum/robot_vacuum/set", "return_to_base")
    await home.wait_for("vacuum.robot_vacuum", "vacuum", "returning")
    await home.wait_for("vacuum.robot_vacuum", "vacuum", "docked")


async def test_a_scene_acts_on_several(home: VirtualHome, ear: Ear) -> None:
    home.arrange({"light.floor_lamp": {"on": True}})
    await ear.say(f"{BASE}/scene/movie_night/set", "ON")
    assert not await home.wait_until(
        {
            "light.living_room_light": {"on": True, "brightness": 20},
            "light.floor_lamp": {"on": False},
            "cover.living_room_blinds": {"position": 0},
            "switch.tv": {"on": True},
        }
    )


async def test_the_washing_machine_says_what_it_is_at(home: VirtualHome, ear: Ear) -> None:
    for payload, status in [("ON", "running"), ("OFF", "idle")]:
        await ear.say(f"{BASE}/switch/washing_machine/set", payload)
        await home.wait_for("sensor.washing_machine_status", "value", status)
        await ear.until(f"{BASE}/sensor/washing_machine_status/state", status)


async def test_an_optimistic_device_says_nothing(home: VirtualHome, ear: Ear) -> None:
    await ear.say(f"{BASE}/switch/bathroom_heater/set", "ON")
    await home.wait_for("switch.bathroom_heater", "on", True)
    assert [t for t, _ in ear.heard if "bathroom_heater" in t and "virtual-home/switch" in t] == [
        f"{BASE}/switch/bathroom_heater/set"
    ]
