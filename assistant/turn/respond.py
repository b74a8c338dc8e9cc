"""From an utterance to what is said back: the one way for speech, `ask` and `replay` alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from assistant.config import Settings
from assistant.home.action import Outcome, Result
from assistant.home.executor import Executor
from assistant.home.model import Home
from assistant.home.registry import Registry
from assistant.plan import Context, Exchange, Plan, PlanKind, Speech, Utterance
from assistant.turn.alternatives import likeliest_plan
from assistant.turn.deeds import Deeds, told_of
from assistant.turn.events import Replied
from assistant.turn.hindsight import in_hindsight
from assistant.turn.model_turn import model_turn
from assistant.turn.remembering import Remembering
from assistant.turn.reply import Replies
from assistant.turn.saying import Reply
from assistant.turn.telling import Telling
from assistant.turn.thinker import Thinker
from assistant.turn.trace import Observer
from assistant.turn.turn import Ended, Turn
from assistant.understand.caution import question_about
from assistant.understand.conversation import Conversation, Deed, Pending, answer, spoken_of
from assistant.understand.explain import Note, ignore
from assistant.understand.language import load_language
from assistant.understand.later import Agreed
from assistant.understand.pin import HIDDEN, confides, keyed, refused
from assistant.understand.plan_events import FAULTS
from assistant.understand.planner import Planner
from assistant.understand.policy import Policy
from assistant.understand.recall import Recalled
from assistant.understand.template import TemplateUnderstanding

_NOT_UNDERSTOOD: Final = "core.not_understood"
_LETTERS_PER_SECOND: Final = 12.0
"""Of speech: a question can't be answered before it has been asked."""

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
        self._telling = Telling(replies, registry, thinker if ways.style == "model" else None)
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
        here = Turn(
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
        now, began = self._clock(), time.monotonic()
        plan: Plan | None
        if said is not utterance:
            plan, had_asked = await self._keyed(here, said, now)
        else:
            had_asked = conversation.pending is not None and not conversation.pending.choices
            language = load_language(utterance.language)
            plan = answer(conversation, utterance.text, here.home, language, now, utterance.speaker)
        if plan is None:
            ended = await self._understand(here, began)
        else:
            here.considered("answer", "to what was asked before", plan)
            confirmed = plan.kind is PlanKind.ACT and had_asked
            ended = await self._carry_out(here, plan, began, confirmed=confirmed)
        asks = False
        if not here.interrupted.is_set():  # else it has not been asked
            asks = self._keep_question(here, ended.plan, ended.wanted or ended.plan)
        self._remember(here, ended, asks=asks)
        return Response(ended.plan, ended.outcomes, here.reply.text, asks)

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

    async def _keyed(self, turn: Turn, said: Utterance, now: float) -> tuple[Plan, bool]:
        """The plan of what was `said` in confidence, and whether the PIN allows it."""
        assert self._policy.pin is not None  # noqa: S101 -- else nothing is in confidence
        language = load_language(said.language)
        plan = await keyed(self._policy.pin, turn.conversation, said.text, language, now)
        if plan is not None:
            return plan, True
        plan = self._by_templates(replace(turn, utterance=said))
        if not self._is_sure(plan):
            return refused("core.pin_unclear"), False
        turn.conversation.secret_until = 0.0  # it was about something else
        return plan, False

    async def _understand(self, turn: Turn, began: float) -> Ended:
        """Ask the templates and the model in the order that is set, until one knows."""
        order = self._ways.order
        plan: Plan | None = None
        if order == "templates":
            plan = self._by_templates(turn)
            if self._is_sure(plan):
                turn.considered("language model", "is not asked: the sentence is known")
                return await self._carry_out(turn, plan, began)
            if plan.kind is PlanKind.ACT:
                turn.considered("confidence", f"below {self._ways.min_score:.2f}: not sure", None)
            if (recalled := self._recalled(turn)) is not None:
                known = _again(recalled)
                turn.considered("remembered", "what the language model made of it before", known)
                return replace(await self._carry_out(turn, known, began), recalled=recalled)
            turn.stage("understand", began)
        excuse: Plan | None = None
        if self._thinker is not None and (planner := await self._thinker.planner()) is not None:
            ended = await self._by_model(turn, planner)
            turn.considered("language model", f"{self._thinker.model} was asked", ended.plan)
            if ended.outcomes or turn.reply.text or turn.interrupted.is_set():
                return ended
            excuse = ended.plan if ended.plan.kind is PlanKind.REFUSE else None
        else:
            loading = self._thinker is not None and self._thinker.loading
            turn.considered("language model", "is being loaded" if loading else "there is none")
        if order == "model":
            began = time.monotonic()
            plan = self._by_templates(turn)
            if self._is_sure(plan):
                return await self._carry_out(turn, plan, began)
            turn.stage("understand", began)
        if excuse is not None and not _know_better(plan, excuse):
            self._telling.say(turn, excuse)
            return Ended(excuse)
        return await self._carry_out(turn, self._at_a_loss(turn, plan))

    async def _by_model(self, turn: Turn, planner: Planner) -> Ended:
        """What the language model makes of it, done and told."""
        history = turn.conversation.history(self._clock())
        deeds = Deeds(self._policy, self._executor, turn.home, turn.carried)
        return await model_turn(turn, planner, history, deeds, self._telling)

    def _by_templates(self, turn: Turn) -> Plan:
        """The plan for what was most likely said, or else for what may have been said instead.

        Both in the light of what was said before.
        """
        utterance, talk, now = turn.utterance, turn.conversation, self._clock()
        context = talk.context(now, utterance.speaker)
        plan = likeliest_plan(self._understanding, utterance, turn.home, context, turn.note)
        return in_hindsight(plan, talk, turn.home, now, utterance.speaker)

    def _recalled(self, turn: Turn) -> Recalled | None:
        """What the model made of it before, where that is sure and may still be done unasked."""
        if self._remembering is None:
            return None
        recalled = self._remembering.recall(turn.utterance, turn.home)
        if recalled is None or not self._is_sure(plan := _again(recalled)):
            return None
        checked = self._policy.check(plan, turn.home, by_model=True)
        allowed = checked.kind is PlanKind.ACT and checked.actions == plan.actions
        return recalled if allowed else None

    def _is_sure(self, plan: Plan) -> bool:
        unsure = plan.kind is PlanKind.ACT and plan.score < self._ways.min_score
        return plan.kind is not PlanKind.UNKNOWN and not unsure

    def _at_a_loss(self, turn: Turn, plan: Plan | None) -> Plan:
        """What to say where neither the templates nor a model know: not more than is true.

        What the templates were not sure of is asked about.
        """
        score = plan.score if plan is not None else 0.0
        speech = Speech(_NOT_UNDERSTOOD, {"heard": turn.utterance.text})
        if plan is not None and plan.kind is PlanKind.ACT:
            question = question_about(plan.actions, turn.home)
            return replace(plan, kind=PlanKind.ASK, confirm=True, speech=question)
        if self._thinker is not None and self._thinker.loading:
            speech = Speech("core.model_loading")
        elif self._ways.order == "model-only":
            speech = Speech("core.model_missing")
        elif plan is not None and plan.kind is PlanKind.UNKNOWN and plan.speech is not None:
            speech = plan.speech
        return Plan(PlanKind.UNKNOWN, score=score, speech=speech)

    async def _carry_out(
        self, turn: Turn, plan: Plan, began: float | None = None, *, confirmed: bool = False
    ) -> Ended:
        """Check a whole plan, do it, and say what came of it.

        `began`: monotonic second at which understanding it began; None: that has been told.
        """
        wanted = plan
        if not confirmed:
            plan = self._policy.check(plan, turn.home)
            if turn.agreed is not None and turn.agreed.settles(plan):
                plan = replace(wanted, actions=plan.actions, besides=plan.besides)
            if wanted.kind is PlanKind.ACT or wanted.confirm:
                turn.considered("policy", _ruled(wanted, plan), plan)
        if began is not None:
            turn.stage("understand", began)
        turn.planned(plan)
        for asked in plan.first:
            self._telling.say(turn, self._policy.check(asked, turn.home))
        if plan.kind is not PlanKind.ACT:
            self._telling.say(turn, plan)
            if plan.kind is not PlanKind.ASK:
                self._answer(turn, plan.after)
            return Ended(plan, wanted=wanted)
        acting = time.monotonic()
        outcomes = await self._executor.execute(plan.actions, on_outcome=turn.carried)
        turn.stage("act", acting)
        await self._telling.outcomes(turn, plan, outcomes)
        if plan.besides is not None:
            self._telling.say(turn, Plan(PlanKind.REFUSE, speech=plan.besides))
        self._answer(turn, plan.after)
        return Ended(plan, outcomes)

    def _answer(self, turn: Turn, answers: Iterable[Plan]) -> None:
        """Give `answers`, as they are by now."""
        home = self._registry.home()
        for before in answers:
            asked = replace(turn.utterance, text=before.sentence)
            now = self._understanding.understand(asked, home, Context(recent=before.devices))
            by_now = now if now.kind is PlanKind.ANSWER else before
            self._telling.say(turn, self._policy.check(by_now, home))

    def _keep_question(self, turn: Turn, plan: Plan, wanted: Plan) -> bool:
        """Keep a question of ours for the next utterance; tell whether there is one."""
        if plan.kind is not PlanKind.ASK:
            return False
        spoken = len(turn.reply.text) / _LETTERS_PER_SECOND
        expires = self._clock() + self._ways.answer_window + spoken
        sentence, speaker = plan.sentence or turn.utterance.text, turn.utterance.speaker
        plan = replace(plan, kind=PlanKind.ACT, sentence=sentence, first=())
        if plan.confirm:
            # A question that understanding put itself has no words yet for what it leads to.
            told = wanted if wanted.kind is PlanKind.ACT else told_of(plan.actions)
            done = replace(plan, confirm=False, speech=told.speech)
            turn.conversation.pending = Pending(done, expires, speaker=speaker)
        elif plan.actions and plan.devices:
            chosen = replace(plan, speech=Speech(f"{plan.skill}.{plan.intent}"))
            turn.conversation.pending = Pending(chosen, expires, plan.devices, speaker)
        return True

    def _remember(self, turn: Turn, ended: Ended, *, asks: bool) -> None:
        """Keep what was said and done, for what is said next and for another day; tell of it."""
        utterance, plan, reply = turn.utterance, ended.plan, turn.reply.text
        commanded = [o.device for o in ended.outcomes if o.device is not None]
        answered = spoken_of(plan, turn.home)
        mentioned = tuple(dict.fromkeys((*commanded, *plan.commanded, *answered)))
        now = self._clock()
        turn.conversation.remember(
            Exchange(utterance.text, reply, mentioned),
            now,
            speaker=utterance.speaker,
            plan=plan,
            deed=_deed(turn.home, ended.outcomes),
        )
        turn.observe(Replied(turn.id, utterance.source, time.monotonic(), reply))
        if self._remembering is not None:
            self._remembering.ended(
                utterance,
                turn.home,
                plan,
                ended.outcomes,
                taught=ended.taught,
                asked=ended.doubted and asks,
                recalled=ended.recalled,
            )


def _ruled(wanted: Plan, plan: Plan) -> str:
    """What the policy made of a plan, for whoever wonders."""
    if plan.kind is not PlanKind.ACT:
        return "asks before it is done" if plan.kind is PlanKind.ASK else "may not be done"
    return "may be done" if plan.actions == wanted.actions else "part of it may not be done"


def _know_better(plan: Plan | None, excuse: Plan) -> bool:
    """Whether the templates, though not sure of `plan`, have more to say than the model's excuse.

    They know what there is not, and can ask about what they were not sure of.
    """
    if plan is None:
        return False
    told = excuse.speech.key if excuse.speech is not None else ""
    if plan.kind is PlanKind.ACT:
        return told == _NOT_UNDERSTOOD or told in FAULTS
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
