"""The engine: one model on this machine, shared by all who ask.

There is one sequence and one worker thread. Who asks for an answer goes before what is read ahead,
and who speaks before other programs: what has to wait gives up its pass at once, and goes on
afterwards where it was. What an earlier prompt has in
common with the next is not computed again; the rules and the home, which are in every prompt of the
house, are kept on disk as well and read back when something else has taken their place.

The model is loaded when it is first needed, and let go after a time in which nobody needed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import numpy as np
from tokenizers import Tokenizer

from assistant.errors import LlmError
from assistant.llm import memory
from assistant.llm.chat import AFTER_THOUGHT, THOUGHT_END, encode, static_prefix
from assistant.llm.decoder import Cancelled, Decoder, Floats, Runtime
from assistant.llm.directory import TEMPLATE, ModelDirectory, read_directory
from assistant.llm.drafting import Acceptance, Costs, Drafting
from assistant.llm.generate import Step, generate
from assistant.llm.grammar import Grammars, Matcher
from assistant.llm.model import Finish, Message, Piece, Query
from assistant.llm.prefix import PrefixStore, key
from assistant.llm.sampling import Chooser
from assistant.llm.text import THINK, StopTexts, TextStream, ThinkFilter, Thought
from assistant.llm.texts import read_template, read_tokenizer

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

_WORTH_RESTORING: Final = 64
"""Tokens that a restored prefix must spare: below, computing them is as quick."""
_KEPT: Final = 8
"""Prefixes remembered: one for each home and language in use, and those before the last changes."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine runs. `idle`: seconds without work after which the model is let go; 0: never.

    `prefixes`: folder for what is kept of prompts, at most `prefix_limit` bytes; None: nothing is.
    """

    runtime: Runtime = field(default_factory=Runtime)
    idle: float = 0.0
    prefixes: Path | None = None
    prefix_limit: int = 2 << 30


class _Loaded:
    """What is in memory while the model is: only the worker thread touches it."""

    def __init__(self, directory: ModelDirectory, runtime: Runtime) -> None:
        memory.check(directory, runtime.context, drafting=runtime.drafting)
        started = time.monotonic()
        self.tokenizer = read_tokenizer(directory)
        self.template = read_template(directory, self.tokenizer)
        self.decoder = Decoder(directory, runtime)
        width = directory.architecture.vocabulary
        self.grammars = Grammars(self.tokenizer, width, directory.eos)
        self.costs = Costs()
        self.acceptance = Acceptance()
        _log.info("%s: loaded in %.1f s", directory.name, time.monotonic() - started)


@dataclass(slots=True)
class _Reading:
    """A prompt being read ahead. `saved`: what was computed when somebody went before it."""

    tokens: list[int]
    saved: tuple[list[int], list[Floats]] | None = None


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
        self._directory = directory
        self._settings = settings
        self._store: PrefixStore | None = None
        if settings.prefixes is not None:
            self._store = PrefixStore(settings.prefixes, settings.prefix_limit)
        self._worker = ThreadPoolExecutor(1, "llm")
        self._loaded: _Loaded | None = None
        self._kept: dict[str, list[int]] = {}
        self._order = asyncio.Lock()
        self._calm = _Calm()
        """While nobody has asked."""
        self._quiet = _Calm()
        """While nobody has asked who is not patient."""
        self._reading = False
        self._patient = False
        self._given_up = threading.Event()
        """Of the call that the worker is at, or was last given."""
        self._unloading: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """The model's name."""
        return self._directory.name

    @property
    def weak(self) -> bool:
        """Too small to be trusted with actions that it is not very sure of."""
        return self._directory.weak

    @property
    def directory(self) -> ModelDirectory:
        """What it runs."""
        return self._directory

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory: else the next answer waits for it."""
        return self._loaded is not None

    async def load(self) -> None:
        """Take the model into memory now. Raises LlmError, ModelError as `generate` does."""
        async with self._order:
            await self._work(self._need)
            self._rest()

    async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        """The answer, piece by piece. See `LanguageModel`.

        Raises ModelError where the model's files can't be run, LlmError where memory is missing,
        QueryError where the prompt is longer than the context or the schema can't be a grammar.
        """
        # Bounded by the query's limit of tokens: whoever dawdles over them keeps nobody waiting.
        pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        ended = threading.Event()

        answer = self._answer(query, ended)

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
        reading: _Reading | None = None
        while True:
            await self._calm.come()
            async with self._order:
                if not self._calm:
                    continue
                self._reading = True
                try:
                    if reading is None:
                        reading = _Reading(await self._work(self._prompt, messages, keep))
                        if not self._calm:  # any more: it may have had to load the model
                            continue
                    done = await self._work(self._read, reading, keep)
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
        self._give_up()
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)
        doomed = [self._loaded]
        self._loaded = None
        await asyncio.to_thread(_let_go, doomed)

    # ------------------------------------------------------------------ in the event loop

    @contextmanager
    def _asking(self, query: Query) -> Iterator[None]:
        """Inside, nobody reads ahead, and who is patient waits for who is not."""
        with self._calm.broken(), nullcontext() if query.patient else self._quiet.broken():
            if self._reading or (self._patient and not query.patient):
                self._give_up()
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
        """Run `call` in the worker. When cancelled, its pass is given up, and awaited."""
        if self._closed:
            raise LlmError(f"{self.name} is shut down")
        given_up = self._given_up = threading.Event()

        def run() -> _T:
            if self._loaded is not None:
                self._loaded.decoder.resume()
            if given_up.is_set():  # before it began
                raise Cancelled("given up")
            return call(*args, **kwargs)

        future = asyncio.get_running_loop().run_in_executor(self._worker, run)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if self._closed and future.cancelled():
                raise LlmError(f"{self.name} is shut down") from None
            self._give_up()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # nobody is left to tell
            raise

    def _give_up(self) -> None:
        """End what the worker is at, within a pass; what it is loading the model for, after that.

        Both are told in this order, and look in the other: whenever this comes, one is seen.
        """
        self._given_up.set()
        if self._loaded is not None:
            self._loaded.decoder.cancel()

    def _rest(self) -> None:
        """Count the idle time from now."""
        if self._unloading is not None:
            self._unloading.cancel()
            self._unloading = None
        if self._settings.idle and self._loaded is not None and not self._closed:
            loop = asyncio.get_running_loop()
            self._unloading = loop.call_later(self._settings.idle, self._unload)

    def _unload(self) -> None:
        if self._order.locked() or not self._calm or self._closed:
            return  # whoever works now counts anew
        _log.info("%s: let go, not used for %.0f s", self.name, self._settings.idle)
        doomed = [self._loaded]
        self._loaded = None
        self._worker.submit(_let_go, doomed)

    # ------------------------------------------------------------------ in the worker

    def _need(self) -> _Loaded:
        if self._loaded is None:
            given_up = self._given_up
            directory = read_directory(self._directory.folder)
            if directory.files != self._directory.files:  # built anew since
                self._directory = directory
                self._kept.clear()
            self._loaded = _Loaded(self._directory, self._settings.runtime)
            if given_up.is_set():
                self._loaded.decoder.cancel()
        return self._loaded

    def _prompt(self, messages: Sequence[Message], keep: bool) -> list[int]:
        model = self._need()
        if keep:
            return static_prefix(model.tokenizer, model.template, messages)
        return encode(model.tokenizer, model.template, messages)

    def _read(self, reading: _Reading, keep: bool) -> bool:
        """Read on; True when all is read and kept, False when somebody goes before."""
        model = self._need()
        decoder, tokens = model.decoder, reading.tokens
        name = self._key(model, tokens)
        if keep and self._store is not None and self._store.meta(name) is not None:
            self._remember(name, tokens)
            self._restore(model, tokens)
            if _shared(decoder.tokens, tokens) == len(tokens):
                return True
        try:
            self._place(model, tokens, reading.saved)
            reading.saved = None
            decoder.prefill(tokens[len(decoder.tokens) :])
        except Cancelled:
            there = len(decoder.tokens)
            views = decoder.snapshot(there)
            worth = keep and there >= _WORTH_RESTORING
            if worth and memory.spares(sum(view.nbytes for view in views)):
                reading.saved = list(decoder.tokens), [view.copy() for view in views]
            return False
        if keep and self._store is not None:
            self._store.save(name, decoder.snapshot(len(tokens)))
            self._remember(name, tokens)
        return True

    def _answer(self, query: Query, ended: threading.Event) -> Iterator[Piece | None]:
        """The answer; None where it has to wait for others, and is to be gone on with later."""
        model = self._need()
        matcher = None
        if query.schema is not None:
            matcher = model.grammars.compile(query.schema).start()
        thinking = bool(query.thinking) and model.template.thinks
        prompt = encode(model.tokenizer, model.template, query.messages, thinking=thinking)
        length = len(prompt)
        if thinking:
            if not model.template.opens_thought:
                prompt += _encoded(model.tokenizer, f"{THINK}\n")
            prompt += yield from self._thought(model, prompt, query, ended)
        stream, stops = TextStream(model.tokenizer), StopTexts(query.stop)
        thoughts = ThinkFilter()
        for step in self._steps(model, prompt, query, query.limit, matcher):
            if step is None:
                yield None
                continue
            text = stream.feed(step.tokens)
            if step.finish is not None:
                text += stream.finish()
            if query.schema is None:
                text = thoughts.feed(text)
                if step.finish is not None:
                    text += thoughts.finish()
            text, stopped = stops.feed(text)
            if step.finish is not None and not stopped:
                text += stops.finish()
            finish = Finish.STOP if stopped else step.finish
            told = length if finish is not None else 0
            yield Piece(text, len(step.tokens), step.logprob, step.chosen, finish, told)
            if stopped or ended.is_set():
                return

    def _thought(
        self, model: _Loaded, prompt: list[int], query: Query, ended: threading.Event
    ) -> Generator[None, None, list[int]]:
        """Tokens of the model's thought about `prompt`, ended by itself or when it has its length.

        The text of it goes nowhere. The answer is left room in the context, half of it if need be.
        """
        end = _encoded(model.tokenizer, THOUGHT_END)
        room = model.decoder.context - len(prompt) - len(end)
        most = min(query.thinking, room - min(query.limit, room // 2))
        thought = Thought(model.tokenizer)
        for step in self._steps(model, prompt, query, most, None):
            if ended.is_set():
                raise Cancelled("given up")
            if step is None:
                yield None
            elif thought.feed(step.tokens):
                return thought.tokens + _encoded(model.tokenizer, AFTER_THOUGHT)
        return thought.tokens + end

    def _steps(
        self,
        model: _Loaded,
        prompt: list[int],
        query: Query,
        limit: int,
        matcher: Matcher | None,
    ) -> Iterator[Step | None]:
        """What follows `prompt`; None where others go before: goes on after them."""
        chooser = Chooser(query.sampling)
        given: list[int] = []
        while True:
            try:
                text = [*prompt, *given]
                for step in self._further(model, text, limit - len(given), chooser, matcher):
                    given += step.tokens
                    yield step
            except Cancelled:
                if not query.patient:
                    raise
                yield None
            else:
                return

    def _further(
        self,
        model: _Loaded,
        prompt: list[int],
        limit: int,
        chooser: Chooser,
        matcher: Matcher | None,
    ) -> Iterator[Step]:
        decoder = model.decoder
        self._place(model, prompt[:-1])
        rows = decoder.prefill(prompt[len(decoder.tokens) :])
        if rows is None:
            raise LlmError("an empty prompt can't be answered")
        return generate(
            decoder,
            rows.normed[-1],
            chooser=chooser,
            limit=limit,
            eos=self._directory.eos,
            matcher=matcher,
            drafting=Drafting(decoder, prompt, model.costs, model.acceptance),
            costs=model.costs,
        )

    def _place(
        self,
        model: _Loaded,
        tokens: Sequence[int],
        saved: tuple[list[int], list[Floats]] | None = None,
    ) -> None:
        """Bring the decoder to a beginning of `tokens`: the longest that need not be computed."""
        decoder = model.decoder
        self._restore(model, tokens)
        if saved is not None and len(saved[0]) > _shared(decoder.tokens, tokens):
            for array, copy in zip(decoder.snapshot(len(saved[0])), saved[1], strict=True):
                array[...] = copy
            decoder.restored(saved[0])
        decoder.rollback(_shared(decoder.tokens, tokens))

    def _restore(self, model: _Loaded, tokens: Sequence[int]) -> None:
        """Read the longest kept prefix of `tokens` back, where that spares more than it costs."""
        here = _shared(model.decoder.tokens, tokens)
        known = [
            (len(kept), name)
            for name, kept in self._kept.items()
            if _shared(kept, tokens) == len(kept) <= model.decoder.context
        ]
        length, name = max(known, default=(0, ""))
        if self._store is None or length < here + _WORTH_RESTORING:
            return
        kept = self._kept[name]
        arrays = model.decoder.snapshot(length)
        model.decoder.rollback(0)
        if self._store.load_into(name, arrays) is None:
            del self._kept[name]
        else:
            model.decoder.restored(kept)

    def _remember(self, name: str, tokens: list[int]) -> None:
        self._kept.pop(name, None)
        self._kept[name] = tokens
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]

    def _key(self, model: _Loaded, tokens: Sequence[int]) -> str:
        d = self._directory
        weights = " ".join(file.sha256 for _, file in sorted(d.files.items())) or d.built
        shape = [array.shape[0] for array in model.decoder.snapshot(0)]
        template = (d.folder / TEMPLATE).read_text(encoding="utf-8")
        return key(f"{weights} {shape}", template, tokens)


def _let_go(loaded: list[_Loaded | None]) -> None:
    """Empty the list: giving gigabytes back takes a while, in which nobody else should wait."""
    loaded.clear()
    gc.collect()
    # The C library keeps most of it for later use, unless it is told not to.
    with contextlib.suppress(AttributeError):  # one that has no such call
        ctypes.CDLL(None).malloc_trim(0)


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    n = min(len(first), len(second))
    differing = np.flatnonzero(np.array(first[:n]) != np.array(second[:n]))
    return int(differing[0]) if len(differing) else n


def _encoded(tokenizer: Tokenizer, text: str) -> list[int]:
    tokens: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return tokens
