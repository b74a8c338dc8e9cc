"""What may be done unasked: the last word between a plan and the appliances."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from assistant.config import PolicySettings
from assistant.errors import AssistantError
from assistant.home.action import Action
from assistant.home.model import Device, Home, Risk
from assistant.home.vocabulary import VOCABULARY, ActionError, Vocabulary
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.later import checked_for_later
from assistant.understand.pin import PinLock, locked_out, refused
from assistant.understand.quiet import QuietHours
from assistant.understand.rules import rules

log = logging.getLogger(__name__)

_RANK: Final = {Risk.SAFE: 0, Risk.RISKY: 1, Risk.PIN: 2, Risk.FORBIDDEN: 3}


@dataclass(frozen=True, slots=True)
class _Judgement:
    """How an action on one device is to be taken; `quiet`: because of the hour alone."""

    risk: Risk
    quiet: bool = False


@dataclass(slots=True)
class _Sifted:
    """What of a plan may be done, what of that must be asked about, and what was dropped whole."""

    allowed: list[Action] = field(default_factory=list)
    asked: dict[_Judgement, Action] = field(default_factory=dict)
    """Of each kind the first, with the devices it is about."""
    dropped: dict[_Judgement, Action] = field(default_factory=dict)


class Policy:
    """Decides over plans by the vocabulary's risks and the owner's settings.

    `pin` is the home's PIN; without one, what needs it is refused. `clock` gives the local time.
    Raises ConfigError where the settings name an action or a type that there is not.
    """

    def __init__(
        self,
        settings: PolicySettings,
        vocabulary: Vocabulary = VOCABULARY,
        *,
        pin: PinLock | None = None,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._settings = settings
        self._vocabulary = vocabulary
        self._clock = clock
        self.pin = pin
        self._safe = rules("policy.safe", settings.safe, vocabulary)
        self._confirm = rules("policy.confirm", settings.confirm, vocabulary)
        self._pin = rules("policy.pin", settings.pin, vocabulary)
        self._never = rules("policy.never", settings.never, vocabulary, questions=True)
        model = settings.model
        self._model_confirm = rules("policy.model.confirm", model.confirm, vocabulary)
        self._model_never = rules("policy.model.never", model.never, vocabulary)
        self._quiet = QuietHours(settings.quiet, vocabulary)

    def check(self, plan: Plan, home: Home, *, by_model: bool = False) -> Plan:
        """`plan` itself, or a question whether to do it (`confirm`, `pin`), or a refusal.

        Devices that are hidden or never to be touched are taken out of a group; a plan that has
        nothing else left is refused. What was left out of a plan of several actions is told in
        `besides`. A question whether to do something, which understanding puts itself, stays that
        question unless what it leads to is refused or takes the PIN: a yes would do it. A plan that
        actuates nothing comes back as it is, unless what it answers is refused. `by_model`: a
        language model made it, which has limits of its own. What a plan will do later (`schedule`)
        is checked as of then, and asked about now.
        """
        now = self._clock()

        def check_at(later: Plan, moment: datetime) -> Plan:
            return self._check(later, home, by_model, moment)

        checked = self._check(plan, home, by_model, now)
        return checked_for_later(checked, home, now.timestamp(), check_at)

    def _check(self, plan: Plan, home: Home, by_model: bool, now: datetime) -> Plan:
        if plan.kind is PlanKind.ANSWER and self._is_refused(plan, home):
            return _refusal(plan, Speech("core.not_allowed"))
        if plan.kind is PlanKind.ASK and plan.confirm:
            wanted = replace(plan, kind=PlanKind.ACT, confirm=False)
            checked = self._check(wanted, home, by_model, now)
            if checked.kind is PlanKind.REFUSE or checked.pin:
                return checked
            return replace(plan, actions=checked.actions, besides=checked.besides)
        if plan.kind is not PlanKind.ACT:
            return plan
        sifted = self._sift(plan.actions, home, by_model, now)
        dropped = [self._why_not(judged, action) for judged, action in sifted.dropped.items()]
        if not sifted.allowed:
            return _refusal(plan, dropped[0] if dropped else Speech("core.not_allowed"))
        plan = replace(plan, actions=tuple(sifted.allowed))
        if dropped:
            plan = replace(plan, besides=dropped[0])
        count = len({device for action in sifted.allowed for device in action.devices})
        if by_model and count > self._settings.model.most:
            return _refusal(plan, Speech("core.too_many", {"count": count}))
        for judged, action in sifted.asked.items():
            if judged.risk is Risk.PIN:
                return self._ask_for_pin(plan, action)
        most = min([self._settings.ask_above, *([self._settings.model.ask_above] * by_model)])
        if count > most:
            return _question(plan, Speech("core.confirm_many", {"count": count}))
        # That it is the hour comes last: "are you sure" of a lock is the graver question.
        for judged, action in sorted(sifted.asked.items(), key=lambda item: item[0].quiet):
            return _question(plan, self._why_asked(judged, action))
        return plan

    def _sift(
        self, actions: Iterable[Action], home: Home, by_model: bool, now: datetime
    ) -> _Sifted:
        sifted = _Sifted()
        for action in actions:
            if not action.devices:
                judged = self._judge(action, None, by_model, now)
                if judged.risk is Risk.FORBIDDEN:
                    sifted.dropped.setdefault(judged, action)
                    continue
                sifted.allowed.append(action)
                if judged.risk is not Risk.SAFE:
                    sifted.asked.setdefault(judged, action)
                continue
            may: list[str] = []
            ask: dict[_Judgement, list[str]] = {}
            not_: dict[_Judgement, list[str]] = {}
            for device_id in action.devices:
                device = home.devices.get(device_id)
                if device is None or not device.exposed:
                    not_.setdefault(_Judgement(Risk.FORBIDDEN), [])
                    continue
                judged = self._judge(action, device, by_model, now)
                if judged.risk is Risk.FORBIDDEN:
                    not_.setdefault(judged, []).append(device_id)
                    continue
                may.append(device_id)
                if judged.risk is not Risk.SAFE:
                    ask.setdefault(judged, []).append(device_id)
            if may:
                sifted.allowed.append(replace(action, devices=tuple(may)))
            else:
                for judged, ids in not_.items():
                    sifted.dropped.setdefault(judged, replace(action, devices=tuple(ids)))
            for judged, ids in ask.items():
                sifted.asked.setdefault(judged, replace(action, devices=tuple(ids)))
        return sifted

    def _judge(
        self, action: Action, device: Device | None, by_model: bool, now: datetime
    ) -> _Judgement:
        """The gravest that nature, settings and the hour make of `action` on `device`."""
        nature = self._vocabulary.risk(device, action)
        if nature is Risk.FORBIDDEN:
            return _Judgement(nature)
        risk, quiet = self._by_rules(action.name, device, nature, by_model), False
        for name in self._comes_to(action, device):
            if _RANK[other := self._by_rules(name, device, Risk.SAFE, by_model)] > _RANK[risk]:
                risk = other
        by_hour = self._quiet.risk(action, device, now)
        if _RANK[by_hour] > _RANK[risk]:
            risk, quiet = by_hour, True
        return _Judgement(risk, quiet)

    def _by_rules(self, name: str, device: Device | None, nature: Risk, by_model: bool) -> Risk:
        if self._never.fit(name, device) or (by_model and self._model_never.fit(name, device)):
            return Risk.FORBIDDEN
        if nature is Risk.PIN or self._pin.fit(name, device):
            return Risk.PIN
        if self._confirm.fit(name, device) or (by_model and self._model_confirm.fit(name, device)):
            return Risk.RISKY
        return Risk.SAFE if self._safe.fit(name, device) else nature

    def _comes_to(self, action: Action, device: Device | None) -> tuple[str, ...]:
        """What `action` is by other names: what a rule says of "open" holds for "toggle" too."""
        if device is None:
            return ()
        try:
            resolved = self._vocabulary.resolve(device, action)
            effect = self._vocabulary.effect(device, resolved)
        except (ActionError, KeyError):  # its state is not known
            return _EITHER.get(action.name, ())
        names = {resolved.name}
        position, on = _number(effect.get("position")), effect.get("on")
        if position is not None:
            now = _number(device.state.get("position"))
            if position == 0 or (now is not None and position <= now):
                names.add("close")
            else:
                names.add("open")
        if isinstance(on, bool) and on is not device.state.get("on"):
            names.add("turn_on" if on else "turn_off")
        return tuple(names - {action.name})

    def _is_refused(self, plan: Plan, home: Home) -> bool:
        """Whether the question that `plan` answers, or any device it speaks of, is refused."""
        asked = [home.devices[i] for i in plan.devices if i in home.devices]
        return any(self._never.fit(plan.query, device) for device in (None, *asked))

    def _ask_for_pin(self, plan: Plan, action: Action) -> Plan:
        """The question for the PIN that `action` needs, or why there is none to ask for."""
        try:
            if self.pin is None or not self.pin.is_set:
                return refused("core.pin_unset")
            if locked := self.pin.locked_for():
                return locked_out(locked)
        except AssistantError as error:
            log.error("a PIN can't be asked for: %s", error)
            return refused("core.pin_unchecked")
        return replace(_question(plan, _about("core.ask_pin", action)), pin=True)

    def _why_asked(self, judged: _Judgement, action: Action) -> Speech:
        if not judged.quiet:
            return _about("core.confirm", action)
        return _about("core.confirm_quiet", action, until=self._quiet.until)

    def _why_not(self, judged: _Judgement, action: Action) -> Speech:
        if not judged.quiet:
            return Speech("core.not_allowed")
        return _about("core.quiet", action, until=self._quiet.until)


_EITHER: Final = {
    "toggle": ("open", "close", "turn_on", "turn_off"),
    "adjust_position": ("open", "close"),
}
"""What an action may come to on a device that has not told its state."""


def _number(value: object) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return float(str(value)) if is_one else None


def _question(plan: Plan, speech: Speech) -> Plan:
    return replace(plan, kind=PlanKind.ASK, confirm=True, speech=speech)


def _refusal(plan: Plan, speech: Speech) -> Plan:
    return replace(plan, kind=PlanKind.REFUSE, actions=(), speech=speech, besides=None)


def _about(key: str, action: Action, **more: object) -> Speech:
    return Speech(key, {"action": action.name, "devices": action.devices, **more})
