"""What the language model resolved once is known the second time, unless the user took it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.config import PolicySettings
from assistant.errors import LlmError
from assistant.home.executor import Executor
from assistant.home.memory import in_memory
from assistant.home.vocabulary import VOCABULARY
from assistant.plan import Utterance
from assistant.turn.remembering import TRIAL, Remembering
from assistant.turn.respond import Responder, Response, Ways
from assistant.turn.thinker import Thinker
from assistant.understand.conversation import Conversation
from assistant.understand.planner import PlannerSettings
from assistant.understand.policy import Policy
from assistant.understand.remembered_file import FILE_NAME, RememberedFile
from tests.turn.test_model_turns import (
    REPLIES,
    UNDERSTANDING,
    VILLA,
    Model,
    Part,
    does,
    doing,
    saying,
    told,
)

SAID = "the sofa lamp annoys me"
OFF = doing(does("turn_off", "light.sofa"))


class Talk:
    """Conversations at two satellites with a model, whose answers are remembered in `path`."""

    def __init__(
        self,
        path: Path,
        *answers: list[str] | list[Part],
        ways: Ways | None = None,
        most: int = 25,
        sure: bool = True,
    ) -> None:
        self.model = Model(*answers, weak=not sure, sure=-0.01 if sure else -2.0)
        self.registry = in_memory(VILLA)
        self.now = 1000.0
        self.file = RememberedFile(path)
        self.responder = Responder(
            UNDERSTANDING,
            Policy(PolicySettings(ask_above=most)),
            Executor(self.registry, timeout=0.2),
            REPLIES,
            self.registry,
            thinker=Thinker(told(self.model), self.registry, "en", PlannerSettings()),
            remembering=Remembering(self.file, VOCABULARY, lambda: self.now),
            ways=ways or Ways(),
        )
        self.conversations: dict[str, Conversation] = {}

    async def say(self, text: str, source: str = "lounge", after: float = 1.0) -> Response:
        """What is said at a satellite, `after` seconds."""
        self.now += after
        return await self.responder.respond(
            Utterance(text, "en", source=source),
            self.conversations.setdefault(source, Conversation()),
        )

    def remembered(self) -> list[str]:
        return [entry.said for entry in self.file.entries()]

    def state(self, device: str, key: str = "on") -> object:
        return self.registry.home().devices[device].state.get(key)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


@pytest.fixture
def talk(path: Path) -> Iterator[Talk]:
    """One whose model turns the sofa lamp off, once; after that it only talks."""
    made = Talk(path, OFF)
    yield made
    made.file.close()


async def test_the_second_time_the_model_is_not_asked(talk: Talk) -> None:
    assert (await talk.say(SAID)).reply == "Turned off the Sofa Lamp."
    talk.registry.report("light.sofa", {"on": True})
    again = await talk.say("The sofa lamp annoys me, please!", after=TRIAL)
    assert again.reply == "Turned off the Sofa Lamp."
    assert again.plan.intent == "remembered"
    assert talk.state("light.sofa") is False
    other = await talk.say("the worktop lights annoys me", source="kitchen")
    assert other.reply == "Turned off the Worktop Lights."
    assert len(talk.model.asked) == 1
    assert [(e.used, e.last_used) for e in talk.file.entries()] == [(2, talk.now)]


async def test_it_survives_a_restart(path: Path) -> None:
    before = Talk(path, OFF)
    await before.say(SAID)
    before.file.close()
    after = Talk(path)
    await after.say(SAID, after=TRIAL + 2)
    assert after.state("light.sofa") is False
    assert after.model.asked == []


async def test_within_a_minute_the_model_is_asked_again(talk: Talk) -> None:
    talk.model.answers.append(OFF)
    await talk.say(SAID)
    await talk.say(SAID, after=TRIAL - 1)
    assert len(talk.model.asked) == 2
    await talk.say(SAID, after=TRIAL - 1)
    assert len(talk.model.asked) == 3, "the minute has begun anew"


@pytest.mark.parametrize(
    "objection",
    [
        "no",
        "not that",
        "that's wrong",
        "no, the worktop lights",
        "undo that",
        "that's not what I meant",
        "don't do that",
        "turn on the sofa lamp",
        "make the sofa lamp red",
        "turn on the lights in the lounge",
    ],
)
async def test_whoever_takes_it_back_was_not_content(talk: Talk, objection: str) -> None:
    await talk.say(SAID)
    assert talk.remembered() == [SAID]
    await talk.say(objection, after=20.0)
    assert talk.remembered() == []


@pytest.mark.parametrize(
    "said",
    ["thanks", "what time is it", "turn off the worktop lights", "turn off the sofa lamp", "yes"],
)
async def test_what_has_nothing_to_do_with_it_is_no_objection(talk: Talk, said: str) -> None:
    await talk.say(SAID)
    await talk.say(said, after=20.0)
    await talk.say("no")
    assert SAID in talk.remembered()


async def test_who_objects_elsewhere_means_something_else(talk: Talk) -> None:
    await talk.say(SAID)
    await talk.say("no", source="kitchen")
    assert talk.remembered() == [SAID]
    await talk.say("turn on the sofa lamp", source="kitchen")
    assert talk.remembered() == [], "the lamp is on again all the same"


async def test_a_no_to_a_later_question_is_no_objection(talk: Talk) -> None:
    await talk.say(SAID)
    assert (await talk.say("unlock the front door")).asks
    await talk.say("no")
    assert talk.remembered() == [SAID]


async def test_what_is_undone_after_all_is_forgotten(talk: Talk) -> None:
    await talk.say(SAID)
    talk.registry.report("light.sofa", {"on": True})
    await talk.say(SAID, after=TRIAL)
    await talk.say("what time is it")
    await talk.say("undo that")
    assert talk.state("light.sofa") is True
    assert talk.remembered() == []


async def test_what_was_wrong_of_another_still_holds_of_the_first(talk: Talk) -> None:
    await talk.say(SAID)
    await talk.say("the worktop lights annoys me", after=TRIAL)
    await talk.say("no, not that")
    assert talk.remembered() == [SAID]
    await talk.say("the worktop lights annoys me")
    assert len(talk.model.asked) >= 2
    assert (await talk.say(SAID)).plan.intent == "remembered"


async def test_what_the_model_was_not_sure_of_is_remembered_by_a_yes(path: Path) -> None:
    talk = Talk(path, OFF, sure=False)
    with closing(talk.file):
        assert (await talk.say(SAID)).reply == "Shall I turn off the Sofa Lamp?"
        assert talk.remembered() == []
        await talk.say("yes")
        assert talk.remembered() == [SAID]
        talk.registry.report("light.sofa", {"on": True})
        assert (await talk.say(SAID, after=TRIAL)).reply == "Turned off the Sofa Lamp."
        assert talk.state("light.sofa") is False


@pytest.mark.parametrize(
    ("answer", "reply", "most"),
    [
        (OFF, "no", 25),
        (OFF, "what time is it", 25),
        (doing(does("unlock", "lock.front")), "yes", 25),
        (doing(does("turn_off", "light.sofa", "light.worktop")), "yes", 1),
    ],
    ids=["no", "no answer", "the policy asks too", "the policy asks: too many"],
)
async def test_what_was_not_granted_is_not(
    path: Path, answer: list[str], reply: str, most: int
) -> None:
    talk = Talk(path, answer, sure=False, most=most)
    with closing(talk.file):
        said = "the sofa lamp and the worktop lights and the front door annoy me"
        assert (await talk.say(said)).asks
        await talk.say(reply)
        assert talk.remembered() == []


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("visitors at the front door", doing(does("unlock", "lock.front"))),
        (SAID, ['{"say":"I know."}']),
        (SAID, ['{"ask":"Does it?"}']),
        (SAID, doing(does("turn_off", "light.sofa"), does("unlock", "lock.front"))),
        (SAID, ['{"actions":[', does("turn_off", "light.sofa"), LlmError("gone")]),
        (f"{SAID} and kill it", OFF),
        ("tell me about the walrus", saying("It has tusks.")),
    ],
)
async def test_what_is_not_remembered(path: Path, said: str, answer: list[str]) -> None:
    talk = Talk(path, answer)
    with closing(talk.file):
        await talk.say(said)
        assert talk.remembered() == []


async def test_what_a_device_did_not_confirm_is_not_remembered(talk: Talk) -> None:
    talk.registry.set_available("light.sofa", available=False)
    await talk.say(SAID)
    assert talk.remembered() == []


async def test_what_a_template_knows_is_not_remembered(talk: Talk) -> None:
    await talk.say("turn off the sofa lamp")
    assert talk.remembered() == []


@pytest.mark.parametrize("order", ["model", "model-only"])
async def test_who_puts_the_model_first_has_it_asked(path: Path, order: str) -> None:
    before = Talk(path, OFF)
    await before.say(SAID)
    before.file.close()
    talk = Talk(path, OFF, OFF, ways=Ways(order="model" if order == "model" else "model-only"))
    with closing(talk.file):
        await talk.say(SAID, after=TRIAL * 2)
        await talk.say("I fancy the sofa lamp to be off")
        assert len(talk.model.asked) == 2
        assert talk.remembered() == [SAID]


async def test_a_device_that_is_gone_has_the_model_asked(talk: Talk) -> None:
    await talk.say(SAID)
    talk.registry.remove("light.sofa")
    response = await talk.say(SAID, after=TRIAL)
    assert response.outcomes == ()
    assert len(talk.model.asked) == 2


async def test_what_the_owner_wants_asked_by_now_is_not_done_unasked(path: Path) -> None:
    dark = "the kitchen wants some cheering up"
    lights = doing(does("turn_on", "light.kitchen_ceiling", "light.worktop"))
    before = Talk(path, lights)
    await before.say(dark)
    before.file.close()
    talk = Talk(path, lights, most=1)
    with closing(talk.file):
        assert (await talk.say(dark, after=TRIAL * 2)).asks
        assert talk.state("light.kitchen_ceiling") is False


async def test_what_the_command_line_changes_is_noticed(talk: Talk, path: Path) -> None:
    await talk.say(SAID)
    talk.now += TRIAL
    with closing(RememberedFile(path)) as other:
        (entry,) = other.entries()
        other.change(replace(entry, enabled=False))
    await talk.say(SAID)
    assert len(talk.model.asked) == 2
    with closing(RememberedFile(path)) as other:
        other.change(replace(entry, said="lamp rage please sofa lamp", about=""))
    assert (await talk.say("lamp rage, please: sofa lamp")).plan.intent == "remembered"


async def test_what_the_owner_switched_off_is_not_learnt_again(talk: Talk) -> None:
    talk.model.answers.append(OFF)
    await talk.say(SAID)
    (entry,) = talk.file.entries()
    talk.file.change(replace(entry, enabled=False))
    await talk.say(SAID, after=TRIAL)
    assert [entry.enabled for entry in talk.file.entries()] == [False]


@pytest.fixture
def broken(talk: Talk, path: Path) -> Talk:
    """One whose file has become a folder."""
    talk.file.close()
    for left in path.parent.glob(f"{FILE_NAME}*"):
        left.unlink()
    path.mkdir()
    return talk


async def test_a_file_that_fails_costs_no_turn(
    broken: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    talk = broken
    assert (await talk.say(SAID)).reply == "Turned off the Sofa Lamp."
    assert (await talk.say("turn on the sofa lamp")).reply == "Turned on the Sofa Lamp."
    assert caplog.text.count("nothing is remembered") == 1
