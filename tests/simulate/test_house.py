"""The house as it stands in the code: rooms, names, script."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from assistant.home.file import load_overrides
from assistant.home.model import DeviceType, State
from assistant.simulate.appliance import Dialect
from assistant.simulate.discovery import Topics, announcements
from assistant.simulate.expectation import Between, Expected, meets, shortfalls
from assistant.simulate.house import AREA_ALIASES, DEVICE_ALIASES, FLOORS, appliances, home_file
from assistant.simulate.script import DEMO, THIRTY, ScriptedTurn

STATES = {a.id: a.state() for a in appliances()}
ROOMS = {room for rooms in FLOORS.values() for room in rooms}


def test_six_rooms_of_appliances_with_ids_of_their_own() -> None:
    house = appliances()
    assert len({a.id for a in house}) == len(house)
    assert {a.area for a in house} == ROOMS
    assert len(ROOMS) == 6
    assert 20 <= len({a.device for a in house}) <= 26


def test_every_type_and_dialect_is_there() -> None:
    house = appliances()
    wanted = "light switch cover fan climate lock sensor binary_sensor scene button vacuum number"
    assert {a.component for a in house} == {*wanted.split(), "select"}
    assert {a.component for a in house} <= {t.value for t in DeviceType}
    assert {a.dialect for a in house} == set(Dialect)


def test_discovery_of_devices_shares_one_message() -> None:
    messages = announcements(appliances(), Topics())
    washer = json.loads(messages["homeassistant/device/virtual_home_washing_machine/config"])
    assert {c["p"] for c in washer["cmps"].values()} == {"switch", "sensor", "select"}
    assert len(messages) < len(STATES)


def test_home_file_is_an_overrides_file(tmp_path: Path) -> None:
    file = tmp_path / "home.toml"
    file.write_text(home_file(), encoding="utf-8")
    overrides = load_overrides(file)
    assert {f.name: f.id for f in overrides.floor_list()} == {
        "Ground floor": "ground_floor",
        "Upstairs": "upstairs",
    }
    assert {a.name for a in overrides.area_list()} == ROOMS
    assert {a.floor for a in overrides.area_list()} == {"ground_floor", "upstairs"}
    assert set(overrides.devices) <= set(STATES)


def test_aliases_are_of_things_that_exist() -> None:
    assert set(AREA_ALIASES) <= ROOMS
    assert set(DEVICE_ALIASES) <= set(STATES)


@pytest.mark.parametrize("turn", [*DEMO, *THIRTY], ids=lambda t: t.text)
def test_a_turn_leaves_something_to_do_or_to_say(turn: ScriptedTurn) -> None:
    assert not re.search(r"\b(dim|add)\b", turn.text)
    for device, keys in [*turn.expected.items(), *turn.before.items()]:
        assert set(keys) <= set(STATES[device]) | {"color"}
    before = {
        device: dict(state) | dict(turn.before.get(device, {})) for device, state in STATES.items()
    }
    assert bool(shortfalls(before, turn.expected)) != bool(turn.reply)


def test_script_lengths() -> None:
    assert len(THIRTY) == 30
    assert sum(bool(turn.expected) for turn in DEMO) >= 8


@pytest.mark.parametrize(
    ("actual", "wanted", "right"),
    [
        (40, Between(39, 41), True),
        (42, Between(39, 41), False),
        (True, Between(0, 2), False),
        (None, Between(0, 2), False),
        ("red", "red", True),
        (22.0, 22, True),
        (False, True, False),
    ],
)
def test_expectations(
    actual: float | str | None, wanted: float | str | Between, right: bool
) -> None:
    assert meets(actual, wanted) is right


def test_shortfalls_name_what_is_missing() -> None:
    states: dict[str, State] = {"light.a": {"on": False, "brightness": 10}}
    expected: Expected = {
        "light.a": {"on": True, "brightness": Between(9, 11)},
        "light.b": {"on": True},
    }
    assert shortfalls(states, expected) == [
        "light.a on is False, not True",
        "light.b is not there",
    ]
