"""Timers: what they do, that they survive, and that they ring once."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from assistant.errors import AssistantError, SkillError
from assistant.home.action import Action, Result
from assistant.home.executor import Executor
from assistant.home.lists import SHOPPING, Lists
from assistant.home.model import Area, Home
from assistant.home.registry import Registry
from assistant.store import Store
from assistant.turn.timers import ACTIONS, Due, Timers
from tests.support.disk import small_files


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry() -> Registry:
    return Registry(Home(areas=(Area("kitchen", "Kitchen"), Area("hall", "Hall"))))


def remaining(registry: Registry) -> dict[str | None, tuple[float, bool]]:
    return {t.name: (t.remaining, t.paused) for t in registry.home().timers}


async def test_a_timers_life(registry: Registry, clock: Clock) -> None:
    timers = Timers(Store(None), registry, clock=clock)
    await timers.perform(Action("start_timer", (), {"seconds": 600, "name": "eggs"}))
    clock.now += 100
    timers.refresh()
    assert remaining(registry) == {"eggs": (500, False)}
    await timers.perform(Action("pause_timer", (), {"name": "Eggs"}))
    clock.now += 100
    await timers.perform(Action("add_time", (), {"seconds": 60}))
    assert remaining(registry) == {"eggs": (560, True)}
    await timers.perform(Action("resume_timer", (), {"timer": registry.home().timers[0].id}))
    await timers.perform(Action("remove_time", (), {"seconds": 500}))
    clock.now += 10
    timers.refresh()
    assert remaining(registry) == {"eggs": (50, False)}
    await timers.perform(Action("cancel_timer"))
    assert remaining(registry) == {}
    with pytest.raises(SkillError, match="no such timer"):
        await timers.perform(Action("cancel_timer"))


async def test_all_timers_of_a_room_are_cancelled(registry: Registry, clock: Clock) -> None:
    timers = Timers(Store(None), registry, clock=clock)
    for name, area in (("a", "kitchen"), ("b", "hall"), ("c", "kitchen")):
        await timers.perform(Action("start_timer", (), {"seconds": 5, "name": name, "area": area}))
    await timers.perform(Action("cancel_all_timers", (), {"area": "Kitchen"}))
    assert set(remaining(registry)) == {"b"}
    await timers.perform(Action("cancel_all_timers"))
    assert not registry.home().timers


async def test_what_was_set_before_a_power_cut_rings_after_it_once(
    tmp_path: Path, registry: Registry, clock: Clock
) -> None:
    path = tmp_path / "state" / "store.sqlite"
    first = Store(path)
    timers = Timers(first, registry, clock=clock)
    await timers.perform(Action("start_timer", (), {"seconds": 60, "name": "tea"}))
    await timers.perform(Action("delay", (), {"seconds": 30, "command": "turn off the lamp"}))
    # The first store is not closed: that is what a power cut is like.
    clock.now += 1000
    second = Store(path)
    rung: list[Due] = []
    both = asyncio.Event()

    async def announce(due: Due) -> None:
        rung.append(due)
        if len(rung) == 2:
            both.set()

    task = asyncio.create_task(Timers(second, registry, clock=clock).run(announce))
    async with asyncio.timeout(20):
        await both.wait()
    task.cancel()
    assert [(d.timer.name, d.timer.command, d.late) for d in rung] == [
        (None, "turn off the lamp", 970),
        ("tea", None, 940),
    ]
    assert not rung[0].may_act
    assert not second.timers()
    first.close()
    second.close()


async def test_a_new_timer_wakes_the_one_who_waits_and_an_error_does_not_stop_it(
    registry: Registry,
) -> None:
    timers = Timers(Store(None), registry)
    rung: list[str | None] = []
    done = asyncio.Event()

    async def announce(due: Due) -> None:
        rung.append(due.timer.name)
        if len(rung) == 2:
            done.set()
        raise RuntimeError("no loudspeaker")

    task = asyncio.create_task(timers.run(announce))
    await asyncio.sleep(0)
    await timers.perform(Action("start_timer", (), {"seconds": 0.05, "name": "one"}))
    await timers.perform(Action("start_timer", (), {"seconds": 0.1, "name": "two"}))
    async with asyncio.timeout(20):
        await done.wait()
    task.cancel()
    assert rung == ["one", "two"]


def test_lists_are_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.set_items("shopping", ["milk", "eggs"])
    store.set_items("shopping", ["eggs", "milk", "tea"])
    store.close()
    again = Store(tmp_path / "store.sqlite")
    assert again.items("shopping") == ("eggs", "milk", "tea")
    assert again.items("chores") == ()
    again.close()


async def test_a_change_of_the_households_own_list_is_confirmed_at_once() -> None:
    registry, store = Registry(), Store(None)
    Lists(registry, store, {SHOPPING: "Shopping list"})
    executor = Executor(registry, timeout=0.2)
    for name, item in [("list_add", "milk"), ("list_add", "eggs"), ("list_remove", "milk")]:
        (outcome,) = await executor.execute([Action(name, (SHOPPING,), {"item": item})])
        assert outcome.result is Result.CONFIRMED, outcome
    assert store.items(SHOPPING) == ("eggs",)


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("this is a diary " * 100)
    with pytest.raises(AssistantError, match=r"store\.sqlite: can't be used"):
        Store(path)


def test_the_store_is_for_the_owners_eyes(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.set_items("todo.shopping", ["milk"])
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
    store.close()


async def test_on_a_full_disk_all_goes_on_but_for_what_is_new(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store.sqlite")) as store:
        store.set_items(SHOPPING, ["milk"])
    registry = Registry()
    with small_files(0), closing(Store(tmp_path / "store.sqlite")) as store:
        Lists(registry, store, {SHOPPING: "Shopping list"})
        timers = Timers(store, registry)
        registry.add_performer(ACTIONS, timers)
        outcomes = await Executor(registry).execute(
            [
                Action("list_add", (SHOPPING,), {"item": "eggs"}),
                Action("start_timer", (), {"seconds": 60}),
            ]
        )
        timers.refresh()
    assert [(o.result, o.reason) for o in outcomes] == [(Result.FAILED, "not_kept")] * 2
    assert registry.home().devices[SHOPPING].state["items"] == ("milk",)
    assert not registry.home().timers
    with closing(Store(tmp_path / "store.sqlite")) as store:
        assert store.items(SHOPPING) == ("milk",)
