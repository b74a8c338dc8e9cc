"""One safetensors file: a checked header, and rows read where they lie.

Format: 8 bytes with the header's length, a JSON header, the tensors' bytes; everything is
little-endian. https://github.com/huggingface/safetensors#format

Reads are positioned (pread) rather than mapped: pages of a mapping count as this process's memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from assistant.errors import ModelError
from assistant.llm.checkpoint.contract import Floats

_LONGEST_HEADER: Final = 1 << 24
"""Bytes. The format allows six times as much, and no model that can be run needs a tenth of it."""
_DIMENSIONS: Final = 8  # at most
_BITS: Final = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
_LFS: Final = b"version https://git-lfs"
_READ: Final = ("F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a file; `offset` and `size` in bytes, from the file's beginning."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


class SafetensorsFile:
    """An open file. Raises ModelError for every damage that shows without reading the weights."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_file(path)
        try:
            self.entries: Mapping[str, Entry] = _header(path, self._file)
        except BaseException:
            self.close()
            raise

    def rows(self, tensor: str, start: int, stop: int) -> Floats:
        """Rows [start, stop) of a tensor as float32; of a vector, that many numbers."""
        entry = self.entries[tensor]
        if entry.dtype not in _READ:
            raise ModelError(
                f"{self._path}: {tensor} is stored as {entry.dtype}; only {', '.join(_READ)} can "
                "be read: get the checkpoint that is not quantised"
            )
        width = prod(entry.shape[1:]) * _BITS[entry.dtype] // 8
        data = read_at(self._path, self._file, entry.offset + start * width, (stop - start) * width)
        return _float32(data, entry.dtype).reshape(stop - start, *entry.shape[1:])

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def open_file(path: Path) -> int:
    """A descriptor to read `path`. Raises ModelError where it can't be opened."""
    try:
        return os.open(path, os.O_RDONLY)
    except OSError as error:
        raise ModelError(
            f"{path} can't be read: {error.strerror}; check the path, and who may read it"
        ) from error


def read_at(path: Path, file: int, offset: int, size: int) -> bytearray:
    """`size` bytes of an open file from `offset`. Raises ModelError where it ends before."""
    data = bytearray(size)
    view = memoryview(data)
    done = 0
    while done < size:
        try:
            got = os.preadv(file, [view[done:]], offset + done)
        except OSError as error:
            raise ModelError(f"{path} can't be read: {error.strerror}; check the disk") from error
        if not got:
            raise ModelError(f"{path} is truncated; download it again")
        done += got
    return data


def check_pulled(data: bytes | bytearray, where: Path | str) -> None:
    """Raise ModelError where `data` begins as what Git leaves in the place of a big file."""
    if data.startswith(_LFS):
        raise ModelError(
            f"{where} is a note of Git LFS, not the file itself; get the file with: git lfs pull"
        )


def _float32(data: bytearray, dtype: str) -> Floats:
    if dtype == "F32":
        return np.frombuffer(data, "<f4").astype(np.float32, copy=False)
    if dtype == "F16":
        return np.frombuffer(data, "<f2").astype(np.float32)
    # bfloat16 is the upper half of a float32.
    wide = np.frombuffer(data, "<u2").astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def _header(path: Path, file: int) -> dict[str, Entry]:
    size = os.fstat(file).st_size
    if size < 8:
        raise ModelError(f"{path} is truncated; download it again")
    check_pulled(read_at(path, file, 0, min(size, len(_LFS))), path)
    length = int.from_bytes(read_at(path, file, 0, 8), "little")
    if length > _LONGEST_HEADER:
        raise ModelError(f"{path} is no safetensors file; download it again")
    if 8 + length > size:
        raise ModelError(f"{path} is truncated within its header; download it again")
    try:
        data = json.loads(read_at(path, file, 8, length))
        entries = {
            name: _entry(name, value, 8 + length)
            for name, value in data.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path}: the header is damaged ({error}); download it again") from error
    end = 8 + length
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].offset, item[1].size)):
        if entry.offset < end:
            raise ModelError(f"{path}: the header is damaged ({name} overlaps another tensor)")
        end = entry.offset + entry.size
    if end > size:
        raise ModelError(f"{path} is truncated: {size} bytes of {end}; download it again")
    return entries


def _entry(name: str, value: dict[str, Any], base: int) -> Entry:
    dtype, shape, (start, stop) = value["dtype"], tuple(value["shape"]), value["data_offsets"]
    bits = _BITS.get(dtype)
    if bits is None:
        raise ValueError(f"{name} is of the unknown type {dtype!r}")
    if len(shape) > _DIMENSIONS:
        raise ValueError(f"{name} has {len(shape)} dimensions")
    for number in (*shape, start, stop):
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise ValueError(f"{name} has a size or offset {number!r}")
    if (stop - start) * 8 != prod(shape) * bits:
        raise ValueError(f"{name} has {stop - start} bytes, which do not fit its shape {shape}")
    return Entry(dtype, shape, base + start, stop - start)
