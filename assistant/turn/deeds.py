"""What a language model wants done, checked and begun action by action while it still writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from assistant.home.action import Action, Outcome
from assistant.home.executor import Executor
from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.policy import Policy


class Deeds:
    """The actions of one utterance.

    What the policy lets pass is carried out at once, each action after those before it that
    concern the same devices. What it asks about waits, together with what the planner is not sure
    of, for one question in the end. The policy's limit of devices is for the utterance as a whole.
    """

    def __init__(
        self, policy: Policy, executor: Executor, home: Home, on_outcome: Callable[[Outcome], None]
    ) -> None:
        self._policy = policy
        self._executor = executor
        self._home = home
        self._on_outcome = on_outcome
        self._begun: list[tuple[Action, asyncio.Task[tuple[Outcome, ...]]]] = []
        self._held: list[Action] = []
        self._question: Plan | None = None
        self.wanted = False
        """Something was wanted, whatever became of it."""
        self.forbidden = False
        """Something was wanted that may not be done."""

    @property
    def begun(self) -> tuple[Action, ...]:
        """What is being carried out, or has been."""
        return tuple(action for action, _ in self._begun)

    def take(self, action: Action) -> None:
        """Begin `action`, or hold it back for the question, or note that it is forbidden."""
        self.wanted = True
        alone = self._policy.check(Plan(PlanKind.ACT, actions=(action,)), self._home)
        if alone.kind is PlanKind.REFUSE:
            self.forbidden = True
            return
        (action,) = alone.actions
        together = Plan(PlanKind.ACT, actions=(*self.begun, action))
        if PlanKind.ASK in (alone.kind, self._policy.check(together, self._home).kind):
            self._held.append(action)
            return
        before = [task for other, task in self._begun if _meet(other, action)]
        self._begun.append((action, asyncio.create_task(self._do(action, before))))

    def hold(self, question: Plan) -> None:
        """Put `question`, the planner's own, about its actions in the end."""
        self.wanted = True
        asked = replace(question, kind=PlanKind.ACT, confirm=False)
        checked = self._policy.check(asked, self._home)
        if checked.kind is PlanKind.REFUSE:
            self.forbidden = True
            return
        self._question = replace(question, actions=checked.actions)

    def question(self) -> Plan | None:
        """The one question about all that waits for a yes, which carries out its actions."""
        held = tuple(self._held)
        if not held:
            return self._question
        if self._question is not None:
            held += self._question.actions
        everything = Plan(PlanKind.ACT, actions=(*self.begun, *held))
        asked = self._policy.check(everything, self._home)
        question = Plan(PlanKind.ASK, actions=held, confirm=True, speech=asked.speech)
        one = asked.speech is not None and asked.speech.key == "core.confirm" and not held[1:]
        if not one and asked.speech is not None and asked.speech.key == "core.confirm":
            return replace(question, speech=Speech("core.confirm_actions", {"actions": held}))
        return question

    async def outcomes(self) -> tuple[Outcome, ...]:
        """What came of all that was begun, in the order in which it was wanted."""
        done = await asyncio.gather(*(task for _, task in self._begun))
        return tuple(outcome for outcomes in done for outcome in outcomes)

    def abandon(self) -> None:
        """End what is still being carried out; nobody waits for it."""
        for _, task in self._begun:
            task.cancel()

    async def _do(
        self, action: Action, before: list[asyncio.Task[tuple[Outcome, ...]]]
    ) -> tuple[Outcome, ...]:
        if before:
            await asyncio.wait(before)
        return await self._executor.execute((action,), on_outcome=self._on_outcome)


def _meet(first: Action, second: Action) -> bool:
    """Whether the order of the two matters: they share a device, or have none."""
    return bool(set(first.devices) & set(second.devices)) or not (first.devices or second.devices)
