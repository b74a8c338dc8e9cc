"""Whole turns in words: understanding, policy, executor, reply, and the questions in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.config import PolicySettings
from assistant.errors import MqttError
from assistant.home.action import Action, Outcome, Result
from assistant.home.executor import Executor
from assistant.home.file import load_home
from assistant.home.memory import in_memory
from assistant.home.model import Device
from assistant.home.registry import Registry
from assistant.plan import Plan, PlanKind, Speech, Utterance
from assistant.skill import load_skills, skill_folders
from assistant.store import Store
from assistant.turn.events import Carried, Planned, Replied, StageDone, TurnEvent
from assistant.turn.reply import Replies, spoken_number
from assistant.turn.respond import Responder, Response, Ways
from assistant.turn.timers import ACTIONS, Timers
from assistant.understand.conversation import Conversation
from assistant.understand.policy import Policy
from assistant.understand.template import TemplateUnderstanding

SKILLS = load_skills(skill_folders(None), {})
UNDERSTANDING = TemplateUnderstanding(SKILLS)
REPLIES = Replies(SKILLS, lambda wordings: wordings[0])
VILLA = load_home(Path(__file__).parents[1] / "homes" / "villa.json")


class Talk:
    """One conversation with the villa."""

    def __init__(
        self, registry: Registry | None = None, window: float = 6.0, min_score: float = 0.5
    ) -> None:
        self.registry = registry or in_memory(replace(VILLA, timers=()))
        timers = Timers(Store(None), self.registry)
        self.registry.add_performer(ACTIONS, timers)
        self.responder = Responder(
            UNDERSTANDING,
            Policy(PolicySettings()),
            Executor(self.registry, timeout=0.2),
            REPLIES,
            self.registry,
            ways=Ways(answer_window=window, min_score=min_score),
            refresh=timers.refresh,
        )
        self.conversation = Conversation()
        self.events: list[TurnEvent] = []

    async def say(self, text: str, area: str | None = None, *others: str) -> Response:
        said = Utterance(text, "en", area, alternatives=others)
        return await self.responder.respond(said, self.conversation, observe=self.events.append)

    def state(self, device: str, key: str) -> object:
        return self.registry.home().devices[device].state.get(key)


async def test_a_command_is_carried_out_and_told_in_order() -> None:
    talk = Talk()
    response = await talk.say("turn off the sofa lamp")
    assert response.reply == "Turned off the Sofa Lamp."
    assert talk.state("light.sofa", "on") is False
    told = [type(e) for e in talk.events if not isinstance(e, StageDone)]
    assert told == [Planned, Carried, Replied]
    stages = [e.name for e in talk.events if isinstance(e, StageDone)]
    assert stages == ["understand", "act"]


async def test_what_was_hardly_heard_is_asked_about() -> None:
    talk = Talk(min_score=0.99)
    response = await talk.say("tern off the sofa lmp")
    assert response.asks
    assert "Sofa Lamp" in response.reply
    assert talk.state("light.sofa", "on") is True
    assert (await talk.say("yes")).reply == "Turned off the Sofa Lamp."


async def test_what_is_opened_upon_a_yes_is_told() -> None:
    talk = Talk()
    assert (await talk.say("unlok the front dor")).asks
    assert (await talk.say("yes")).reply == "Unlocked the Front Door."


async def test_another_reading_that_is_understood_as_it_is_goes_before_a_guess() -> None:
    talk = Talk()
    await talk.say("turn on the sofa limp", None, "turn on the worktop lights")
    assert [o.outcome.device for o in talk.events if isinstance(o, Carried)] == ["light.worktop"]


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("turn on the kitchen lights", "Turned on the Kitchen Ceiling and the Worktop Lights."),
        (
            "turn off all the lights upstairs",
            "Turned off the Ceiling Light and Leo's Night Light.",
        ),
        ("turn the TV up", "Set the volume of the TV to 40 percent."),
        ("set the bedroom curtain to half", "Set the Bedroom Curtain to 50 percent."),
        ("start vacuuming", "Dusty is cleaning."),
        ("set a timer for ninety seconds", "Timer set for 1 minute and 30 seconds."),
        ("put olive oil on the shopping list", "Put olive oil on the Shopping List."),
        ("turn off the basement lights", "There is no basement here."),
        ("turn on the floo", "There is no floo here that I know of."),
        ("sing me the floo", "Sorry, I did not understand “sing me the floo”."),
        ("don't turn on the sofa lamp", "All right, I do nothing."),
        (
            "turn on the sofa lamp and close the lounge blinds",
            "Turned on the Sofa Lamp. Closed the Lounge Blinds.",
        ),
    ],
)
async def test_replies(text: str, reply: str) -> None:
    assert (await Talk().say(text)).reply == reply


async def test_what_is_risky_waits_for_a_yes() -> None:
    talk = Talk()
    asked = await talk.say("unlock the front door")
    assert (asked.asks, asked.reply) == (True, "Unlock the Front Door: are you sure?")
    assert talk.state("lock.front", "locked") is True
    assert (await talk.say("yes please")).reply == "Unlocked the Front Door."
    assert talk.state("lock.front", "locked") is False
    assert (await talk.say("yes")).outcomes == ()


@pytest.mark.parametrize("answer", ["no", "what time is it", "yesterday", ""])
async def test_anything_but_yes_leaves_the_door_locked(answer: str) -> None:
    talk = Talk()
    await talk.say("unlock the front door")
    await talk.say(answer)
    await talk.say("yes")
    assert talk.state("lock.front", "locked") is True


async def test_a_yes_that_comes_too_late_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(window=0.0)
    await talk.say("unlock the front door")
    assert talk.conversation.pending is not None
    talk.conversation.pending = replace(talk.conversation.pending, expires=0.0)
    assert (await talk.say("yes")).outcomes == ()
    assert talk.state("lock.front", "locked") is True


@pytest.mark.parametrize(
    ("choice", "device"),
    [("the lounge", "light.lounge_ceiling"), ("the one in the bedroom", "light.bedroom_ceiling")],
)
async def test_a_choice_is_made_by_room(choice: str, device: str) -> None:
    talk = Talk()
    asked = await talk.say("set the ceiling light to 33 percent")
    assert asked.reply == "Which one: Ceiling Light (Bedroom) or Ceiling Light (Lounge)?"
    assert not asked.plan.confirm
    chosen = await talk.say(choice)
    assert [o.device for o in chosen.outcomes] == [device]
    assert talk.state(device, "brightness") == 33


async def test_a_choice_of_something_risky_still_asks() -> None:
    talk = Talk()
    await talk.say("unlock the door")
    asked = await talk.say("the front door")
    assert asked.plan.confirm
    assert talk.state("lock.front", "locked") is True
    await talk.say("yes")
    assert talk.state("lock.front", "locked") is False


async def test_it_is_what_was_spoken_of_last() -> None:
    talk = Talk()
    await talk.say("turn on the sofa lamp")
    await talk.say("make it blue")
    assert talk.state("light.sofa", "color") == "blue"


async def test_a_timer_is_known_in_the_next_turn() -> None:
    talk = Talk()
    await talk.say("start a ten minute timer named tea")
    reply = (await talk.say("how long is left on the tea timer?")).reply
    assert reply.startswith(("Tea: 10 minutes", "Tea: 9 minutes"))


class Stubborn:
    """Takes commands in one of several unhelpful ways."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def carry(self, device: Device, action: Action) -> tuple[str, ...]:
        if self.error:
            raise self.error
        return ()


@pytest.mark.parametrize(
    ("carrier", "change", "reply"),
    [
        (Stubborn(), {}, "Sofa Lamp did not respond."),
        (Stubborn(), {"available": False}, "Sofa Lamp can't be reached."),
        (Stubborn(), {"reports_state": False}, "Sent to the Sofa Lamp; it does not report back."),
        (
            Stubborn(MqttError("no broker")),
            {},
            "I could not send the command to Sofa Lamp.",
        ),
    ],
)
async def test_a_reply_never_claims_what_did_not_happen(
    carrier: Stubborn, change: dict[str, bool], reply: str
) -> None:
    registry = in_memory(VILLA)
    registry.put(replace(VILLA.devices["light.sofa"], **change), carrier)  # type: ignore[arg-type]
    assert (await Talk(registry).say("turn off the sofa lamp")).reply == reply


def outcome(device: str, result: Result, reason: str = "") -> Outcome:
    return Outcome(Action("turn_on", (device,)), device, result, reason)


def test_a_mixed_end_is_told_as_such() -> None:
    plan = Plan(PlanKind.ACT, speech=Speech("lights.turn_on"))
    reply = REPLIES.from_outcomes(
        plan,
        [
            outcome("light.sofa", Result.CONFIRMED),
            outcome("light.leo", Result.FAILED, "no_report"),
            outcome("light.worktop", Result.REFUSED, "something new"),
        ],
        VILLA,
        "en",
    )
    assert reply == (
        "Turned on the Sofa Lamp. Leo's Night Light did not respond. "
        "That did not work for Worktop Lights."
    )


def test_every_reply_of_every_skill_is_valid(caplog: pytest.LogCaptureFixture) -> None:
    """Each handler's reply key exists: all wordings are parsed, and none names a missing filter."""
    find: Callable[..., str] = REPLIES.word
    for skill in SKILLS.skills.values():
        for language, replies in skill.replies.items():
            for key in replies:
                find(Speech(f"{skill.name}.{key}", {}), language)
    assert not [r for r in caplog.records if "unexpected" in r.message or "No filter" in r.message]


@pytest.mark.parametrize(
    ("value", "said"), [(20.0, "20"), ("7.50", "7.5"), (-0.0, "0"), ("rainy", "rainy"), (3, "3")]
)
def test_numbers_are_said_without_needless_fractions(value: object, said: str) -> None:
    assert spoken_number(value) == said
