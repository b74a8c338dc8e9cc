"""onnxruntime-genai: `engine_genai.py FOLDER CONTEXT VOCABULARY`.

Needs onnxruntime-genai and numpy, nothing of this project. Its graph gives logits of the last row
of a pass alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import onnxruntime_genai as genai
from worker import serve


class Genai:
    """A model with one sequence, chosen from greedily."""

    def __init__(self, folder: str, context: int) -> None:
        self._model = genai.Model(folder)
        self._context = context
        self.clear()

    def describe(self) -> str:
        """Version."""
        return f"onnxruntime-genai {genai.__version__}"

    def clear(self) -> None:
        """Forget the sequence."""
        parameters = genai.GeneratorParams(self._model)
        parameters.set_search_options(max_length=self._context, do_sample=False)
        self._generator = genai.Generator(self._model, parameters)

    def prefill(self, tokens: Sequence[int]) -> int:
        """Append a prompt; the most probable token after it."""
        return self.rows(tokens)[-1]

    def rows(self, tokens: Sequence[int]) -> list[int]:
        """Append `tokens` in one pass; the most probable token after the last."""
        self._generator.append_tokens(np.array([tokens], np.int32))
        return [int(np.asarray(self._generator.get_logits()).reshape(-1).argmax())]

    def rollback(self, length: int) -> None:
        """Take back all tokens beyond `length`."""
        self._generator.rewind_to(length)


if __name__ == "__main__":
    folder, context, vocabulary = sys.argv[1:]
    serve(lambda: Genai(folder, int(context)), int(vocabulary))
