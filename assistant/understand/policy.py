"""What may be done unasked: the last word between a plan and the appliances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from assistant.config import PolicySettings
from assistant.errors import ConfigError
from assistant.home.action import Action
from assistant.home.model import Device, Home, Risk
from assistant.home.vocabulary import VOCABULARY, Vocabulary
from assistant.plan import Plan, PlanKind, Speech

_RANK: Final = {Risk.SAFE: 0, Risk.RISKY: 1, Risk.FORBIDDEN: 2}


class Policy:
    """Decides over plans by the vocabulary's risks and the owner's settings.

    Raises ConfigError where the settings name an action that there is not.
    """

    def __init__(self, settings: PolicySettings, vocabulary: Vocabulary = VOCABULARY) -> None:
        for setting in ("confirm", "never"):
            for entry in getattr(settings, setting):
                if entry.partition(":")[0] not in vocabulary.actions:
                    known = ", ".join(sorted(vocabulary.actions))
                    raise ConfigError(
                        f"policy.{setting}: {entry!r} names no action; known: {known}"
                    )
        self._settings = settings
        self._vocabulary = vocabulary

    def check(self, plan: Plan, home: Home) -> Plan:
        """`plan` itself, or a question whether to do it (`confirm`), or a refusal.

        Devices that are hidden or never to be touched are taken out of a group; a plan that has
        nothing else left is refused. A plan that actuates nothing comes back as it is.
        """
        if plan.kind is not PlanKind.ACT:
            return plan
        allowed, worst = self._allowed(plan.actions, home)
        if not allowed:
            return replace(
                plan, kind=PlanKind.REFUSE, actions=(), speech=Speech("core.not_allowed")
            )
        plan = replace(plan, actions=tuple(allowed))
        commanded = {device for action in allowed for device in action.devices}
        if len(commanded) > self._settings.ask_above:
            speech = Speech("core.confirm_many", {"count": len(commanded)})
            return replace(plan, kind=PlanKind.ASK, confirm=True, speech=speech)
        if worst is None:
            return plan
        speech = Speech("core.confirm", {"action": worst.name, "devices": worst.devices})
        return replace(plan, kind=PlanKind.ASK, confirm=True, speech=speech)

    def _allowed(self, actions: Iterable[Action], home: Home) -> tuple[list[Action], Action | None]:
        """What of `actions` may be done, and the first part of it that must be asked about."""
        allowed: list[Action] = []
        worst: Action | None = None
        for action in actions:
            if not action.devices:
                if self._risk(action, None) is Risk.FORBIDDEN:
                    continue
                allowed.append(action)
                if worst is None and self._risk(action, None) is Risk.RISKY:
                    worst = action
                continue
            may, ask = [], []
            for device_id in action.devices:
                device = home.devices.get(device_id)
                if device is None or not device.exposed:
                    continue
                risk = self._risk(action, device)
                if risk is Risk.FORBIDDEN:
                    continue
                may.append(device_id)
                if risk is Risk.RISKY:
                    ask.append(device_id)
            if may:
                allowed.append(replace(action, devices=tuple(may)))
                if ask and worst is None:
                    worst = replace(action, devices=tuple(ask))
        return allowed, worst

    def _risk(self, action: Action, device: Device | None) -> Risk:
        names = {action.name}
        if device is not None:
            names.add(f"{action.name}:{device.id}")
        if names & set(self._settings.never):
            return Risk.FORBIDDEN
        own = Risk.RISKY if names & set(self._settings.confirm) else Risk.SAFE
        return max(own, self._vocabulary.risk(device, action), key=_RANK.__getitem__)
