"""Which tensors are safely on the disk, so that an interrupted build goes on from there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of squares of a tensor's weights, and of what its quantisation lost; 0 for floats."""

    weight: float = 0.0
    error: float = 0.0


class Journal:
    """A file with a line per finished tensor, below a line that says of which request.

    Whoever adds a tensor has fsynced its bytes before.
    """

    def __init__(self, path: Path, finished: dict[str, Sums], size: int) -> None:
        """For `begun` and `read`."""
        self._path = path
        self._finished = finished
        self._size = size

    @classmethod
    def begun(cls, path: Path, key: str) -> Journal:
        """A new journal for the request that `key` stands for."""
        path.write_bytes(b"")
        journal = cls(path, {}, 0)
        journal._append({"key": key})
        return journal

    @classmethod
    def read(cls, path: Path, key: str) -> Journal | None:
        """The journal of an interrupted build; None where there is none for this request."""
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not lines or _parsed(lines[0]) != {"key": key}:
            return None
        finished = {}
        size = len(lines[0])
        for line in lines[1:]:
            entry = _parsed(line)
            try:
                name = entry.pop("tensor")
                finished[name] = Sums(**entry)
            except (KeyError, TypeError):  # torn by a power cut, or of another version
                break
            size += len(line)
        return cls(path, finished, size)

    @property
    def finished(self) -> Mapping[str, Sums]:
        """The tensors that need not be made again."""
        return self._finished

    def add(self, tensors: Mapping[str, Sums]) -> None:
        """Write down that `tensors` are finished."""
        self._append(*({"tensor": name, **asdict(sums)} for name, sums in tensors.items()))
        self._finished |= tensors

    def _append(self, *entries: Mapping[str, object]) -> None:
        data = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
        with self._path.open("r+b") as file:
            file.truncate(self._size)  # no new line is joined to a torn one
            file.seek(self._size)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._size += len(data)


def _parsed(line: bytes) -> dict[str, Any]:
    """What a whole line says; nothing, if it is torn."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) and line.endswith(b"\n") else {}
