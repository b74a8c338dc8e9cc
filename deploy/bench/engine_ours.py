"""This project's engine: `engine_ours.py FOLDER SHAPE LAYERS BLOCK THREADS CONTEXT SPINNING`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnxruntime
from worker import serve

from assistant.llm.decoder import Decoder, Runtime
from assistant.llm.measure.untrained import untrained
from assistant.llm.quantisation import Quantisation
from assistant.llm.shapes import SHAPES


class Ours:
    """Without drafts and their paired rows: what the other engines do too."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def describe(self) -> str:
        """Version."""
        return f"onnxruntime {onnxruntime.__version__}"

    def clear(self) -> None:
        """Forget the sequence."""
        self._decoder.rollback(0)

    def prefill(self, tokens: Sequence[int]) -> int:
        """Append a prompt; the most probable token after it."""
        rows = self._decoder.prefill(tokens)
        if rows is None:
            raise ValueError("an empty prompt")
        return int(self._decoder.logits(rows.normed[-1:])[0].argmax())

    def rows(self, tokens: Sequence[int]) -> list[int]:
        """Append `tokens` in one pass; the most probable token after each."""
        logits = self._decoder.logits(self._decoder.append(tokens).normed)
        return [int(token) for token in logits.argmax(axis=1)]

    def rollback(self, length: int) -> None:
        """Take back all tokens beyond `length`."""
        self._decoder.rollback(length)


if __name__ == "__main__":
    folder, shape, layers, block, threads, context, spinning = sys.argv[1:]
    architecture = replace(SHAPES[shape], layers=int(layers))
    directory = untrained(Path(folder), shape, architecture, Quantisation(block=int(block)))
    runtime = Runtime(
        context=int(context),
        threads=int(threads),
        spinning=spinning == "1",
        drafting=False,
        paired=False,
    )
    serve(lambda: Ours(Decoder(directory, runtime)), architecture.vocabulary)
