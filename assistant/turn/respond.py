"""From an utterance to what is said back: the one way for speech, `ask` and `replay` alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from assistant.home.action import Outcome
from assistant.home.executor import Executor
from assistant.home.model import Home
from assistant.home.registry import Registry
from assistant.plan import Plan, PlanKind, Speech, Utterance
from assistant.turn.events import Carried, Planned, Replied, StageDone
from assistant.turn.reply import Replies
from assistant.turn.trace import Observer
from assistant.understand.conversation import Conversation, Pending, answer
from assistant.understand.language import load_language
from assistant.understand.policy import Policy
from assistant.understand.template import TemplateUnderstanding

MOST_ALTERNATIVES = 3
"""Further readings of the recogniser that are tried where the first is not understood."""
_LETTERS_PER_SECOND = 12.0  # of speech: a question can't be answered before it has been asked


@dataclass(frozen=True, slots=True)
class Response:
    """What a turn came to. `asks`: an answer is awaited, so keep listening."""

    plan: Plan
    outcomes: tuple[Outcome, ...]
    reply: str
    asks: bool = False


class Responder:
    """Understands, asks the policy, carries out, and words what came of it.

    `answer_window`: seconds for which a question of ours waits for its answer, from the moment at
    which it has been spoken. `refresh` brings up to date what changes by itself (timers) before
    each turn.
    """

    def __init__(
        self,
        understanding: TemplateUnderstanding,
        policy: Policy,
        executor: Executor,
        replies: Replies,
        registry: Registry,
        *,
        answer_window: float = 6.0,
        min_score: float = 0.5,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._understanding = understanding
        self._policy = policy
        self._executor = executor
        self._replies = replies
        self._registry = registry
        self._answer_window = answer_window
        self._min_score = min_score
        self._refresh = refresh

    async def respond(
        self,
        utterance: Utterance,
        conversation: Conversation,
        *,
        turn: str = "",
        observe: Observer = lambda _: None,
    ) -> Response:
        """One turn of `conversation`. Tells `observe` of Planned, each Carried, and Replied."""
        self._refresh()
        home = self._registry.home()
        language = load_language(utterance.language)
        now = time.monotonic()
        had_asked = conversation.pending is not None and not conversation.pending.choices
        plan = answer(conversation, utterance.text, home, language, now)
        confirmed = plan is not None and plan.kind is PlanKind.ACT and had_asked
        if plan is None:
            plan = self._understood(utterance, home, conversation)
        if plan.kind is PlanKind.ACT and plan.score < self._min_score:
            unsure = Speech("core.not_understood", {"heard": utterance.text})
            plan = Plan(PlanKind.UNKNOWN, score=plan.score, speech=unsure)
        wanted = plan
        if not confirmed:
            plan = self._policy.check(plan, home)
        planned = time.monotonic()
        observe(StageDone(turn, utterance.source, planned, "understand", now, planned))
        observe(Planned(turn, utterance.source, planned, plan))
        outcomes: tuple[Outcome, ...] = ()
        if plan.kind is PlanKind.ACT:
            outcomes = await self._executor.execute(
                plan.actions,
                on_outcome=lambda o: observe(Carried(turn, utterance.source, time.monotonic(), o)),
            )
            done = time.monotonic()
            observe(StageDone(turn, utterance.source, done, "act", planned, done))
            reply = self._replies.from_outcomes(
                plan, outcomes, self._registry.home(), utterance.language
            )
        else:
            reply = self._replies.word(self._worded(plan, utterance.language), utterance.language)
        if mentioned := tuple(
            dict.fromkeys((*(i for a in plan.actions for i in a.devices), *plan.devices))
        ):
            conversation.recent = mentioned
        asks = self._remember(conversation, plan, wanted, reply)
        observe(Replied(turn, utterance.source, time.monotonic(), reply))
        return Response(plan, outcomes, reply, asks)

    def _understood(self, utterance: Utterance, home: Home, conversation: Conversation) -> Plan:
        """The plan for what was most likely said, or else for what may have been said instead."""
        plan = self._understanding.understand(utterance, home, conversation.recent)
        if plan.kind is not PlanKind.UNKNOWN:
            return plan
        for text in utterance.alternatives[:MOST_ALTERNATIVES]:
            other = self._understanding.understand(
                replace(utterance, text=text), home, conversation.recent
            )
            if other.kind in (PlanKind.ACT, PlanKind.ANSWER):
                return other
        return plan

    def _worded(self, plan: Plan, language: str) -> Speech:
        speech = plan.speech or Speech("core.done")
        if "devices" not in speech.values:
            return speech
        home = self._registry.home()
        devices = [home.devices[i] for i in speech.values["devices"] if i in home.devices]
        return replace(
            speech, values={**speech.values, **self._replies.target(devices, home, language)}
        )

    def _remember(self, conversation: Conversation, plan: Plan, wanted: Plan, reply: str) -> bool:
        """Keep a question of ours for the next utterance; tell whether there is one."""
        if plan.kind is not PlanKind.ASK:
            return False
        expires = time.monotonic() + self._answer_window + len(reply) / _LETTERS_PER_SECOND
        if plan.confirm:
            done = replace(plan, kind=PlanKind.ACT, confirm=False, speech=wanted.speech)
            conversation.pending = Pending(done, expires)
        elif plan.actions:
            chosen = replace(plan, kind=PlanKind.ACT, speech=Speech(f"{plan.skill}.{plan.intent}"))
            conversation.pending = Pending(chosen, expires, plan.devices)
        return True
