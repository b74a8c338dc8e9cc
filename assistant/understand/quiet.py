"""Quiet hours: when they are, and what is then asked about first or refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, get_args

from assistant.config import Day, QuietSettings
from assistant.home.action import Action
from assistant.home.model import Device, Risk
from assistant.home.vocabulary import ActionError, Vocabulary
from assistant.understand.rules import rules

_DAYS: Final = get_args(Day)


class QuietHours:
    """The hours of the settings. Raises ConfigError where those name an action there is not."""

    def __init__(self, settings: QuietSettings, vocabulary: Vocabulary) -> None:
        self._settings = settings
        self._vocabulary = vocabulary
        self._confirm = rules("policy.quiet.confirm", settings.confirm, vocabulary)
        self._never = rules("policy.quiet.never", settings.never, vocabulary)

    @property
    def until(self) -> str:
        """When they end, as the time of day: "7:00"."""
        end = self._settings.end
        return f"{end.hour}:{end.minute:02}" if end is not None else ""

    def include(self, moment: datetime) -> bool:
        """Whether `moment`, in local time, is within them."""
        begin, end = self._settings.begin, self._settings.end
        if begin is None or end is None:
            return False
        clock = moment.time()
        if begin < end:
            return begin <= clock < end and self._begin_on(moment)
        if clock >= begin:
            return self._begin_on(moment)
        return clock < end and self._begin_on(moment - timedelta(days=1))

    def _begin_on(self, moment: datetime) -> bool:
        return _DAYS[moment.weekday()] in self._settings.days

    def risk(self, action: Action, device: Device | None, moment: datetime) -> Risk:
        """How the hour takes `action` on `device`: SAFE outside of the hours."""
        if not self.include(moment):
            return Risk.SAFE
        if self._never.fit(action.name, device):
            return Risk.FORBIDDEN
        asked = self._confirm.fit(action.name, device) or self._is_loud(action, device)
        return Risk.RISKY if asked else Risk.SAFE

    def _is_loud(self, action: Action, device: Device | None) -> bool:
        """Whether a player would become louder, and louder than it may be unasked."""
        if device is None:
            return False
        try:
            resolved = self._vocabulary.resolve(device, action)
            volume = self._vocabulary.effect(device, resolved).get("volume")
        except (ActionError, KeyError):
            return False
        now = device.state.get("volume")
        if isinstance(volume, bool) or not isinstance(volume, int | float):
            return False
        louder = not isinstance(now, int | float) or volume > now
        return louder and volume > self._settings.volume
