"""The PIN in a dialogue: what it lets happen, and who gets to see it: nobody."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant.config import PolicySettings
from assistant.home.executor import Executor
from assistant.home.file import load_home
from assistant.home.memory import in_memory
from assistant.llm.model import Finish, LanguageModel, Message, Piece, Query
from assistant.plan import PlanKind, Utterance
from assistant.skill import load_skills, skill_folders
from assistant.store import Store
from assistant.stt.transcript import Transcript
from assistant.turn.events import Heard, TurnEnded, TurnEvent
from assistant.turn.reply import Replies
from assistant.turn.respond import Responder, Response, Ways
from assistant.turn.thinker import Thinker
from assistant.turn.trace import Tracer
from assistant.understand.conversation import Conversation
from assistant.understand.pin import HIDDEN, PinLock
from assistant.understand.planner import PlannerSettings
from assistant.understand.policy import Policy
from assistant.understand.template import TemplateUnderstanding

SKILLS = load_skills(skill_folders(None), {})
UNDERSTANDING = TemplateUnderstanding(SKILLS)
REPLIES = Replies(SKILLS, lambda wordings: wordings[0])
HOMES = Path(__file__).parents[1] / "homes"
A_TIME = re.compile(r"\d+\.\d+(?:e-\d+)?")
"""Seconds as they were measured: their figures may happen to be those of the PIN."""


class Model:
    """A language model that notes what it is given, and has `answers`."""

    name, weak = "scripted", False

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.seen: list[str] = []

    async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        self.seen.append(str(query))
        answer = self.answers.pop(0) if self.answers else '{"say":"Hm."}'
        yield Piece(answer, logprob=-0.01, chosen=1)
        yield Piece("", 0, finish=Finish.STOP)

    async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        self.seen.append(str(messages))

    async def close(self) -> None:
        pass


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Talk:
    """A home where unlocking takes the PIN 2718, and everything that listens to its turns."""

    def __init__(
        self,
        folder: Path,
        language: str = "en",
        model: Model | None = None,
        *,
        store: Store | None = None,
        pin: str = "2718",
        ways: Ways | None = None,
        **policy: Any,
    ) -> None:
        self.language = language
        self.clock = Clock()
        home = {"en": "villa", "it": "casa"}[language]
        self.registry = in_memory(replace(load_home(HOMES / f"{home}.json"), timers=()))
        self.lock = PinLock(store or Store(None), attempts=3, clock=self.clock)
        if pin:
            self.lock.set(pin)
        self.model = model
        self.responder = Responder(
            UNDERSTANDING,
            Policy(PolicySettings.model_validate({"pin": ["unlock"], **policy}), pin=self.lock),
            Executor(self.registry, timeout=0.2),
            REPLIES,
            self.registry,
            thinker=self._thinker(model) if model is not None else None,
            ways=ways or Ways(),
        )
        self.conversation = Conversation()
        self.events: list[TurnEvent] = []
        self.folder = folder
        self.tracer = Tracer(folder)

    def _thinker(self, model: Model) -> Thinker:
        async def load() -> LanguageModel:
            return model

        return Thinker(load, self.registry, self.language, PlannerSettings())

    def observe(self, event: TurnEvent) -> None:
        self.events.append(event)
        self.tracer(event)

    async def say(self, text: str, *alternatives: str) -> Response:
        turn = str(len(self.events))
        utterance = Utterance(text, self.language, alternatives=alternatives)
        await self.responder.ahead(utterance, self.conversation)
        heard = HIDDEN if self.responder.confides(utterance, self.conversation) else text
        self.observe(Heard(turn, "text", 0.0, Transcript(heard, final=True)))
        response = await self.responder.respond(
            utterance, self.conversation, turn=turn, observe=self.observe
        )
        self.observe(TurnEnded(turn, "text", 0.0))
        return response

    def locked(self) -> bool:
        lock = {"en": "lock.front", "it": "lock.ingresso"}[self.language]
        return self.registry.home().devices[lock].state["locked"] is True

    def everything_kept(self) -> str:
        """All that was told, written, remembered, or given to the model."""
        kept = [str(self.events), str(self.conversation)]
        kept += [path.read_text() for path in self.folder.iterdir()]
        kept += self.model.seen if self.model is not None else []
        return A_TIME.sub("(a time)", "\n".join(kept))


ENGLISH = ["2718", "2 7 1 8.", "two seven one eight", "twenty seven eighteen", "it's 27 18 please"]
ITALIAN = ["2718", "due sette uno otto", "ventisette diciotto", "duemilasettecentodiciotto"]


@pytest.mark.parametrize(
    ("language", "said"), [*(("en", s) for s in ENGLISH), *(("it", s) for s in ITALIAN)]
)
async def test_the_pin_unlocks(tmp_path: Path, language: str, said: str) -> None:
    talk = Talk(tmp_path, language)
    ask, reply = {
        "en": ("unlock the front door", "What is the PIN to unlock the Front Door?"),
        "it": ("sblocca la porta d'ingresso", "Qual è il PIN per sbloccare Porta d'Ingresso?"),
    }[language]
    asked = await talk.say(ask)
    assert (asked.asks, asked.reply) == (True, reply)
    assert talk.locked()
    done = await talk.say(said)
    assert not talk.locked()
    assert not done.asks
    assert done.plan.kind is PlanKind.ACT


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("yes", "I did not get the PIN. Please ask me again."),
        ("yes please", "I did not get the PIN. Please ask me again."),
        ("two seven one", "I did not get the PIN. Please ask me again."),
        ("two seven hello eight", "I did not get the PIN. Please ask me again."),
        ("two seven one nine", "That is not the PIN."),
        ("no", "All right, I leave it."),
        ("turn off the sofa lamp", "Turned off the Sofa Lamp."),
        ("what is the PIN", "I did not get the PIN. Please ask me again."),
    ],
)
async def test_nothing_else_does_and_there_is_one_attempt(
    tmp_path: Path, said: str, reply: str
) -> None:
    talk = Talk(tmp_path)
    await talk.say("unlock the front door")
    assert (await talk.say(said)).reply == reply
    late = await talk.say("two seven one eight")
    assert late.reply == "I did not ask for a PIN."
    assert talk.locked()


async def test_after_too_many_it_is_not_asked_for_even_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    (tmp_path / "a").mkdir()
    talk = Talk(tmp_path / "a", store=store)
    for reply in ("That is not the PIN.", "That is not the PIN.", "wrong too often"):
        await talk.say("unlock the front door")
        assert reply in (await talk.say("1111")).reply
    store.close()
    (tmp_path / "b").mkdir()
    again = Talk(tmp_path / "b", store=Store(tmp_path / "store.sqlite"), pin="")
    refused = await again.say("unlock the front door")
    assert refused.reply == "The PIN was wrong too often. I take none for 5 minutes."
    assert not refused.asks
    await again.say("2718")
    assert again.locked()
    again.clock.now += 300
    await again.say("unlock the front door")
    await again.say("2718")
    assert not again.locked()


async def test_too_late_is_too_late(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    await talk.say("unlock the front door")
    assert talk.conversation.pending is not None
    talk.conversation.pending = replace(talk.conversation.pending, expires=0.0)
    assert (await talk.say("2718")).reply == "That was too late for the PIN. Please ask me again."
    assert talk.locked()
    assert "2718" not in talk.everything_kept()


async def test_without_a_pin_what_needs_it_is_refused(tmp_path: Path) -> None:
    talk = Talk(tmp_path, pin="")
    response = await talk.say("unlock the front door")
    assert response.reply == "That needs a PIN, and none has been set."
    assert not response.asks


async def test_other_satellites_can_not_answer(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    await talk.say("unlock the front door")
    here, talk.conversation = talk.conversation, Conversation()
    await talk.say("2718")
    assert talk.locked()
    talk.conversation = here
    await talk.say("2718")
    assert not talk.locked()


async def test_undoing_takes_it_too(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    await talk.say("unlock the front door")
    await talk.say("2718")
    await talk.say("lock the front door")
    await talk.say("undo that")
    assert talk.locked()


async def test_a_choice_is_made_before_it_is_asked_for(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    assert (await talk.say("unlock the door")).asks
    asked = await talk.say("the front door")
    assert asked.plan.pin
    await talk.say("yes")
    assert talk.locked()


MISHEARD = ["unlock the front dor", "anlock the front door", "please unlock front dorr"]


@pytest.mark.parametrize("said", MISHEARD)
@pytest.mark.parametrize("min_score", [0.5, 0.999])
async def test_a_misheard_command_takes_it_too(tmp_path: Path, said: str, min_score: float) -> None:
    """What was misheard is asked about, but yes is no PIN: sure of the words or not."""
    talk = Talk(tmp_path, ways=Ways(min_score=min_score))
    asked = await talk.say(said)
    assert asked.reply == "What is the PIN to unlock the Front Door?"
    await talk.say("yes")
    assert talk.locked()
    await talk.say(said)
    await talk.say("2718")
    assert not talk.locked()


@pytest.mark.parametrize("said", MISHEARD)
@pytest.mark.parametrize(
    ("settings", "reply"),
    [
        ({"never": ["unlock"]}, "I may not do that by voice."),
        ({"pin": ""}, "That needs a PIN, and none has been set."),
    ],
)
async def test_a_misheard_command_is_ruled_on_as_any(
    tmp_path: Path, said: str, settings: dict[str, Any], reply: str
) -> None:
    talk = Talk(tmp_path, **settings)
    refused = await talk.say(said)
    assert (refused.reply, refused.asks) == (reply, False)
    await talk.say("yes")
    assert talk.locked()


async def test_what_is_done_with_it_is_the_whole_plan(tmp_path: Path) -> None:
    talk = Talk(tmp_path, never=["vacuum_start"])
    asked = await talk.say("turn off the sofa lamp, start vacuuming and unlock the front door")
    assert asked.plan.pin
    assert talk.registry.home().devices["light.sofa"].state["on"] is True
    done = await talk.say("2718")
    assert done.reply.endswith("I may not do that by voice.")
    assert talk.registry.home().devices["light.sofa"].state["on"] is False
    assert not talk.locked()


UNLOCK = json.dumps({"actions": [{"do": "unlock", "to": ["lock.front"]}]})


async def test_what_the_model_wants_takes_it_as_well(tmp_path: Path) -> None:
    talk = Talk(tmp_path, model=Model(UNLOCK))
    asked = await talk.say("my friend waits at the front door, unlock it for her somehow")
    assert asked.reply == "What is the PIN to unlock the Front Door?"
    assert asked.plan.pin
    await talk.say("yes")
    assert talk.locked()


async def test_the_model_may_unlock_with_it(tmp_path: Path) -> None:
    talk = Talk(tmp_path, model=Model(UNLOCK))
    await talk.say("my friend waits at the front door, unlock it for her somehow")
    done = await talk.say("2718")
    assert done.reply == "Unlocked the Front Door."
    assert not talk.locked()


async def test_why_the_model_may_not_is_said(tmp_path: Path) -> None:
    talk = Talk(tmp_path, model=Model(UNLOCK), pin="")
    refused = await talk.say("my friend waits at the front door, unlock it for her somehow")
    assert refused.reply == "That needs a PIN, and none has been set."


# What is said around a PIN: right, wrong, misheard, unasked, as another reading of the recogniser.
AROUND = [
    ["unlock the front door", "2718", "what did you just do"],
    ["unlock the front door", "two seven one eight", "tell me something about walruses"],
    ["unlock the front door", "it was two seven one and eight", "why"],
    ["unlock the front door", "two seven one hello eight", "why"],
    ["unlock the front door", "my PIN used to be two seven one eight I think", "why"],
    ["unlock the front door", "twenty seven eighteen", "turn it on"],
    ["unlock the front door", "2719", "why", "unlock it", "two seven one nine"],
    ["2718", "tell me something about walruses"],
    ["two seven one eight", "why"],
    ["set the ceiling light to 33 percent", "2718", "why"],
    ["change the PIN to 2718", "why"],
    ["my code is two seven one eight by the way", "why"],
]


@pytest.mark.parametrize("texts", AROUND, ids=" / ".join)
async def test_nobody_gets_to_see_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, texts: list[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    talk = Talk(tmp_path, model=Model())
    for text in texts:
        await talk.say(text)
    kept = talk.everything_kept() + caplog.text
    for words in ("2718", "2719", "27 18", "seven one", "eighteen"):
        assert words not in kept
    assert HIDDEN in kept
    assert all(isinstance(record.args, tuple | dict | None) for record in caplog.records)


async def test_other_readings_of_the_recogniser_are_hidden_too(tmp_path: Path) -> None:
    talk = Talk(tmp_path, model=Model())
    await talk.say("to seven one ate", "2718", "two seven one eight")
    assert "2718" not in talk.everything_kept()
    await talk.say("to seven won late", "2718")
    assert "2718" not in talk.everything_kept()


@pytest.mark.parametrize("late", [True, False])
async def test_one_that_is_badly_misheard_after_the_question_is_hidden_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, late: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    talk = Talk(tmp_path, model=Model())
    await talk.say("unlock the front door")
    pending = talk.conversation.pending
    assert pending is not None
    if late:
        expired = replace(pending, expires=time.monotonic() - 1)
        talk.conversation.pending = expired
    else:
        await talk.say("2719")
    unclear = await talk.say("too heaven won eighth")
    assert unclear.reply == "I did not get the PIN. Please ask me again."
    assert "heaven" not in talk.everything_kept() + caplog.text
    known = await talk.say("turn off the sofa lamp")
    assert known.reply == "Turned off the Sofa Lamp."
    await talk.say("tell me something about walruses")
    assert "walruses" in talk.everything_kept()


async def test_numbers_are_no_secret_where_there_is_no_pin(tmp_path: Path) -> None:
    talk = Talk(tmp_path, pin="")
    assert "2718" in (await talk.say("2718")).reply


async def test_a_store_that_fails_is_no_way_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "store.sqlite")
    (tmp_path / "traces").mkdir()
    talk = Talk(tmp_path / "traces", store=store)
    await talk.say("unlock the front door")
    store.close()
    assert (await talk.say("2718")).reply == "I can't check the PIN just now."
    assert (await talk.say("unlock the front door")).reply == "I can't check the PIN just now."
    assert talk.locked()
    assert "2718" not in caplog.text
