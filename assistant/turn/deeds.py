"""What a language model wants done, checked and begun action by action while it still writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from assistant.home.action import Action, Outcome
from assistant.home.executor import Executor
from assistant.home.model import Home
from assistant.home.vocabulary import VOCABULARY
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.caution import question_about
from assistant.understand.policy import Policy

_REPLIES: Final = {
    "turn_on": "switches.turn_on",
    "turn_off": "switches.turn_off",
    "toggle": "switches.toggle",
    "set_brightness": "lights.set_brightness",
    "adjust_brightness": "lights.adjust_brightness",
    "set_color": "lights.set_color",
    "set_color_temp": "lights.set_color_temp",
    "adjust_color_temp": "lights.adjust_color_temp",
    "open": "covers.open",
    "close": "covers.close",
    "stop": "covers.stop",
    "set_position": "covers.set_position",
    "adjust_position": "covers.adjust_position",
    "lock": "locks.lock",
    "unlock": "locks.unlock",
    "set_temperature": "climate.set_temperature",
    "adjust_temperature": "climate.adjust_temperature",
    "set_mode": "climate.set_mode",
    "set_fan_speed": "fans.set_speed",
    "adjust_fan_speed": "fans.adjust_speed",
    "oscillate": "fans.swing",
    "media_play": "media.play",
    "media_pause": "media.pause",
    "media_stop": "media.stop",
    "media_next": "media.next",
    "media_previous": "media.previous",
    "play_media": "media.play_media",
    "set_volume": "media.set_volume",
    "adjust_volume": "media.adjust_volume",
    "mute": "media.mute",
    "unmute": "media.unmute",
    "vacuum_start": "vacuum.start",
    "vacuum_return": "vacuum.come_home",
    "vacuum_pause": "vacuum.pause",
    "vacuum_stop": "vacuum.stop",
    "activate_scene": "scenes.activate",
    "run_script": "scenes.run",
    "list_add": "lists.add",
    "list_complete": "lists.complete",
    "list_remove": "lists.remove",
    "start_timer": "timers.start",
    "delay": "timers.later",
    "broadcast": "broadcast.broadcast",
}
"""Where the skills have words for an action that was done."""


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
        self._doubted = False
        self.forbidden: Plan | None = None
        """The refusal of what was wanted first and may not be done."""

    @property
    def begun(self) -> tuple[Action, ...]:
        """What is being carried out, or has been."""
        return tuple(action for action, _ in self._begun)

    @property
    def doubted(self) -> bool:
        """Whether the planner's own doubt is all that keeps anything from being done."""
        return self._doubted and not (self._held or self._begun or self.forbidden)

    def take(self, action: Action) -> None:
        """Begin `action`, or hold it back for the question, or note that it is forbidden."""
        self.wanted = True
        alone = self._checked(Plan(PlanKind.ACT, actions=(action,)))
        if alone.kind is PlanKind.REFUSE:
            self._forbid(alone)
            return
        (action,) = alone.actions
        together = Plan(PlanKind.ACT, actions=(*self.begun, action))
        whole = self._checked(together)
        if whole.kind is PlanKind.REFUSE:  # one too many
            self._forbid(whole)
            return
        if PlanKind.ASK in (alone.kind, whole.kind):
            self._held.append(action)
            return
        before = [task for other, task in self._begun if _meet(other, action)]
        self._begun.append((action, asyncio.create_task(self._do(action, before))))

    def hold(self, question: Plan) -> None:
        """Put `question`, the planner's own, about its actions in the end."""
        self.wanted = True
        asked = replace(question, kind=PlanKind.ACT, confirm=False)
        checked = self._checked(asked)
        if checked.kind is PlanKind.REFUSE:
            self._forbid(checked)
            return
        self._doubted = checked.kind is PlanKind.ACT
        self._question = replace(question, actions=checked.actions, pin=checked.pin)
        if checked.pin:
            self._question = replace(self._question, speech=checked.speech)

    def question(self) -> Plan | None:
        """The one question about all that waits for a yes, which carries out its actions."""
        held = tuple(self._held)
        if not held:
            return self._question
        if self._question is not None:
            held += self._question.actions
        everything = Plan(PlanKind.ACT, actions=(*self.begun, *held))
        checked = self._checked(everything)
        if checked.kind is PlanKind.REFUSE:
            return checked
        speech = checked.speech
        if held[1:] and speech is not None and speech.key == "core.confirm":
            speech = question_about(held, self._home)
        return Plan(PlanKind.ASK, actions=held, confirm=True, pin=checked.pin, speech=speech)

    async def outcomes(self) -> tuple[Outcome, ...]:
        """What came of all that was begun, in the order in which it was wanted."""
        done = await asyncio.gather(*(task for _, task in self._begun))
        return tuple(outcome for outcomes in done for outcome in outcomes)

    def abandon(self) -> None:
        """End what is still being carried out; nobody waits for it."""
        for _, task in self._begun:
            task.cancel()

    def _forbid(self, refusal: Plan) -> None:
        self.forbidden = self.forbidden or refusal

    def _checked(self, plan: Plan) -> Plan:
        return self._policy.check(plan, self._home, by_model=True)

    async def _do(
        self, action: Action, before: list[asyncio.Task[tuple[Outcome, ...]]]
    ) -> tuple[Outcome, ...]:
        if before:
            await asyncio.wait(before)
        return await self._executor.execute((action,), on_outcome=self._on_outcome)


def told_of(actions: Iterable[Action]) -> Plan:
    """A plan that words what came of `actions` as the skills word it, action by action."""
    parts = [Plan(PlanKind.ACT, actions=(action,), speech=_told(action)) for action in actions]
    whole = tuple(action for part in parts for action in part.actions)
    return Plan(PlanKind.ACT, actions=whole, speech=Speech("core.done", {"parts": parts}))


def _told(action: Action) -> Speech:
    spec = VOCABULARY.actions.get(action.name)
    key = _REPLIES.get(action.name)
    if spec is None or key is None:
        return Speech("core.done")
    # Wordings look at parameters that may have been left out.
    return Speech(key, {param.name: None for param in spec.params})


def _meet(first: Action, second: Action) -> bool:
    """Whether the order of the two matters: they share a device, or have none."""
    return bool(set(first.devices) & set(second.devices)) or not (first.devices or second.devices)
