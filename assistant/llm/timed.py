"""A language model that is waited for only so long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final

from assistant.llm.model import LanguageModel, Piece, Query

_STOPPING: Final = 0.5
"""Seconds that a model has to stop before it is left behind."""


class Timed:
    """The answers of `model` within `first` seconds until one is of use, and `last` until its end.

    Only waiting for the model counts, not what is done with its pieces meanwhile. A model that
    can't stop at once, as while it is being loaded, is left behind to stop when it can.
    """

    def __init__(self, model: LanguageModel, first: float, last: float) -> None:
        self._model = model
        self._first = first
        self._last = last
        self._leaving: set[asyncio.Task[Piece | None]] = set()

    async def pieces(self, query: Query, came: Callable[[], bool]) -> AsyncGenerator[Piece, None]:
        """What the model writes. `came`: whether anything of use has come so far.

        Raises TimeoutError where it takes too long, and what the model raises. Close it: that
        cancels the model.
        """
        waited = 0.0
        pieces = self._model.generate(query)
        coming: asyncio.Task[Piece | None] | None = None
        try:
            while True:
                limit = self._last if came() else self._first
                began = time.monotonic()
                coming = asyncio.create_task(_next(pieces), name="next piece")
                await asyncio.wait((coming,), timeout=max(0.0, limit - waited))
                if not coming.done():
                    raise TimeoutError
                waited += time.monotonic() - began
                if (piece := coming.result()) is None:
                    return
                yield piece
        finally:
            if coming is None or coming.done():
                await pieces.aclose()
            else:
                coming.cancel()
                self._leaving.add(coming)
                coming.add_done_callback(self._left)
                await asyncio.wait((coming,), timeout=_STOPPING)

    def _left(self, task: asyncio.Task[Piece | None]) -> None:
        """What was left behind has ended; that it failed is of no interest any more."""
        self._leaving.discard(task)
        if not task.cancelled():
            task.exception()


async def _next(pieces: AsyncGenerator[Piece, None]) -> Piece | None:
    return await anext(pieces, None)
