"""The header of a GGUF file: metadata, and where each tensor lies.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3. The gguf
package has a reader too; it takes seconds and hundreds of MB for a large vocabulary, and never ends
where a damaged length says so.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from assistant.errors import ModelError

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_SCALARS: Final = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?",
    10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip
_STRING: Final = 8
_ARRAY: Final = 9
_DIMENSIONS: Final = 4  # at most
_LONGEST: Final = 1 << 25
"""Bytes: three times what the largest vocabularies take. As Python's lists it is ten times that."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies, in bytes from the file's beginning, and how its numbers are kept."""

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    offset: int
    size: int


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, Place]]:
    """Metadata (numbers, strings, lists of either) and tensors, by name.

    Raises ModelError: no GGUF, damaged, truncated, of another version.
    """
    try:
        with path.open("rb") as file:
            return _Header(path, file).read()
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, KeyError) as error:
        raise ModelError(f"{path}: the header is damaged ({error}); download it again") from error


class _Header:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._left = self._size = path.stat().st_size

    def read(self) -> tuple[dict[str, Any], dict[str, Place]]:
        if self._take(4) != _MAGIC:
            raise ModelError(f"{self._path} is no GGUF file")
        version = self._number("<I")
        if version not in _VERSIONS:
            raise ModelError(f"{self._path} is GGUF of version {version}; known: 2 and 3")
        tensors, entries = self._number("<Q"), self._number("<Q")
        fields = {}
        for _ in range(entries):
            name = self._string()
            fields[name] = self._value(self._number("<I"))
        found = [self._tensor() for _ in range(tensors)]
        alignment = fields.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"alignment {alignment!r}")
        base = -(-(self._size - self._left) // alignment) * alignment
        places = {}
        for name, shape, number, offset in found:
            if number not in GGML_QUANT_SIZES:
                raise ModelError(
                    f"{self._path}: {name} is stored as kind {number}, which is not known; get the "
                    "model as Q8_0, F16 or BF16"
                )
            kind = GGMLQuantizationType(number)
            size = _size(name, shape, kind)
            if base + offset + size > self._size:
                raise ModelError(f"{self._path} is truncated: {name} is cut off; download it again")
            places[name] = Place(shape, kind, base + offset, size)
        return fields, places

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        count = self._number("<I")
        if not 1 <= count <= _DIMENSIONS:
            raise ValueError(f"{name} has {count} dimensions")
        shape = tuple(self._number("<Q") for _ in range(count))
        return name, shape[::-1], self._number("<I"), self._number("<Q")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._numbers(kind, 1)[0]
        kind, count = self._number("<I"), self._number("<Q")
        if kind == _STRING:
            return [self._string() for _ in range(count)]
        return self._numbers(kind, count)

    def _numbers(self, kind: int, count: int) -> list[Any]:
        if kind not in _SCALARS:
            raise ValueError(f"values of the unknown type {kind}")
        dtype = np.dtype(_SCALARS[kind])
        numbers: list[Any] = np.frombuffer(self._take(count * dtype.itemsize), dtype).tolist()
        return numbers

    def _string(self) -> str:
        return self._take(self._number("<Q")).decode()

    def _number(self, layout: str) -> int:
        return int(struct.unpack(layout, self._take(struct.calcsize(layout)))[0])

    def _take(self, size: int) -> bytes:
        there = size <= self._left
        if there and self._size - self._left + size > _LONGEST:
            raise ValueError(f"it is longer than {_LONGEST >> 20} MB")
        data = self._file.read(size) if there else b""
        if len(data) != size:
            raise ModelError(f"{self._path} is truncated within its header; download it again")
        self._left -= size
        return data


def _size(name: str, shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    block, width = GGML_QUANT_SIZES[kind]
    if 0 in shape or shape[-1] % block:
        raise ValueError(f"{name} of shape {list(shape)} is stored in blocks of {block}")
    return prod(shape) // block * width
