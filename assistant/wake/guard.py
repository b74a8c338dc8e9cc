"""Our own voice must not wake us, and the user's must, even while we speak."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from assistant.wake.engine import WakeEvent
from assistant.wake.match import phrase_anywhere

_ALIKE = 70.0
_TAIL = 1.0


class OwnVoiceGuard:
    """Knows what is being said aloud and refuses wake events that are its echo.

    Only a sentence that itself contains something like a wake word ("I can be called with hey
    Jarvis") makes us deaf, and only while it is played and one second after, for the echo and
    the engine's delay: the wake word interrupts every other sentence.
    """

    def __init__(self, phrases: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._phrases = tuple(phrases)
        self._clock = clock
        self._muted = False
        self._deaf_until = float("-inf")

    def speaking(self, sentence: str) -> None:
        """This sentence begins to be played now, and the one before it is over."""
        self.silent()
        match = phrase_anywhere(sentence, self._phrases)
        self._muted = match is not None and match.score >= _ALIKE

    def silent(self) -> None:
        """Nothing is played any more."""
        if self._muted:
            self._deaf_until = self._clock() + _TAIL
        self._muted = False

    def allows(self, event: WakeEvent) -> bool:
        """Whether `event` can't be our own voice. To be asked as the event arrives."""
        return not self._muted and event.time >= self._deaf_until
