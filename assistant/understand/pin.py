"""The PIN of the home: whether it is asked for, and whether it is right.

What was said in answer to a question for it is nobody else's business: turns put `HIDDEN` in its
place before anybody is told of it. Kept is a salted digest. Every attempt is counted as failed
before it is made, on disk, so that neither a restart nor a power cut gives further ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import secrets
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from assistant.errors import AssistantError, ConfigError
from assistant.plan import Plan, PlanKind, Speech, Utterance
from assistant.store import Store
from assistant.understand.conversation import Conversation
from assistant.understand.digits import LONGEST, SHORTEST, may_hold, readings, speaks_of_pin
from assistant.understand.language import Language
from assistant.understand.normal import squeeze

log = logging.getLogger(__name__)

HIDDEN: Final = "****"
"""What stands in every record for words that may hold the PIN."""
_AFTERWARDS: Final = 30.0
"""Seconds after a question for the PIN is over, or was answered by none that was understood, for
which whatever is said may still be the PIN, however it was misheard."""
_SALT: Final = 16
_WORK: Final = {"n": 1 << 14, "r": 8, "p": 1}


class Verdict(StrEnum):
    """What came of an attempt."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"
    """Not compared: it was wrong too often, or there is none."""


class PinLock:
    """The PIN of the home, kept in `store`.

    After `attempts` wrong ones none is taken for `lockout` seconds. `clock` gives seconds since the
    epoch. Methods raise AssistantError where the disk fails.
    """

    def __init__(
        self,
        store: Store,
        attempts: int = 3,
        lockout: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._lockout = lockout
        self._clock = clock

    @property
    def is_set(self) -> bool:
        """Whether there is a PIN."""
        return self._store.pin() is not None

    def locked_for(self) -> float:
        """Seconds until a PIN is taken again; 0: it is taken now."""
        stored = self._store.pin()
        left = stored.locked_until - self._clock() if stored is not None else 0.0
        if left > self._lockout:  # the clock was put back
            left = self._lockout
            self._store.lock_pin_until(self._clock() + left)
        return max(0.0, left)

    def set(self, pin: str) -> None:
        """Make `pin` the PIN; failures and lock are forgotten. Raises ConfigError if it is none."""
        if not (pin.isascii() and pin.isdigit() and SHORTEST <= len(pin) <= LONGEST):
            raise ConfigError(f"a PIN has {SHORTEST} to {LONGEST} digits and nothing else")
        salt = secrets.token_bytes(_SALT)
        self._store.set_pin(salt, _digest(pin, salt))

    def remove(self) -> None:
        """From now on there is no PIN, and what needs it is refused."""
        self._store.remove_pin()

    async def tried(self, said: Sequence[str]) -> Verdict:
        """Whether one of `said`, the readings of one answer, is the PIN: one attempt.

        Every reading is compared, in constant time, whichever is right.
        """
        now = self._clock()
        stored = self._store.pin()
        if stored is None or self.locked_for():
            return Verdict.LOCKED
        if not self._store.count_pin_attempt(now, self._attempts, now + self._lockout):
            return Verdict.LOCKED
        # In a thread: it takes a while, on purpose, and the microphone must not wait.
        if await asyncio.to_thread(_matches, said, stored.salt, stored.digest):
            self._store.lock_pin_until(0.0)
            return Verdict.RIGHT
        return Verdict.WRONG


def _digest(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, **_WORK)


def _matches(said: Sequence[str], salt: bytes, digest: bytes) -> bool:
    return sum([hmac.compare_digest(_digest(pin, salt), digest) for pin in said]) > 0


def confides(
    lock: PinLock | None,
    conversation: Conversation,
    utterance: Utterance,
    language: Language,
    now: float,
) -> bool:
    """Whether `utterance` may hold the PIN, so that nobody may keep, show or pass on its words.

    That is whatever is said where the PIN was asked for, or shortly after, and what says a PIN
    unasked or too late, or speaks of it with a number.
    """
    if lock is None:
        return False
    texts = (utterance.text, *utterance.alternatives)
    holding = any(may_hold(text, language) for text in texts)
    pending = conversation.pending
    if now <= conversation.secret_until:
        return True
    if (
        pending is not None
        and pending.plan.pin
        and (holding or now <= pending.expires + _AFTERWARDS)
    ):
        return True
    telling = any(readings(text, language) or speaks_of_pin(text, language) for text in texts)
    return holding and telling and lock.is_set


async def keyed(
    lock: PinLock, conversation: Conversation, text: str, language: Language, now: float
) -> Plan | None:
    """The plan that `text` makes where the PIN was asked for; None: it is about something else.

    Of kind ACT it is the plan that the PIN was asked for, and the PIN was right. Either way the
    question is over: there is one attempt to each. For a text that `confides`.
    """
    pending = conversation.pending
    said = readings(text, language)
    holding = bool(said) or may_hold(text, language)
    if pending is None or not pending.plan.pin:
        return refused("core.pin_unasked") if holding else None
    conversation.pending = None
    conversation.secret_until = now + _AFTERWARDS
    if now > pending.expires:
        return refused("core.pin_late") if holding else None
    if squeeze(text) in language.no:
        conversation.secret_until = 0.0
        return Plan(PlanKind.NOTHING, intent="no", skill="core", speech=Speech("core.cancelled"))
    if said:
        try:
            verdict = await lock.tried(said)
            locked = lock.locked_for()
        except AssistantError as error:
            log.error("a PIN can't be checked: %s", error)
            return refused("core.pin_unchecked")
        if verdict is Verdict.RIGHT:
            conversation.secret_until = 0.0
            return pending.plan
        log.warning("a wrong PIN was said%s", "; none is taken for a while" if locked else "")
        return locked_out(locked) if locked else refused("core.pin_wrong")
    return refused("core.pin_unclear") if holding else None


def refused(key: str) -> Plan:
    """A refusal for the sake of the PIN, in the words of `key`."""
    return Plan(PlanKind.REFUSE, intent="pin", skill="core", speech=Speech(key))


def locked_out(seconds: float) -> Plan:
    """The refusal for the next `seconds`: to the minute, for nobody waits for seconds."""
    whole = math.ceil(seconds / 60) * 60 if seconds > 60 else math.ceil(seconds)
    speech = Speech("core.pin_locked", {"seconds": whole})
    return Plan(PlanKind.REFUSE, intent="pin", skill="core", speech=speech)
