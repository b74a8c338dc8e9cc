"""What the exporter needs to know of a checkpoint, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assistant.llm.architecture import Architecture

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Texts:
    """How a model reads and writes.

    `tokenizer` is a tokenizer.json; `template` the chat template, in Jinja; `eos` the tokens that
    end a text; `bos` the token to begin with, if any; `licence` the text of the licence, if any.
    """

    tokenizer: bytes
    template: str
    eos: tuple[int, ...]
    bos: int | None
    licence: bytes | None = None


class Checkpoint(Protocol):
    """Weights, read a few rows at a time, under the names of Hugging Face checkpoints."""

    @property
    def architecture(self) -> Architecture:
        """The model's shape."""
        ...

    @property
    def source(self) -> str:
        """Hub id, or path of what is read."""
        ...

    @property
    def revision(self) -> str:
        """The commit, or what else tells this version from others."""
        ...

    @property
    def licence(self) -> str:
        """Short name of the licence, or ""."""
        ...

    @property
    def folder(self) -> Path:
        """Where its files lie, once they are here."""
        ...

    @property
    def texts(self) -> Texts:
        """Tokenizer, chat template, and the tokens with a meaning."""
        ...

    @property
    def shards(self) -> Mapping[str, str]:
        """Names of all tensors, and of the file that holds each."""
        ...

    def to_fetch(self, shard: str) -> int:
        """Bytes that must be downloaded before the file can be read; 0 when it is here."""
        ...

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Shape of a tensor; may download the file that holds it.

        Raises ModelError: the file can't be had, or is damaged.
        """
        ...

    def rows(self, tensor: str, start: int, stop: int) -> Floats:
        """Rows of a matrix, float32 [stop - start, columns], or numbers of a vector.

        Raises ModelError: the file can't be had, is damaged, or keeps numbers in an unknown way.
        """
        ...

    def release(self, shard: str) -> None:
        """The file is not needed for now: it is closed, and deleted if it was downloaded.

        The only file of a checkpoint stays, for what is in it could not be told any more.
        """
        ...

    def frees(self, shard: str) -> int:
        """Bytes that the release of a file which was not downloaded gives back to the disk."""
        ...
