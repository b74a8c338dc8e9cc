"""Writing of the data files: every tensor at its place, shard by shard."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from assistant.errors import ModelError
from assistant.llm.checkpoint.contract import Checkpoint, Floats
from assistant.llm.export.journal import Journal, Sums
from assistant.llm.export.quantise import HUGE, NotFiniteError, quantise
from assistant.llm.export.sources import check_shape, last_uses, source_shapes
from assistant.llm.layout import ROTARY, Stored, file_sizes, rotary_tables

_CHUNK: Final = 1 << 22  # weights read at once: 16 MB of float32
_UNSAFE: Final = 32 << 20  # bytes after which what was written is made safe and noted

Told = Callable[[int], None]


def write_tensors(
    checkpoint: Checkpoint,
    stored: Sequence[Stored],
    folder: Path,
    journal: Journal,
    *,
    search: bool,
    progress: Callable[[int, int], None],
) -> None:
    """Write those of `stored`, in this order, that the journal does not know as finished.

    The data files are in `folder`, in their full size. A shard is released as soon as nothing
    unfinished needs it. `progress` is told weights done and weights in all.
    Raises ModelError, naming the tensor, for damaged, misshapen and senseless weights.
    """
    unfinished = [t for t in stored if t.name not in journal.finished]
    last = last_uses(unfinished, checkpoint.shards)
    for shard in set(checkpoint.shards.values()) - set(last):
        checkpoint.release(shard)

    total = sum(t.rows * max(1, t.columns) for t in stored)
    done = total - sum(t.rows * max(1, t.columns) for t in unfinished)
    progress(done, total)

    def told(weights: int) -> None:
        nonlocal done
        done += weights
        progress(done, total)

    unsafe: dict[str, Sums] = {}
    written = 0
    with ExitStack() as opened:
        files = {
            name: opened.enter_context((folder / name).open("r+b", buffering=0)).fileno()
            for name in file_sizes(tuple(stored))
        }
        for number, tensor in enumerate(unfinished):
            unsafe[tensor.name] = _write(checkpoint, tensor, files[tensor.file], search, told)
            written += tensor.size + tensor.scales_size
            spent = [shard for shard, final in last.items() if final == number]
            if spent or written >= _UNSAFE or number == len(unfinished) - 1:
                for file in files.values():
                    os.fsync(file)
                journal.add(unsafe)
                unsafe, written = {}, 0
            for shard in spent:
                checkpoint.release(shard)


def _write(checkpoint: Checkpoint, tensor: Stored, file: int, search: bool, told: Told) -> Sums:
    if tensor.name in ROTARY:
        table = rotary_tables(checkpoint.architecture)[ROTARY.index(tensor.name)]
        _write_at(file, table.astype("<f4", copy=False), tensor.offset)
        told(table.size)
        return Sums()
    step = max(1, _CHUNK // max(1, tensor.columns))
    sums = Sums()
    row = 0
    for source, shape in source_shapes(tensor, checkpoint.architecture).items():
        check_shape(checkpoint, source, shape)
        for start in range(0, shape[0], step):
            rows = checkpoint.rows(source, start, min(start + step, shape[0]))
            try:
                lost = _put(file, tensor, row, rows, search)
            except NotFiniteError:
                raise ModelError(
                    f"{checkpoint.source}: {source} has weights that are no numbers, infinite or "
                    "senselessly large; the checkpoint is damaged: download it again"
                ) from None
            sums = Sums(sums.weight + lost.weight, sums.error + lost.error)
            row += len(rows)
            told(rows.size)
    return sums


def _put(file: int, tensor: Stored, row: int, rows: Floats, search: bool) -> Sums:
    """Write `rows` as the tensor's rows from `row` on."""
    if tensor.bits == 32:
        if not (np.abs(rows) < HUGE).all():  # nor for a NaN
            raise NotFiniteError
        _write_at(file, rows.astype("<f4", copy=False), tensor.offset + row * tensor.row_bytes)
        return Sums()
    quantised = quantise(rows, tensor.bits, tensor.block, search=search)
    _write_at(file, quantised.codes, tensor.offset + row * tensor.row_bytes)
    scales = quantised.scales.astype("<f4", copy=False)
    _write_at(file, scales, tensor.scales_offset + row * tensor.blocks * 4)
    return Sums(quantised.weight, quantised.error)


def _write_at(file: int, array: NDArray[np.generic], at: int) -> None:
    view = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    while view:
        done = os.pwrite(file, view, at)
        view = view[done:]
        at += done
