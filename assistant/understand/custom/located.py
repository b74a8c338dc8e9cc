"""YAML that knows in which line each of its values stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from assistant.errors import SkillError

Place = tuple[str | int, ...]
"""Where a value stands: the keys and indices that lead to it."""

_LARGEST: Final = 1_000_000
"""Bytes of a file; a thousand sentences are a tenth of it."""
_MOST_VALUES: Final = 100_000
"""Values in a file, each counted as often as an alias refers to it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file of sentences. The text says what, and what to do about it."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class SentenceFileError(SkillError):
    """A file of sentences can't be used at all."""

    def __init__(self, path: Path, line: int, text: str) -> None:
        self.problem = Problem(path, line, text)
        super().__init__(str(self.problem))


@dataclass(frozen=True, slots=True)
class Located:
    """The content of a file, and the line of every value in it, counted from 1."""

    path: Path
    data: Any
    lines: Mapping[Place, int]

    def line(self, *place: str | int) -> int:
        """The line of the value at `place`, or of the nearest one that holds it."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)

    def problem(self, text: str, *place: str | int) -> Problem:
        """What is wrong with the value at `place`."""
        return Problem(self.path, self.line(*place), text)


def load_located(path: Path) -> Located:
    """Read a YAML file of plain values. Raises SentenceFileError."""
    try:
        if path.stat().st_size > _LARGEST:
            raise SentenceFileError(path, 1, "is larger than a megabyte; split it")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SentenceFileError(path, 1, f"can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SentenceFileError(path, 1, "is not UTF-8 text; save it as UTF-8") from error
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise SentenceFileError(path, 1, "is empty; see: assistant sentences example")
        lines: dict[Place, int] = {}
        _mark(node, (), lines, path)
        return Located(path, loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise SentenceFileError(path, line, f"is not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SentenceFileError(path, 1, f"is not valid YAML: {error}") from error
    finally:
        loader.dispose()


def _mark(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path) -> None:
    if len(lines) > _MOST_VALUES:
        line = node.start_mark.line + 1
        raise SentenceFileError(path, line, f"holds more than {_MOST_VALUES} values; split it")
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in keys:
                line = key.start_mark.line + 1
                raise SentenceFileError(path, line, f"has the key {name!r} twice; keep one of them")
            keys.add(name)
            lines[(*place, name)] = key.start_mark.line + 1
            _mark(value, (*place, name), lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _mark(value, (*place, index), lines, path)
