"""The language model as turns see it: there or not yet, and abreast of the home."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from assistant.config import Settings
from assistant.errors import AssistantError
from assistant.home.model import Home
from assistant.home.registry import Registry
from assistant.llm.model import LanguageModel
from assistant.understand.planner import Planner, PlannerSettings

log = logging.getLogger(__name__)

QUIET: Final = 2.0
"""Seconds without a change of the home after which the model is told: reading takes it a while,
and devices announce themselves in a burst."""

LONGEST: Final = 60.0
"""Seconds after which it is told of a home that does not come to rest: a device may never stop
announcing itself. It is told half as often each time, down to once in `_RARELY` seconds."""
_RARELY: Final = 3600.0

AGAIN: Final = 60.0
"""Seconds after which a home that could not be read is tried again, as for want of memory; twice as
long each time, up to `_RARELY`."""

Load = Callable[[], Awaitable[LanguageModel | None]]
"""Gives the configured model; None where none is wanted or built. Raises AssistantError."""


def planner_settings(settings: Settings) -> PlannerSettings:
    """How much the planner may take and dare, as it is set."""
    return PlannerSettings(
        first=settings.llm.first_deadline,
        deadline=settings.llm.deadline,
        confidence=settings.llm.confidence,
        ask_above=min(settings.policy.ask_above, settings.policy.model.ask_above),
        # The others need a look at the device; the policy has it.
        never=frozenset((*settings.policy.never, *settings.policy.model.never)),
        thinking=settings.llm.thinking,
        context=settings.llm.context,
    )


class Thinker:
    """Gives turns the planner as soon as its model can answer.

    Where `run` runs, as in the daemon, turns never wait: until the model has been loaded and has
    read the home, they go without. Where it does not, as in a command, the first turn that needs
    the model waits for it.
    """

    def __init__(
        self,
        load: Load,
        registry: Registry,
        language: str,
        settings: PlannerSettings,
    ) -> None:
        self._load = load
        self._registry = registry
        self._language = language
        self._settings = settings
        self._planner: Planner | None = None
        self._model: LanguageModel | None = None
        self._runs = False
        self._tried = False
        self._opening = asyncio.Lock()

    @property
    def loading(self) -> bool:
        """Whether there will be a planner shortly."""
        return self._runs and not self._tried

    @property
    def model(self) -> str:
        """Name of the model; empty where there is none."""
        return self._model.name if self._model is not None else ""

    @property
    def ready(self) -> Planner | None:
        """The planner, if it can answer now."""
        return self._planner

    async def planner(self) -> Planner | None:
        """The planner, if there is one: now, or after waiting for it (see the class)."""
        if self._runs or self._tried:
            return self._planner
        async with self._opening:
            if not self._tried:
                self._planner = self._planner or await self._opened()
                if self._planner is not None:
                    await self._read(self._planner, self._registry.home())
                self._tried = True
        return self._planner

    async def run(self) -> None:
        """Load the model, then let it read the home now and whenever that has changed.

        Runs until it is cancelled, or there is no model.
        """
        self._runs = True
        try:
            planner = await self._opened()
            read, patience, pause = -1, LONGEST, AGAIN
            while planner is not None:
                home, rests = await self._changed_from(read, patience)
                patience = LONGEST if rests else min(2 * patience, _RARELY)
                done = await self._read(planner, home)
                self._planner, self._tried = planner, True
                if done:
                    read, pause = home.revision, AGAIN
                else:
                    await asyncio.sleep(pause)
                    read, pause = -1, min(2 * pause, _RARELY)
        finally:
            self._runs, self._tried = False, True

    async def _opened(self) -> Planner | None:
        try:
            model = await self._load()
        except AssistantError as error:
            log.error("there is no language model: %s", error)
            return None
        except Exception:  # whatever the model does, lights can be switched on
            log.exception("the language model can't be used")
            return None
        if model is None:
            return None
        self._model = model
        return Planner(model, self._registry.vocabulary, self._settings)

    async def _read(self, planner: Planner, home: Home) -> bool:
        began = time.monotonic()
        reading = asyncio.create_task(planner.prepare(home, self._language), name="reading home")
        try:
            await asyncio.shield(reading)
        except asyncio.CancelledError:
            # Not waited for: a model that is just being loaded can't be interrupted, and whoever
            # ends us has more to do.
            reading.add_done_callback(lambda task: task.cancelled() or task.exception())
            reading.cancel()
            raise
        except AssistantError as error:  # said again to whoever asks, unless it has passed by then
            log.error("%s: %s", self.model, error)
        except Exception:
            log.exception("%s can't read the home", self.model)
        else:
            log.info("%s has read the home in %.1f s", self.model, time.monotonic() - began)
            return True
        return False

    async def _changed_from(self, read: int, patience: float) -> tuple[Home, bool]:
        """The home once its revision is not `read`, and whether it has been the same for a while.

        It need not be after `patience` seconds.
        """
        news = asyncio.Event()
        end = self._registry.subscribe(lambda _: news.set())
        try:
            while self._registry.revision == read:
                news.clear()
                await news.wait()
            changed = time.monotonic()
            revision: int | None = None
            while not (rests := self._registry.revision == revision):
                if time.monotonic() - changed > patience:
                    break
                revision = self._registry.revision
                await asyncio.sleep(QUIET)
            return self._registry.home(), rests
        finally:
            end()
