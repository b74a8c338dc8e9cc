"""What a build takes: disk, memory, time. Told and checked before it begins."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from assistant.errors import ModelError
from assistant.llm.checkpoint.contract import Checkpoint
from assistant.llm.export.quantise import quantise
from assistant.llm.export.sources import last_uses, needed_shards
from assistant.llm.layout import Stored, file_sizes
from assistant.llm.memory import available
from assistant.llm.quantisation import Quantisation

MEMORY: Final = 448 << 20
"""Bytes a build takes, whatever the size of the model: 338 MB were measured with MiMo-7B's."""
_SPARE: Final = 64 << 20  # bytes left free on a disk; graphs, tokenizer and manifest take a few
_CALM: Final = 120e6  # bytes a second: what reading, writing and checking get on a plain SSD
_SAMPLE: Final = (256, 4096)


@dataclass(frozen=True, slots=True)
class Needs:
    """In bytes and seconds; what an interrupted build has done already is not counted again.

    `written` goes to the disk of the target `folder`, where `free` bytes are left; what is deleted
    there meanwhile to make room is taken off. `download` is fetched in all, of which at most `held`
    lie in the folder `downloads` at a time, on whose disk `held_free` are left; None where that is
    the same disk. `memory` is taken, `memory_free` is there. `seconds` is how long it takes here,
    without the download.
    """

    folder: Path
    downloads: Path
    written: int
    free: int
    download: int
    held: int
    held_free: int | None
    memory: int
    memory_free: int
    seconds: float

    def check(self) -> None:
        """Raise ModelError where something is not there, saying how much."""
        if self.held_free is None:
            what = "the model and its download" if self.held else "the model"
            _check_disk(self.written + self.held, self.free, what, self.folder)
        else:
            _check_disk(self.written, self.free, "the model", self.folder)
            _check_disk(self.held, self.held_free, "the download", self.downloads)
        if self.memory_free < self.memory:
            raise ModelError(
                f"building needs {self.memory / 1e6:.0f} MB of memory, and "
                f"{self.memory_free / 1e6:.0f} MB are free; stop something, or build the model on "
                "another machine and copy it here"
            )


def needs_of(
    checkpoint: Checkpoint,
    quantisation: Quantisation,
    unfinished: Sequence[Stored],
    stored: Sequence[Stored],
    building: Path,
) -> Needs:
    """What making `unfinished` of `stored`, in this order, in the folder `building` takes.

    Measures this machine for a few hundredths of a second.
    """
    root = _existing(building)
    there = sum(f.stat().st_blocks * 512 for f in building.glob("*.data"))
    written = max(0, sum(file_sizes(tuple(stored)).values()) - there)
    weights = sum(t.rows * max(1, t.columns) for t in unfinished)
    download, held = _downloads(checkpoint, unfinished)
    same = os.stat(root).st_dev == os.stat(_existing(checkpoint.folder)).st_dev
    spared = _spared(checkpoint, unfinished) if same else 0
    seconds = weights * _pace(quantisation) + (2 * weights + 2 * written) / _CALM
    return Needs(
        folder=building.parent,
        downloads=checkpoint.folder,
        written=max(0, written - spared) + _SPARE,
        free=shutil.disk_usage(root).free,
        download=download,
        held=held,
        held_free=None if same else shutil.disk_usage(_existing(checkpoint.folder)).free,
        memory=MEMORY,
        memory_free=available(),
        seconds=seconds,
    )


def _downloads(checkpoint: Checkpoint, unfinished: Sequence[Stored]) -> tuple[int, int]:
    """Bytes to fetch in all, and the most that lie here at a time."""
    last = last_uses(unfinished, checkpoint.shards)
    sizes = {shard: checkpoint.to_fetch(shard) for shard in last}
    here: set[str] = set()
    most = 0
    for number, tensor in enumerate(unfinished):
        here |= needed_shards(tensor, checkpoint.shards)
        most = max(most, sum(sizes[shard] for shard in here))
        here = {shard for shard in here if last[shard] > number}
    return sum(sizes.values()), most


def _spared(checkpoint: Checkpoint, unfinished: Sequence[Stored]) -> int:
    """Bytes by which the disk never fills, for shards are deleted as they are consumed."""
    last = last_uses(unfinished, checkpoint.shards)
    total = taken = most = 0
    for number, tensor in enumerate(unfinished):
        total += tensor.size + tensor.scales_size
        taken += tensor.size + tensor.scales_size
        most = max(most, taken)
        taken -= sum(checkpoint.frees(shard) for shard, final in last.items() if final == number)
    return total - most


def _pace(quantisation: Quantisation) -> float:
    """Seconds a weight takes here."""
    if quantisation.bits == 32:
        return 0.0
    sample = np.random.default_rng(0).standard_normal(_SAMPLE, np.float32)
    began = time.perf_counter()
    quantise(sample, quantisation.bits, quantisation.block, search=quantisation.search)
    # Reading and widening what is stored takes about as long as one of the search's rounds.
    return 1.2 * (time.perf_counter() - began) / sample.size


def _check_disk(needed: int, free: int, what: str, folder: Path) -> None:
    if free < needed:
        raise ModelError(
            f"{what} needs {needed / 1e6:.0f} MB on the disk of {folder}, where "
            f"{free / 1e6:.0f} MB are free; make room there"
        )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
