"""What the model computed of a prompt's beginning (its KV cache), kept on disk between runs.

A file each: a line of JSON that says what is in it, padded to a page, then the arrays, each on a
page of its own. All of it is covered by checksums: what a dying disk or a power cut left of a file
is thrown away, and the prompt read anew, rather than believed. Losing a file costs time only, so
nothing here raises because a disk is full or a file can't be read; it says so in the log.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

FORMAT: Final = 1
"""Changes whenever files written before can no longer be read."""

_PAGE: Final = 4096
_SUFFIX: Final = ".kv"
_PARTIAL: Final = ".part"
_STALE: Final = 3600.0
"""Seconds after which a half-written file is nobody's any more."""
_SPARE: Final = 1 << 30
"""Bytes of the disk that are left to others."""
_HEADER_LIMIT: Final = 1 << 26
_THREADS: Final = 2
"""Checking a file takes longer than reading it, where it is in the page cache."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prefix:
    """What was saved."""

    arrays: list[NDArray[Any]]
    meta: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Placed:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    crc: int

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class _DamagedError(Exception):
    pass


def key(model: str, template: str, tokens: Sequence[int]) -> str:
    """The name under which the KV of `tokens` is kept; another for each model and template.

    `model` must change whenever the weights do: a checksum is best.
    """
    digest = hashlib.sha256(f"{FORMAT} {len(model)} {model} {len(template)} ".encode())
    digest.update(template.encode("utf-8", "surrogatepass"))
    digest.update(np.asarray(tokens, "<i8").tobytes())
    return digest.hexdigest()


class PrefixStore:
    """Arrays of numbers on disk by key, at most `limit` bytes of them: those unused longest go.

    Several processes may use one folder. It is made when it is needed, for its owner only: what was
    said can be guessed from a KV cache.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._bad: set[str] = set()

    def save(
        self, key: str, arrays: Sequence[NDArray[Any]], meta: Mapping[str, Any] | None = None
    ) -> bool:
        """Keep `arrays`, and `meta` (of JSON) with them. False, with a line in the log: can't be.

        Others see it as a whole or not at all; after a power cut the checksums tell. Takes as long
        as writing does: not to be called in an event loop.
        """
        size = _PAGE + sum(-(-array.nbytes // _PAGE) * _PAGE for array in arrays)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
            if not self._make_room(key, size):
                return False
            handle, name = tempfile.mkstemp(_PARTIAL, key[:16], self._folder)
            partial = Path(name)
            try:
                with open(handle, "wb") as sink:
                    _write(sink, key, arrays, meta or {})
                partial.replace(self._path(key))
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("a prompt's beginning can't be kept in %s: %s", self._folder, error)
            return False
        self._bad.discard(key)
        return True

    def load(self, key: str) -> Prefix | None:
        """What was saved under `key`; None: nothing, or it is damaged and was dropped."""
        return self._read(key, None)

    def load_into(self, key: str, arrays: Sequence[NDArray[Any]]) -> Mapping[str, Any] | None:
        """Fill `arrays` with what was saved under `key`, and return its `meta`; None as for `load`.

        They are of the shapes and types saved, and may be views (`cache[:, :, :1000]`) as long as
        their last axis is contiguous. Where None is returned their content is not to be relied on.
        """
        prefix = self._read(key, arrays)
        return prefix.meta if prefix else None

    def meta(self, key: str) -> Mapping[str, Any] | None:
        """The `meta` saved under `key`, without reading the arrays: they may prove damaged."""
        if key in self._bad:
            return None
        try:
            with self._path(key).open("rb") as source:
                return _read_header(source, key)[0]
        except FileNotFoundError:
            return None
        except (OSError, _DamagedError) as error:
            self._drop(key, error)
            return None

    def _read(self, key: str, arrays: Sequence[NDArray[Any]] | None) -> Prefix | None:
        if key in self._bad:
            return None
        try:
            with self._path(key).open("rb", buffering=0) as source:
                meta, placed = _read_header(source, key)
                if arrays is None:
                    arrays = [np.empty(one.shape, one.dtype) for one in placed]
                _check_fit(arrays, placed)
                _fill(source.fileno(), arrays, placed)
                os.utime(source.fileno())  # used now: others go first
        except FileNotFoundError:
            return None
        except (OSError, _DamagedError) as error:
            self._drop(key, error)
            return None
        return Prefix(list(arrays), meta)

    def _drop(self, key: str, reason: Exception) -> None:
        path = self._path(key)
        _log.warning("%s can't be used and is dropped: %s", path, reason)
        self._bad.add(key)  # should it refuse to go, it is still not asked again
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s can't be removed: %s", path, error)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"

    def _files(self, suffix: str) -> list[tuple[Path, os.stat_result]]:
        files = []
        for path in self._folder.glob(f"*{suffix}"):
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                files.append((path, path.stat()))
        return files

    def _sweep(self) -> None:
        """Remove what killed processes left behind."""
        for path, stat in self._files(_PARTIAL):
            if stat.st_mtime < time.time() - _STALE:
                path.unlink(missing_ok=True)

    def _make_room(self, key: str, size: int) -> bool:
        if size > self._limit:
            _log.warning(
                "a prompt's beginning of %d MB is not kept: the limit is %d MB",
                size >> 20,
                self._limit >> 20,
            )
            return False
        others = [(path, stat) for path, stat in self._files(_SUFFIX) if path != self._path(key)]
        others.sort(key=lambda other: other[1].st_mtime_ns)
        excess = size + sum(stat.st_size for _, stat in others) - self._limit
        gone, freed = [], 0
        for path, stat in others:
            if freed >= excess:
                break
            gone.append(path)
            freed += stat.st_size
        free = shutil.disk_usage(self._folder).free
        if free + freed < size + _SPARE:
            _log.warning(
                "a prompt's beginning of %d MB is not kept: %s has %d MB left, and %d MB of them "
                "are left to others",
                size >> 20,
                self._folder,
                free >> 20,
                _SPARE >> 20,
            )
            return False
        for path in gone:
            path.unlink(missing_ok=True)
        return True


def _write(
    sink: BinaryIO, key: str, arrays: Sequence[NDArray[Any]], meta: Mapping[str, Any]
) -> None:
    # The length of the header must be known before the checksums are: they are padded.
    def header(checksums: Sequence[int], start: int) -> bytes:
        described, offset = [], start
        for array, crc in zip(arrays, checksums, strict=True):
            described.append([list(array.shape), array.dtype.str, offset, f"{crc:08x}"])
            offset = _aligned(offset + array.nbytes)
        text = json.dumps(
            {"format": FORMAT, "key": key, "end": offset, "meta": meta, "arrays": described}
        ).encode()
        return b"%08x%08x" % (zlib.crc32(text), len(text)) + text

    start = _aligned(len(header([0] * len(arrays), 1 << 48)))
    sink.seek(start)
    checksums = []
    for array in arrays:
        crc = 0
        if array.size and array.strides[-1:] not in ((), (array.itemsize,)):
            array = np.ascontiguousarray(array)
        for block in _blocks(array):
            sink.write(block)
            crc = zlib.crc32(block, crc)
        checksums.append(crc)
        sink.seek(_aligned(sink.tell()))
    sink.truncate(sink.tell())
    sink.seek(0)
    sink.write(header(checksums, start))


def _read_header(source: BinaryIO, key: str) -> tuple[Mapping[str, Any], list[_Placed]]:
    try:
        lead = source.read(16)
        crc, length = int(lead[:8], 16), int(lead[8:], 16)
        text = source.read(length) if length <= _HEADER_LIMIT else b""
        if len(text) != length or zlib.crc32(text) != crc:
            raise _DamagedError("its header does not fit its checksum")
        header = json.loads(text)
        if header["format"] != FORMAT or header["key"] != key:
            raise _DamagedError("it was written by another version, or renamed")
        placed = [
            _Placed(tuple(shape), np.dtype(dtype), offset, int(checksum, 16))
            for shape, dtype, offset, checksum in header["arrays"]
        ]
        meta: Mapping[str, Any] = header["meta"]
        end: int = header["end"]
        if any(one.dtype.kind not in "biuf" or one.offset + one.size > end for one in placed):
            raise ValueError(placed)
    except (ValueError, KeyError, TypeError) as error:
        raise _DamagedError("it has no header") from error
    size = os.fstat(source.fileno()).st_size
    if size != end:
        raise _DamagedError(f"it has {size} bytes instead of {end}")
    return meta, placed


def _check_fit(arrays: Sequence[NDArray[Any]], placed: Sequence[_Placed]) -> None:
    wanted = [(array.shape, array.dtype) for array in arrays]
    if wanted != [(one.shape, one.dtype) for one in placed]:
        raise _DamagedError("its arrays are not of the shapes and types wanted")


def _fill(handle: int, arrays: Sequence[NDArray[Any]], placed: Sequence[_Placed]) -> None:
    def fill(array: NDArray[Any], one: _Placed) -> None:
        offset, crc = one.offset, 0
        for block in _blocks(array):
            done = 0
            while done < len(block):
                count = os.preadv(handle, [block[done:]], offset + done)
                if not count:
                    raise _DamagedError("it ends too early")
                done += count
            offset += done
            crc = zlib.crc32(block, crc)  # while it is in the processor's cache
        if crc != one.crc:
            raise _DamagedError("an array does not fit its checksum")

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="prefix") as pool:
        for _ in pool.map(fill, arrays, placed):
            pass


def _blocks(array: NDArray[Any]) -> Iterator[memoryview]:
    """The bytes of `array` row by row, in pieces that lie together in memory; views, no copies."""
    if not array.size:
        return
    if array.flags.c_contiguous:
        yield array.reshape(-1).view(np.uint8).data
    elif array.ndim < 2:
        raise ValueError("the last axis of an array to fill must be contiguous")
    else:
        for part in array:
            yield from _blocks(part)


def _aligned(offset: int) -> int:
    return -(-offset // _PAGE) * _PAGE
