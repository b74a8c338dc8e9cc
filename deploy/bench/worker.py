"""What each engine's process does: it answers one request after another, and times itself.

Requests and answers are lines of JSON on standard input and output. Between two requests a process
waits in `read` and costs nothing, so that several can hold their models in memory and be asked in
turn: a machine that gets warmer or busier then hits all of them alike. Needs numpy only, because
each engine may live in an environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Engine(Protocol):
    """A loaded model with one sequence of tokens."""

    def describe(self) -> str:
        """Version, and what tells that its fast kernels are at work."""
        ...

    def clear(self) -> None:
        """Forget the sequence."""
        ...

    def prefill(self, tokens: Sequence[int]) -> int:
        """Append a prompt; the most probable token after it."""
        ...

    def rows(self, tokens: Sequence[int]) -> list[int]:
        """Append `tokens` in one pass; the most probable token after each."""
        ...

    def rollback(self, length: int) -> None:
        """Take back all tokens beyond `length`."""
        ...


def resident() -> tuple[int, int]:
    """Bytes of memory that this process occupies now, and how many of them are mapped files'.

    Those are given back when memory runs short; llama.cpp leaves its whole file mapped.
    """
    _, pages, shared = Path("/proc/self/statm").read_text().split()[:3]
    size = os.sysconf("SC_PAGE_SIZE")
    return int(pages) * size, int(shared) * size


def serve(load: Callable[[], Engine], vocabulary: int) -> None:
    """Load the model, tell how that went, and answer requests until the input ends."""
    # Libraries write to the standard output as they please; answers go where they can't.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    before = resident()
    began = time.perf_counter()
    engine = load()
    seconds = time.perf_counter() - began
    loaded = {"seconds": seconds, "resident": resident(), "before": before}
    answers.write(json.dumps({**loaded, "about": engine.describe()}) + "\n")
    session = _Session(engine, vocabulary)
    for line in sys.stdin:
        answers.write(json.dumps(session.answer(json.loads(line))) + "\n")


class _Session:
    """The requests to one engine."""

    def __init__(self, engine: Engine, vocabulary: int) -> None:
        self._engine = engine
        self._vocabulary = vocabulary
        self._random = np.random.default_rng(0)
        self._prompt = 0
        """Tokens of the prompt that the engine holds."""
        self._token = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Seconds that it took, each time it was done, and the memory held afterwards."""
        count = int(request["count"])
        if request["do"] == "prefill":
            tokens = self._some(count)
            self._engine.clear()
            began = time.perf_counter()
            self._engine.prefill(tokens)
            seconds, self._prompt = [time.perf_counter() - began], 0
            return {"seconds": seconds, "resident": resident()}
        self._place(int(request["prompt"]))
        if request["do"] == "decode":
            return {"seconds": self._decoded(count), "resident": resident()}
        seconds = []
        for _ in range(int(request["repeat"])):
            tokens = self._some(count)
            began = time.perf_counter()
            self._engine.rows(tokens)
            seconds.append(time.perf_counter() - began)
            self._engine.rollback(self._prompt)
        return {"seconds": seconds, "resident": resident()}

    def _decoded(self, count: int) -> list[float]:
        seconds, token = [], self._token
        for _ in range(count):
            began = time.perf_counter()
            token = self._engine.rows([token])[0]
            seconds.append(time.perf_counter() - began)
        return seconds

    def _place(self, prompt: int) -> None:
        if self._prompt == prompt:
            self._engine.rollback(prompt)
        else:
            self._engine.clear()
            self._token = self._engine.prefill(self._some(prompt))
            self._prompt = prompt

    def _some(self, count: int) -> list[int]:
        return [int(token) for token in self._random.integers(0, self._vocabulary, count)]
