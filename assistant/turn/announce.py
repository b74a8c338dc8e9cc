"""Saying something unasked: a timer that rings, a command whose time has come, a message to all."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from typing import Protocol

from assistant.errors import SkillError
from assistant.home.action import Action
from assistant.plan import Speech, Utterance
from assistant.turn.events import TurnEnded, Woken
from assistant.turn.reply import Replies
from assistant.turn.respond import Responder
from assistant.turn.schedules import Come
from assistant.turn.timers import Due
from assistant.turn.trace import Observer
from assistant.understand.conversation import Conversation
from assistant.understand.later import Agreed

log = logging.getLogger(__name__)

SOURCE = "timer"

UNSAID = 8
"""Rings kept for when somebody can speak; the oldest is dropped beyond this."""


class Loud(Protocol):
    """Something that can speak in a room."""

    def announce(self, text: str) -> None:
        """Say `text` as soon as no turn is under way there."""
        ...


class Announcer:
    """Knows who can speak where. Performs the action `broadcast`."""

    def __init__(self, responder: Responder, replies: Replies, observe: Observer) -> None:
        self._responder = responder
        self._replies = replies
        self._observe = observe
        self._places: dict[Loud, str | None] = {}
        self._unsaid: deque[tuple[str, str | None]] = deque(maxlen=UNSAID)

    def add(self, speaker: Loud, area: str | None) -> None:
        """From now on `speaker` speaks in `area` (None: not known where)."""
        self._places[speaker] = area
        # Soon, not now: whoever adds a speaker is about to start it.
        asyncio.get_running_loop().call_soon(self._catch_up)

    def _catch_up(self) -> None:
        while self._unsaid and self._places:
            self.say(*self._unsaid.popleft())

    def remove(self, speaker: Loud) -> None:
        """`speaker` is gone."""
        self._places.pop(speaker, None)

    def say(self, text: str, area: str | None = None) -> int:
        """Have `text` said in `area`, or everywhere where nobody is there; returns in how many."""
        there = [speaker for speaker, place in self._places.items() if area and place == area]
        speakers = there or list(self._places)
        for speaker in speakers:
            speaker.announce(text)
        return len(speakers)

    async def perform(self, action: Action) -> None:
        """Say the message of a `broadcast` everywhere. Raises SkillError where nobody can."""
        if not self.say(str(action.params["message"])):
            raise SkillError("there is no loudspeaker to say it on")

    async def ring(self, due: Due) -> None:
        """A timer is up, or the time of a command has come: do it, and say so.

        Where nobody can speak yet, as right after the start, it is said as soon as somebody can.
        """
        timer = due.timer
        if timer.command is None:
            speech = Speech("timers.rings", {"name": timer.name, "duration": timer.duration})
            text = self._replies.word(speech, timer.language)
        elif due.may_act:
            text = await self._carry_out(timer.command, timer.language, timer.area, due.agreed)
        else:
            log.warning("a command for later is %.0f s late and is not carried out", due.late)
            text = self._replies.word(
                Speech("timers.missed", {"command": timer.command}), timer.language
            )
        self._say_soon(text, timer.area)

    async def remind(self, come: Come) -> None:
        """The time of what is scheduled has come: do it, or say that it was missed."""
        what = come.what
        values = {"command": what.command, "message": what.message}
        if what.command and come.in_time:
            agreed = Agreed(what.does, what.approved)
            text = await self._carry_out(what.command, what.language, what.area, agreed)
        else:
            key = "reminder" if what.message else "too_late"
            key = key if come.in_time or not what.message else "late_reminder"
            text = self._replies.word(Speech(f"schedule.{key}", values), what.language)
        self._say_soon(text, what.area)

    def _say_soon(self, text: str, area: str | None) -> None:
        if not self.say(text, area):
            log.warning("nobody is there yet to say what is due")
            self._unsaid.append((text, area))

    async def _carry_out(
        self, command: str, language: str, area: str | None, agreed: Agreed
    ) -> str:
        turn = secrets.token_hex(4)
        utterance = Utterance(command, language, area, source=SOURCE, spoken_at=time.time())
        self._observe(Woken(turn, SOURCE, time.monotonic(), None))
        try:
            # A conversation of its own: nobody is there to answer a question.
            response = await self._responder.respond(
                utterance, Conversation(), turn=turn, observe=self._observe, agreed=agreed
            )
        finally:
            self._observe(TurnEnded(turn, SOURCE, time.monotonic()))
        if response.asks:
            return self._replies.word(Speech("schedule.not_done", {"command": command}), language)
        return response.reply
