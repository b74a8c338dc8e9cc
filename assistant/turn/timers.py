"""Timers and commands for later: kept on disk, rung when they are due.

A timer that ended while the assistant was off rings when it is back. A command for later is not
carried out late: what was meant for ten minutes ago is announced, not done.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from assistant.errors import SkillError
from assistant.home.action import Action
from assistant.home.model import Timer
from assistant.home.registry import Registry
from assistant.home.scheduled import Delayed, actions_from, approval_from
from assistant.store import Store, StoredTimer
from assistant.turn.lookout import keep_looking
from assistant.understand.later import Agreed

_log = logging.getLogger(__name__)

ACTIONS: Final = (
    "start_timer",
    "cancel_timer",
    "cancel_all_timers",
    "pause_timer",
    "resume_timer",
    "add_time",
    "remove_time",
    "delay",
)
"""The actions a `Timers` performs: register it with `Registry.add_performer(ACTIONS, timers)`."""
_TOO_LATE: Final = 600.0
"""Seconds after which a command for later is no longer carried out; the same as for one that was
scheduled. After a power cut a small machine takes a minute or two to be back.
"""
_LONGEST_SLEEP: Final = 5.0
"""The clock may be set while we sleep, and `assistant ask` may add a timer from another process:
look again this often (seconds)."""


@dataclass(frozen=True, slots=True)
class Due:
    """A timer that is up, or a command whose time has come. `late`: seconds since it was due."""

    timer: StoredTimer
    late: float

    @property
    def may_act(self) -> bool:
        """Whether a command for later may still be carried out."""
        return self.timer.command is not None and self.late <= _TOO_LATE

    @property
    def agreed(self) -> Agreed:
        """What was agreed to when the command was given."""
        return Agreed(_meaning(self.timer), approval_from(self.timer.approved))


class Timers:
    """Performs the timer actions and tells `registry` which timers run.

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
        self.refresh()

    async def perform(self, action: Action) -> None:
        """Do one of ACTIONS. Raises SkillError when there is no such timer."""
        match action.name:
            case "start_timer" | "delay":
                self._start(action)
            case "cancel_all_timers":
                self._cancel_all(action)
            case _:
                self._change(action)
        self.refresh()
        self._changed.set()

    async def run(self, announce: Callable[[Due], Awaitable[None]]) -> None:
        """Tell `announce` of each timer when it is due; runs until cancelled.

        A timer is forgotten before it is announced, so that none rings twice. What `announce`
        raises is logged, and the next timers go on. While the store fails (a full disk), which is
        logged once, it is tried again.
        """
        look = functools.partial(self._ring_due, announce)
        await keep_looking(look, self._changed, _LONGEST_SLEEP, "no timer can ring")

    async def _ring_due(self, announce: Callable[[Due], Awaitable[None]]) -> float:
        """Announce what is due; the seconds until it is time to look again."""
        now = self._clock()
        running = [(t, t.ends) for t in self._store.timers() if t.ends is not None]
        due = [(timer, ends) for timer, ends in running if ends <= now]
        for timer, ends in due:
            self._store.remove_timer(timer.id)
            self.refresh()
            try:
                await announce(Due(timer, now - ends))
            except Exception:
                _log.exception("timer %s could not be announced", timer.id)
        if due:
            return 0.0
        return min((ends - now for _, ends in running), default=_LONGEST_SLEEP)

    def _start(self, action: Action) -> None:
        seconds = float(str(action.params["seconds"]))
        self._store.put_timer(
            StoredTimer(
                id=f"timer.{uuid.uuid4().hex[:12]}",
                duration=seconds,
                ends=self._clock() + seconds,
                name=_text(action, "name"),
                area=_text(action, "area"),
                command=_text(action, "command"),
                language=_text(action, "language") or self._language,
                does=_text(action, "does") or "[]",
                approved=_text(action, "approved") or "",
            )
        )

    def _cancel_all(self, action: Action) -> None:
        place = _text(action, "area")
        area_ids = {
            area.id
            for area in self._registry.home().areas
            if place is None or place in (area.id, area.name)
        }
        for timer in self._store.timers():
            if timer.command is None and (place is None or timer.area in area_ids):
                self._store.remove_timer(timer.id)

    def _change(self, action: Action) -> None:
        timer = self._find(action)
        now = self._clock()
        left = timer.remaining if timer.ends is None else max(0.0, timer.ends - now)
        left = left or 0.0
        match action.name:
            case "cancel_timer":
                self._store.remove_timer(timer.id)
                return
            case "pause_timer":
                timer = replace(timer, ends=None, remaining=left)
            case "resume_timer":
                timer = replace(timer, ends=now + left, remaining=None)
            case _:
                seconds = float(str(action.params["seconds"]))
                left = max(0.0, left + (seconds if action.name == "add_time" else -seconds))
                if timer.ends is None:
                    timer = replace(timer, remaining=left)
                else:
                    timer = replace(timer, ends=now + left)
        self._store.put_timer(timer)

    def _find(self, action: Action) -> StoredTimer:
        wanted, name = _text(action, "timer"), _text(action, "name")
        # A command for later is none of those that are spoken of as timers, but has an id too.
        timers = [t for t in self._store.timers() if t.command is None or t.id == wanted]
        if wanted is not None:
            timers = [t for t in timers if t.id == wanted]
        elif name is not None:
            timers = [t for t in timers if (t.name or "").casefold() == name.casefold()]
        if len(timers) != 1:
            raise SkillError(
                "there is no such timer" if not timers else "there are several such timers"
            )
        return timers[0]

    def refresh(self) -> None:
        """Tell the registry how long each timer and command has left; call it before a turn."""
        now = self._clock()
        timers, delayed = [], []
        for t in self._store.timers():
            left = (t.remaining or 0.0) if t.ends is None else max(0.0, t.ends - now)
            if t.command is None:
                timers.append(Timer(t.id, t.name, t.area, t.duration, left, t.ends is None))
            else:
                delayed.append(Delayed(t.id, t.command, left, t.area, _meaning(t)))
        self._registry.set_timers(timers, sorted(delayed, key=lambda one: one.remaining))


def _meaning(timer: StoredTimer) -> tuple[Action, ...]:
    """What the command of `timer` meant; nothing, and logged, where it was written by others."""
    try:
        return actions_from(timer.does)
    except (ValueError, TypeError) as error:
        _log.error("what %s will do can't be read: %s", timer.id, error)
        return ()


def _text(action: Action, name: str) -> str | None:
    value = action.params.get(name)
    return str(value) if value is not None and str(value).strip() else None
