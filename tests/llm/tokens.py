"""The tokenizer of a built model."""

from __future__ import annotations

from tokenizers import Tokenizer

from assistant.llm.directory import TOKENIZER, ModelDirectory


def tokenizer_of(directory: ModelDirectory) -> Tokenizer:
    """As it lies in the directory."""
    return Tokenizer.from_file(str(directory.folder / TOKENIZER))
