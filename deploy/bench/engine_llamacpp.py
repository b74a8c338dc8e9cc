"""llama.cpp, by its C interface: `engine_llamacpp.py FILE THREADS CONTEXT VOCABULARY`.

Needs llama-cpp-python and numpy, nothing of this project.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any

import llama_cpp
import numpy as np
from worker import serve

_log: list[str] = []


@llama_cpp.llama_log_callback
def _logged(_level: int, text: bytes, _data: Any) -> None:
    _log.append(text.decode(errors="replace"))


class LlamaCpp:
    """A model with one sequence, as llama.cpp's own tools run it by default."""

    def __init__(self, file: str, threads: int, context: int) -> None:
        llama_cpp.llama_log_set(_logged, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(
            file.encode(), llama_cpp.llama_model_default_params()
        )
        if not self._model:
            raise SystemExit(f"llama.cpp can't load {file}:\n{''.join(_log[-20:])}")
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = context
        parameters.n_batch = parameters.n_ubatch = 512
        parameters.n_threads = parameters.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, parameters)
        self._memory = llama_cpp.llama_get_memory(self._context)
        vocabulary = llama_cpp.llama_model_get_vocab(self._model)
        self.vocabulary = int(llama_cpp.llama_vocab_n_tokens(vocabulary))
        self._batch = llama_cpp.llama_batch_init(512, 0, 1)
        self._length = 0

    def describe(self) -> str:
        """Version, the processor's features in use, and how much is stored for fast kernels."""
        buffers = [line.strip() for line in "".join(_log).splitlines() if "buffer size" in line]
        features = llama_cpp.llama_print_system_info().decode()
        repacked = [line for line in buffers if "REPACK" in line] or ["NOTHING REPACKED"]
        return f"llama-cpp-python {llama_cpp.__version__}, {features} {'; '.join(repacked)}"

    def clear(self) -> None:
        """Forget the sequence."""
        llama_cpp.llama_memory_clear(self._memory, False)
        self._length = 0

    def prefill(self, tokens: Sequence[int]) -> int:
        """Append a prompt; the most probable token after it."""
        for start in range(0, len(tokens), 512):
            self._decode(tokens[start : start + 512], every=False)
        return self._best(-1)

    def rows(self, tokens: Sequence[int]) -> list[int]:
        """Append `tokens` in one pass; the most probable token after each."""
        self._decode(tokens, every=True)
        return [self._best(row) for row in range(len(tokens))]

    def rollback(self, length: int) -> None:
        """Take back all tokens beyond `length`."""
        llama_cpp.llama_memory_seq_rm(self._memory, 0, length, -1)
        self._length = length

    def _decode(self, tokens: Sequence[int], *, every: bool) -> None:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place] = token
            batch.pos[place] = self._length + place
            batch.n_seq_id[place] = 1
            batch.seq_id[place][0] = 0
            batch.logits[place] = every or place == len(tokens) - 1
        if code := llama_cpp.llama_decode(self._context, batch):
            raise SystemExit(f"llama_decode: {code}\n{''.join(_log[-20:])}")
        self._length += len(tokens)

    def _best(self, row: int) -> int:
        logits = llama_cpp.llama_get_logits_ith(self._context, row)
        return int(np.ctypeslib.as_array(logits, (self.vocabulary,)).argmax())


if __name__ == "__main__":
    file, threads, context, vocabulary = sys.argv[1:]
    serve(lambda: LlamaCpp(file, int(threads), int(context)), int(vocabulary))
