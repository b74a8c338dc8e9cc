"""What the engine's one thread does with the one sequence of the model.

It loads the model, reads prompts and says what follows them: a thought first, where one is wanted.
Whatever it is at can be given up within a pass, and gone on with later where it was. Who may ask it
for what, and when, is the engine's business.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from tokenizers import Tokenizer

from assistant.errors import LlmError
from assistant.llm import memory
from assistant.llm.beginnings import Beginnings, Copy, copied
from assistant.llm.chat import AFTER_THOUGHT, THOUGHT_END, encode, static_prefix
from assistant.llm.decoder import Cancelled, Decoder, Runtime
from assistant.llm.directory import ModelDirectory, read_directory
from assistant.llm.drafting import Acceptance, Costs, Drafting
from assistant.llm.generate import Step, generate
from assistant.llm.grammar import Grammars, Matcher
from assistant.llm.model import Finish, Message, Piece, Query
from assistant.llm.prefix import PrefixStore
from assistant.llm.sampling import Chooser
from assistant.llm.text import THINK, StopTexts, TextStream, ThinkFilter, Thought
from assistant.llm.texts import read_template, read_tokenizer

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(slots=True)
class Reading:
    """A prompt being read ahead. `copy`: what was computed when somebody went before it."""

    tokens: list[int]
    copy: Copy | None = None


class _Loaded:
    """What is in memory while the model is."""

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


class Worker:
    """The thread and its model, used by one event loop.

    `load`, `prompt`, `read` and `answer` are called in the thread, by what is handed to `submit`.
    They raise ModelError where the model's files can't be run, LlmError where memory is missing,
    Cancelled where they were given up.
    """

    def __init__(
        self, directory: ModelDirectory, runtime: Runtime, store: PrefixStore | None
    ) -> None:
        self.directory = directory
        """What it runs; read again when it was built anew."""
        self._runtime = runtime
        self._beginnings = Beginnings(store)
        self._thread = ThreadPoolExecutor(1, "llm")
        self._loaded: _Loaded | None = None
        self._given_up = threading.Event()
        """Of the call that the thread is at, or was last given."""

    @property
    def decoder(self) -> Decoder | None:
        """The model's, while it is loaded."""
        return self._loaded.decoder if self._loaded is not None else None

    # ------------------------------------------------------------------ from outside

    def submit(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run `call` in the thread, after what was submitted before."""
        given_up = self._given_up = threading.Event()

        def run() -> _T:
            if self._loaded is not None:
                self._loaded.decoder.resume()
            if given_up.is_set():  # before it began
                raise Cancelled("given up")
            return call(*args, **kwargs)

        return self._thread.submit(run)

    def give_up(self) -> None:
        """End what the thread is at, within a pass; what it is loading the model for, after that.

        Both are told in this order, and look in the other: whenever this comes, one is seen.
        """
        self._given_up.set()
        if self._loaded is not None:
            self._loaded.decoder.cancel()

    def let_go(self) -> None:
        """Let go of the model, which nobody uses now, without waiting for it."""
        doomed = [self._loaded]
        self._loaded = None
        self._thread.submit(_let_go, doomed)

    def close(self) -> None:
        """Give up everything, let go of the model, and end the thread. Blocks meanwhile."""
        self.give_up()
        self._thread.shutdown(cancel_futures=True)
        doomed = [self._loaded]
        self._loaded = None
        _let_go(doomed)

    # ------------------------------------------------------------------ in the thread

    def load(self) -> None:
        """Take the model into memory, unless it is there."""
        self._need()

    def prompt(self, messages: Sequence[Message], keep: bool) -> Reading:
        """The prompt of `messages`; to `keep`, what all dialogues that begin with them share."""
        model = self._need()
        encoded = static_prefix if keep else encode
        return Reading(encoded(model.tokenizer, model.template, messages))

    def read(self, reading: Reading, keep: bool) -> bool:
        """Read on; True when all is read and kept, False when it was given up for now."""
        decoder, tokens = self._need().decoder, reading.tokens
        if keep and self._beginnings.recall(decoder, tokens):
            return True
        self._beginnings.place(decoder, tokens, reading.copy)
        reading.copy = None
        try:
            decoder.prefill(tokens[len(decoder.tokens) :])
        except Cancelled:
            if keep:
                reading.copy = copied(decoder)
            return False
        if keep:
            self._beginnings.keep(decoder, tokens)
        return True

    def answer(self, query: Query, ended: threading.Event) -> Iterator[Piece | None]:
        """The answer; None where it was given up for now, and is to be gone on with later.

        That is so with patient queries alone. `ended`: nobody listens any more. Raises QueryError
        where the prompt is longer than the context or the schema can't be a grammar.
        """
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

    def _need(self) -> _Loaded:
        if self._loaded is None:
            given_up = self._given_up
            directory = read_directory(self.directory.folder)
            if directory.files != self.directory.files:  # built anew since
                self.directory = directory
                self._beginnings.forget()
            self._loaded = _Loaded(self.directory, self._runtime)
            if given_up.is_set():
                self._loaded.decoder.cancel()
        return self._loaded

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
        self, model: _Loaded, prompt: list[int], query: Query, limit: int, matcher: Matcher | None
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
        self._beginnings.place(decoder, prompt[:-1])
        rows = decoder.prefill(prompt[len(decoder.tokens) :])
        if rows is None:
            raise LlmError("an empty prompt can't be answered")
        return generate(
            decoder,
            rows.normed[-1],
            chooser=chooser,
            limit=limit,
            eos=self.directory.eos,
            matcher=matcher,
            drafting=Drafting(decoder, prompt, model.costs, model.acceptance),
            costs=model.costs,
        )


def _let_go(loaded: list[_Loaded | None]) -> None:
    """Empty the list: giving gigabytes back takes a while, in which nobody else should wait."""
    loaded.clear()
    gc.collect()
    # The C library keeps most of it for later use, unless it is told not to.
    with contextlib.suppress(AttributeError):  # one that has no such call
        ctypes.CDLL(None).malloc_trim(0)


def _encoded(tokenizer: Tokenizer, text: str) -> list[int]:
    tokens: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return tokens
