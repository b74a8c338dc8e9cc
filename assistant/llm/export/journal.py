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

    def __init__(self, path: Path, key: str) -> None:
        """Start the journal `path` anew, for the request that `key` stands for."""
        self._path = path
        self._finished: dict[str, Sums] = {}
        with path.open("wb") as file:
            _append(file.fileno(), {"key": key})

    @classmethod
    def resume(cls, path: Path, key: str) -> Journal | None:
        """The journal of an interrupted build; None where there is none for this request."""
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return None
        if not lines or _parsed(lines[0]) != {"key": key}:
            return None
        journal = cls.__new__(cls)
        journal._path = path
        journal._finished = {}
        whole = len(lines[0])
        for line in lines[1:]:
            entry = _parsed(line)
            if entry is None:  # torn by a power cut; what would follow must not be joined to it
                break
            journal._finished[entry.pop("tensor")] = Sums(**entry)
            whole += len(line)
        os.truncate(path, whole)
        return journal

    @property
    def finished(self) -> Mapping[str, Sums]:
        """The tensors that need not be made again."""
        return self._finished

    def add(self, tensors: Mapping[str, Sums]) -> None:
        """Write down that `tensors` are finished."""
        with self._path.open("ab") as file:
            _append(file.fileno(), *({"tensor": n, **asdict(s)} for n, s in tensors.items()))
        self._finished |= tensors


def _append(file: int, *entries: Mapping[str, object]) -> None:
    data = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and line.endswith(b"\n") else None
