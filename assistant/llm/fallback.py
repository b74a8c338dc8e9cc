"""Two models for one: the second answers where the first can't."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from assistant.errors import LlmError, QueryError
from assistant.llm.model import LanguageModel, Message, Piece, Query

_log = logging.getLogger(__name__)

PAUSE: Final = 30.0
"""Seconds for which a first model that failed is not asked: nobody should wait for it each time."""


class FallbackModel:
    """Asks `first`; where it fails before its first piece, `second` (a server, then the hub).

    A first model that failed is left alone for `pause` seconds, then tried again by the next query.
    A query that it refuses goes to the second too, but does not count as failure.
    """

    def __init__(
        self, first: LanguageModel, second: LanguageModel, *, pause: float = PAUSE
    ) -> None:
        self._first = first
        self._second = second
        self._pause = pause
        self._down_until: float | None = None
        self._answers_by_second = 0

    @property
    def name(self) -> str:
        """The one that would answer now."""
        return (self._second if self._skips_first() else self._first).name

    @property
    def weak(self) -> bool:
        """Of the one that answers: look again once the first piece is there."""
        second = self._answers_by_second > 0 or self._skips_first()
        return (self._second if second else self._first).weak

    async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        """The answer of whichever can. Raises LlmError where neither can, or one breaks off."""
        if not self._skips_first():
            begun = False
            try:
                async with aclosing(self._first.generate(query)) as pieces:
                    async for piece in pieces:
                        if not begun:
                            begun = True
                            self._note_up()
                        yield piece
                    return
            except QueryError as error:
                if begun:
                    raise
                _log.warning("%s answers instead: %s", self._second.name, error)
            except LlmError as error:
                self._note_down(error)
                if begun:
                    raise
        self._answers_by_second += 1
        try:
            async with aclosing(self._second.generate(query)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._answers_by_second -= 1

    async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        """Prepare the one that would answer now; with `keep` both, so that either is ready."""
        if keep or not self._skips_first():
            await self._first.prepare(messages, keep=keep)
        if keep or self._skips_first():
            await self._second.prepare(messages, keep=keep)

    async def close(self) -> None:
        """Close both."""
        try:
            await self._first.close()
        finally:
            await self._second.close()

    def _skips_first(self) -> bool:
        return self._down_until is not None and time.monotonic() < self._down_until

    def _note_down(self, error: LlmError) -> None:
        if self._down_until is None:
            _log.warning("%s answers from now on: %s", self._second.name, error)
        self._down_until = time.monotonic() + self._pause

    def _note_up(self) -> None:
        if self._down_until is not None:
            _log.warning("%s answers again", self._first.name)
        self._down_until = None
