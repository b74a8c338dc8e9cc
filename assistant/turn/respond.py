"""From an utterance to what is said back: the one way for speech, `ask` and `replay` alike."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Literal

from assistant.config import Settings
from assistant.errors import LlmError
from assistant.home.action import Outcome, Result
from assistant.home.executor import Executor
from assistant.home.model import Home
from assistant.home.registry import Registry
from assistant.plan import Context, Plan, PlanKind, Speech, Utterance
from assistant.turn.deeds import Deeds, told_of
from assistant.turn.events import Carried, Planned, Replied, StageDone
from assistant.turn.hindsight import in_hindsight
from assistant.turn.remembering import Remembering
from assistant.turn.reply import Replies
from assistant.turn.saying import Reply, unless
from assistant.turn.thinker import Thinker
from assistant.turn.trace import Observer
from assistant.understand.caution import question_about
from assistant.understand.conversation import Conversation, Deed, Pending, answer, spoken_of
from assistant.understand.explain import Considered, Note, Verdict, ignore
from assistant.understand.language import load_language
from assistant.understand.later import Agreed
from assistant.understand.pin import HIDDEN, confides, keyed, refused
from assistant.understand.plan_events import (
    Acting,
    Asking,
    Confirming,
    Excusing,
    PlanEvent,
    Saying,
    planned,
)
from assistant.understand.planner import Planner
from assistant.understand.policy import Policy
from assistant.understand.prompt import Exchange
from assistant.understand.recall import Recalled
from assistant.understand.template import TemplateUnderstanding

log = logging.getLogger(__name__)

MOST_ALTERNATIVES = 3
"""Further readings of the recogniser that are tried where the first is not understood as it is."""
_UNSETTLED: Final = frozenset({PlanKind.UNKNOWN, PlanKind.REFUSE})
"""Plans beside which another reading is looked at: there is no brent door, but a front door."""
AS_HEARD: Final = 0.99
"""Score of a plan for which every word was taken as it was heard."""
NOT_ALLOWED: Final = Speech("core.not_allowed")
_NOT_UNDERSTOOD: Final = "core.not_understood"
_FAULTS: Final = frozenset({"core.model_late", "core.model_failed"})
"""Excuses of the planner for what is the language model's fault."""
_LETTERS_PER_SECOND = 12.0  # of speech: a question can't be answered before it has been asked

Speak = Callable[[str], None]
"""Takes the next piece of a reply, on the event loop; must not block."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a responder comes by plans and words: settings of understanding and reply."""

    order: Literal["templates", "model", "model-only"] = "templates"
    style: Literal["templates", "model"] = "templates"
    answer_window: float = 6.0
    """Seconds for which a question of ours waits for its answer, once it has been spoken."""
    min_score: float = 0.5
    """Score below which a plan of the templates is none."""


def ways(settings: Settings) -> Ways:
    """The ways that are set."""
    return Ways(
        settings.understanding.order,
        settings.reply.style,
        settings.understanding.answer_window,
        settings.understanding.min_score,
    )


@dataclass(frozen=True, slots=True)
class Response:
    """What a turn came to. `asks`: an answer is awaited, so keep listening."""

    plan: Plan
    outcomes: tuple[Outcome, ...]
    reply: str
    asks: bool = False


def _ruled(wanted: Plan, plan: Plan) -> str:
    """What the policy made of a plan, for whoever wonders."""
    if plan.kind is not PlanKind.ACT:
        return "asks before it is done" if plan.kind is PlanKind.ASK else "may not be done"
    return "may be done" if plan.actions == wanted.actions else "part of it may not be done"


def not_understood(utterance: Utterance) -> Speech:
    """What is said where neither the templates nor the model make anything of `utterance`."""
    return Speech(_NOT_UNDERSTOOD, {"heard": utterance.text})


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is the same throughout a turn."""

    utterance: Utterance
    conversation: Conversation
    home: Home
    id: str
    observe: Observer
    reply: Reply
    interrupted: asyncio.Event
    note: Note
    agreed: Agreed | None

    def considered(self, stage: str, reason: str, plan: Plan | None = None) -> None:
        """Note what came of a stage: taken where it has a plan that is for something."""
        known = plan is not None and plan.kind not in (PlanKind.UNKNOWN, PlanKind.REFUSE)
        verdict = Verdict.TAKEN if known else Verdict.REJECTED if plan else Verdict.KEPT
        self.note(Considered(stage, self.utterance.text, plan, {}, reason, verdict))

    def stage(self, name: str, start: float, end: float | None = None) -> float:
        """Tell of a stage that ran from `start` until `end`, or now; returns its end."""
        end = time.monotonic() if end is None else end
        self.observe(StageDone(self.id, self.utterance.source, end, name, start, end))
        return end

    def carried(self, outcome: Outcome) -> None:
        """Tell of an outcome."""
        self.observe(Carried(self.id, self.utterance.source, time.monotonic(), outcome))

    def planned(self, plan: Plan, model: str = "") -> None:
        """Tell of the plan."""
        self.observe(Planned(self.id, self.utterance.source, time.monotonic(), plan, model))


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a turn ended, but for what is remembered of it."""

    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    wanted: Plan | None = None
    """What a yes to the question that `plan` is carries out, in words of its own."""
    taught: bool = False
    """The language model did all of `plan`, and nothing besides, unasked."""
    doubted: bool = False
    """It would have, but was not sure, and asks: `plan` is that question."""
    recalled: Recalled | None = None
    """What was remembered and done again."""


class Responder:
    """Understands, asks the policy, carries out, and words what came of it.

    `thinker` has the language model, which is asked as `ways` say. What it resolved `remembering`
    knows the next time, if the templates are asked first: who asks the model first wants its
    answer. `refresh` brings up to date what changes by itself (timers) before each turn. By
    `clock` (monotonic seconds) what was said grows old.
    """

    def __init__(
        self,
        understanding: TemplateUnderstanding,
        policy: Policy,
        executor: Executor,
        replies: Replies,
        registry: Registry,
        *,
        thinker: Thinker | None = None,
        remembering: Remembering | None = None,
        ways: Ways = Ways(),
        refresh: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._understanding = understanding
        self._policy = policy
        self._executor = executor
        self._replies = replies
        self._registry = registry
        self._thinker = thinker
        self._remembering = remembering if ways.order == "templates" else None
        self._ways = ways
        self._refresh = refresh
        self._clock = clock

    async def respond(
        self,
        utterance: Utterance,
        conversation: Conversation,
        *,
        turn: str = "",
        observe: Observer = lambda _: None,
        speak: Speak = lambda _: None,
        interrupted: asyncio.Event | None = None,
        note: Note = ignore,
        agreed: Agreed | None = None,
    ) -> Response:
        """One turn of `conversation`. Tells `observe` of Planned, each Carried, and Replied.

        `speak` is given the reply piece by piece, as it becomes known. Once `interrupted` is set
        the model writes no more; what has been begun is carried out all the same. `note` is told
        how the plan came about. What was `agreed` to beforehand is not asked about again.
        """
        self._refresh()
        said = utterance
        if self.confides(utterance, conversation):
            utterance = replace(utterance, text=HIDDEN, alternatives=())
        here = _Turn(
            utterance,
            conversation,
            self._registry.home(),
            turn,
            observe,
            Reply(speak),
            interrupted or asyncio.Event(),
            note,
            agreed,
        )
        now = self._clock()
        plan: Plan | None
        if said is not utterance:
            plan, had_asked = await self._keyed(here, said, now)
        else:
            had_asked = conversation.pending is not None and not conversation.pending.choices
            language = load_language(utterance.language)
            plan = answer(conversation, utterance.text, here.home, language, now, utterance.speaker)
        if plan is None:
            ended = await self._understand(here, now)
        else:
            here.considered("answer", "to what was asked before", plan)
            confirmed = plan.kind is PlanKind.ACT and had_asked
            ended = await self._carry_out(here, plan, now, confirmed=confirmed)
        reply = here.reply.text
        commanded = [o.device for o in ended.outcomes if o.device is not None]
        concerned = [device for action in ended.plan.actions for device in action.devices]
        answered = spoken_of(ended.plan, here.home)
        mentioned = tuple(dict.fromkeys((*commanded, *concerned, *answered)))
        asks = False
        if not here.interrupted.is_set():  # else it has not been asked
            asks = self._remember(here, ended.plan, ended.wanted or ended.plan)
        now = self._clock()
        conversation.remember(
            Exchange(utterance.text, reply, mentioned),
            now,
            speaker=utterance.speaker,
            plan=ended.plan,
            deed=_deed(here.home, ended.outcomes),
        )
        observe(Replied(turn, utterance.source, now, reply))
        if self._remembering is not None:
            self._remembering.ended(
                utterance,
                here.home,
                ended.plan,
                ended.outcomes,
                taught=ended.taught,
                asked=ended.doubted and asks,
                recalled=ended.recalled,
            )
        return Response(ended.plan, ended.outcomes, reply, asks)

    @property
    def model_first(self) -> bool:
        """Whether the language model is asked also about what a template knows."""
        return self._ways.order != "templates"

    async def ahead(self, partial: Utterance, conversation: Conversation) -> None:
        """Let the model read what has been said so far, if it is ready and would be asked.

        May be cancelled at any time.
        """
        if self.confides(partial, conversation):
            return
        if self._thinker is not None and (planner := self._thinker.ready) is not None:
            history = conversation.history(self._clock())
            await planner.ahead(partial, self._registry.home(), history)

    def confides(self, utterance: Utterance, conversation: Conversation) -> bool:
        """Whether `utterance` may hold the PIN: its words are then to be kept and shown nowhere."""
        language = load_language(utterance.language)
        return confides(self._policy.pin, conversation, utterance, language, self._clock())

    async def _keyed(self, here: _Turn, said: Utterance, now: float) -> tuple[Plan, bool]:
        """The plan of what was `said` in confidence, and whether the PIN allows it."""
        assert self._policy.pin is not None  # noqa: S101 -- else nothing is in confidence
        language = load_language(said.language)
        plan = await keyed(self._policy.pin, here.conversation, said.text, language, now)
        if plan is not None:
            return plan, True
        plan = self._by_templates(replace(here, utterance=said))
        if not self._is_sure(plan):
            return refused("core.pin_unclear"), False
        here.conversation.secret_until = 0.0  # it was about something else
        return plan, False

    async def _understand(self, here: _Turn, began: float) -> _Ended:
        """Ask the templates and the model in the order that is set, until one knows."""
        order = self._ways.order
        plan: Plan | None = None
        if order == "templates":
            plan = self._by_templates(here)
            if self._is_sure(plan):
                here.considered("language model", "is not asked: the sentence is known")
                return await self._carry_out(here, plan, began)
            if plan.kind is PlanKind.ACT:
                here.considered("confidence", f"below {self._ways.min_score:.2f}: not sure", None)
            if (recalled := self._recalled(here)) is not None:
                known = _again(recalled)
                here.considered("remembered", "what the language model made of it before", known)
                return replace(await self._carry_out(here, known, began), recalled=recalled)
            here.stage("understand", began)
        excuse: Plan | None = None
        if self._thinker is not None and (planner := await self._thinker.planner()) is not None:
            ended = await self._think(here, planner)
            here.considered("language model", f"{self._thinker.model} was asked", ended.plan)
            if ended.outcomes or here.reply.text or here.interrupted.is_set():
                return ended
            excuse = ended.plan if ended.plan.kind is PlanKind.REFUSE else None
        else:
            loading = self._thinker is not None and self._thinker.loading
            here.considered("language model", "is being loaded" if loading else "there is none")
        if order == "model":
            plan = self._by_templates(here)
            if self._is_sure(plan):
                return await self._carry_out(here, plan, began)
        if excuse is not None and not _know_better(plan, excuse):
            self._say(here, excuse)
            return _Ended(excuse)
        return await self._carry_out(here, self._at_a_loss(here, plan), began)

    def _by_templates(self, here: _Turn) -> Plan:
        """The plan for what was most likely said, or else for what may have been said instead.

        Both in the light of what was said before.
        """
        utterance, now = here.utterance, self._clock()
        plan = self._in_words(here, now)
        return in_hindsight(plan, here.conversation, here.home, now, utterance.speaker)

    def _in_words(self, here: _Turn, now: float) -> Plan:
        utterance = here.utterance
        context = here.conversation.context(now, utterance.speaker)
        best = self._understanding.understand(utterance, here.home, context, here.note)
        if best.kind not in _UNSETTLED and best.score >= AS_HEARD:
            return best
        for text in utterance.alternatives[:MOST_ALTERNATIVES]:
            said = replace(utterance, text=text)
            other = self._understanding.understand(said, here.home, context, here.note)
            if other.kind is PlanKind.NOTHING:
                return other  # what may have been forbidden is not done
            if other.kind not in _UNSETTLED and (
                best.kind in _UNSETTLED or other.score > best.score
            ):
                best = other
        return best

    def _recalled(self, here: _Turn) -> Recalled | None:
        """What the model made of it before, where that is sure and may still be done unasked."""
        if self._remembering is None:
            return None
        recalled = self._remembering.recall(here.utterance, here.home)
        if recalled is None or not self._is_sure(plan := _again(recalled)):
            return None
        checked = self._policy.check(plan, here.home, by_model=True)
        allowed = checked.kind is PlanKind.ACT and checked.actions == plan.actions
        return recalled if allowed else None

    def _is_sure(self, plan: Plan) -> bool:
        unsure = plan.kind is PlanKind.ACT and plan.score < self._ways.min_score
        return plan.kind is not PlanKind.UNKNOWN and not unsure

    def _at_a_loss(self, here: _Turn, plan: Plan | None) -> Plan:
        """What to say where neither the templates nor a model know: not more than is true.

        What the templates were not sure of is asked about.
        """
        score = plan.score if plan is not None else 0.0
        speech = not_understood(here.utterance)
        if plan is not None and plan.kind is PlanKind.ACT:
            question = question_about(plan.actions, here.home)
            return replace(plan, kind=PlanKind.ASK, confirm=True, speech=question)
        if self._thinker is not None and self._thinker.loading:
            speech = Speech("core.model_loading")
        elif self._ways.order == "model-only":
            speech = Speech("core.model_missing")
        elif plan is not None and plan.kind is PlanKind.UNKNOWN and plan.speech is not None:
            speech = plan.speech
        return Plan(PlanKind.UNKNOWN, score=score, speech=speech)

    async def _carry_out(
        self, here: _Turn, plan: Plan, began: float, *, confirmed: bool = False
    ) -> _Ended:
        """Check a whole plan, do it, and say what came of it."""
        wanted = plan
        if not confirmed:
            plan = self._policy.check(plan, here.home)
            if here.agreed is not None and here.agreed.settles(plan):
                plan = replace(wanted, actions=plan.actions, besides=plan.besides)
            if wanted.kind is PlanKind.ACT or wanted.confirm:
                here.considered("policy", _ruled(wanted, plan), plan)
        understood = here.stage("understand", began)
        here.planned(plan)
        for asked in plan.first:
            self._say(here, self._policy.check(asked, here.home))
        if plan.kind is not PlanKind.ACT:
            self._say(here, plan)
            if plan.kind is not PlanKind.ASK:
                self._answer(here, plan.after)
            return _Ended(plan, wanted=wanted)
        outcomes = await self._executor.execute(plan.actions, on_outcome=here.carried)
        here.stage("act", understood)
        await self._tell(here, plan, outcomes)
        if plan.besides is not None:
            self._say(here, Plan(PlanKind.REFUSE, speech=plan.besides))
        self._answer(here, plan.after)
        return _Ended(plan, outcomes)

    def _answer(self, here: _Turn, answers: Iterable[Plan]) -> None:
        """Give `answers`, as they are by now."""
        home = self._registry.home()
        for before in answers:
            asked = replace(here.utterance, text=before.sentence)
            now = self._understanding.understand(asked, home, Context(recent=before.devices))
            by_now = now if now.kind is PlanKind.ANSWER else before
            self._say(here, self._policy.check(by_now, home))

    async def _think(self, here: _Turn, planner: Planner) -> _Ended:
        """Have the model plan: do and say what it wants as it comes, then tell what came of it.

        A bare excuse, before which there was nothing, is left to be said by the caller.
        """
        began = self._clock()
        deeds = Deeds(self._policy, self._executor, here.home, here.carried)
        events: list[PlanEvent] = []
        history = here.conversation.history(began)

        async def follow() -> None:
            async with aclosing(planner.plan(here.utterance, here.home, history)) as coming:
                async for event in coming:
                    events.append(event)
                    match event:
                        case Acting(action=action):
                            if not deeds.wanted:
                                here.stage("first action", began)
                            deeds.take(action)
                        case Saying(text=text) | Asking(text=text):
                            here.reply.piece(text)
                        case Confirming(plan=question):
                            deeds.hold(question)
                        case Excusing(plan=excuse, reason=reason):
                            told = excuse.speech.key if excuse.speech is not None else ""
                            level = logging.WARNING if told in _FAULTS else logging.INFO
                            log.log(level, "no answer of the language model: %s", reason)

        try:
            whole = await unless(here.interrupted, follow())
            thought = here.stage("plan", began)
            if here.reply.text:
                here.stage("first sentence", began, here.reply.sentence or thought)
            ended = self._planned(here, deeds, events)
            outcomes = await deeds.outcomes()
        finally:
            deeds.abandon()
        if outcomes:
            here.stage("act", thought)
        if whole:
            await self._tell_of_deeds(here, deeds, events, outcomes)
        sole = whole and all(isinstance(event, Acting | Confirming) for event in events)
        taught = sole and not deeds.forbidden and deeds.question() is None
        doubted = sole and deeds.doubted
        return replace(ended, outcomes=outcomes, taught=taught, doubted=doubted)

    def _planned(self, here: _Turn, deeds: Deeds, events: list[PlanEvent]) -> _Ended:
        """The plan that `events` amount to, after the policy."""
        plan = planned(events) if events else Plan(PlanKind.UNKNOWN, score=0.0)
        wanted: Plan | None = None
        if (question := deeds.question()) is not None:
            plan = question
            wanted = told_of(question.actions)
        elif deeds.begun:
            plan = replace(plan, kind=PlanKind.ACT, actions=deeds.begun)
        elif deeds.wanted:
            speech = deeds.forbidden.speech if deeds.forbidden is not None else NOT_ALLOWED
            plan = replace(plan, kind=PlanKind.REFUSE, actions=(), speech=speech)
        here.planned(plan, self._thinker.model if self._thinker is not None else "")
        return _Ended(plan, wanted=wanted)

    async def _tell_of_deeds(
        self,
        here: _Turn,
        deeds: Deeds,
        events: list[PlanEvent],
        outcomes: tuple[Outcome, ...],
    ) -> None:
        """Say what came of what the model wanted, what it may not, and what is asked or excused."""
        if outcomes:
            await self._tell(here, told_of(deeds.begun), outcomes)
        if deeds.forbidden is not None:
            self._say(here, deeds.forbidden)
        if (question := deeds.question()) is not None:
            self._say(here, question)
            return
        for event in events:
            if isinstance(event, Excusing) and (deeds.wanted or here.reply.text):
                self._say(here, event.plan)

    async def _tell(self, here: _Turn, plan: Plan, outcomes: tuple[Outcome, ...]) -> None:
        """Say what came of `plan`: in the model's words if that is set and it can, else our own."""
        planner = None
        if self._ways.style == "model" and self._thinker is not None:
            planner = await self._thinker.planner()
        if planner is not None and planner.words_replies:
            words = planner.word(here.utterance, outcomes, self._registry.home())

            async def follow() -> None:
                async with aclosing(words) as pieces:
                    async for piece in pieces:
                        here.reply.piece(piece)

            began = time.monotonic()
            try:
                if await unless(here.interrupted, follow()):
                    here.stage("word", began)
                return
            except LlmError as error:
                log.warning("the reply is not worded by the language model: %s", error)
        language = here.utterance.language
        home = self._registry.home()
        here.reply.sentences(self._replies.from_outcomes(plan, outcomes, home, language))

    def _say(self, here: _Turn, plan: Plan) -> None:
        """Say the speech of `plan`, which does nothing (now)."""
        language = here.utterance.language
        here.reply.sentences(self._replies.word(self._worded(plan, language), language))

    def _worded(self, plan: Plan, language: str) -> Speech:
        speech = plan.speech or Speech("core.done")
        if "devices" not in speech.values:
            return speech
        home = self._registry.home()
        devices = [home.devices[i] for i in speech.values["devices"] if i in home.devices]
        return replace(
            speech, values={**speech.values, **self._replies.target(devices, home, language)}
        )

    def _remember(self, here: _Turn, plan: Plan, wanted: Plan) -> bool:
        """Keep a question of ours for the next utterance; tell whether there is one."""
        if plan.kind is not PlanKind.ASK:
            return False
        spoken = len(here.reply.text) / _LETTERS_PER_SECOND
        expires = self._clock() + self._ways.answer_window + spoken
        sentence, speaker = plan.sentence or here.utterance.text, here.utterance.speaker
        plan = replace(plan, kind=PlanKind.ACT, sentence=sentence, first=())
        if plan.confirm:
            # A question that understanding put itself has no words yet for what it leads to.
            told = wanted if wanted.kind is PlanKind.ACT else told_of(plan.actions)
            done = replace(plan, confirm=False, speech=told.speech)
            here.conversation.pending = Pending(done, expires, speaker=speaker)
        elif plan.actions and plan.devices:
            chosen = replace(plan, speech=Speech(f"{plan.skill}.{plan.intent}"))
            here.conversation.pending = Pending(chosen, expires, plan.devices, speaker)
        return True


def _know_better(plan: Plan | None, excuse: Plan) -> bool:
    """Whether the templates, though not sure of `plan`, have more to say than the model's excuse.

    They know what there is not, and can ask about what they were not sure of.
    """
    if plan is None:
        return False
    told = excuse.speech.key if excuse.speech is not None else ""
    if plan.kind is PlanKind.ACT:
        return told == _NOT_UNDERSTOOD or told in _FAULTS
    knows = plan.speech is not None and plan.speech.key != _NOT_UNDERSTOOD
    return told == _NOT_UNDERSTOOD and knows


def _again(recalled: Recalled) -> Plan:
    """The plan that does what was remembered, worded as what a model wants is."""
    plan = told_of(recalled.actions)
    return replace(plan, intent="remembered", skill="core", score=recalled.score)


def _deed(before: Home, outcomes: tuple[Outcome, ...]) -> Deed | None:
    """What `outcomes` did, so that it can be undone; None: nothing."""
    done = tuple(o.action for o in outcomes if o.result is not Result.REFUSED)
    return Deed(done, before) if done else None
