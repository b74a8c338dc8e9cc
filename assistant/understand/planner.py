"""The MiMo planner: what no template understands, planned by a language model.

How it is used in a turn::

    async with contextlib.aclosing(planner.plan(utterance, home, history)) as events:
        async for event in events:
            match event:
                case Acting(action): ...    # policy.check(Plan(ACT, actions=(action,))), carry out
                case Saying(text) | Asking(text): ...       # to speech, sentence by sentence
                case Confirming(plan) | Excusing(plan): ...  # word plan.speech, as of any plan

Events come as the model writes. `planned(events)` is the one Plan they amount to, for traces, and
for the reply that is made from outcomes. Closing the generator cancels the model within a step.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from assistant.errors import LlmError
from assistant.home.action import Action, Outcome
from assistant.home.model import Home
from assistant.home.vocabulary import VOCABULARY, Vocabulary
from assistant.llm.model import Finish, LanguageModel, Message, Piece, Query
from assistant.plan import Plan, PlanKind, Speech, Utterance
from assistant.understand.answer import ActionStream, AnswerError, Asked, Said
from assistant.understand.chat import LIMIT, Sentences, chat_messages
from assistant.understand.grounding import Mentions
from assistant.understand.handles import Handles, handles_of, timers_of
from assistant.understand.judge import Judge
from assistant.understand.language import load_language
from assistant.understand.mood import Mood, mood
from assistant.understand.normal import squeeze
from assistant.understand.offer import STARTED_HERE
from assistant.understand.prompt import (
    Exchange,
    fitting,
    more_devices,
    outcome_message,
    system_message,
    turn_message,
)
from assistant.understand.schema import answer_schema, reply_schema

_HOMES_KEPT: Final = 4
_SCHEMAS_KEPT: Final = 16
_SAME_MOMENT: Final = 30.0
"""Seconds for which what was read ahead of an utterance counts as read at its time."""
_STOPPING: Final = 0.5
"""Seconds that a model has to stop before it is left behind."""
_TURN: Final = 400
"""Tokens that an utterance, and what is told with it, take, all but seldom."""
_MORE: Final = 400
"""Tokens that it takes besides where it is told of devices, too."""
_BYTES: Final = 2.6
"""Of a token, in a system message: seldom fewer."""
_WORDING_LIMIT: Final = 120
_PLANNED: Final = "planned"


@dataclass(frozen=True, slots=True)
class Acting:
    """An action to carry out now, unless the policy objects to it.

    `confidence`: the probability that the model gave to this action as it stands, out of all that
    it might have written; None where the model does not tell.
    """

    action: Action
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Saying:
    """The next piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Asking:
    """The next piece of a question back, in the model's words; any answer is a new utterance."""

    text: str


@dataclass(frozen=True, slots=True)
class Confirming:
    """Whether to carry out what the planner is not sure of: a plan of kind ASK with `confirm`.

    Comes at most once, after everything else. A yes carries out `plan.actions`.
    """

    plan: Plan


@dataclass(frozen=True, slots=True)
class Excusing:
    """Nothing more comes, and why: `plan` is of kind REFUSE, with the excuse as its speech.

    `reason` is for the log. Actions that came before it stay as they are.
    """

    plan: Plan
    reason: str


PlanEvent = Acting | Saying | Asking | Confirming | Excusing


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """How much the planner may take and dare.

    `first`: seconds until the first event, `deadline`: seconds until the last; what has not come
    by then is excused. `confidence`: what a weak model's action must reach to be carried out
    unasked. `ask_above`: devices of one utterance beyond which is asked. `never`: actions left out,
    as in the policy's settings ("unlock", "open:cover.gate"). `limit`, `thinking`: tokens.
    `context`: tokens of prompt and answer together; of a home for which they are too few the model
    is told in part, and of the rest what an utterance speaks of.
    """

    first: float = 10.0
    deadline: float = 40.0
    confidence: float = 0.6
    ask_above: int = 25
    never: frozenset[str] = frozenset()
    limit: int = 400
    thinking: int = 0
    context: int = 4096


class Planner:
    """Plans with `model`. Belongs to one event loop.

    What form alone forbids the model never decides: questions and prohibitions get a grammar
    without actions. What it does decide is carried out unasked only where the utterance speaks of
    the device (`Mentions`), and, from a weak model, only where it is sure of it and the utterance
    holds the words it would use; all else it asks about first. A weak model makes up answers, so
    it may chat about questions that speak of nothing at home, and of its other guesses only what
    was spoken of is asked about.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary = VOCABULARY,
        settings: PlannerSettings = PlannerSettings(),
    ) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self._settings = settings
        self._homes: OrderedDict[tuple[str, int, str], _KnownHome] = OrderedDict()
        self._read: dict[tuple[str, str], _KnownHome] = {}
        self._moments: dict[str, tuple[float, float]] = {}
        self._leaving: set[asyncio.Task[Piece | None]] = set()

    async def prepare(self, home: Home, language: str) -> None:
        """Let the model read the rules and the home; call it when `home.revision` has changed.

        Reading takes a big model a minute. Until it is done, utterances are planned for the home as
        it was read last: what is new in it waits, what is gone is left out. Raises LlmError where
        the model can't.
        """
        if (home.id, home.revision, language) not in self._homes:
            # In a thread: a thousand devices take a second, in which others want to be heard.
            self._keep(home, language, await asyncio.to_thread(self._made, home, language))
        known, key = self._known(home, language), (home.id, language)
        try:
            await self._model.prepare((known.system,), keep=True)
        except LlmError:
            self._read.pop(key, None)
            raise
        self._read[key] = known

    async def ahead(self, partial: Utterance, home: Home, history: Sequence[Exchange] = ()) -> None:
        """Let the model read what has been said so far, while the speaker goes on.

        Call it with the stable part of a partial transcript; cancel it at will. Raises LlmError
        where the model can't.
        """
        if squeeze(partial.text) and not (self._model.weak and self._is_elsewhere(partial, home)):
            self._moments[partial.source] = _now(partial), time.monotonic()
            await self._model.prepare(self._asked(partial, home, history).messages)

    async def plan(
        self, utterance: Utterance, home: Home, history: Sequence[Exchange] = ()
    ) -> AsyncGenerator[PlanEvent, None]:
        """What `utterance` amounts to, as it becomes known. Raises nothing that a model can cause.

        `history`: what was said before, the oldest first; only the last of it is used.
        """
        if not squeeze(utterance.text):
            yield _excuse("core.not_understood", "nothing was said", utterance)
            return
        try:
            async with contextlib.aclosing(
                self._planned(utterance, home, history, weak=self._model.weak)
            ) as events:
                async for event in events:
                    yield event
        except _WeakerError:
            async with contextlib.aclosing(
                self._planned(utterance, home, history, weak=True)
            ) as events:
                async for event in events:
                    yield event

    async def _planned(
        self, utterance: Utterance, home: Home, history: Sequence[Exchange], *, weak: bool
    ) -> AsyncGenerator[PlanEvent, None]:
        """As `plan`. Raises _WeakerError before any event where a weak model answers unexpectedly.

        One does where it stands in for a server that can't be reached.
        """
        asked = self._asked(utterance, home, history)
        home = asked.home
        self._moments.pop(utterance.source, None)
        orders = asked.mood is Mood.ORDER
        if weak:
            elsewhere = self._is_elsewhere(utterance, home)
            if elsewhere and asked.mood is Mood.QUESTION:
                async with contextlib.aclosing(self._chat(utterance, history)) as said:
                    async for event in said:
                        yield event
                return
            near = not elsewhere or asked.recent or self._is_deviceless(asked.mentions)
            if asked.mood is Mood.FORBIDDING:
                yield _excuse("core.nothing_done", "nothing was to be done", utterance)
                return
            if not (orders and near):
                yield _excuse("core.not_understood", "a weak model is no help with it", utterance)
                return
        stream = ActionStream(
            home, self._vocabulary, asked.handles, actions=orders, never=self._settings.never
        )
        judge = Judge(
            asked.mentions,
            home,
            self._vocabulary,
            ask_above=self._settings.ask_above,
            sure=self._settings.confidence if weak else None,
        )
        unsure: list[Action] = []
        planned_so_far: list[Action] = []
        logprob, chosen, came, of_use, finish = 0.0, 0, False, False, None
        answerer_known = False
        try:
            query = Query(
                asked.messages,
                asked.schema,
                limit=self._settings.limit,
                thinking=self._settings.thinking,
            )
            async with contextlib.aclosing(self._pieces(query, lambda: came)) as pieces:
                async for piece in pieces:
                    if not (weak or answerer_known) and self._model.weak:
                        raise _WeakerError
                    answerer_known = True
                    logprob, chosen = logprob + piece.logprob, chosen + piece.chosen
                    finish = piece.finish
                    error: AnswerError | None = None
                    try:
                        answered = stream.feed(piece.text)
                    except AnswerError as failure:
                        answered, error = failure.answered, failure
                    confidence = math.exp(min(0.0, logprob)) if chosen else None
                    for item in answered:
                        came = True
                        of_use = of_use or not isinstance(item, Action)
                        match item:
                            case Said(text):
                                yield Saying(text)
                            case Asked(text):
                                yield Asking(text)
                            case action:
                                # The piece may hold the beginning of the next action as well.
                                begun = stream.acting
                                logprob, chosen = (piece.logprob, piece.chosen) if begun else (0, 0)
                                action = _placed(action, utterance)
                                if action in planned_so_far:
                                    continue  # small models repeat themselves
                                planned_so_far.append(action)
                                if judge.lets(action, confidence):
                                    of_use = True
                                    yield Acting(action, confidence)
                                elif (doubtful := judge.worth_asking(action)) is not None:
                                    unsure.append(doubtful)
                    if error is not None:
                        raise error
                    if stream.finished:
                        break
        except TimeoutError:
            yield _excuse("core.model_late", "the model took too long", utterance)
            return
        except AnswerError as error:
            yield _excuse("core.not_understood", str(error), utterance)
            return
        except LlmError as error:
            yield _excuse("core.model_failed", str(error), utterance)
            return
        if unsure:
            yield Confirming(_confirmation(unsure, home))
        cut = finish is Finish.LENGTH and stream.speaking
        if not came or not (stream.finished or cut):
            yield _excuse("core.not_understood", "the model's answer ended too early", utterance)
        elif not (of_use or unsure):
            yield _excuse("core.not_understood", "it would do what nobody spoke of", utterance)

    @property
    def words_replies(self) -> bool:
        """Whether the model may be asked to `word` replies: a weak one does not keep to facts."""
        return not self._model.weak

    async def word(
        self, utterance: Utterance, outcomes: Sequence[Outcome], home: Home
    ) -> AsyncGenerator[str, None]:
        """A reply from `outcomes` alone, piece by piece, in the language of `utterance`.

        Raises LlmError where the model can't, or not in time: say the template's reply then.
        """
        told = outcome_message(utterance, outcomes, home, utterance.language)
        home, known = self._as_read(home, utterance.language)
        stream = ActionStream(home, self._vocabulary, known.handles, actions=False)
        query = Query((known.system, told), reply_schema(), limit=_WORDING_LIMIT)
        said = False
        try:
            async with contextlib.aclosing(self._pieces(query, lambda: said)) as pieces:
                async for piece in pieces:
                    if not said and not self.words_replies:
                        raise LlmError("a weak language model would answer, which words no replies")
                    for item in stream.feed(piece.text):
                        if isinstance(item, Said):
                            said = said or bool(item.text.strip())
                            yield item.text
                    if stream.finished:
                        break
        except TimeoutError:
            raise LlmError("the language model took too long to word the reply") from None
        if not said:
            raise LlmError("the language model found no words for the reply")

    async def _chat(
        self, utterance: Utterance, history: Sequence[Exchange]
    ) -> AsyncGenerator[PlanEvent, None]:
        """Answer a question that has nothing to do with the home, sentence by sentence."""
        query = Query(chat_messages(utterance, history), limit=LIMIT)
        sentences, came, finish = Sentences(), False, None
        try:
            async with contextlib.aclosing(self._pieces(query, lambda: came)) as pieces:
                async for piece in pieces:
                    finish = piece.finish
                    said = sentences.feed(piece.text)
                    if finish is not None:
                        said += sentences.end(cut=finish is Finish.LENGTH)
                    if said:
                        came = True
                        yield Saying(said)
                    if sentences.finished:
                        break
        except TimeoutError:
            yield _excuse("core.model_late", "the model took too long", utterance)
            return
        except LlmError as error:
            yield _excuse("core.model_failed", str(error), utterance)
            return
        if not came:
            yield _excuse("core.not_understood", "the model said nothing", utterance)

    def _is_elsewhere(self, utterance: Utterance, home: Home) -> bool:
        """Whether an utterance speaks of nothing at home."""
        mentions = Mentions(utterance.text, load_language(utterance.language), home)
        return not (mentions.anything or any(map(mentions.grounded, home.exposed())))

    def _is_deviceless(self, mentions: Mentions) -> bool:
        """Whether an utterance speaks of what concerns no device, such as a timer."""
        specs = (spec for spec in self._vocabulary.actions.values() if not spec.types)
        return any(mentions.has_any(spec.name.replace("_", " ")) for spec in specs)

    async def _pieces(self, query: Query, came: Callable[[], bool]) -> AsyncGenerator[Piece, None]:
        """What the model writes. Raises TimeoutError at a deadline, the first while not `came`.

        Only waiting for the model counts, not what is done with its pieces meanwhile. A model that
        can't stop at once, as while it is being loaded, is left behind to stop when it can.
        """
        waited = 0.0
        pieces = self._model.generate(query)
        coming: asyncio.Task[Piece | None] | None = None
        try:
            while True:
                limit = self._settings.deadline if came() else self._settings.first
                began = time.monotonic()
                coming = asyncio.create_task(_next(pieces), name="next piece")
                await asyncio.wait((coming,), timeout=max(0.0, limit - waited))
                if not coming.done():
                    raise TimeoutError
                waited += time.monotonic() - began
                if (piece := coming.result()) is None:
                    return
                yield piece
        finally:
            if coming is None or coming.done():
                await pieces.aclose()
            else:
                coming.cancel()
                self._leaving.add(coming)
                coming.add_done_callback(self._left)
                await asyncio.wait((coming,), timeout=_STOPPING)

    def _left(self, task: asyncio.Task[Piece | None]) -> None:
        """What was left behind has ended; that it failed is of no interest any more."""
        self._leaving.discard(task)
        if not task.cancelled():
            task.exception()

    def _asked(self, utterance: Utterance, home: Home, history: Sequence[Exchange]) -> _Asked:
        language = load_language(utterance.language)
        home, known = self._as_read(home, utterance.language)
        handles = replace(known.handles, timers=timers_of(home))
        recent = history[-1].devices if history else ()
        mentions = Mentions(utterance.text, language, home, recent)
        meant = mood(utterance.text, language)
        more: Sequence[str] = ()
        if known.told is not None:
            more = more_devices(
                home,
                self._vocabulary,
                handles,
                self._settings.never,
                known.told,
                mentions,
                utterance.area,
            )
        now = self._moment(utterance)
        turn = turn_message(utterance, home, handles, mentions, history, meant, now=now, more=more)
        schema = known.schema(home, handles, self._vocabulary, self._settings, meant)
        messages = (known.system, turn)
        return _Asked(home, messages, schema, handles, mentions, meant, bool(recent))

    def _moment(self, utterance: Utterance) -> float:
        """The time of an utterance: that under which its beginning was read ahead, if it was."""
        now, read = self._moments.get(utterance.source, (0.0, -math.inf))
        return now if time.monotonic() - read < _SAME_MOMENT else _now(utterance)

    def _as_read(self, home: Home, language: str) -> tuple[Home, _KnownHome]:
        """The home without what the model has not read of yet, and what was made of it."""
        read = self._read.get((home.id, language))
        if read is None or read.home.revision == home.revision:
            return home, self._known(home, language)
        devices = {i: device for i, device in home.devices.items() if i in read.handles.of_device}
        areas = {area.id for area in home.areas}
        return replace(
            home,
            devices=devices,
            areas=tuple(area for area in read.home.areas if area.id in areas),
        ), read

    def _known(self, home: Home, language: str) -> _KnownHome:
        key = (home.id, home.revision, language)
        if key not in self._homes:
            self._keep(home, language, self._made(home, language))
        self._homes.move_to_end(key)
        return self._homes[key]

    def _keep(self, home: Home, language: str, known: _KnownHome) -> None:
        self._homes[home.id, home.revision, language] = known
        if len(self._homes) > _HOMES_KEPT:
            self._homes.popitem(last=False)

    def _made(self, home: Home, language: str) -> _KnownHome:
        """What is told of `home`; may be called in any thread."""
        settings, handles = self._settings, handles_of(home)
        room = settings.context - settings.limit - _TURN
        told = fitting(
            home,
            self._vocabulary,
            handles,
            language,
            settings.never,
            room=round(_BYTES * room),
            more=round(_BYTES * _MORE),
        )
        system = system_message(home, self._vocabulary, handles, language, settings.never, told)
        known = _KnownHome(home, handles, system, told)
        known.schema(home, handles, self._vocabulary, settings, Mood.ORDER)
        return known


async def _next(pieces: AsyncGenerator[Piece, None]) -> Piece | None:
    return await anext(pieces, None)


class _WeakerError(Exception):
    """A weak model answers in the place of another one."""


class _KnownHome:
    """What is made of a home once for each revision of it."""

    def __init__(
        self, home: Home, handles: Handles, system: Message, told: Collection[str] | None
    ) -> None:
        self.home = home
        self.handles = handles
        self.system = system
        self.told = told
        """Ids of the devices that `system` tells of; None: of all."""
        self._schemas: OrderedDict[tuple[bool, int, int], Mapping[str, Any]] = OrderedDict()

    def schema(
        self,
        home: Home,
        handles: Handles,
        vocabulary: Vocabulary,
        settings: PlannerSettings,
        meant: Mood,
    ) -> Mapping[str, Any]:
        """The schema of an answer to an utterance of this mood."""
        key = (meant is Mood.ORDER, len(home.timers), home.revision)
        if key not in self._schemas:
            self._schemas[key] = answer_schema(
                home, vocabulary, handles, actions=key[0], never=settings.never
            )
            if len(self._schemas) > _SCHEMAS_KEPT:
                self._schemas.popitem(last=False)
        return self._schemas[key]


@dataclass(frozen=True, slots=True)
class _Asked:
    home: Home
    messages: tuple[Message, ...]
    schema: Mapping[str, Any]
    handles: Handles
    mentions: Mentions
    mood: Mood
    recent: bool
    """Something was spoken of just before, which "it" may mean."""


def planned(events: Iterable[PlanEvent]) -> Plan:
    """The one plan that the events of an utterance amount to.

    ACT where anything was carried out; what was said is then only in the events.
    """
    actions: list[Action] = []
    said: list[str] = []
    asked: list[str] = []
    last: Plan | None = None
    score = 1.0
    for event in events:
        match event:
            case Acting(action, confidence):
                actions.append(action)
                score = min(score, 1.0 if confidence is None else confidence)
            case Saying(text):
                said.append(text)
            case Asking(text):
                asked.append(text)
            case Confirming(plan) | Excusing(plan):
                last = last or plan
    if actions:
        return Plan(PlanKind.ACT, _PLANNED, "core", tuple(actions), score=score)
    if asked or said:
        kind = PlanKind.ASK if asked else PlanKind.CHAT
        speech = Speech("core.verbatim", {"text": "".join(asked or said).strip()})
        return Plan(kind, _PLANNED, "core", speech=speech)
    return last or Plan(PlanKind.UNKNOWN, _PLANNED, "core", speech=Speech("core.model_failed"))


def step(action: Action, home: Home) -> dict[str, Any]:
    """`action` for the words of a question: nothing in it is an id."""
    values: list[str] = []
    for key, value in action.params.items():
        if key == "area":
            area = home.area(str(value))
            # Where a timer begins needs no saying.
            told = area.name if area is not None and action.name not in STARTED_HERE else ""
        elif key == "timer":
            told = next((t.name for t in home.timers if t.id == value and t.name), "")
        else:
            told = str(value) if key != "seconds" else ""
        values += [told] if told else []
    names = [home.devices[i].name for i in action.devices]
    seconds = action.params.get("seconds")
    return {"action": action.name, "names": names, "values": values, "seconds": seconds}


def _confirmation(actions: Sequence[Action], home: Home) -> Plan:
    """The question whether to do all of `actions`."""
    return Plan(
        PlanKind.ASK,
        _PLANNED,
        "core",
        tuple(actions),
        speech=Speech("core.confirm_steps", {"steps": [step(a, home) for a in actions]}),
        devices=tuple(dict.fromkeys(i for action in actions for i in action.devices)),
        confirm=True,
    )


def _excuse(key: str, reason: str, utterance: Utterance) -> Excusing:
    speech = Speech(key, {"heard": utterance.text})
    return Excusing(Plan(PlanKind.REFUSE, _PLANNED, "core", score=0.0, speech=speech), reason)


def _placed(action: Action, utterance: Utterance) -> Action:
    """`action` with the room it was asked for in, where it is about something that begins there."""
    if action.name not in STARTED_HERE or utterance.area is None:
        return action
    return replace(action, params={**action.params, "area": utterance.area})


def _now(utterance: Utterance) -> float:
    return utterance.spoken_at or time.time()
