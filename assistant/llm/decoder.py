"""One sequence of tokens on a loaded model: append, look at logits, take back.

The KV cache lies in buffers of the full context that onnxruntime writes in place. Taking tokens
back costs nothing: what lies beyond the length is written over. Memory that no token has reached
is not touched, and so not taken.

With an MTP layer the decoder drafts too. The layer reads pairs (hidden state at t, token at t + 1)
in order, so it follows one position behind; pairs are kept until their token is known.
"""

from __future__ import annotations

import contextlib
import logging
import math
import mmap
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from assistant.errors import LlmError, ModelError, QueryError
from assistant.llm import pages
from assistant.llm.directory import ModelDirectory
from assistant.llm.layout import Part, parts

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]

CHUNK: Final = 128
"""Tokens of a prompt computed in one pass: more are hardly faster, and hold the memory longer."""


SPIN: Final = 0.00005
"""Seconds. Measured on two cores: a fifth faster than sleeping where nothing else runs, as fast or
a tenth slower beside a program that keeps a core busy. Four times as much gains a little more in
the first case, and costs a fifth in the second.
"""


class Cancelled(LlmError):  # noqa: N818 -- it is no error, but ends the work like one
    """The work was given up by whoever asked for it."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a model is run.

    `context`: the longest sequence, in tokens. `threads`: of one pass; more than the cores that
    are idle make it slower. `providers`: onnxruntime's execution providers, in order of preference.
    `spinning`: within a pass, threads wait busily for the next operator, SPIN at the most: waking
    them costs more. Between passes they sleep, and leave a small machine to others. `drafting`:
    load the MTP layer. `paired`: compute an even number of rows in every pass. A token's logits
    then are the same to the last bit however many tokens were computed with it, so that drafts
    can't change an answer; with odd numbers onnxruntime's kernels take another path for the last
    row, which adds in another order. Without drafts there is nothing to differ from, and one row
    alone is faster than two.
    """

    context: int = 4096
    threads: int = 2
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    spinning: bool = True
    drafting: bool = True
    paired: bool = True


@dataclass(frozen=True, slots=True)
class Rows:
    """What a pass left: for each of its tokens, float32 [n, hidden] before and after the norm."""

    hidden: Floats
    normed: Floats


class _Layers:
    """A graph with KV caches: its session, and its buffers bound to it once and for all."""

    def __init__(self, folder: Path, part: Part, runtime: Runtime, shape: tuple[int, ...]) -> None:
        self.session = _load(folder, part, runtime)
        self.binding = self.session.io_binding()
        names = [i.name.removeprefix("past_") for i in self.session.get_inputs()]
        names = [name for name in names if name.startswith(("key_", "value_"))]
        self.caches = [_untouched(shape) for _ in names]
        for name, array in zip(names, self.caches, strict=True):
            where = ("cpu", 0, np.float32, array.shape, array.ctypes.data)
            self.binding.bind_input(f"past_{name}", *where)
            self.binding.bind_output(f"present_{name}", *where)


class Decoder:
    """A loaded model with one sequence. Not thread-safe; every call computes and blocks.

    Raises ModelError where onnxruntime can't load the directory's files.
    """

    def __init__(self, directory: ModelDirectory, runtime: Runtime) -> None:
        a = directory.architecture
        self.directory = directory
        self.context = min(runtime.context, a.context)
        self._paired = runtime.paired
        shape = (1, a.kv_heads, self.context + runtime.paired, a.head_size)
        there = parts(a) if runtime.drafting else (Part.TRUNK, Part.HEAD)
        self._matrices: dict[Part, Any] = {
            part: _load(directory.folder, part, runtime)
            for part in there
            if part in (Part.HEAD, Part.DRAFT)
        }
        self._trunk = _Layers(directory.folder, Part.TRUNK, runtime, shape)
        self._mtp: _Layers | None = None
        if Part.MTP in there:
            self._mtp = _Layers(directory.folder, Part.MTP, runtime, shape)
        self._hidden = np.empty((0, a.hidden), np.float32)
        """Of the last positions: those whose pairs the MTP layer has not read yet."""
        self._tokens: list[int] = []
        self._options = ort.RunOptions()
        self._cancelled = threading.Event()
        self.passes = 0
        """Passes of the trunk so far."""
        self._moving = pages.move_in_background()

    def settle(self) -> None:
        """Wait until the weights are on huge pages: what is measured before gets faster later."""
        self._moving.join()

    @property
    def tokens(self) -> Sequence[int]:
        """The sequence so far. Not to be changed."""
        return self._tokens

    @property
    def drafts(self) -> bool:
        """Whether there is an MTP layer to draft with."""
        return self._mtp is not None

    def append(self, tokens: Sequence[int]) -> Rows:
        """Compute `tokens` after the sequence, in one pass.

        Raises QueryError where the context does not hold them, Cancelled after `cancel`; the
        sequence is then as before.
        """
        start, n = len(self._tokens), len(tokens)
        if start + n > self.context:
            raise QueryError(
                f"{start + n} tokens are more than the context of {self.context}; say less, or "
                "raise [llm] context"
            )
        padding = [tokens[-1]] if self._paired and n % 2 else []
        hidden, normed = (rows[:n] for rows in self._run(self._trunk, start, [*tokens, *padding]))
        self._tokens += tokens
        self.passes += 1
        if self._mtp is not None:
            self._hidden = np.concatenate([self._hidden, hidden])
        return Rows(hidden, normed)

    def prefill(self, tokens: Sequence[int]) -> Rows | None:
        """Compute a prompt in chunks; the rows of its last chunk, None for an empty one.

        What was done before it was cancelled stays done. Raises as `append` does.
        """
        rows = None
        if len(self._tokens) + len(tokens) > self.context:
            self.append(tokens)  # which refuses
        for start in range(0, len(tokens), CHUNK):
            rows = self.append(tokens[start : start + CHUNK])
            self._follow()
        return rows

    def logits(self, normed: Floats) -> Floats:
        """Logits float32 [n, vocabulary] of the tokens after rows `normed`."""
        n = len(normed)
        if self._paired and n % 2:
            normed = np.concatenate([normed, normed[-1:]])
        return self._matrix(Part.HEAD, normed)[:n]

    def draft(self, token: int, most: int = 1) -> tuple[int, ...]:
        """The tokens, 1 to `most`, that the MTP layer expects after `token`, which is about to be
        appended.

        The layer is made for the first. For each further one it takes what itself made of the one
        before for the trunk's hidden state, and is right less often.
        """
        rows, guesses = self._follow(token), list[int]()
        while True:
            logits = self._matrix(Part.DRAFT, rows.normed[-1:])[0]
            guesses.append(int(logits.argmax()))
            place = len(self._tokens) + len(guesses) - 1
            if self._mtp is None or len(guesses) >= most or place >= self.context:
                return tuple(guesses)
            # What this leaves in the cache is written over once the tokens are known.
            rows = Rows(*self._run(self._mtp, place, guesses[-1:], rows.hidden[-1:]))

    def draft_rows(self, token: int) -> Floats:
        """Let the MTP layer read up to `token`, which is about to be appended.

        Its rows after the norm, float32 [n, hidden], for the pairs it had not read: the last one
        is that of `token`.
        """
        return self._follow(token).normed

    def rollback(self, length: int) -> None:
        """Take back all tokens of the sequence beyond `length`."""
        first = len(self._tokens) - len(self._hidden)
        del self._tokens[length:]
        self._hidden = self._hidden[: max(0, length - first)]

    def snapshot(self, length: int) -> list[Floats]:
        """Views of all caches for the first `length` tokens, each [kv_heads, length, head_size].

        After `rollback` to less they hold something else: copy or write them at once.
        """
        drafter = [] if self._mtp is None else self._mtp.caches
        return [array[0, :, :length] for array in (*self._trunk.caches, *drafter)]

    def restored(self, tokens: Sequence[int]) -> None:
        """Take `tokens` as the sequence: their snapshot has been written back into its views."""
        self._tokens = list(tokens)
        self._hidden = self._hidden[:0]

    def cancel(self) -> None:
        """Give up the pass at work, and all to come until `resume`. From any thread."""
        self._cancelled.set()
        self._options.terminate = True

    def resume(self) -> None:
        """Work again after `cancel`."""
        self._cancelled.clear()
        self._options.terminate = False

    def _follow(self, token: int | None = None) -> Rows:
        """Let the MTP layer read the pairs that are known by now; its rows.

        `token`: what is appended next, where that is known. A position whose hidden state is lost
        (taken back, or not kept with a snapshot) is never read: that makes a draft worse, and
        nothing wrong, since every draft is verified.
        """
        mtp, hidden = self._mtp, self._hidden
        first = len(self._tokens) - len(hidden)
        following = [*self._tokens[first + 1 :], *([] if token is None else [token])]
        if mtp is None or not following:
            return Rows(hidden[:0], hidden[:0])
        if not len(hidden):  # right after `restored`: the state of its last token is not known
            first, hidden = first - 1, np.zeros((1, hidden.shape[1]), np.float32)
        rows = Rows(*self._run(mtp, first, following, hidden[: len(following)]))
        self._hidden = self._hidden[len(following) :]
        return rows

    def _run(
        self, layers: _Layers, start: int, tokens: Sequence[int], hidden_in: Floats | None = None
    ) -> tuple[Floats, Floats]:
        n, binding = len(tokens), layers.binding
        inputs = {
            "input_ids": np.array([tokens], np.int64),
            "seqlens_k": np.array([start + n - 1], np.int32),
            "total_sequence_length": np.array(start + n, np.int32),
        }
        if hidden_in is not None:
            inputs["hidden_in"] = np.ascontiguousarray(hidden_in[None])
        for name, array in inputs.items():
            binding.bind_cpu_input(name, array)
        shape = (1, n, self._hidden.shape[1])
        hidden, normed = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for name, array in (("hidden", hidden), ("normed", normed)):
            binding.bind_output(name, "cpu", 0, np.float32, shape, array.ctypes.data)
        with self._cancellable():
            layers.session.run_with_iobinding(binding, self._options)
        return hidden[0], normed[0]

    def _matrix(self, part: Part, normed: Floats) -> Floats:
        with self._cancellable():
            result: Floats = self._matrices[part].run(None, {"normed": normed}, self._options)[0]
        return result

    @contextlib.contextmanager
    def _cancellable(self) -> Iterator[None]:
        if self._cancelled.is_set():
            raise Cancelled("given up")
        try:
            yield
        except Exception as error:  # onnxruntime's own, which share no base
            if self._cancelled.is_set():
                raise Cancelled("given up") from error
            raise LlmError(f"{self.directory.name} failed: {error}") from error


def _untouched(shape: tuple[int, ...]) -> Floats:
    """Zeros that take memory page by page as they are written to.

    numpy asks for huge pages: a token in the cache of each head would take 2 MB of each.
    """
    size = 4 * math.prod(shape)
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without huge pages
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.float32).reshape(shape)


def _load(folder: Path, part: Part, runtime: Runtime) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = runtime.threads
    options.inter_op_num_threads = 1
    threading_entries = {
        "session.intra_op.allow_spinning": "1" if runtime.spinning else "0",
        "session.intra_op.spin_duration_us": str(round(1e6 * SPIN)),
        # Else the threads of one graph spin while another's work.
        "session.force_spinning_stop": "1",
    }
    for key, value in threading_entries.items():
        options.add_session_config_entry(key, value)
    options.log_severity_level = 3
    missing = set(runtime.providers) - set(ort.get_available_providers())
    if missing:
        there = ", ".join(ort.get_available_providers())
        raise ModelError(
            f"[llm] providers: {', '.join(sorted(missing))} not in this onnxruntime; it has {there}"
        )
    file = folder / f"{part.value}.onnx"
    started = time.monotonic()
    try:
        session = ort.InferenceSession(str(file), options, providers=list(runtime.providers))
    except Exception as error:  # onnxruntime's own, which share no base
        raise ModelError(
            f"{file} can't be loaded: {error}; build it anew with: assistant models build"
        ) from error
    _log.debug("%s: loaded in %.1f s", file, time.monotonic() - started)
    return session
