"""Turns that a language model plans: what is done, asked and said while it still writes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from assistant.config import PolicySettings
from assistant.errors import LlmError, ModelError
from assistant.home.executor import Executor
from assistant.home.file import Overrides, load_home
from assistant.home.memory import in_memory
from assistant.llm.model import Finish, LanguageModel, Message, Piece, Query
from assistant.plan import PlanKind, Utterance
from assistant.skill import load_skills, skill_folders
from assistant.turn import thinker as thinking
from assistant.turn.events import Carried, Planned, StageDone, TurnEvent
from assistant.turn.reply import Replies
from assistant.turn.respond import Responder, Response, Ways
from assistant.turn.thinker import Load, Thinker
from assistant.understand.conversation import Conversation
from assistant.understand.planner import PlannerSettings
from assistant.understand.policy import Policy
from assistant.understand.template import TemplateUnderstanding

SKILLS = load_skills(skill_folders(None), {})
UNDERSTANDING = TemplateUnderstanding(SKILLS)
REPLIES = Replies(SKILLS, lambda wordings: wordings[0])
VILLA = replace(load_home(Path(__file__).parents[1] / "homes" / "villa.json"), timers=())

Part = str | asyncio.Event | LlmError


class Model:
    """A language model that writes what it is told to: pieces, between which it may be held up."""

    name = "scripted"

    def __init__(self, *answers: Sequence[Part], weak: bool = False, sure: float = -0.01) -> None:
        self.answers = list(answers)
        self.weak = weak
        self.sure = sure
        self.asked: list[Query] = []
        self.read: list[tuple[Message, ...]] = []
        self.cancelled = 0

    async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        self.asked.append(query)
        finished = False
        try:
            for part in self.answers.pop(0) if self.answers else saying("Hm."):
                if isinstance(part, asyncio.Event):
                    await part.wait()
                elif isinstance(part, LlmError):
                    raise part
                else:
                    yield Piece(part, logprob=self.sure, chosen=1)
            finished = True
            yield Piece("", 0, finish=Finish.STOP)
        finally:
            self.cancelled += not finished

    async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        self.read.append(tuple(messages))

    async def close(self) -> None:
        pass


def does(name: str, *devices: str, **params: object) -> str:
    return json.dumps({"do": name, "to": devices, **params})


def doing(*actions: str) -> list[str]:
    return ['{"actions":[', *(f"{',' if i else ''}{a}" for i, a in enumerate(actions)), "]}"]


def saying(*pieces: Part) -> list[Part]:
    return ['{"say":"', *pieces, '"}']


def told(model: LanguageModel) -> Load:
    async def load() -> LanguageModel:
        return model

    return load


class Talk:
    """A conversation in the villa with a responder that has `model`."""

    def __init__(
        self,
        model: Model | None = None,
        *,
        ways: Ways | None = None,
        policy: PolicySettings | None = None,
        settings: PlannerSettings | None = None,
        load: Load | None = None,
    ) -> None:
        self.registry = in_memory(VILLA)
        self.thinker = Thinker(
            load or told(model or Model()), self.registry, "en", settings or PlannerSettings()
        )
        self.responder = Responder(
            UNDERSTANDING,
            Policy(policy or PolicySettings()),
            Executor(self.registry, timeout=0.2),
            REPLIES,
            self.registry,
            thinker=self.thinker,
            ways=ways or Ways(),
        )
        self.conversation = Conversation()
        self.events: list[TurnEvent] = []
        self.spoken: list[str] = []
        self.interrupted = asyncio.Event()

    async def say(self, text: str) -> Response:
        return await self.responder.respond(
            Utterance(text, "en"),
            self.conversation,
            observe=self.events.append,
            speak=self.spoken.append,
            interrupted=self.interrupted,
        )

    def state(self, device: str, key: str = "on") -> object:
        return self.registry.home().devices[device].state.get(key)

    def stages(self) -> list[str]:
        return [event.name for event in self.events if isinstance(event, StageDone)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20.0):
        while not condition():  # noqa: ASYNC110 -- several tasks have a say in it
            await asyncio.sleep(0.005)


async def test_what_a_template_knows_is_not_asked_of_the_model() -> None:
    model = Model()
    talk = Talk(model)
    assert (await talk.say("turn off the sofa lamp")).reply == "Turned off the Sofa Lamp."
    assert (await talk.say("turn off the basement lights")).reply == "There is no basement here."
    assert model.asked == []


async def test_a_reply_is_spoken_while_it_is_being_written() -> None:
    more = asyncio.Event()
    talk = Talk(Model(saying("A walrus has tusks. ", more, "It likes clams.")))
    turn = asyncio.create_task(talk.say("tell me about the walrus"))
    await until(lambda: "".join(talk.spoken) == "A walrus has tusks. ")
    assert not turn.done()
    more.set()
    response = await turn
    assert response.reply == "".join(talk.spoken) == "A walrus has tusks. It likes clams."
    assert response.plan.kind is PlanKind.CHAT
    assert talk.stages() == ["understand", "plan", "first sentence"]


async def test_an_action_is_carried_out_while_the_next_is_being_written() -> None:
    more = asyncio.Event()
    begin, first, rest = '{"actions":[', does("turn_off", "light.sofa"), ","
    second = does("turn_on", "light.worktop")
    talk = Talk(Model([begin, first, rest, more, second, "]}"]))
    turn = asyncio.create_task(talk.say("the sofa lamp annoys me but I cook at the worktop lights"))
    await until(lambda: talk.state("light.sofa") is False)
    assert not turn.done()
    more.set()
    response = await turn
    assert talk.state("light.worktop") is True
    assert response.reply == "Turned off the Sofa Lamp. Turned on the Worktop Lights."
    assert isinstance(next(e for e in talk.events if isinstance(e, Carried | Planned)), Carried)
    assert [o.device for o in response.outcomes] == ["light.sofa", "light.worktop"]
    assert talk.stages() == ["understand", "first action", "plan", "act"]


async def test_what_was_begun_is_told_when_the_model_breaks_off() -> None:
    broken: list[Part] = ['{"actions":[', does("turn_off", "light.sofa"), LlmError("gone")]
    response = await Talk(Model(broken)).say("the sofa lamp annoys me")
    assert response.reply == (
        "Turned off the Sofa Lamp. Sorry, my language model does not answer just now."
    )


async def test_what_is_risky_waits_while_the_rest_is_done() -> None:
    talk = Talk(Model(doing(does("unlock", "lock.front"), does("turn_off", "light.sofa"))))
    asked = await talk.say("visitors at the front door so no more sofa lamp")
    assert talk.state("light.sofa") is False
    assert talk.state("lock.front", "locked") is True
    assert asked.asks
    assert asked.reply == "Turned off the Sofa Lamp. Unlock the Front Door: are you sure?"
    assert (await talk.say("yes")).reply == "Unlocked the Front Door."
    assert talk.state("lock.front", "locked") is False


async def test_no_leaves_what_is_risky_undone() -> None:
    talk = Talk(Model(doing(does("unlock", "lock.front"))))
    await talk.say("visitors at the front door")
    await talk.say("no")
    await talk.say("yes")
    assert talk.state("lock.front", "locked") is True


async def test_the_limit_of_devices_is_for_the_whole_utterance() -> None:
    lights = ("light.sofa", "light.worktop", "light.leo")
    names = "the sofa lamp and the worktop lights and leo's night light"
    talk = Talk(
        Model(doing(*(does("turn_on", light) for light in lights))),
        policy=PolicySettings(ask_above=2),
    )
    for light in lights:
        talk.registry.report(light, {"on": False})
    asked = await talk.say(f"I long for {names}")
    assert [talk.state(light) for light in lights] == [True, True, False]
    assert asked.asks
    assert asked.reply.endswith("That would command 3 devices. Are you sure?")
    await talk.say("yes")
    assert talk.state("light.leo") is True


async def test_the_owners_word_binds_the_model_too() -> None:
    talk = Talk(
        Model(doing(does("turn_off", "light.sofa"))),
        policy=PolicySettings(never=("turn_off:light.sofa",)),
    )
    talk.registry.report("light.sofa", {"on": True})
    response = await talk.say("the sofa lamp annoys me")
    assert response.reply == "I may not do that by voice."
    assert response.plan.kind is PlanKind.REFUSE
    assert talk.state("light.sofa") is True


async def test_a_weak_model_that_is_not_sure_asks() -> None:
    talk = Talk(Model(doing(does("turn_on", "light.sofa")), weak=True, sure=-2.0))
    talk.registry.report("light.sofa", {"on": False})
    asked = await talk.say("the sofa lamp annoys me")
    assert asked.asks
    assert asked.reply == "Shall I turn on the Sofa Lamp?"
    assert talk.state("light.sofa") is False
    assert (await talk.say("yes")).reply == "Turned on the Sofa Lamp."
    assert talk.state("light.sofa") is True


async def test_all_that_waits_for_a_yes_is_one_question() -> None:
    actions = doing(does("unlock", "lock.front"), does("turn_on", "light.leo"))
    talk = Talk(Model(actions))
    talk.registry.report("light.leo", {"on": False})
    asked = await talk.say("visitors at the front door")  # nobody spoke of the night light
    assert asked.reply == "Shall I unlock the Front Door and turn on the Leo's Night Light?"
    await talk.say("yes")
    assert talk.state("lock.front", "locked") is False
    assert talk.state("light.leo") is True


@pytest.mark.parametrize(
    ("action", "asked"),
    [
        (does("delay", seconds=900, command="turn off the heating"),
         "Shall I do something later: turn off the heating, 15 minutes?"),
        (does("start_timer", seconds=300), "Shall I start a timer: 5 minutes?"),
        (does("vacuum_clean_area", "vacuum.dusty", area="leo"), "Leo's Room?"),
    ],
)  # fmt: skip
async def test_what_is_asked_about_is_told_without_ids_and_seconds(action: str, asked: str) -> None:
    action = action.replace('"to": [], ', "")
    talk = Talk(Model(doing(action), weak=True, sure=-2.0))
    response = await talk.say("vacuum the timer for the heating later and dusty too")
    assert response.asks
    assert response.reply.endswith(asked)


async def test_a_question_back_keeps_listening() -> None:
    talk = Talk(Model(['{"ask":"Which ', 'lamp?"}'], saying("Fine.")))
    asked = await talk.say("I long for a lamp somewhere")
    assert (asked.reply, asked.asks) == ("Which lamp?", True)
    assert (await talk.say("that old one")).reply == "Fine."


@pytest.mark.parametrize(
    "answer",
    [
        doing(does("turn_on", "light.moon")),
        doing(does("unlock", "light.sofa")),
        ["I turned everything on."],
        [],
    ],
    ids=["no such device", "no such ability", "no answer in form", "nothing"],
)
async def test_an_impossible_answer_does_nothing_and_is_excused(answer: list[str]) -> None:
    talk = Talk(Model(answer))
    response = await talk.say("the sofa lamp on the moon please me")
    assert response.outcomes == ()
    assert response.reply.startswith("Sorry")


async def test_the_wake_word_ends_the_writing_but_not_what_was_begun() -> None:
    never = asyncio.Event()
    model = Model(['{"actions":[', does("turn_off", "light.sofa"), ",", never])
    talk = Talk(model)
    turn = asyncio.create_task(talk.say("the sofa lamp annoys me"))
    await until(lambda: "first action" in talk.stages())
    talk.interrupted.set()
    response = await turn
    assert model.cancelled == 1
    assert [o.device for o in response.outcomes] == ["light.sofa"]
    assert talk.state("light.sofa") is False


async def test_a_question_that_was_cut_off_is_not_answered_by_yes() -> None:
    never = asyncio.Event()
    talk = Talk(Model(['{"actions":[', does("unlock", "lock.front"), ",", never]))
    turn = asyncio.create_task(talk.say("visitors at the front door"))
    await until(lambda: "first action" in talk.stages())
    talk.interrupted.set()
    assert not (await turn).asks
    talk.interrupted.clear()
    await talk.say("yes")
    assert talk.state("lock.front", "locked") is True


async def test_a_turn_that_is_cancelled_cancels_the_model() -> None:
    model = Model([asyncio.Event()])
    turn = asyncio.create_task(Talk(model).say("tell me about the walrus"))
    await until(lambda: len(model.asked) == 1)
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    assert model.cancelled == 1


async def test_a_model_that_takes_too_long_is_excused() -> None:
    late = PlannerSettings(first=0.05, deadline=0.1)
    talk = Talk(Model([asyncio.Event()]), settings=late)
    response = await talk.say("tell me about the walrus")
    assert (response.reply, response.plan.kind) == (
        "Sorry, that takes me too long.",
        PlanKind.REFUSE,
    )


@pytest.mark.parametrize("order", ["templates", "model"])
async def test_what_the_templates_know_of_it_is_said_where_the_model_is_at_a_loss(
    order: Literal["templates", "model"],
) -> None:
    talk = Talk(Model(["Hm?"], weak=True), ways=Ways(order=order))
    response = await talk.say("turn on the disco ball")
    assert response.reply == "There is no disco ball here that I know of."
    response = await talk.say("drive the car to the moon")
    assert response.reply == "Sorry, I did not understand “drive the car to the moon”."
    assert response.plan.kind is PlanKind.REFUSE, "that was the model's word"


@pytest.mark.parametrize("fault", [["Hm?"], [LlmError("gone")], [asyncio.Event()]])
async def test_what_the_templates_are_not_sure_of_is_asked_about_where_the_model_fails(
    fault: list[Part],
) -> None:
    talk = Talk(
        Model(fault), ways=Ways(min_score=0.99), settings=PlannerSettings(first=0.05, deadline=0.1)
    )
    talk.registry.report("light.sofa", {"on": True})
    asked = await talk.say("tern off the sofa lmp")
    assert asked.asks, asked.reply
    assert talk.state("light.sofa") is True


async def test_the_model_first_and_the_templates_where_it_fails() -> None:
    model = Model(saying("As you like."), [LlmError("gone")], [LlmError("gone")])
    talk = Talk(model, ways=Ways(order="model"))
    assert (await talk.say("turn off the sofa lamp")).reply == "As you like."
    assert (await talk.say("turn off the sofa lamp")).reply == "Turned off the Sofa Lamp."
    assert (await talk.say("tell me about the walrus")).reply == (
        "Sorry, my language model does not answer just now."
    )


@pytest.mark.parametrize(
    ("order", "said", "stages"),
    [
        ("templates", "turn off the sofa lamp", ["understand", "act"]),
        ("templates", "tell me about the walrus", ["understand", "plan"]),
        ("templates", "turn on the disco ball", ["understand", "plan"]),
        ("model", "turn off the sofa lamp", ["plan", "understand", "act"]),
        ("model", "turn on the disco ball", ["plan", "understand"]),
        ("model-only", "turn off the sofa lamp", ["plan"]),
    ],
)
async def test_the_time_that_the_model_takes_counts_as_nobody_else_s(
    order: Literal["templates", "model", "model-only"], said: str, stages: list[str]
) -> None:
    talk = Talk(Model([LlmError("gone")]), ways=Ways(order=order))
    await talk.say(said)
    assert talk.stages() == stages
    told = [event for event in talk.events if isinstance(event, StageDone)]
    for before, after in itertools.pairwise(told):
        assert before.end <= after.start


async def test_what_nobody_understands_is_one_stage() -> None:
    talk = Talk(load=_none)
    await talk.say("tell me about the walrus")
    assert talk.stages() == ["understand"]


async def test_the_model_alone() -> None:
    talk = Talk(Model([LlmError("gone")]), ways=Ways(order="model-only"))
    assert talk.responder.model_first
    response = await talk.say("turn off the sofa lamp")
    assert response.outcomes == ()
    assert response.reply == "Sorry, my language model does not answer just now."


async def _missing() -> LanguageModel | None:
    raise ModelError("it is not built; build it with: assistant models build mimo-7b")


async def _none() -> LanguageModel | None:
    return None


@pytest.mark.parametrize("load", [_missing, _none])
async def test_without_a_model_the_templates_answer(load: Load) -> None:
    talk = Talk(load=load)
    assert (await talk.say("turn off the sofa lamp")).reply == "Turned off the Sofa Lamp."
    assert (await talk.say("tell me about the walrus")).reply == (
        "Sorry, I did not understand “tell me about the walrus”."
    )
    alone = Talk(load=load, ways=Ways(order="model-only"))
    assert (await alone.say("turn off the sofa lamp")).reply == (
        "I have no language model to answer that with."
    )


async def test_nobody_waits_while_the_model_is_being_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(thinking, "QUIET", 0.01)
    model, there = Model(saying("It has tusks.")), asyncio.Event()

    async def load() -> LanguageModel:
        await there.wait()
        return model

    talk = Talk(load=load)
    running = asyncio.create_task(talk.thinker.run())
    await asyncio.sleep(0)
    assert (await talk.say("turn off the sofa lamp")).reply == "Turned off the Sofa Lamp."
    loading = await talk.say("tell me about the walrus")
    assert "still loading" in loading.reply
    assert loading.plan.kind is PlanKind.UNKNOWN
    there.set()
    await until(lambda: talk.thinker.ready is not None)
    assert (await talk.say("tell me about the walrus")).reply == "It has tusks."
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_model_reads_the_home_anew_when_that_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(thinking, "QUIET", 0.01)
    model = Model()
    talk = Talk(model)
    running = asyncio.create_task(talk.thinker.run())
    await until(lambda: len(model.read) == 1)
    assert "light.sofa" in model.read[0][0].content
    talk.registry.report("light.sofa", {"on": False})
    await asyncio.sleep(0.05)
    assert len(model.read) == 1, "a state is no news"
    talk.registry.remove("light.sofa")
    await until(lambda: len(model.read) == 2)
    assert "light.sofa" not in model.read[1][0].content
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_home_that_never_comes_to_rest_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(thinking, "QUIET", 0.01)
    monkeypatch.setattr(thinking, "LONGEST", 0.05)
    talk = Talk()
    before = talk.registry.revision

    async def restless() -> None:
        while True:
            talk.registry.set_overrides(Overrides())
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(talk.thinker.run()), asyncio.create_task(restless())]
    await until(lambda: talk.thinker.ready is not None)
    assert talk.registry.revision > before + 10
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_home_that_could_not_be_read_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where memory was short for a while; meanwhile the model is asked all the same."""
    monkeypatch.setattr(thinking, "QUIET", 0.01)
    monkeypatch.setattr(thinking, "AGAIN", 0.01)

    class Failing(Model):
        async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
            await super().prepare(messages, keep=keep)
            if len(self.read) < 4:
                raise LlmError("1.2 GB are free")

    model = Failing()
    talk = Talk(model)
    running = asyncio.create_task(talk.thinker.run())
    await until(lambda: len(model.read) == 4)
    assert talk.thinker.ready is not None
    await asyncio.sleep(0.1)
    assert len(model.read) == 4, "what is read is read"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_home_that_is_being_read_is_known_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(thinking, "QUIET", 0.01)
    begun, free = asyncio.Event(), asyncio.Event()

    class Slow(Model):
        done = 0

        async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
            await super().prepare(messages, keep=keep)
            if len(self.read) == 2:
                begun.set()
                await free.wait()
            self.done += 1

    model = Slow(saying("Fine."), saying("Fine."))
    talk = Talk(model)
    running = asyncio.create_task(talk.thinker.run())
    await until(lambda: talk.thinker.ready is not None)
    talk.registry.remove("light.sofa")
    talk.registry.report("light.leo", {"on": True, "brightness": 37})
    await begun.wait()
    assert (await talk.say("what about leo's night light")).reply == "Fine."
    assert model.asked[-1].messages[0] == model.read[0][0]
    assert "37" in model.asked[-1].messages[-1].content, "the states are those of now"
    free.set()
    await until(lambda: model.done == 2)
    await talk.say("what about leo's night light")
    assert model.asked[-1].messages[0] == model.read[1][0] != model.read[0][0]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_model_words_what_came_of_a_command() -> None:
    model = Model(saying("The sofa ", "is dark now."))
    talk = Talk(model, ways=Ways(style="model"))
    response = await talk.say("turn off the sofa lamp")
    assert response.reply == "".join(talk.spoken) == "The sofa is dark now."
    assert "confirmed" in model.asked[0].messages[-1].content


async def test_our_own_words_where_the_model_finds_none() -> None:
    talk = Talk(Model([LlmError("gone")]), ways=Ways(style="model"))
    assert (await talk.say("turn off the sofa lamp")).reply == "Turned off the Sofa Lamp."


async def test_a_weak_model_words_no_replies() -> None:
    """It would say "I am sorry, I can't assist you" of what has been done."""
    model = Model(saying("The sofa is dark now."), weak=True)
    talk = Talk(model, ways=Ways(style="model"))
    assert (await talk.say("turn off the sofa lamp")).reply == "Turned off the Sofa Lamp."
    assert model.asked == []


async def test_the_model_knows_what_was_said_before() -> None:
    model = Model(saying("Brown."), saying("As I said."))
    talk = Talk(model)
    await talk.say("turn off the sofa lamp")
    await talk.say("what colour is a walrus")
    await talk.say("are you certain of that colour")
    last = model.asked[-1].messages[-1].content
    for words in ("turn off the sofa lamp", "Turned off the Sofa Lamp.", "walrus", "Brown."):
        assert words in last


async def test_what_was_said_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.understand.conversation.LONGEST_MEMORY", 0.0)
    model = Model(saying("Brown."), saying("Of what?"))
    talk = Talk(model)
    await talk.say("what colour is a walrus")
    await asyncio.sleep(0.01)
    await talk.say("are you certain of that colour")
    assert "walrus" not in model.asked[-1].messages[-1].content


async def test_what_is_read_ahead_begins_what_is_asked() -> None:
    model = Model(saying("Fine."), saying("Fine."))
    talk = Talk(model)
    partial = Utterance("what do you think", "en")
    await talk.responder.ahead(partial, talk.conversation)
    assert model.read == [], "a model that is not there yet is not waited for"
    await talk.say("what do you think of walruses")
    await talk.responder.ahead(partial, talk.conversation)
    assert "what do you think" in model.read[-1][-1].content


async def test_nobody_waits_for_a_model_that_can_not_be_interrupted() -> None:
    class Stubborn(Model):
        async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
            begun.set()
            while not free.is_set():
                with suppress(asyncio.CancelledError):
                    await free.wait()

    begun, free = asyncio.Event(), asyncio.Event()
    talk = Talk(Stubborn())
    running = asyncio.create_task(talk.thinker.run())
    async with asyncio.timeout(20.0):
        await begun.wait()
    running.cancel()
    await asyncio.wait([running], timeout=20.0)
    assert running.done()
    free.set()
