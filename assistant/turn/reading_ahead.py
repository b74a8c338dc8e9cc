"""The language model reads an utterance while it is still being spoken."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from dataclasses import replace
from typing import Final

from assistant.plan import Utterance
from assistant.turn.respond import Responder
from assistant.understand.conversation import Conversation

log = logging.getLogger(__name__)

_WORDS: Final = 3
"""Words that must have been said, and stayed as they were heard, before the model reads them."""


class ReadingAhead:
    """Of one utterance, of which `unsaid` has everything but the words."""

    def __init__(self, responder: Responder, conversation: Conversation, unsaid: Utterance) -> None:
        self._responder = responder
        self._conversation = conversation
        self._unsaid = unsaid
        self._words: list[str] = []
        """Of the last partial transcript."""
        self._read: list[str] = []
        """What of them the model has been given to read."""
        self._reading: asyncio.Task[None] | None = None

    def heard(self, text: str, *, known: bool) -> None:
        """The partial transcript is `text` by now: let the model read what the last two agree on.

        Not where a template knows it (`known`), unless the model is asked first: then it is no
        matter what a template knows. One thing is read at a time.
        """
        before, self._words = self._words, text.split()
        stable = _common(before, self._words)
        busy = self._reading is not None and not self._reading.done()
        if busy or (known and not self._responder.model_first):
            return
        if len(stable) < _WORDS or stable == self._read:
            return
        self._read = stable
        partial = replace(self._unsaid, text=" ".join(stable), spoken_at=time.time())
        self._reading = asyncio.create_task(
            self._responder.ahead(partial, self._conversation), name="reading ahead"
        )
        self._reading.add_done_callback(_note_failure)

    def stop(self) -> None:
        """The utterance has ended, or is given up."""
        if self._reading is not None:
            self._reading.cancel()


def _common(words: list[str], others: list[str]) -> list[str]:
    """What both begin with."""
    pairs = itertools.takewhile(lambda two: two[0] == two[1], zip(words, others, strict=False))
    return [word for word, _ in pairs]


def _note_failure(reading: asyncio.Task[None]) -> None:
    """What is read ahead is a favour: where it fails, the turn goes on and says why."""
    if not reading.cancelled() and (error := reading.exception()) is not None:
        log.debug("the model did not read ahead: %s", error)
