"""Finding out what kind of checkpoint something is."""

from __future__ import annotations

import shlex
from pathlib import Path

from assistant.errors import ModelError
from assistant.llm.checkpoint.contract import Checkpoint
from assistant.llm.checkpoint.huggingface import PICKLES, HuggingFaceCheckpoint, refusal
from assistant.llm.directory import MANIFEST
from assistant.models.shards import CONFIG, LocalShards, Shards


def open_checkpoint(source: Path | Shards) -> Checkpoint:
    """The checkpoint in a folder, in a GGUF file, or in shards that are fetched as they are read.

    Raises ModelError, which says what is wrong with it and what to get instead.
    """
    if not isinstance(source, Path):
        return HuggingFaceCheckpoint(source)
    if source.suffix in PICKLES:
        raise ModelError(refusal(source.name))
    if source.is_file():
        if source.suffix == ".gguf":
            from assistant.llm.checkpoint.gguf import GgufCheckpoint

            return GgufCheckpoint(source)
        raise ModelError(
            f"{source} is no checkpoint: name a .gguf file, or the folder that holds config.json"
        )
    if not source.exists():
        raise ModelError(f"{source} is not there; check the path")
    if (source / MANIFEST).is_file() and not (source / CONFIG).is_file():
        raise ModelError(
            f"{source} is a built model, no checkpoint; look at it with: assistant models inspect "
            f"{shlex.quote(str(source))}"
        )
    if not (source / CONFIG).is_file() and (files := sorted(source.glob("*.gguf"))):
        raise ModelError(f"{source} is a folder; name the file itself: {files[0]}")
    return HuggingFaceCheckpoint(LocalShards(source))
