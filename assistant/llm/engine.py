"""The engine: one model on this machine, shared by all who ask.

Here is decided who goes first; the work itself is done by one thread (see `worker`). Who asks for
an answer goes before what is read ahead, and who speaks before other programs: what has to wait
gives up its pass at once, and goes on afterwards where it was.

The model is loaded when it is first needed, and let go after a time in which nobody needed it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from assistant.errors import LlmError, ModelError
from assistant.llm.decoder import Cancelled, Runtime
from assistant.llm.directory import ModelDirectory
from assistant.llm.model import Message, Piece, Query
from assistant.llm.prefix import PrefixStore
from assistant.llm.worker import Reading, Worker

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine runs. `idle`: seconds without work after which the model is let go; 0: never.

    `prefixes`: folder for what is kept of prompts, at most `prefix_limit` bytes; None: nothing is.
    """

    runtime: Runtime = field(default_factory=Runtime)
    idle: float = 0.0
    prefixes: Path | None = None
    prefix_limit: int = 2 << 30


class _Calm:
    """Whether nobody breaks it, and how to wait for that."""

    def __init__(self) -> None:
        self._breaking = 0
        self._restored = asyncio.Event()
        self._restored.set()

    def __bool__(self) -> bool:
        return not self._breaking

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Break it inside."""
        self._breaking += 1
        self._restored.clear()
        try:
            yield
        finally:
            self._breaking -= 1
            if not self._breaking:
                self._restored.set()

    async def come(self) -> None:
        """Wait for it; somebody may have been faster when that returns."""
        await self._restored.wait()


class Engine:
    """A `LanguageModel` from a model directory. To be used in one event loop.

    Makes no use of the directory's files before the first question, or `load`.
    """

    def __init__(self, directory: ModelDirectory, settings: EngineSettings) -> None:
        store = None
        if settings.prefixes is not None:
            store = PrefixStore(settings.prefixes, settings.prefix_limit)
        self._worker = Worker(directory, settings.runtime, store)
        self._idle = settings.idle
        self._order = asyncio.Lock()
        self._calm = _Calm()
        """While nobody has asked."""
        self._quiet = _Calm()
        """While nobody has asked who is not patient."""
        self._reading = False
        self._patient = False
        self._unloading: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """The model's name."""
        return self.directory.name

    @property
    def weak(self) -> bool:
        """Too small to be trusted with actions that it is not very sure of."""
        return self.directory.weak

    @property
    def directory(self) -> ModelDirectory:
        """What it runs."""
        return self._worker.directory

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory: else the next answer waits for it."""
        return self._worker.decoder is not None

    async def load(self) -> None:
        """Take the model into memory now. Raises LlmError where that can't be."""
        async with self._order:
            await self._work(self._worker.load)
            self._rest()

    async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        """The answer, piece by piece. See `LanguageModel`.

        Raises LlmError where the model's files can't be run or memory is missing, QueryError where
        the prompt is longer than the context or the schema can't be a grammar.
        """
        # Bounded by the query's limit of tokens: whoever dawdles over them keeps nobody waiting.
        pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        ended = threading.Event()

        answer = self._worker.answer(query, ended)

        def go_on() -> bool:
            for piece in answer:
                if piece is None:
                    return False
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            return True

        async def work() -> None:
            try:
                with self._asking(query):
                    while not await self._answered(query, go_on):
                        pass
            finally:
                pieces.put_nowait(None)

        job = asyncio.create_task(work(), name="llm answer")
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await job
        finally:
            ended.set()
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        """Read `messages` ahead. See `LanguageModel`. Raises what `generate` does."""
        reading: Reading | None = None
        while True:
            await self._calm.come()
            async with self._order:
                if not self._calm:
                    continue
                self._reading = True
                try:
                    if reading is None:
                        reading = await self._work(self._worker.prompt, messages, keep)
                        if not self._calm:  # any more: it may have had to load the model
                            continue
                    done = await self._work(self._worker.read, reading, keep)
                except Cancelled:  # before the worker came to it
                    done = False
                finally:
                    self._reading = False
                    self._rest()
            if done:
                return

    async def close(self) -> None:
        """Let go of the model, whatever it is doing."""
        self._closed = True
        if self._unloading is not None:
            self._unloading.cancel()
        await asyncio.to_thread(self._worker.close)

    @contextmanager
    def _asking(self, query: Query) -> Iterator[None]:
        """Inside, nobody reads ahead, and who is patient waits for who is not."""
        with self._calm.broken(), nullcontext() if query.patient else self._quiet.broken():
            if self._reading or (self._patient and not query.patient):
                self._worker.give_up()
            yield

    async def _answered(self, query: Query, go_on: Callable[[], bool]) -> bool:
        """Go on with an answer once it is its turn; False when it has to wait for another."""
        if query.patient:
            await self._quiet.come()
        async with self._order:
            if query.patient and not self._quiet:
                return False
            self._patient = query.patient
            try:
                return await self._work(go_on)
            except Cancelled:
                if not query.patient:
                    raise
                return False  # before the worker came to it
            finally:
                self._patient = False
                self._rest()

    async def _work(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Have `call` done by the worker. When cancelled, it is given up, and awaited.

        What is wrong with the model's files is raised as LlmError: whoever asks must do without an
        answer then as well.
        """
        if self._closed:
            raise LlmError(f"{self.name} is shut down")
        future = asyncio.wrap_future(self._worker.submit(call, *args, **kwargs))
        try:
            return await asyncio.shield(future)
        except ModelError as error:
            raise LlmError(str(error)) from error
        except asyncio.CancelledError:
            if self._closed and future.cancelled():
                raise LlmError(f"{self.name} is shut down") from None
            self._worker.give_up()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # nobody is left to tell
            raise

    def _rest(self) -> None:
        """Count the idle time from now."""
        if self._unloading is not None:
            self._unloading.cancel()
            self._unloading = None
        if self._idle and self.loaded and not self._closed:
            loop = asyncio.get_running_loop()
            self._unloading = loop.call_later(self._idle, self._unload)

    def _unload(self) -> None:
        if self._order.locked() or not self._calm or self._closed:
            return  # whoever works now counts anew
        _log.info("%s: let go, not used for %.0f s", self.name, self._idle)
        self._worker.let_go()
