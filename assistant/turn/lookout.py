"""Waiting for the next thing that is due, whatever comes in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from assistant.errors import AssistantError

_log = logging.getLogger(__name__)


async def keep_looking(
    look: Callable[[], Awaitable[float]], changed: asyncio.Event, longest: float, what: str
) -> None:
    """Call `look` again and again until cancelled: when `changed` is set, and after as many seconds
    as it returned, `longest` at most.

    While it raises AssistantError (a full disk), which is logged once, it is tried again. `what`
    it is that can't be done then, for the log.
    """
    failing = False
    while True:
        changed.clear()
        try:
            wait = min(longest, await look())
            failing = False
        except AssistantError as error:
            if not failing:
                _log.error("%s: %s", what, error)
            failing, wait = True, longest
        try:
            async with asyncio.timeout(wait):
                await changed.wait()
        except TimeoutError:
            continue
