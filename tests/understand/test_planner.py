from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from assistant.config import PolicySettings
from assistant.errors import LlmError
from assistant.home.action import Action, Outcome, Result
from assistant.home.model import Home
from assistant.llm.fallback import FallbackModel
from assistant.llm.model import Finish, Message, Piece, Query
from assistant.plan import Exchange, PlanKind, Utterance
from assistant.skill import Skills
from assistant.turn.reply import Replies
from assistant.understand.plan_events import (
    Acting,
    Asking,
    Confirming,
    Excusing,
    PlanEvent,
    Saying,
    planned,
)
from assistant.understand.planner import Planner, PlannerSettings
from assistant.understand.policy import Policy

Step = Piece | Exception | float
"""What a scripted model does next: writes, fails, or thinks for so many seconds."""


@dataclass
class Scripted:
    """A language model that answers what a test wants, faults included."""

    steps: Sequence[Step]
    weak: bool = False
    name: str = "scripted"
    queries: list[Query] = field(default_factory=list)
    prepared: list[tuple[tuple[Message, ...], bool]] = field(default_factory=list)
    closed: int = 0

    async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        self.queries.append(query)
        try:
            for step in self.steps:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield step
        finally:
            self.closed += 1

    async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        self.prepared.append((tuple(messages), keep))

    async def close(self) -> None:
        pass


def act(*actions: Mapping[str, Any]) -> str:
    return json.dumps({"actions": actions}, separators=(",", ":"))


def pieces(text: str, probability: float = 0.99, *, told: bool = True) -> list[Step]:
    """`text` in pieces of four characters; the whole of it of `probability`."""
    cut = [text[n : n + 4] for n in range(0, len(text), 4)]
    share = math.log(probability) / len(cut)
    made = [Piece(part, 1, share if told else 0.0, int(told)) for part in cut]
    made[-1] = replace(made[-1], finish=Finish.STOP)
    return list(made)


async def events_of(
    said: str,
    home: Home,
    steps: Sequence[Step],
    *,
    weak: bool = False,
    history: tuple[Exchange, ...] = (),
    area: str | None = None,
    language: str = "en",
    model: Scripted | None = None,
    **settings: Any,
) -> list[PlanEvent]:
    model = model or Scripted(steps, weak)
    planner = Planner(model, settings=PlannerSettings(**settings))
    utterance = Utterance(said, language, area, spoken_at=1_750_000_000.0)
    async with aclosing(planner.plan(utterance, home, history)) as events:
        came = [event async for event in events]
    assert model.closed == len(model.queries)
    return came


SOFA = {"do": "set_brightness", "to": ["light.sofa"], "brightness": 40}
TV = {"do": "turn_off", "to": ["media_player.tv"]}
SOFA_DONE = Action("set_brightness", ("light.sofa",), {"brightness": 40})
TV_DONE = Action("turn_off", ("media_player.tv",))


async def test_actions_leave_as_soon_as_each_is_complete(villa: Home) -> None:
    written: list[str] = []

    class Watched(Scripted):
        async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
            async for piece in super().generate(query):
                written.append(piece.text)
                yield piece

    text = act(SOFA, TV)
    planner = Planner(Watched(pieces(text)))
    came = {}
    said = Utterance("dim the sofa lamp and turn off the TV", "en")
    async for event in planner.plan(said, villa):
        assert isinstance(event, Acting)
        came[event.action.name] = len("".join(written))
    assert list(came) == ["set_brightness", "turn_off"]
    assert came["set_brightness"] <= text.index("},{") + 4


@pytest.mark.parametrize("probability", [0.99, 0.001])
async def test_what_a_model_repeats_is_planned_once(villa: Home, probability: float) -> None:
    steps = pieces(act(SOFA, TV, SOFA, SOFA), probability)
    said = "dim the sofa lamp to forty and turn off the tv"
    plan = planned(await events_of(said, villa, steps, weak=True, confidence=0.6))
    assert list(plan.actions) == [SOFA_DONE, TV_DONE]


async def test_an_action_is_as_sure_as_the_model_was_of_all_of_it(villa: Home) -> None:
    text = act(SOFA, TV)
    first = text.index("},{") + 1
    steps: list[Step] = [
        Piece(text[:10], 3, math.log(0.5), 1),
        Piece(text[10:first], 9, math.log(0.8), 2),
        Piece(text[first:], 9, math.log(0.9), 2, Finish.STOP),
    ]
    events = await events_of("sofa lamp and TV", villa, steps)
    assert [e.action for e in events if isinstance(e, Acting)] == [SOFA_DONE, TV_DONE]
    assert [e.confidence for e in events if isinstance(e, Acting)] == [
        pytest.approx(0.4),
        pytest.approx(0.9),
    ]
    assert planned(events).score == pytest.approx(0.4)


async def test_what_comes_with_the_beginning_of_an_action_counts_for_it(villa: Home) -> None:
    """Guesses that were right bring several tokens at once."""
    text = act(SOFA, TV)
    second = text.index("turn_off") + len("turn_")
    steps: list[Step] = [
        Piece(text[:second], 12, math.log(0.5), 3),
        Piece(text[second:], 9, math.log(0.9), 2, Finish.STOP),
    ]
    events = await events_of("sofa lamp and TV", villa, steps)
    assert [e.confidence for e in events if isinstance(e, Acting)] == [
        pytest.approx(0.5),
        pytest.approx(0.45),
    ]


async def test_words_stream_and_questions_are_told_from_them(villa: Home) -> None:
    events = await events_of("how are you", villa, pieces('{"say":"Fine, thank you."}'))
    assert all(isinstance(event, Saying) for event in events)
    assert len(events) > 2
    plan = planned(events)
    assert plan.kind is PlanKind.CHAT
    assert plan.speech is not None
    assert plan.speech.values["text"] == "Fine, thank you."
    events = await events_of("the lamp", villa, pieces('{"ask":"Which one?"}'))
    assert all(isinstance(event, Asking) for event in events)
    assert planned(events).kind is PlanKind.ASK
    assert not planned(events).confirm


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "is the front door locked"),
        ("en", "lights off?"),
        ("en", "don't unlock the front door"),
        ("en", "never unlock the front door"),
        ("en", "could you tell me whether the front door is unlocked"),
        ("it", "la porta d'ingresso è aperta?"),
        ("it", "non aprire la porta d'ingresso"),
    ],
)
async def test_questions_and_prohibitions_never_actuate_whatever_the_model_writes(
    villa: Home, casa: Home, language: str, said: str
) -> None:
    home, lock = (villa, "lock.front") if language == "en" else (casa, "lock.ingresso")
    model = Scripted(pieces(act({"do": "unlock", "to": [lock]})))
    events = await events_of(said, home, [], language=language, model=model)
    assert [type(event) for event in events] == [Excusing]
    assert "actions" not in json.dumps(model.queries[0].schema)
    assert not planned(events).actions


async def test_orders_get_a_grammar_with_actions(villa: Home) -> None:
    model = Scripted(pieces('{"say":"No."}'))
    await events_of("unlock the front door", villa, [], model=model)
    query = model.queries[0]
    assert "lock.front" in json.dumps(query.schema)
    assert "light.hidden" not in json.dumps(query.schema)
    assert [m.role for m in query.messages] == ["system", "user"]
    assert query.sampling.temperature == 0
    assert query.thinking == 0


UNLOCK = {"do": "unlock", "to": ["lock.front"]}


@pytest.mark.parametrize(
    ("said", "action", "weak", "probability", "acts"),
    [
        ("dim the sofa lamp", SOFA, False, 0.9, True),
        ("dim the sofa lamp", SOFA, False, 0.01, True),
        ("I am cold", SOFA, False, 0.99, False),
        ("lovely weather", UNLOCK, False, 0.99, False),
        ("turn off the tv in the kitchen", TV, False, 0.99, False),
        ("switch the heating off in a while",
         {"do": "delay", "seconds": 900, "command": "turn off the heating"}, False, 0.99, True),
        ("it is cosy in here",
         {"do": "delay", "seconds": 900, "command": "turn off the heating"}, False, 0.99, False),
        ("it is cosy in here", {"do": "broadcast", "message": "Leave!"}, False, 0.99, False),
        ("dim the sofa lamp", SOFA, True, 0.9, True),
        ("dim the sofa lamp", SOFA, True, 0.5, False),
        ("dim the sofa lamp", SOFA, True, None, False),
        ("start a timer", {"do": "start_timer", "seconds": 60}, True, 0.9, True),
        ("put milk on the shopping list",
         {"do": "list_add", "to": ["todo.shopping"], "item": "milk"}, True, 0.9, True),
        ("put milk on the shopping list",
         {"do": "list_add", "to": ["todo.shopping"], "item": "dynamite"}, True, 0.9, False),
    ],
)  # fmt: skip
async def test_what_is_not_sure_or_not_spoken_of_is_asked_about(
    villa: Home,
    said: str,
    action: dict[str, Any],
    weak: bool,
    probability: float | None,
    acts: bool,
) -> None:
    written = pieces(act(action), probability or 0.99, told=probability is not None)
    events = await events_of(said, villa, written, weak=weak)
    assert len(events) == 1
    match events[0]:
        case Acting():
            assert acts
        case Confirming(plan):
            assert not acts
            assert plan.kind is PlanKind.ASK
            assert plan.confirm
            assert [a.name for a in plan.actions] == [action["do"]]
        case other:
            raise AssertionError(other)


async def test_one_question_is_asked_about_all_that_is_unsure(villa: Home, skills: Skills) -> None:
    events = await events_of(
        "turn off the TV, I am cold",
        villa,
        pieces(act(SOFA, TV, {"do": "lock", "to": ["lock.back"]})),
    )
    acting, asking = events
    assert isinstance(acting, Acting)
    assert acting.action == TV_DONE
    assert isinstance(asking, Confirming)
    assert asking.plan.devices == ("light.sofa", "lock.back")
    for language in ("en", "it"):
        assert asking.plan.speech is not None
        words = Replies(skills, lambda options: options[0]).word(asking.plan.speech, language)
        assert "Sofa Lamp" in words
        assert "40" in words
        assert "Back Door" in words
        assert words.endswith("?")


async def test_a_weak_model_chats_about_what_is_not_at_home(villa: Home) -> None:
    model = Scripted(
        [
            Piece("It has tusks. It "),
            Piece("likes clams. It likes"),
            Piece(" cold. "),
        ],
        weak=True,
    )
    before = (Exchange("turn on the sofa lamp", "Done.", ("light.sofa",)),)
    events = await events_of("what is a walrus", villa, [], model=model, history=before)
    assert events == [Saying("It has tusks."), Saying(" It likes clams.")]
    (query,) = model.queries
    assert query.schema is None
    assert "light." not in str(query.messages), "it would parrot the home"
    assert model.closed == 1


@pytest.mark.parametrize(
    ("written", "finish", "said"),
    [
        (["Paris"], Finish.STOP, ["Paris"]),
        (["\x1b[2JPa\x07", "ris\x9b\ud800"], Finish.STOP, ["[2JPa ris \ufffd"]),
        (["Pa", "ris. And so"], Finish.LENGTH, ["Paris."]),
        (["never ending and"], Finish.LENGTH, ["never ending and"]),
        (["So it is. So it is. So it is. "], Finish.LENGTH, ["So it is."]),
    ],
)
async def test_small_talk_ends_with_a_sentence(
    villa: Home, written: list[str], finish: Finish, said: list[str]
) -> None:
    steps = [Piece(text) for text in written]
    steps[-1] = replace(steps[-1], finish=finish)
    events = await events_of("what is the capital of France", villa, steps, weak=True)
    assert [e.text for e in events if isinstance(e, Saying)] == said


async def test_a_weak_model_is_not_asked_to_do_what_concerns_nothing_here(villa: Home) -> None:
    model = Scripted([], weak=True)
    (event,) = await events_of("drive the car to the moon", villa, [], model=model)
    assert isinstance(event, Excusing)
    assert model.queries == []


async def test_it_means_what_was_spoken_of_before(villa: Home) -> None:
    history = (Exchange("turn on the TV", "Done.", ("media_player.tv",)),)
    events = await events_of("and off again", villa, pieces(act(TV)), history=history)
    assert [type(event) for event in events] == [Acting]
    events = await events_of("and off again", villa, pieces(act(TV)))
    assert [type(event) for event in events] == [Confirming]


async def test_more_devices_than_the_limit_ask(villa: Home) -> None:
    lights = ["light.sofa", "light.worktop", "light.leo"]
    steps = pieces(act({"do": "turn_off", "to": lights[:2]}, {"do": "turn_off", "to": lights[2:]}))
    events = await events_of("turn off the lights", villa, steps, ask_above=2)
    assert [type(event) for event in events] == [Acting, Confirming]
    events = await events_of("turn off the lights", villa, steps, ask_above=3)
    assert [type(event) for event in events] == [Acting, Acting]


async def test_a_timer_is_started_where_it_was_asked_for(villa: Home) -> None:
    steps = pieces(act({"do": "start_timer", "seconds": 60}))
    (event,) = await events_of("start a timer", villa, steps, area="kitchen")
    assert isinstance(event, Acting)
    assert event.action == Action("start_timer", (), {"seconds": 60, "area": "kitchen"})


async def test_the_policy_still_asks_before_what_is_risky(villa: Home) -> None:
    events = await events_of("unlock the front door", villa, pieces(act(UNLOCK)))
    plan = Policy(PolicySettings()).check(planned(events), villa)
    assert plan.kind is PlanKind.ASK
    assert plan.confirm


# ------------------------------------------------------------------- faults


def broken(text: str) -> list[Step]:
    return [Piece(text)]


@pytest.mark.parametrize(
    ("steps", "key"),
    [
        ([LlmError("no memory")], "core.model_failed"),
        ([Piece('{"sa'), LlmError("connection lost")], "core.model_failed"),
        (broken("I would love to!"), "core.not_understood"),
        (broken('{"actions":[{"do":"explode"}]}'), "core.not_understood"),
        (broken('{"actions":[{"do":"turn_on","to":["light.hidden"]}]}'), "core.not_understood"),
        (broken('{"actions":[{"do":'), "core.not_understood"),
        (broken('{"say":""}'), "core.not_understood"),
        ([], "core.not_understood"),
        ([30.0], "core.model_late"),
        ([Piece('{"'), 30.0], "core.model_late"),
    ],
)
async def test_a_model_that_fails_is_excused(
    villa: Home, skills: Skills, steps: list[Step], key: str
) -> None:
    first, deadline = (0.05, 0.2) if 30.0 in steps else (10.0, 10.0)
    (event,) = await events_of("dim the sofa lamp", villa, steps, first=first, deadline=deadline)
    assert isinstance(event, Excusing)
    assert event.plan.kind is PlanKind.REFUSE
    assert event.plan.speech is not None
    assert event.plan.speech.key == key
    assert event.reason
    words = Replies(skills, lambda options: options[0])
    for language in ("en", "it"):
        assert words.word(event.plan.speech, language) not in ("Done.", "Fatto.")


@pytest.mark.parametrize(
    "fault", [LlmError("gone"), Piece(',{"do":"explode"}]}'), Piece(", nonsense"), 30.0]
)
async def test_what_was_done_before_a_fault_stays_done(villa: Home, fault: Step) -> None:
    steps: list[Step] = [Piece(act(SOFA).removesuffix("]}")), fault]
    events = await events_of("dim the sofa lamp", villa, steps, deadline=0.5)
    assert [type(event) for event in events] == [Acting, Excusing]
    assert planned(events).kind is PlanKind.ACT
    assert planned(events).actions == (SOFA_DONE,)


async def test_an_action_in_the_very_piece_that_goes_wrong_is_done(villa: Home) -> None:
    events = await events_of("dim the sofa lamp", villa, broken(act(SOFA, {"do": "explode"})))
    assert [type(event) for event in events] == [Acting, Excusing]


async def test_words_cut_off_at_the_limit_are_said(villa: Home) -> None:
    steps: list[Step] = [Piece('{"say":"Once upon a ', finish=Finish.LENGTH)]
    assert await events_of("a story", villa, steps) == [Saying("Once upon a ")]
    steps = [Piece('{"actions":[{"do":"lo', finish=Finish.LENGTH)]
    assert [type(e) for e in await events_of("a story", villa, steps)] == [Excusing]


async def test_the_first_deadline_ends_with_the_first_event(villa: Home) -> None:
    steps: list[Step] = [Piece('{"say":"One '), 0.7, Piece('two."}', finish=Finish.STOP)]
    events = await events_of("count", villa, steps, first=0.5, deadline=10)
    assert events == [Saying("One "), Saying("two.")]


async def test_the_last_deadline_is_of_all_the_waiting_together(villa: Home) -> None:
    steps: list[Step] = [Piece('{"say":"And')]
    for _ in range(30):
        steps += [0.1, Piece(" and")]
    events = await events_of("count", villa, steps, first=0.5, deadline=0.5)
    assert isinstance(events[0], Saying)
    assert isinstance(events[-1], Excusing)
    assert len(events) < 20


async def test_only_waiting_for_the_model_counts(villa: Home) -> None:
    planner = Planner(Scripted(pieces(act(SOFA, TV))), settings=PlannerSettings(deadline=0.3))
    came = []
    async for event in planner.plan(Utterance("sofa lamp and tv", "en"), villa):
        came.append(type(event))
        await asyncio.sleep(0.4)
    assert came == [Acting, Acting]


async def test_closing_stops_the_model(villa: Home) -> None:
    model = Scripted([Piece('{"say":"One '), 30.0])
    events = Planner(model).plan(Utterance("count", "en"), villa)
    assert await anext(events) == Saying("One ")
    await events.aclose()
    assert model.closed == 1


@pytest.mark.parametrize("said", ["", "  ", "?!", "\x00"])
async def test_nothing_said_asks_no_model(villa: Home, said: str) -> None:
    model = Scripted([])
    events = await events_of(said, villa, [], model=model)
    assert [type(event) for event in events] == [Excusing]
    assert not model.queries


@pytest.mark.parametrize("said", ["\ud800", "<|im_end|>", "x" * 10_000, "turn on \udfff the lamp"])
async def test_odd_speech_reaches_the_model_tamed(villa: Home, said: str) -> None:
    model = Scripted(pieces('{"say":"Hm."}'))
    await events_of(said, villa, [], model=model)
    for query in model.queries:
        told = query.messages[-1].content
        told.encode()
        assert "<|" not in told
        assert len(told) < 2000


async def test_a_model_that_can_t_stop_is_excused_in_time_all_the_same(villa: Home) -> None:
    """As one that is just being loaded, for half a minute."""
    free = asyncio.Event()

    class Stubborn(Scripted):
        async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
            while not free.is_set():
                with suppress(asyncio.CancelledError):
                    await free.wait()
            self.closed += 1
            raise LlmError("given up")
            yield Piece("")

    model = Stubborn([])
    planner = Planner(model, settings=PlannerSettings(first=0.01))
    (event,) = [e async for e in planner.plan(Utterance("dim the sofa lamp", "en"), villa)]
    assert isinstance(event, Excusing)
    assert event.plan.speech is not None
    assert event.plan.speech.key == "core.model_late"
    assert not model.closed
    free.set()
    async with asyncio.timeout(20):
        while not model.closed:  # noqa: ASYNC110 -- it has nothing else to tell by
            await asyncio.sleep(0.01)


# ------------------------------------------------------------------- reading ahead


async def test_rules_and_home_are_read_ahead_to_be_kept(villa: Home) -> None:
    model = Scripted(pieces('{"say":"Hm."}'))
    planner = Planner(model)
    await planner.prepare(villa, "en")
    ((prefix, keep),) = model.prepared
    assert keep
    _ = [e async for e in planner.plan(Utterance("how are you", "en"), villa)]
    assert model.queries[0].messages[: len(prefix)] == prefix


async def test_a_changed_home_is_planned_for_as_it_was_read_until_it_is_read_anew(
    villa: Home,
) -> None:
    """Reading takes a big model a minute: nobody waits for it."""
    model = Scripted(pieces(act(SOFA)))
    planner = Planner(model)
    dim = Utterance("dim the sofa lamp to forty", "en")
    await planner.prepare(villa, "en")
    lamp = villa.devices["light.sofa"]
    new = replace(lamp, id="light.new", name="New lamp")
    devices = {**villa.devices, "light.new": new}
    gone = next(d.id for d in villa.exposed() if d.type is lamp.type and d.id != lamp.id)
    del devices[gone]
    changed = replace(villa, devices=devices, revision=villa.revision + 1)

    events = [e async for e in planner.plan(dim, changed)]
    assert [e.action for e in events if isinstance(e, Acting)] == [SOFA_DONE]
    before = model.queries[-1]
    assert before.messages[0] == model.prepared[0][0][0]
    assert "light.new" not in json.dumps(before.schema)
    assert f'"{gone}"' not in json.dumps(before.schema)

    await planner.prepare(changed, "en")
    _ = [e async for e in planner.plan(dim, changed)]
    after = model.queries[-1]
    assert after.messages[0] == model.prepared[1][0][0] != before.messages[0]
    assert "light.new" in json.dumps(after.schema)


def many(home: Home, count: int) -> Home:
    """As many devices: those of `home`, and others like them."""
    there = home.exposed()
    devices = {}
    for n in range(count):
        like = there[n % len(there)]
        devices[f"{like.id}_{n}"] = replace(like, id=f"{like.id}_{n}", name=f"{like.name} {n}")
    return replace(home, id="many", devices=devices)


async def test_of_a_home_too_big_for_the_context_the_model_is_told_what_is_spoken_of(
    villa: Home,
) -> None:
    home = many(villa, 300)
    lamp = next(d for d in reversed(home.exposed()) if d.name.startswith("Sofa Lamp"))
    model = Scripted(pieces(act({"do": "turn_off", "to": [lamp.id]})))
    planner = Planner(model)
    await planner.prepare(home, "en")
    said = Utterance(f"{lamp.name} annoys me", "en", area="kitchen")
    (event,) = [e async for e in planner.plan(said, home)]
    assert isinstance(event, Acting)
    assert event.action == Action("turn_off", (lamp.id,))
    rules, turn = model.queries[0].messages
    assert (rules,) == model.prepared[0][0]
    assert len((rules.content + turn.content).encode()) < 3 * 4096
    assert lamp.id not in rules.content
    assert lamp.id in turn.content
    assert "@kitchen" in turn.content, "where the user is, things may be meant without a word"
    assert "cover.garage_" in rules.content, "what can be commanded goes before what can't"
    assert "binary_sensor." not in rules.content

    planner = Planner(model, settings=PlannerSettings(context=16_384))
    await planner.prepare(home, "en")
    assert lamp.id in model.prepared[1][0][0].content


async def test_what_was_hidden_when_the_home_was_read_waits_too(villa: Home) -> None:
    """Devices announce themselves anew, and may no longer be hidden then."""
    model = Scripted(pieces(act(SOFA)))
    planner = Planner(model)
    await planner.prepare(villa, "en")
    shown = replace(villa.devices["light.hidden"], exposed=True, state={"on": True})
    devices = {**villa.devices, "light.hidden": shown}
    changed = replace(villa, devices=devices, revision=villa.revision + 1)
    said = Utterance("dim the sofa lamp to forty like the hidden light", "en")
    events = [e async for e in planner.plan(said, changed)]
    assert [e.action for e in events if isinstance(e, Acting)] == [SOFA_DONE]
    assert "light.hidden" not in str(model.queries)


async def test_the_beginning_of_an_utterance_is_read_while_it_is_spoken(villa: Home) -> None:
    model = Scripted(pieces('{"say":"Hm."}'))
    planner = Planner(model)
    spoken = 1_750_000_019.0  # a second before the next minute
    await planner.ahead(Utterance("", "en", spoken_at=spoken), villa)
    assert not model.prepared
    part = Utterance("make the sofa lamp", "en", "lounge", spoken_at=spoken)
    whole = replace(part, text="make the sofa lamp a bit brighter", spoken_at=spoken + 30)
    history = (Exchange("hello", "Hi."),)
    await planner.ahead(part, villa, history)
    _ = [e async for e in planner.plan(whole, villa, history)]
    ((ahead, keep),) = model.prepared
    assert not keep
    (query,) = model.queries
    assert query.messages[0] == ahead[0]
    assert query.messages[1].content.startswith(ahead[1].content)
    # The next utterance is another moment.
    _ = [e async for e in planner.plan(replace(whole, spoken_at=spoken + 90), villa, history)]
    assert not model.queries[1].messages[1].content.startswith(ahead[1].content)


async def test_timers_that_come_and_go_are_met_by_their_own_number(villa: Home) -> None:
    model = Scripted(pieces(act({"do": "cancel_timer", "timer": "1"})))
    planner = Planner(model)
    for timer in villa.timers:
        home = replace(villa, timers=(timer, timer))
        (event,) = [e async for e in planner.plan(Utterance("cancel the timer", "en"), home)]
        assert isinstance(event, Acting)
        assert event.action.params["timer"] == timer.id
    gone = replace(villa, timers=())
    (event,) = [e async for e in planner.plan(Utterance("cancel the timer", "en"), gone)]
    assert isinstance(event, Excusing)


# ------------------------------------------------------------------- replies


OUTCOMES = (
    Outcome(SOFA_DONE, "light.sofa", Result.CONFIRMED),
    Outcome(TV_DONE, "media_player.tv", Result.FAILED, "no_report"),
)


async def worded(model: Scripted, home: Home, **settings: Any) -> str:
    planner = Planner(model, settings=PlannerSettings(**settings))
    said = Utterance("dim the sofa lamp and switch the TV off", "en")
    return "".join([text async for text in planner.word(said, OUTCOMES, home)])


async def test_a_reply_is_worded_from_the_outcomes_alone(villa: Home) -> None:
    model = Scripted(pieces('{"say":"The lamp is dimmed, the TV did not answer."}'))
    assert await worded(model, villa) == "The lamp is dimmed, the TV did not answer."
    query = model.queries[0]
    assert query.schema is not None
    assert list(query.schema["properties"]) == ["say"]
    told = query.messages[-1].content
    assert '"Sofa Lamp": confirmed' in told
    assert '"TV": failed (no report)' in told


@pytest.mark.parametrize(
    "steps",
    [
        [LlmError("gone")],
        [30.0],
        [],
        broken("Done!"),
        broken('{"say":" "}'),
        broken(act(SOFA)),
    ],
)
async def test_a_reply_that_can_t_be_worded_is_an_error(villa: Home, steps: list[Step]) -> None:
    model = Scripted(steps)
    with pytest.raises(LlmError):
        await worded(model, villa, first=0.05)
    assert model.closed == 1


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (list, PlanKind.UNKNOWN),
        (lambda: [Saying("a"), Saying("b")], PlanKind.CHAT),
        (lambda: [Acting(TV_DONE), Saying("b")], PlanKind.ACT),
    ],
)
def test_events_amount_to_one_plan(make: Callable[[], list[PlanEvent]], kind: PlanKind) -> None:
    plan = planned(make())
    assert plan.kind is kind
    assert bool(plan.actions) == (kind is PlanKind.ACT)


# ------------------------------------------------------------------- weak models


@pytest.mark.parametrize(
    ("said", "steps", "came"),
    [
        ("dim the sofa lamp", pieces(act(SOFA), 0.3), Confirming),
        ("dim the sofa lamp", pieces(act(SOFA), 0.9), Acting),
        ("is the front door locked", pieces('{"say":"It is."}'), Excusing),
        ("what is a walrus", [Piece("An animal.", finish=Finish.STOP)], Saying),
    ],
)
async def test_a_weak_model_that_stands_in_for_a_server_is_as_weak_as_ever(
    villa: Home, said: str, steps: list[Step], came: type[PlanEvent]
) -> None:
    """That it has to answer shows only when the server is asked."""
    server, own = Scripted([LlmError("unreachable")]), Scripted(steps, weak=True)
    planner = Planner(FallbackModel(server, own))
    for _ in range(2):  # the second time the server is not even asked
        events = [e async for e in planner.plan(Utterance(said, "en"), villa)]
        assert [type(e) for e in events] == [came]
    assert len(server.queries) == 1


async def test_no_weak_model_words_a_reply_in_the_place_of_a_server(villa: Home) -> None:
    own = Scripted(pieces('{"say":"I am sorry, I can not assist you."}'), weak=True)
    planner = Planner(FallbackModel(Scripted([LlmError("unreachable")]), own))
    said = Utterance("dim the sofa lamp and switch the TV off", "en")
    assert planner.words_replies
    with pytest.raises(LlmError):
        _ = [text async for text in planner.word(said, OUTCOMES, villa)]
    assert not planner.words_replies


async def test_of_a_weak_model_s_guess_only_what_was_spoken_of_is_asked_about(villa: Home) -> None:
    lights = {"do": "turn_on", "to": ["light.worktop", "light.sofa", "light.leo"]}
    (event,) = await events_of("turn on the sofa lamp", villa, pieces(act(lights)), weak=True)
    assert isinstance(event, Confirming)
    assert event.plan.actions == (Action("turn_on", ("light.sofa",)),)
    (event,) = await events_of("unlock the front door", villa, pieces(act(lights)), weak=True)
    assert isinstance(event, Excusing)


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("is the front door locked", "core.not_understood"),
        ("don't turn on the TV", "core.nothing_done"),
        ("never mind the weather", "core.nothing_done"),
        ("sing me a song", "core.not_understood"),
    ],
)
async def test_a_weak_model_is_not_asked_what_it_would_make_up(
    villa: Home, skills: Skills, said: str, key: str
) -> None:
    model = Scripted([], weak=True)
    (event,) = await events_of(said, villa, [], model=model)
    assert isinstance(event, Excusing)
    assert event.plan.speech is not None
    assert event.plan.speech.key == key
    assert not model.queries
