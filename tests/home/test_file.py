import json
from typing import Any

import pytest

from assistant.errors import HomeError
from assistant.home.file import (
    clean_name,
    dump_home,
    load_home,
    load_overrides,
    parse_home,
    save_home,
    slug,
)
from assistant.home.model import Risk

HOME: dict[str, Any] = {
    "id": "casa",
    "language": "it",
    "units": {"temperature": "°F"},
    "floors": [{"id": "up", "name": "Sopra", "aliases": ["primo piano"]}],
    "areas": [{"id": "kitchen", "name": "Cucina", "aliases": [], "floor": "up"}],
    "timers": [
        {"id": "t", "name": None, "area": None, "duration_s": 60, "remaining_s": 5, "paused": True}
    ],
    "devices": [
        {
            "id": "light.a",
            "name": "A",
            "aliases": ["B"],
            "area": "kitchen",
            "type": "light",
            "class": None,
            "capabilities": ["on_off"],
            "state": {"on": True},
            "added": True,
        },
        {
            "id": "climate.c",
            "name": "C",
            "aliases": [],
            "area": None,
            "type": "climate",
            "class": None,
            "capabilities": ["temperature"],
            "state": {"on": True, "target_temperature": None},
        },
        {
            "id": "select.s",
            "name": "S",
            "type": "select",
            "options": ["x"],
            "exposed": False,
            "risk": "forbidden",
            "class": "oven",
        },
    ],
}


def test_a_home_is_read_and_written(tmp_path: Any) -> None:
    path = tmp_path / "home.json"
    path.write_text(json.dumps(HOME), encoding="utf-8")
    home = load_home(path)
    assert (home.id, home.language, home.temperature_unit) == ("casa", "it", "°F")
    assert home.devices["light.a"].state == {"on": True}
    thermostat = home.devices["climate.c"]
    assert (thermostat.minimum, thermostat.maximum) == (None, None)
    assert "target_temperature" not in thermostat.state
    assert home.devices["select.s"].risk is Risk.FORBIDDEN
    assert home.timers[0].remaining == 5
    assert parse_home(dump_home(home)) == home
    save_home(home, path)
    assert load_home(path) == home
    with pytest.raises(HomeError, match="can't be written"):
        save_home(home, tmp_path / "no" / "home.json")


def broken(**changes: Any) -> Any:
    return json.dumps({**HOME, **changes})


DEVICE = HOME["devices"][0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "the whole"),
        (broken(language="English"), "language"),
        (broken(units={"temperature": "K"}), "units.temperature"),
        (broken(devices=[{"id": "x", "name": "X", "type": "toaster"}]), "devices.0.type"),
        (broken(devices=[{"id": "x", "type": "light"}]), "devices.0.name"),
        (broken(devices=[{**DEVICE, "area": "attic"}]), "devices.0.area.*attic"),
        (broken(devices=[DEVICE, DEVICE]), "light.a"),
        (broken(timers=[{"id": "t"}]), "timers.0.duration_s"),
    ],
)
def test_a_wrong_home_is_named_with_file_and_key(text: Any, said: Any, tmp_path: Any) -> None:
    path = tmp_path / "home.json"
    path.write_text(text)
    with pytest.raises(HomeError, match=said) as error:
        load_home(path)
    assert str(path) in str(error.value)


def test_a_home_that_can_not_be_read(tmp_path: Any) -> None:
    with pytest.raises(HomeError, match=r"none\.json"):
        load_home(tmp_path / "none.json")
    (tmp_path / "latin").write_bytes('{"id": "Küche"}'.encode("latin-1"))
    with pytest.raises(HomeError, match="UTF-8"):
        load_home(tmp_path / "latin")


def test_the_example_of_overrides_is_right(tmp_path: Any) -> None:
    from assistant.home import file

    example = "\n".join(line[4:] for line in file.__doc__.splitlines() if line.startswith("    "))
    path = tmp_path / "home.toml"
    path.write_text(example, encoding="utf-8")
    found = load_overrides(path)
    assert found.devices["light.kitchen_ceiling"].risk is Risk.RISKY
    assert found.area_list()[0].floor == "upstairs"
    assert found.floor_list()[0].aliases == ("first floor",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "not valid TOML"),
        ("[device.x]\nname = 'a'", "device: there is no such key"),
        ("[devices.x]\nnam = 'a'", "devices.x.nam: there is no such key"),
        ("[devices.x]\nrisk = 'high'", r"devices\.x\.risk"),
        ("[devices.x]\nexposed = 'maybe'", r"devices\.x\.exposed"),
        ("[areas.x]\nfloor = 'up'", r"areas\.x\.floor.*\[floors\.up\]"),
    ],
)
def test_wrong_overrides_are_named_with_file_and_key(text: Any, said: Any, tmp_path: Any) -> None:
    path = tmp_path / "home.toml"
    path.write_text(text)
    with pytest.raises(HomeError, match=said) as error:
        load_overrides(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("  a \n b\t", "a b"),
        ("a\x00b\u202ec\ue000d", "a b c d"),
        ("x" * 100, "x" * 64),
        ("Caffe\u0300", "Caffè"),
        ("\ud800", ""),
    ],
)
def test_names_are_cleaned(name: Any, clean: Any) -> None:
    assert clean_name(name) == clean


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Büro 2", "buro_2"),
        ("Living  Room!", "living_room"),
        ("", "unnamed"),
        ("厨房", "53a8_623f"),
    ],
)
def test_slugs(name: Any, expected: Any) -> None:
    assert slug(name) == expected
