"""How long the parts of an answer take, and how much memory they hold."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from assistant.errors import LlmError
from assistant.llm.decoder import Decoder, Runtime
from assistant.llm.directory import ModelDirectory
from assistant.llm.grammar import Grammar
from assistant.llm.prefix import PrefixStore, key

_T = TypeVar("_T")

_TOKENS: Final = 1000
"""Random tokens are chosen of the first so many: they are plain ones in every vocabulary."""


class Measured(Decoder):
    """A decoder that can be timed with and without what drafts need: even numbers of rows."""

    def __init__(self, directory: ModelDirectory, runtime: Runtime) -> None:
        super().__init__(directory, runtime)
        self._may_pair = runtime.paired

    def pair(self, paired: bool) -> None:
        """Compute even numbers of rows from now on, or as many as there are tokens."""
        self._paired = paired and self._may_pair


@dataclass(frozen=True, slots=True)
class Restored:
    """A prompt's beginning of `tokens`: seconds to compute it, to save it, and to read it back."""

    tokens: int
    computed: float
    saved: float
    restored: float


def resident() -> int:
    """Bytes of memory that this process occupies."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def some_tokens(count: int, vocabulary: int, seed: int = 0) -> list[int]:
    """As many random tokens."""
    drawn = np.random.default_rng(seed).integers(0, min(_TOKENS, vocabulary), count)
    return [int(token) for token in drawn]


def prefill_time(decoder: Measured, tokens: int, repeat: int = 3) -> float:
    """Seconds that a prompt of `tokens` takes, logits of its last row included. Median."""
    prompt = some_tokens(tokens, decoder.directory.architecture.vocabulary)
    seconds = []
    for _ in range(repeat):
        decoder.rollback(0)
        began = time.perf_counter()
        rows = decoder.prefill(prompt)
        if rows is not None:
            decoder.logits(rows.normed[-1:])
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def pass_times(
    decoder: Measured, counts: Sequence[int], *, prompt: int = 64, repeat: int = 7
) -> Mapping[int, float]:
    """Seconds of a pass over so many tokens after a prompt, with the logits of all. Medians.

    Taken in turn, so that a machine that gets slower hits all of them; without padding to even
    numbers of rows.
    """
    vocabulary = decoder.directory.architecture.vocabulary
    decoder.pair(False)
    decoder.rollback(0)
    decoder.prefill(some_tokens(prompt, vocabulary))
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for turn in range(repeat + 1):
        for count in counts:
            tokens = some_tokens(count, vocabulary, seed=turn)
            began = time.perf_counter()
            decoder.logits(decoder.append(tokens).normed).argmax(axis=1)
            if turn:  # the first one warms up
                seconds[count].append(time.perf_counter() - began)
            decoder.rollback(prompt)
    decoder.pair(True)
    return {count: statistics.median(times) for count, times in seconds.items()}


def draft_time(decoder: Measured, *, prompt: int = 64, repeat: int = 9) -> float:
    """Seconds of a guess of the MTP layer. Median. Raises LlmError where there is none."""
    if not decoder.drafts:
        raise LlmError(f"{decoder.directory.name} has no MTP layer")
    vocabulary = decoder.directory.architecture.vocabulary
    decoder.rollback(0)
    decoder.prefill(some_tokens(prompt, vocabulary))
    seconds = []
    for token in some_tokens(repeat + 1, vocabulary, seed=1):
        began = time.perf_counter()
        decoder.draft(token)
        seconds.append(time.perf_counter() - began)
        decoder.append([token])
    return statistics.median(seconds[1:])


def prefix_restore(decoder: Measured, tokens: Sequence[int]) -> Restored:
    """Compute the prompt's beginning `tokens`, save it, and read it back from the page cache.

    The decoder's sequence is that beginning afterwards. Raises LlmError where the disk has no room.
    """
    decoder.rollback(0)
    began = time.perf_counter()
    decoder.prefill(tokens)
    computed = time.perf_counter() - began
    with tempfile.TemporaryDirectory(prefix="mimo-voice-bench-") as folder:
        store = PrefixStore(Path(folder), 1 << 62)
        name = key(decoder.directory.name, "", tokens)
        began = time.perf_counter()
        if not store.save(name, decoder.snapshot(len(tokens))):
            raise LlmError(f"{folder} has no room for the KV cache of {len(tokens)} tokens")
        saved = time.perf_counter() - began
        seconds = []
        for _ in range(5):
            decoder.rollback(0)
            began = time.perf_counter()
            store.load_into(name, decoder.snapshot(len(tokens)))
            decoder.restored(tokens)
            seconds.append(time.perf_counter() - began)
    return Restored(len(tokens), computed, saved, statistics.median(seconds))


def mask_times(answers: Iterable[tuple[Grammar, Sequence[int]]], repeat: int = 20) -> list[float]:
    """Seconds that each mask takes on the way through `answers` (tokens, forced ones included)."""
    seconds = []
    for grammar, answer in answers:
        for _ in range(repeat):
            matcher = grammar.start()
            for token in answer:
                began = time.perf_counter()
                matcher.allowed()
                seconds.append(time.perf_counter() - began)
                matcher.consume(token)
    return seconds


def timed(call: Callable[[], _T]) -> tuple[float, _T]:
    """Seconds that `call` takes, and what it returns."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result
