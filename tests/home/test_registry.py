import asyncio
from dataclasses import replace
from typing import Any

import pytest

from assistant.errors import HomeError
from assistant.home.file import Overrides
from assistant.home.memory import MemoryCarrier, in_memory
from assistant.home.model import Area, Device, DeviceType, Floor, Home, Risk, Timer
from assistant.home.registry import Registry
from assistant.home.vocabulary import ActionSpec

LAMP = Device("light.lamp", "Lamp", DeviceType.LIGHT, state={"on": False})
BASE = Home(
    floors=(Floor("up", "Upstairs"),),
    areas=(Area("kitchen", "Kitchen", ("cooking place",), "up"),),
)


def filled(*devices: Any, base: Any = BASE, overrides: Any = None) -> Any:
    registry = Registry(base, overrides)
    for device in devices:
        registry.put(device, MemoryCarrier(registry))
    return registry


def test_the_picture_stays_the_same_until_something_changes() -> None:
    registry = filled(LAMP)
    home = registry.home()
    assert registry.home() is home
    registry.report(LAMP.id, {"on": False})
    registry.set_available(LAMP.id, True)
    registry.report("light.none", {"on": True})
    registry.remove("light.none")
    assert registry.home() is home
    registry.report(LAMP.id, {"on": True, "brightness": 5})
    assert registry.home() is not home
    assert home.devices[LAMP.id].state == {"on": False}
    assert registry.home().devices[LAMP.id].state == {"on": True, "brightness": 5}


def test_the_revision_counts_what_the_home_consists_of_and_no_states() -> None:
    registry = filled(LAMP)
    at_first = registry.home().revision
    registry.report(LAMP.id, {"on": True})
    registry.set_available(LAMP.id, False)
    registry.set_online(False)
    registry.set_online(True)
    registry.put(replace(LAMP, state={}), MemoryCarrier(registry))
    assert registry.home().revision == at_first
    assert registry.home().devices[LAMP.id].state == {"on": True}
    registry.put(replace(LAMP, name="Lantern"), MemoryCarrier(registry))
    assert registry.home().revision == at_first + 1
    registry.remove(LAMP.id)
    assert registry.home().revision == at_first + 2


def test_none_takes_a_key_away() -> None:
    registry = filled(LAMP)
    registry.report(LAMP.id, {"on": True, "color": "red"})
    registry.report(LAMP.id, {"color": None})
    assert registry.home().devices[LAMP.id].state == {"on": True}


def test_areas_are_found_by_name_or_alias_or_made() -> None:
    registry = filled()
    for number, area in enumerate(["KITCHEN", "Cooking Place", "Böse Ecke", "böse ecke", "厨房"]):
        device = replace(LAMP, id=f"light.{number}")
        registry.put(device, MemoryCarrier(registry), area_name=area)
    home = registry.home()
    found = [d.area for d in home.devices.values()]
    assert found == ["kitchen", "kitchen", "bose_ecke", "bose_ecke", found[4]]
    assert {a.name for a in home.areas} == {"Kitchen", "Böse Ecke", "厨房"}
    assert home.area(found[4]).name == "厨房"
    for number in (2, 3, 4):
        registry.remove(f"light.{number}")
    assert [a.id for a in registry.home().areas] == ["kitchen"]


def test_the_owner_has_the_last_word() -> None:
    overrides = Overrides.model_validate(
        {
            "floors": {"up": {"name": "First floor"}},
            "areas": {"hall": {"aliases": ["corridor"], "floor": "up"}},
            "devices": {
                LAMP.id: {
                    "name": "Big light",
                    "aliases": ["sun"],
                    "area": "hall",
                    "exposed": False,
                    "risk": "risky",
                    "class": "oven",
                }
            },
        }
    )
    registry = filled(LAMP, overrides=overrides)
    lamp = registry.home().devices[LAMP.id]
    assert (lamp.name, lamp.aliases, lamp.area) == ("Big light", ("sun",), "hall")
    assert (lamp.exposed, lamp.risk, lamp.device_class) == (False, Risk.RISKY, "oven")
    assert registry.home().floor("up").name == "First floor"
    assert registry.home().area("hall") == Area("hall", "Hall", ("corridor",), "up")
    assert not registry.home().exposed()
    registry.set_overrides(Overrides())
    assert registry.home().devices[LAMP.id].name == "Lamp"


def test_without_the_broker_nothing_is_available() -> None:
    registry = filled(LAMP, replace(LAMP, id="light.b", available=False))
    seen: list[Any] = []
    registry.subscribe(seen.append)
    registry.set_online(False)
    assert [d.available for d in registry.home().devices.values()] == [False, False]
    registry.set_available("light.b", True)
    registry.set_online(True)
    registry.set_online(True)
    assert [d.available for d in registry.home().devices.values()] == [True, True]
    assert len(seen) == 3


def test_listeners_hear_of_every_change_and_a_broken_one_harms_nobody() -> None:
    registry = filled(LAMP)
    seen: list[Any] = []

    def broken(device: Any) -> None:
        raise RuntimeError("broken")

    registry.subscribe(broken)
    end = registry.subscribe(seen.append)
    registry.report(LAMP.id, {"on": True})
    registry.remove(LAMP.id)
    registry.set_timers([Timer("timer.1", None, None, 60, 50, False)])
    assert [d and d.state["on"] for d in seen] == [True, None, None]
    assert registry.home().timers[0].id == "timer.1"
    end()
    registry.set_timers([])
    assert len(seen) == 3


async def test_waiting_for_a_state() -> Any:
    registry = filled(LAMP)

    def is_on(device: Any) -> Any:
        return device.state.get("on") is True

    assert not await registry.wait_for(LAMP.id, is_on, 0.01)
    waiting = [asyncio.create_task(registry.wait_for(LAMP.id, is_on, 5)) for _ in range(3)]
    await asyncio.sleep(0)
    registry.report(LAMP.id, {"brightness": 3})
    waiting[0].cancel()
    await asyncio.sleep(0)
    registry.report(LAMP.id, {"on": True})
    assert await waiting[1]
    assert await waiting[2]
    assert waiting[0].cancelled()
    assert await registry.wait_for(LAMP.id, is_on, 0)
    assert not await registry.wait_for("light.none", is_on, 0.01)


def test_skills_bring_words() -> None:
    registry = filled(LAMP)
    registry.learn([ActionSpec("brew", "brew")])
    assert "brew" in registry.vocabulary.actions
    with pytest.raises(HomeError):
        registry.learn([ActionSpec("brew", "brew again")])


def test_a_home_in_memory_has_the_devices_of_its_file() -> None:
    home = replace(BASE, devices={LAMP.id: LAMP}, timers=(Timer("t", None, None, 9, 8, True),))
    registry = in_memory(home)
    assert dict(registry.home().devices) == {LAMP.id: LAMP}
    assert registry.home().areas == home.areas
    assert registry.home().timers == home.timers
