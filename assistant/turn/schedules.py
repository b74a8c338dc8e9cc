"""Commands and reminders for a time of day, a date, the sun: kept on disk until they are due.

What came while the assistant was off is not made up for later than a few minutes; of what comes
once it is then said that it was missed. What comes again and again just goes on.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from assistant.errors import HomeError, SkillError
from assistant.home.action import Action
from assistant.home.occasion import Occasion, occasion_from
from assistant.home.registry import Registry
from assistant.home.scheduled import MOST, Scheduled, actions_from, approval_from
from assistant.store import Store, StoredSchedule
from assistant.turn.lookout import keep_looking

_log = logging.getLogger(__name__)

ACTIONS: Final = ("schedule", "remind", "cancel_schedule", "skip_schedule")
"""The actions that `Schedules` performs: register it with `Registry.add_performer`."""
_GRACE: Final = 600.0
"""Seconds by which a command or reminder that comes once may be late."""
_GRACE_AGAIN: Final = 60.0
"""The same for one that will come again."""
_LONGEST_SLEEP: Final = 5.0
"""The clock may be set while we sleep, and another process may change what is scheduled."""


@dataclass(frozen=True, slots=True)
class Come:
    """What is due now. Not `in_time`: it is too late to do it."""

    what: Scheduled
    in_time: bool


class Schedules:
    """Keeps what is scheduled and tells `registry` of it.

    `clock` gives seconds since the epoch. Owned by the event loop.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        language: str = "en",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._registry = registry
        self._language = language
        self._clock = clock
        self._changed = asyncio.Event()
        self._set_right()
        self.refresh()

    async def perform(self, action: Action) -> None:
        """Do one of ACTIONS. Raises SkillError where that can't be."""
        if action.name in ("schedule", "remind"):
            self._add(action)
        else:
            self._take_out(action)
        self.refresh()
        self._changed.set()

    async def run(self, announce: Callable[[Come], Awaitable[None]]) -> None:
        """Tell `announce` of what is due, when it is; runs until cancelled.

        It is put off or forgotten before that, so that nothing is done twice. What `announce`
        raises is logged, and so is a store that fails, until it works again.
        """
        look = functools.partial(self._look, announce)
        await keep_looking(look, self._changed, _LONGEST_SLEEP, "nothing scheduled can be done")

    def refresh(self) -> None:
        """Tell the registry what is scheduled now; call it before a turn."""
        kept = (_scheduled(one) for one in self._store.schedules())
        self._registry.set_schedules(one for one in kept if one is not None)

    async def _look(self, announce: Callable[[Come], Awaitable[None]]) -> float:
        """Announce what is due; the seconds until the next of it."""
        now = self._clock()
        waiting = self._store.schedules()
        due = [one for one in waiting if one.next <= now]
        for one in due:
            what = _scheduled(one)
            if what is None:
                self._store.remove_schedule(one.id)
                continue
            self._put_off(one, what.occasion, now)
            late = now - one.next
            in_time = late <= (_GRACE_AGAIN if what.occasion.recurs else _GRACE)
            if what.occasion.recurs and not in_time:
                _log.warning("what is scheduled as %d is %.0f s late and left out", one.id, late)
                continue
            try:
                await announce(Come(what, in_time))
            except Exception:
                _log.exception("what is scheduled as %d could not be announced", one.id)
        if due:
            self.refresh()
            return 0.0
        return min((one.next - now for one in waiting), default=_LONGEST_SLEEP)

    def _put_off(self, one: StoredSchedule, occasion: Occasion, now: float) -> None:
        """Until its occasion comes again after `now`; for good where it does not."""
        coming = occasion.after(now, self._registry.home().whereabouts) if occasion.recurs else None
        if coming is None:
            self._store.remove_schedule(one.id)
        else:
            today = self._registry.home().whereabouts.local(now).date()
            left = replace(occasion, but=frozenset(day for day in occasion.but if day >= today))
            self._store.put_schedule(replace(one, occasion=str(left), next=coming))

    def _add(self, action: Action) -> None:
        if len(self._store.schedules()) >= MOST:
            raise SkillError(f"{MOST} commands and reminders wait already; cancel some first")
        occasion = _occasion(str(action.params["when"]))
        coming = occasion.after(self._clock(), self._registry.home().whereabouts)
        if coming is None:
            raise SkillError("that time has passed, or never comes")
        self._store.put_schedule(
            StoredSchedule(
                id=0,
                occasion=str(occasion),
                next=coming,
                command=str(action.params.get("command", "")),
                message=str(action.params.get("message", "")),
                does=str(action.params.get("does", "[]")),
                approved=str(action.params.get("approved", "")),
                area=str(action.params["area"]) if "area" in action.params else None,
                language=self._language,
            )
        )

    def _take_out(self, action: Action) -> None:
        """Cancel one that is scheduled, or leave it out on a day."""
        wanted = int(str(action.params["schedule"]))
        one = next((s for s in self._store.schedules() if s.id == wanted), None)
        if one is None:
            raise SkillError("that is not scheduled any more")
        occasion = _occasion(one.occasion)
        if action.name == "cancel_schedule" or not occasion.recurs:
            self._store.remove_schedule(one.id)
            return
        try:
            day = date.fromisoformat(str(action.params["day"]))
        except ValueError as error:
            raise SkillError(f"{action.params['day']!r} is no day such as 2026-12-24") from error
        occasion = replace(occasion, but=occasion.but | {day})
        self._put_off(one, occasion, self._clock())

    def _set_right(self) -> None:
        """Put right what is to come where the home's time zone or place is another than it was."""
        home = self._registry.home().whereabouts
        now = self._clock()
        for one in self._store.schedules():
            what = _scheduled(one)
            if what is None or one.next <= now:
                continue
            coming = what.occasion.after(now, home)
            still = what.occasion.on(home.local(one.next).date(), home)
            moved = still is None or abs(still - one.next) >= 1
            if coming is not None and moved:
                self._store.put_schedule(replace(one, next=coming))


def _scheduled(one: StoredSchedule) -> Scheduled | None:
    """`one` as the home knows it; None, and logged, where it was written by other hands."""
    try:
        return Scheduled(
            id=one.id,
            occasion=occasion_from(one.occasion),
            next=one.next,
            command=one.command,
            message=one.message,
            area=one.area,
            language=one.language,
            does=actions_from(one.does),
            approved=approval_from(one.approved),
        )
    except (HomeError, ValueError, TypeError) as error:
        _log.error("what is scheduled as %d can't be read: %s", one.id, error)
        return None


def _occasion(text: str) -> Occasion:
    try:
        return occasion_from(text)
    except HomeError as error:
        raise SkillError(str(error)) from error
