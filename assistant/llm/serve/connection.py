"""Connections that are worth their place: few are had, and a client may be gone without a word."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST: Final = 64
"""Connections at once; the next are told that the service is unavailable."""


class Connection(H11Protocol):
    """uvicorn's, closed where nothing whole is asked for `patience` seconds, twice that at most.

    uvicorn waits for ever for the first request, and for the rest of one that has begun: silent
    connections of a few careless clients would shut out all others until the next start.
    """

    patience: float = 20.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look after it."""
        super().connection_made(transport)
        self._seen: object = None
        self._watch = self.loop.call_later(self.patience, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, whoever ended it."""
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        asked = self.cycle
        if asked is None or asked.response_complete:
            if asked is self._seen:  # none since the last look
                self.transport.close()
                return
            self._seen = asked
        self._watch = self.loop.call_later(self.patience, self._look)
