import asyncio
import time
from typing import Any

import pytest

from assistant.errors import MqttError, SkillError
from assistant.home.action import Action, Outcome, Result
from assistant.home.executor import Executor
from assistant.home.file import parse_home
from assistant.home.memory import in_memory
from assistant.home.model import Device, DeviceType, Home, Risk
from assistant.home.registry import Registry

LAMP = Device(
    "light.lamp",
    "Lamp",
    DeviceType.LIGHT,
    capabilities=frozenset({"on_off", "brightness", "color_temp", "color"}),
    state={"on": False},
)
LOCK = Device("lock.door", "Door", DeviceType.LOCK, capabilities=frozenset({"lock"}))
BLIND = Device(
    "cover.blind",
    "Blind",
    DeviceType.COVER,
    capabilities=frozenset({"open_close", "position"}),
    state={"position": 40},
)
SCENE = Device("scene.movie", "Movie", DeviceType.SCENE)


class Appliance:
    """Answers a command with reports, after a moment each; or fails at being told."""

    def __init__(self, registry: Any, *reports: Any, fails: Any = None, hangs: Any = False) -> None:
        self.registry, self.reports = registry, reports
        self.fails, self.hangs = fails, hangs
        self.told: list[Action] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def carry(self, device: Any, action: Any) -> Any:
        self.told.append(action)
        if self.fails:
            raise self.fails
        if self.hangs:
            await asyncio.Event().wait()
        task = asyncio.create_task(self.answer(device))
        self.tasks.add(task)
        return ("topic/set",)

    async def answer(self, device: Any) -> None:
        for report in self.reports:
            await asyncio.sleep(0.02)
            self.registry.report(device.id, report)


def one(device: Any, *reports: Any, **how: Any) -> Any:
    registry = Registry()
    appliance = Appliance(registry, *reports, **how)
    registry.put(device, appliance)
    return registry, appliance


SHORT = 0.15
"""Seconds for what is waited for in vain. What comes in the end has ten, on a busy machine too."""


async def outcome(registry: Any, action: Any, timeout: Any = 10.0, **kw: Any) -> Any:  # noqa: ASYNC109
    (found,) = await Executor(registry, timeout=timeout).execute([action], **kw)
    return found


@pytest.mark.parametrize(
    ("device", "name", "params", "reports", "result", "reason"),
    [
        (LAMP, "turn_on", {}, [{"on": True}], Result.CONFIRMED, ""),
        (LAMP, "turn_on", {}, [{"brightness": 3}, {"on": True}], Result.CONFIRMED, ""),
        (LAMP, "turn_on", {}, [], Result.FAILED, "no_report"),
        (LAMP, "turn_on", {}, [{"on": False}], Result.FAILED, "no_report"),
        # 40 % of 255 is 102, of 254 reported back as 40.2
        (
            LAMP,
            "set_brightness",
            {"brightness": 40},
            [{"on": True, "brightness": 40.2}],
            Result.CONFIRMED,
            "",
        ),
        (
            LAMP,
            "set_brightness",
            {"brightness": 40},
            [{"on": True, "brightness": 50}],
            Result.FAILED,
            "no_report",
        ),
        (LAMP, "set_brightness", {"brightness": 0}, [{"on": False}], Result.CONFIRMED, ""),
        (
            LAMP,
            "set_color_temp",
            {"color_temp": 6500},
            [{"on": True, "color_temp": 6494}],
            Result.CONFIRMED,
            "",
        ),
        (
            LAMP,
            "set_color",
            {"color": "red"},
            [{"on": True, "color": "#f80a05"}],
            Result.CONFIRMED,
            "",
        ),
        (
            LAMP,
            "set_color",
            {"color": "red"},
            [{"on": True, "color": "blue"}],
            Result.FAILED,
            "no_report",
        ),
        (BLIND, "open", {}, [{"position": 55}], Result.CONFIRMED, ""),
        (BLIND, "open", {}, [{"moving": "opening"}], Result.CONFIRMED, ""),
        (BLIND, "open", {}, [{"moving": "closing"}], Result.FAILED, "no_report"),
        (BLIND, "close", {}, [{"position": 55}], Result.FAILED, "no_report"),
        (BLIND, "set_position", {"position": 20}, [{"moving": "closing"}], Result.CONFIRMED, ""),
        (LOCK, "lock", {}, [{"locked": True}], Result.CONFIRMED, ""),
        (LOCK, "lock", {}, [{"moving": "jammed"}], Result.FAILED, "no_report"),
        (LOCK, "lock", {}, [{"locked": False}], Result.FAILED, "no_report"),
        (SCENE, "activate_scene", {}, [], Result.SENT, ""),
    ],
)
async def test_the_outcome_is_what_the_device_reports(
    device: Any, name: Any, params: Any, reports: Any, result: Any, reason: Any
) -> None:
    registry, _ = one(device, *reports)
    wait = SHORT if result is Result.FAILED else 10.0
    found = await outcome(registry, Action(name, (device.id,), params), wait)
    assert (found.result, found.reason) == (result, reason)
    assert found.device == device.id
    assert found.topics == ("topic/set",)


async def test_a_lock_that_turns_is_waited_for_and_believed_only_when_it_is_there() -> None:
    registry, _ = one(LOCK, {"moving": "locking"}, *[{}] * 24, {"locked": True})
    started = time.monotonic()
    found = await outcome(registry, Action("lock", (LOCK.id,)), 0.5)
    assert found.result is Result.CONFIRMED
    assert time.monotonic() - started > 0.5, "the usual wait was enough, which is not what is meant"


async def test_a_device_that_is_there_already_is_told_all_the_same() -> None:
    registry, lamp = one(LAMP)
    registry.report(LAMP.id, {"on": True})
    found = await outcome(registry, Action("turn_on", (LAMP.id,)))
    assert found.result is Result.CONFIRMED
    assert [a.name for a in lamp.told] == ["turn_on"]


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        ({"available": False}, "turn_on", "unavailable"),
        ({"exposed": False}, "turn_on", "not_allowed"),
        ({"risk": Risk.FORBIDDEN}, "turn_on", "not_allowed"),
        ({}, "open", "unsupported"),
        ({}, "adjust_color_temp", "unsupported"),
    ],
)
async def test_what_can_not_be_is_refused_and_nothing_sent(
    changes: Any, action: Any, reason: Any
) -> None:
    from dataclasses import replace

    registry, lamp = one(replace(LAMP, **changes))
    found = await outcome(registry, Action(action, (LAMP.id,)))
    assert (found.result, found.reason) == (Result.REFUSED, reason)
    assert lamp.told == []


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"fails": MqttError("no broker")}, "not_sent"),
        ({"hangs": True}, "not_sent"),
        ({"fails": ZeroDivisionError()}, "error"),
    ],
)
async def test_what_could_not_be_sent_has_failed(how: Any, reason: Any) -> None:
    registry, _ = one(LAMP, **how)
    found = await outcome(registry, Action("turn_on", (LAMP.id,)), SHORT)
    assert (found.result, found.reason) == (Result.FAILED, reason)


async def test_unknown_devices_and_lost_brokers_are_refused() -> None:
    registry, lamp = one(LAMP, {"on": True})
    found = await outcome(registry, Action("turn_on", ("light.none",)))
    assert (found.result, found.reason) == (Result.REFUSED, "unknown_device")
    registry.set_online(False)
    found = await outcome(registry, Action("turn_on", (LAMP.id,)))
    assert (found.result, found.reason) == (Result.REFUSED, "unavailable")
    registry.set_online(True)
    assert (await outcome(registry, Action("turn_on", (LAMP.id,)))).result is Result.CONFIRMED
    assert len(lamp.told) == 1


async def test_optimistic_devices_and_unreported_keys_are_sent_not_done() -> None:
    from dataclasses import replace

    registry, _ = one(replace(LAMP, reports_state=False))
    assert (await outcome(registry, Action("turn_on", (LAMP.id,)))).result is Result.SENT
    registry, _ = one(replace(LAMP, unreported=frozenset({"brightness"})), {"on": True})
    found = await outcome(registry, Action("set_brightness", (LAMP.id,), {"brightness": 9}))
    assert found.result is Result.CONFIRMED  # as far as it can be: it is on


async def test_devices_of_one_action_at_the_same_time_and_actions_in_order() -> Any:
    registry = Registry()
    order = []

    class Slow:
        async def carry(self, device: Any, action: Any) -> Any:
            order.append(("start", device.id, action.name))
            await asyncio.sleep(0.02)
            order.append(("end", device.id, action.name))
            registry.report(device.id, {"on": action.name == "turn_on"})
            return ()

    ids = ("light.a", "light.b", "light.c")
    for i in ids:
        registry.put(Device(i, i, DeviceType.LIGHT, capabilities=frozenset({"on_off"})), Slow())
    seen: list[Outcome] = []
    outcomes = await Executor(registry).execute(
        [Action("turn_on", ids), Action("turn_off", ids[:1])], on_outcome=seen.append
    )
    assert [(o.device, o.action.name) for o in outcomes] == [
        *((i, "turn_on") for i in ids),
        ("light.a", "turn_off"),
    ]
    assert all(o.result is Result.CONFIRMED for o in outcomes)
    assert sorted(map(id, seen)) == sorted(map(id, outcomes))
    assert [step[0] for step in order[:3]] == ["start"] * 3
    assert order[-2:] == [("start", "light.a", "turn_off"), ("end", "light.a", "turn_off")]


async def test_nothing_is_sent_after_the_deadline() -> None:
    registry, lamp = one(LAMP)
    found = await outcome(registry, Action("turn_on", (LAMP.id,)), deadline=time.monotonic() - 1)
    assert (found.result, found.reason) == (Result.FAILED, "not_sent")
    assert lamp.told == []


async def test_actions_without_a_device_go_to_their_performer() -> None:
    registry = Registry()
    done = []

    class Timers:
        async def perform(self, action: Any) -> None:
            if action.params.get("name") == "bad":
                raise SkillError("no such timer")
            done.append(action)

    registry.add_performer(["start_timer", "cancel_timer"], Timers())
    outcomes = await Executor(registry).execute(
        [
            Action("start_timer", (), {"seconds": 60}),
            Action("start_timer", (), {"seconds": -1}),
            Action("cancel_timer", (), {"name": "bad"}),
            Action("pause_timer", ("timer.pizza",)),
        ]
    )
    assert [(o.result, o.reason, o.device) for o in outcomes] == [
        (Result.CONFIRMED, "", None),
        (Result.REFUSED, "out_of_range", None),
        (Result.FAILED, "error", None),
        (Result.REFUSED, "unsupported", None),
    ]
    assert len(done) == 1


HOME = parse_home(
    {
        "devices": [
            {
                "id": "light.l",
                "name": "L",
                "type": "light",
                "capabilities": ["on_off", "brightness", "color", "color_temp"],
                "state": {"on": False},
            },
            {
                "id": "switch.s",
                "name": "S",
                "type": "switch",
                "capabilities": ["on_off"],
                "state": {"on": False},
            },
            {
                "id": "cover.c",
                "name": "C",
                "type": "cover",
                "capabilities": ["open_close", "position"],
                "state": {"position": 0},
            },
            {
                "id": "valve.v",
                "name": "V",
                "type": "valve",
                "capabilities": ["open_close"],
                "state": {"position": 0},
            },
            {
                "id": "fan.f",
                "name": "F",
                "type": "fan",
                "capabilities": ["on_off", "speed"],
                "state": {"on": False},
            },
            {
                "id": "climate.k",
                "name": "K",
                "type": "climate",
                "capabilities": ["on_off", "temperature", "mode"],
                "minimum": 7,
                "maximum": 35,
                "state": {"on": False, "mode": "off", "target_temperature": 20},
            },
            {
                "id": "lock.d",
                "name": "D",
                "type": "lock",
                "capabilities": ["lock"],
                "state": {"locked": True},
            },
            {
                "id": "media_player.m",
                "name": "M",
                "type": "media_player",
                "capabilities": ["on_off", "playback", "volume", "play_media"],
                "state": {"on": True, "media": "idle", "volume": 20, "muted": False},
            },
            {
                "id": "vacuum.r",
                "name": "R",
                "type": "vacuum",
                "capabilities": ["start", "return"],
                "state": {"vacuum": "docked"},
            },
            {
                "id": "todo.t",
                "name": "T",
                "type": "todo_list",
                "capabilities": ["add", "complete", "remove"],
                "state": {"items": ["milk"]},
            },
            {"id": "scene.a", "name": "A", "type": "scene"},
            {"id": "script.b", "name": "B", "type": "script"},
        ]
    }
)


@pytest.mark.parametrize(
    ("device", "name", "params", "state", "result"),
    [
        ("light.l", "turn_on", {}, {"on": True}, Result.CONFIRMED),
        (
            "light.l",
            "set_brightness",
            {"brightness": 30},
            {"on": True, "brightness": 30},
            Result.CONFIRMED,
        ),
        ("light.l", "set_color", {"color": "red"}, {"on": True, "color": "red"}, Result.CONFIRMED),
        ("switch.s", "toggle", {}, {"on": True}, Result.CONFIRMED),
        ("cover.c", "open", {}, {"position": 100}, Result.CONFIRMED),
        ("cover.c", "stop", {}, {"position": 0, "moving": "stopped"}, Result.CONFIRMED),
        ("valve.v", "open", {}, {"position": 100}, Result.CONFIRMED),
        ("fan.f", "turn_on", {}, {"on": True, "percentage": 100}, Result.CONFIRMED),
        (
            "climate.k",
            "turn_on",
            {},
            {"on": True, "mode": "heat", "target_temperature": 20},
            Result.CONFIRMED,
        ),
        (
            "climate.k",
            "set_mode",
            {"mode": "cool"},
            {"on": True, "mode": "cool", "target_temperature": 20},
            Result.CONFIRMED,
        ),
        (
            "climate.k",
            "set_temperature",
            {"temperature": 99},
            {"on": False, "mode": "off", "target_temperature": 20},
            Result.REFUSED,
        ),
        ("lock.d", "unlock", {}, {"locked": False}, Result.CONFIRMED),
        (
            "media_player.m",
            "play_media",
            {"query": "Queen"},
            {"on": True, "media": "playing", "volume": 20, "muted": False},
            Result.CONFIRMED,
        ),
        (
            "media_player.m",
            "adjust_volume",
            {"direction": "up"},
            {"on": True, "media": "idle", "volume": 30, "muted": False},
            Result.CONFIRMED,
        ),
        (
            "media_player.m",
            "media_next",
            {},
            {"on": True, "media": "idle", "volume": 20, "muted": False},
            Result.SENT,
        ),
        ("vacuum.r", "vacuum_start", {}, {"vacuum": "cleaning"}, Result.CONFIRMED),
        ("vacuum.r", "vacuum_return", {}, {"vacuum": "docked"}, Result.CONFIRMED),
        (
            "vacuum.r",
            "vacuum_clean_area",
            {"area": "Kitchen"},
            {"vacuum": "cleaning"},
            Result.CONFIRMED,
        ),
        ("todo.t", "list_add", {"item": "eggs"}, {"items": ("milk", "eggs")}, Result.CONFIRMED),
        ("todo.t", "list_complete", {"item": "Milk"}, {"items": ()}, Result.CONFIRMED),
        ("todo.t", "list_remove", {"item": "milk"}, {"items": ()}, Result.CONFIRMED),
        ("scene.a", "activate_scene", {}, {}, Result.SENT),
        ("script.b", "run_script", {}, {}, Result.SENT),
    ],
)
async def test_a_home_from_a_file_obeys_from_memory(
    device: Any, name: Any, params: Any, state: Any, result: Any
) -> None:
    registry = in_memory(HOME)
    found = await outcome(registry, Action(name, (device,), params))
    assert found.result is result, found
    assert dict(registry.home().devices[device].state) == state


async def test_cancelling_the_turn_leaves_no_task_behind() -> None:
    registry, _ = one(LAMP, hangs=True)
    turn = asyncio.create_task(
        Executor(registry, timeout=60).execute([Action("turn_on", (LAMP.id,))])
    )
    await asyncio.sleep(0.01)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert registry.home() == registry.home()
    assert isinstance(registry.home(), Home)
