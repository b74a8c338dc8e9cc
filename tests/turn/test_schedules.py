"""What is scheduled: that it comes once, in its time, survives, and does only what was agreed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from assistant.config import PolicySettings
from assistant.errors import SkillError
from assistant.home.action import Action, ParamValue
from assistant.home.almanac import Whereabouts
from assistant.home.executor import Executor
from assistant.home.file import load_home
from assistant.home.memory import in_memory
from assistant.home.model import Home
from assistant.home.registry import Registry
from assistant.home.scheduled import MOST
from assistant.plan import PlanKind, Utterance
from assistant.skill import load_skills, skill_folders
from assistant.store import Store, StoredSchedule
from assistant.turn.announce import Announcer
from assistant.turn.reply import Replies
from assistant.turn.respond import Responder, Response
from assistant.turn.schedules import ACTIONS, Come, Schedules
from assistant.turn.timers import ACTIONS as TIMERS
from assistant.turn.timers import Timers
from assistant.understand.conversation import Conversation
from assistant.understand.pin import PinLock
from assistant.understand.policy import Policy
from assistant.understand.template import TemplateUnderstanding

ROME = ZoneInfo("Europe/Rome")
HOME = Home(whereabouts=Whereabouts(ROME, 41.9, 12.5))
SKILLS = load_skills(skill_folders(None), {})
UNDERSTANDING = TemplateUnderstanding(SKILLS)
REPLIES = Replies(SKILLS, lambda wordings: wordings[0])


class Clock:
    """A Tuesday in November, at first."""

    def __init__(self) -> None:
        self.set("2026-11-24 15:20")

    def set(self, text: str) -> None:
        self.now = datetime.fromisoformat(text).replace(tzinfo=ROME).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def scheduled(when: str, command: str = "turn on the lamp") -> Action:
    return Action("schedule", (), {"when": when, "command": command, "does": "[]"})


async def come_by(schedules: Schedules) -> list[tuple[str, bool]]:
    """What is announced now: the words, and whether it is in time."""
    found: list[tuple[str, bool]] = []

    async def announce(come: Come) -> None:
        found.append((come.what.command or come.what.message, come.in_time))

    task = asyncio.create_task(schedules.run(announce))
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    return found


async def test_once_and_again_and_again(clock: Clock) -> None:
    registry = Registry(HOME)
    schedules = Schedules(Store(None), registry, clock=clock)
    await schedules.perform(scheduled("2026-11-24 19:00", "once"))
    await schedules.perform(scheduled("mon,tue,wed,thu,fri 19:00", "weekdays"))
    message = {"when": "2026-11-25 08:00", "message": "bins", "area": "hall"}
    await schedules.perform(Action("remind", (), message))
    assert [s.command or s.message for s in registry.home().schedules] == [
        "once",
        "weekdays",
        "bins",
    ]
    assert await come_by(schedules) == []
    clock.set("2026-11-24 19:00")
    assert await come_by(schedules) == [("once", True), ("weekdays", True)]
    assert await come_by(schedules) == []
    clock.set("2026-11-25 08:00")
    assert await come_by(schedules) == [("bins", True)]
    clock.set("2026-11-27 19:00")
    await come_by(schedules)
    local = HOME.whereabouts.local(registry.home().schedules[0].next)
    assert f"{local:%a %H:%M}" == "Mon 19:00"


@pytest.mark.parametrize(
    ("back", "once", "weekdays"),
    [
        ("2026-11-24 19:00:30", ("once", True), ("weekdays", True)),
        ("2026-11-24 19:09", ("once", True), None),
        ("2026-11-24 19:11", ("once", False), None),
        ("2026-12-11 04:00", ("once", False), None),
    ],
)
async def test_what_came_while_it_was_off(
    tmp_path: Path,
    clock: Clock,
    back: str,
    once: tuple[str, bool],
    weekdays: tuple[str, bool] | None,
) -> None:
    path = tmp_path / "store.sqlite"
    first = Store(path)
    before = Schedules(first, Registry(HOME), clock=clock)
    await before.perform(scheduled("2026-11-24 19:00", "once"))
    await before.perform(scheduled("mon,tue,wed,thu,fri 19:00", "weekdays"))
    # The first store is not closed: that is what a power cut is like.
    clock.set(back)
    second, registry = Store(path), Registry(HOME)
    after = Schedules(second, registry, clock=clock)
    assert await come_by(after) == [once, *([weekdays] if weekdays else [])]
    assert await come_by(after) == []
    (left,) = registry.home().schedules
    assert left.command == "weekdays"
    assert left.next > clock.now
    first.close()
    second.close()


async def test_it_is_cancelled_or_left_out_on_a_day(clock: Clock) -> None:
    registry = Registry(HOME)
    schedules = Schedules(Store(None), registry, clock=clock)
    await schedules.perform(scheduled("mon,tue,wed,thu,fri 07:00"))
    (one,) = registry.home().schedules
    await schedules.perform(Action("skip_schedule", (), {"schedule": one.id, "day": "2026-11-25"}))
    (one,) = registry.home().schedules
    assert f"{HOME.whereabouts.local(one.next):%a %H:%M}" == "Thu 07:00"
    clock.set("2026-11-26 07:00")
    assert len(await come_by(schedules)) == 1
    assert not registry.home().schedules[0].occasion.but, "the past needs no exception"
    await schedules.perform(Action("cancel_schedule", (), {"schedule": one.id}))
    assert not registry.home().schedules
    with pytest.raises(SkillError, match="not scheduled any more"):
        await schedules.perform(Action("cancel_schedule", (), {"schedule": one.id}))


async def test_there_are_bounds(clock: Clock) -> None:
    store = Store(None)
    schedules = Schedules(store, Registry(HOME), clock=clock)
    with pytest.raises(SkillError, match="has passed"):
        await schedules.perform(scheduled("2026-11-24 15:00"))
    with pytest.raises(SkillError, match="no time for a command"):
        await schedules.perform(scheduled("soon"))
    for number in range(MOST):
        store.put_schedule(StoredSchedule(0, "mon 07:00", clock.now + number, "x"))
    with pytest.raises(SkillError, match="wait already"):
        await schedules.perform(scheduled("mon 07:00"))


async def test_another_time_zone_or_place_moves_it(clock: Clock) -> None:
    store = Store(None)
    registry = Registry(HOME)
    schedules = Schedules(store, registry, clock=clock)
    for when in ("2026-11-25 07:00", "tue sunset", "wed 08:00"):
        await schedules.perform(scheduled(when))
    before = [s.next for s in registry.home().schedules]
    Schedules(store, registry, clock=clock)
    assert [s.next for s in registry.home().schedules] == before
    london = Registry(Home(whereabouts=Whereabouts(ZoneInfo("Europe/London"), 51.5, -0.1)))
    Schedules(store, london, clock=clock)
    moved = [(s.next - b) / 3600 for s, b in zip(london.home().schedules, before, strict=True)]
    assert moved[1:] == [1, 1]
    assert 0 < moved[0] < 1


async def test_what_can_t_be_read_is_left_out(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(None)
    store.put_schedule(StoredSchedule(0, "at the end of days", clock.now, "x"))
    store.put_schedule(StoredSchedule(0, "mon 07:00", clock.now, "y", does="{"))
    schedules = Schedules(store, Registry(HOME), clock=clock)
    assert await come_by(schedules) == []
    assert not store.schedules()
    assert "can't be read" in caplog.text


# ------------------------------------------------- from the sentence to what comes of it


class Room:
    def __init__(self) -> None:
        self.said: list[str] = []

    def announce(self, text: str) -> None:
        self.said.append(text)


class House:
    """The villa with a clock, a policy, and somebody to talk to in the lounge."""

    def __init__(self, clock: Clock, **policy: Any) -> None:
        villa = load_home(Path(__file__).parents[1] / "homes" / "villa.json")
        self.registry = in_memory(replace(villa, whereabouts=HOME.whereabouts))
        self.clock = clock
        self.store = Store(None)
        self.schedules = Schedules(self.store, self.registry, clock=clock)
        self.registry.add_performer(ACTIONS, self.schedules)
        self.timers = Timers(self.store, self.registry, clock=clock)
        self.registry.add_performer(TIMERS, self.timers)
        lock = PinLock(self.store)
        if policy.get("pin"):
            lock.set("2718")
        self.room = Room()
        self._conversation = Conversation()
        self._responder = Responder(
            UNDERSTANDING,
            Policy(
                PolicySettings(**policy),
                pin=lock,
                clock=lambda: HOME.whereabouts.local(clock()),
            ),
            Executor(self.registry),
            REPLIES,
            self.registry,
            refresh=self.refresh,
        )
        self._announcer = Announcer(self._responder, REPLIES, lambda _: None)

    def refresh(self) -> None:
        self.schedules.refresh()
        self.timers.refresh()

    async def say(self, text: str) -> Response:
        utterance = Utterance(text, "en", "lounge", spoken_at=self.clock())
        return await self._responder.respond(utterance, self._conversation)

    async def at(self, text: str) -> list[str]:
        """Let it be that time; what is said then."""
        self.clock.set(text)
        self._announcer.add(self.room, "lounge")
        self.room.said.clear()
        # Begun anew, as after a power cut.
        timers = Timers(self.store, self.registry, clock=self.clock)
        async with _running(self.schedules, timers, self._announcer):
            for _ in range(50):
                await asyncio.sleep(0)
        return list(self.room.said)

    def state(self, device: str) -> Any:
        return self.registry.home().devices[device].state


@asynccontextmanager
async def _running(
    schedules: Schedules, timers: Timers, announcer: Announcer
) -> AsyncIterator[None]:
    tasks = [
        asyncio.create_task(schedules.run(announcer.remind)),
        asyncio.create_task(timers.run(announcer.ring)),
    ]
    yield
    for task in tasks:
        task.cancel()


async def test_a_command_is_done_where_it_was_asked_for(clock: Clock) -> None:
    house = House(clock)
    response = await house.say("close the blinds at half past nine")
    assert response.reply == "Today at 21:30: close the blinds."
    assert house.state("cover.lounge_blinds")["position"] != 0
    await house.at("2026-11-24 21:30")
    assert house.state("cover.lounge_blinds")["position"] == 0


async def test_a_reminder_is_said(clock: Clock) -> None:
    house = House(clock)
    await house.say("remind me to take the bins out tomorrow at eight")
    assert await house.at("2026-11-25 08:00") == ["A reminder: take the bins out."]
    await house.say("remind me to call Ann at nine")
    assert await house.at("2026-11-25 12:00") == ["I could not remind you in time: call Ann."]


async def test_what_is_asked_about_is_asked_beforehand_and_done_when_due(clock: Clock) -> None:
    house = House(clock)
    response = await house.say("unlock the front door tomorrow at eight")
    assert response.asks
    assert response.plan.confirm
    assert not house.registry.home().schedules
    response = await house.say("yes")
    assert response.reply == "Tomorrow at 8:00: unlock the front door."
    await house.at("2026-11-25 08:00")
    assert house.state("lock.front")["locked"] is False


async def test_what_is_done_for_a_while_is_put_back_also_after_a_power_cut(clock: Clock) -> None:
    house = House(clock)
    assert (await house.say("turn on the coffee machine for ten minutes")).reply == (
        "Turned on the Coffee Machine. In 10 minutes: turn off the coffee machine."
    )
    assert house.state("switch.coffee")["on"] is True
    assert (await house.say("what is scheduled")).reply == (
        "Today at 15:30: turn off the coffee machine."
    )
    assert await house.at("2026-11-24 15:29") == []
    assert await house.at("2026-11-24 15:33") == ["Turned off the Coffee Machine."]
    assert house.state("switch.coffee")["on"] is False


async def test_what_opens_after_a_while_is_asked_about_at_once(clock: Clock) -> None:
    house = House(clock)
    response = await house.say("unlock the front door for five minutes")
    assert response.reply == "Unlock the Front Door: are you sure?"
    await house.say("yes")
    await house.at("2026-11-24 15:25")
    assert house.state("lock.front")["locked"] is True
    response = await house.say("unlock the front door in an hour")
    assert response.reply == "Unlock the Front Door in 1 hour: are you sure?"
    await house.say("yes")
    await house.at("2026-11-24 16:25")
    assert house.state("lock.front")["locked"] is False


async def test_what_opens_after_a_while_and_was_not_agreed_to_stays_shut(clock: Clock) -> None:
    """A language model put it off, which can't tell beforehand what the words will mean."""
    house = House(clock)
    delay: dict[str, ParamValue] = {"seconds": 60, "command": "unlock the front door"}
    await house.timers.perform(Action("delay", (), delay))
    (said,) = await house.at("2026-11-24 15:21")
    assert "asked for again" in said
    assert house.state("lock.front")["locked"] is True


async def test_a_question_about_later_tells_when(clock: Clock) -> None:
    quiet = {"begin": "22:00", "end": "07:00", "confirm": ("turn_on",)}
    house = House(clock, pin=("unlock",), quiet=quiet)
    for said, asked in {
        "lock the back door until eleven": "the PIN to unlock the Back Door today at 23:00?",
        "open the garage tomorrow at eight": "Open the Garage Door tomorrow at 8:00: are you sure?",
        "open the garage every day at sunset": "Open the Garage Door every day at sunset: are",
        "turn on the TV at eleven": "Today at 23:00 it is quiet time. Turn on the TV all the same?",
    }.items():
        assert asked in (await house.say(said)).reply


async def test_a_no_schedules_nothing(clock: Clock) -> None:
    house = House(clock)
    await house.say("unlock the front door tomorrow at eight")
    await house.say("no")
    assert not house.registry.home().schedules


async def test_a_pin_is_asked_for_beforehand(clock: Clock) -> None:
    house = House(clock, pin=("unlock",))
    assert (await house.say("unlock the front door at eight")).plan.pin
    await house.say("yes")
    assert not house.registry.home().schedules
    await house.say("unlock the front door at eight")
    await house.say("2718")
    assert [s.approved for s in house.registry.home().schedules] == ["pin"]
    await house.at("2026-11-24 20:00")
    assert house.state("lock.front")["locked"] is False


async def test_what_is_never_done_is_refused_at_once(clock: Clock) -> None:
    house = House(clock, never=("unlock",))
    response = await house.say("unlock the front door tomorrow at eight")
    assert response.plan.kind is PlanKind.REFUSE
    assert not house.registry.home().schedules


async def test_it_is_the_hour_when_it_is_done_that_counts(clock: Clock) -> None:
    quiet = {"begin": "22:00", "end": "07:00", "confirm": ("turn_on",)}
    house = House(clock, quiet=quiet)
    assert not (await house.say("turn on the sofa lamp at nine")).asks
    assert (await house.say("turn on the sofa lamp at eleven")).asks


async def test_what_was_not_agreed_to_is_not_done(clock: Clock) -> None:
    """The owner has become stricter, and the words mean something else than they did."""
    house = House(clock)
    await house.say("turn on the sofa lamp at nine")
    house._responder._policy = Policy(PolicySettings(confirm=("turn_on",)))
    before = dict(house.state("light.sofa"))
    (said,) = await house.at("2026-11-24 21:00")
    assert "asked for again" in said
    assert dict(house.state("light.sofa")) == before


async def test_a_yes_is_for_what_it_was_given_for(clock: Clock) -> None:
    house = House(clock)
    await house.say("unlock the front door at nine")
    await house.say("yes")
    (one,) = house.store.schedules()
    house.store.put_schedule(replace(one, command="open the garage door"))
    before = dict(house.state("cover.garage"))
    (said,) = await house.at("2026-11-24 21:00")
    assert "asked for again" in said
    assert dict(house.state("cover.garage")) == before


async def test_what_is_scheduled_is_told_cancelled_and_left_out(clock: Clock) -> None:
    house = House(clock)
    assert (await house.say("what is scheduled")).reply == "Nothing is scheduled."
    await house.say("every weekday at seven open the blinds")
    await house.say("turn off the sofa lamp at eleven")
    assert (await house.say("what is scheduled")).reply == (
        "Today at 23:00: turn off the sofa lamp. Every weekday at 7:00: open the blinds."
    )
    assert (await house.say("what's scheduled for tomorrow")).reply == (
        "Every weekday at 7:00: open the blinds."
    )
    assert (await house.say("don't open the blinds tomorrow")).reply == (
        "All right, not tomorrow: open the blinds."
    )
    assert len(house.registry.home().schedules) == 2
    which = await house.say("cancel the schedule")
    assert which.reply.startswith("Which one: turn off the sofa lamp today at 23:00")
    await house.say("cancel the schedule for the lamp")
    assert [s.command for s in house.registry.home().schedules] == ["open the blinds"]
    assert (await house.say("cancel all schedules")).reply == "Cancelled: open the blinds."
    assert not house.registry.home().schedules
    refused = await house.say("don't open the blinds tomorrow")
    assert refused.plan.kind is PlanKind.NOTHING


async def test_an_alarm_is_told_left_out_and_cancelled(clock: Clock) -> None:
    house = House(clock)
    await house.say("wake me every weekday at seven")
    await house.say("every weekday at seven open the blinds")
    assert (await house.say("when is my alarm")).reply == "Every weekday at 7:00: time to get up."
    assert (await house.say("don't wake me tomorrow")).reply == (
        "All right, not tomorrow: time to get up."
    )
    assert await house.at("2026-11-25 07:00") == ["Opened the Lounge Blinds."]
    assert "A reminder: time to get up." in await house.at("2026-11-26 07:00")
    await house.say("cancel the schedule for the blinds for tomorrow")
    assert len(house.registry.home().schedules) == 2, "it comes on other days"
    await house.say("cancel my alarm")
    assert [s.command for s in house.registry.home().schedules] == ["open the blinds"]


async def test_it_keeps_what_it_stands_for_not_the_pronoun(clock: Clock) -> None:
    house = House(clock)
    await house.say("turn on the sofa lamp")
    await house.say("turn it off at ten")
    (one,) = house.registry.home().schedules
    assert one.does == (Action("turn_off", ("light.sofa",)),)
    assert "sofa lamp" in one.command


async def test_too_many_are_refused_in_words(clock: Clock) -> None:
    house = House(clock)
    for number in range(MOST):
        house.store.put_schedule(StoredSchedule(0, "mon 07:00", clock.now + 9e4 + number, "x"))
    response = await house.say("turn on the sofa lamp at ten")
    assert response.plan.kind is PlanKind.REFUSE
    assert f"{MOST} things are scheduled" in response.reply
