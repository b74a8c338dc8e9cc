"""Keeping the user's sentences as their files are while the assistant runs."""

from __future__ import annotations

import asyncio
import logging

from assistant.home.registry import Registry
from assistant.understand.custom.library import CustomSentences
from assistant.understand.custom.located import Problem

_log = logging.getLogger(__name__)

INTERVAL = 2.0
"""Seconds between two looks at the files. A look asks for a few files' times and sizes."""


class Teller:
    """Logs each fault once for as long as it is there; `told` have been logged before."""

    def __init__(self, told: tuple[Problem, ...] = ()) -> None:
        self._told = frozenset(told)

    def tell(self, problems: tuple[Problem, ...]) -> None:
        """Log those of `problems` that were not there the last time."""
        for problem in problems:
            if problem not in self._told:
                _log.error("%s", problem)
        self._told = frozenset(problems)


async def watch(custom: CustomSentences, registry: Registry, interval: float = INTERVAL) -> None:
    """Read changed files again, and log what is wrong then, until cancelled.

    That a device is not there is said once the home has come to rest: at the start its devices
    announce themselves one after the other.
    """
    at_rest, checked = -1, (custom.current, -1)
    of_files, of_home = Teller(custom.current.problems), Teller()
    while True:
        await asyncio.sleep(interval)
        # In a thread: files may lie on a network that is away.
        if await asyncio.to_thread(custom.refresh):
            current = custom.current
            of_files.tell(current.problems)
            _log.info("own sentences read again: %d blocks of them", len(current.blocks))
        if registry.revision == at_rest and checked != (custom.current, at_rest):
            home = registry.home()
            if home.devices:
                of_home.tell(custom.current.problems_at(home))
            checked = custom.current, at_rest
        at_rest = registry.revision
