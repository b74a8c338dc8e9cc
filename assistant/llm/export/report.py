"""How much the quantisation lost, by groups of tensors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from assistant.errors import ModelError
from assistant.llm.directory import REPORT
from assistant.llm.export.journal import Sums
from assistant.llm.layout import Stored


@dataclass(frozen=True, slots=True)
class GroupError:
    """Tensors with the same task in all layers.

    `error` is the root of the mean square of what was lost, relative to that of the weights.
    """

    group: str
    bits: int
    weights: int
    error: float


def summarise(stored: Iterable[Stored], sums: Mapping[str, Sums]) -> tuple[GroupError, ...]:
    """The groups of the quantised tensors, in the order of their first ones."""
    counts: dict[tuple[str, int], int] = {}
    weight: dict[tuple[str, int], float] = {}
    error: dict[tuple[str, int], float] = {}
    for tensor in stored:
        if tensor.bits == 32:
            continue
        key = _group(tensor.name), tensor.bits
        counts[key] = counts.get(key, 0) + tensor.rows * tensor.columns
        weight[key] = weight.get(key, 0.0) + sums[tensor.name].weight
        error[key] = error.get(key, 0.0) + sums[tensor.name].error
    return tuple(
        GroupError(*key, counts[key], (error[key] / weight[key]) ** 0.5 if weight[key] else 0.0)
        for key in counts
    )


def report_json(groups: Iterable[GroupError]) -> bytes:
    """The content of report.json."""
    return (json.dumps([asdict(group) for group in groups], indent=1) + "\n").encode()


def read_report(folder: Path) -> tuple[GroupError, ...]:
    """The report in a model directory. Raises ModelError where it can't be read."""
    try:
        entries = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        return tuple(GroupError(**entry) for entry in entries)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder / REPORT} can't be read: {error}") from error


def table(groups: Iterable[GroupError]) -> str:
    """The report for people to read."""
    lines = [f"{'tensors':<12} {'bits':>4} {'weights':>12} {'relative error':>15}"]
    lines += [f"{g.group:<12} {g.bits:>4} {g.weights:>12,} {g.error:>14.2%} " for g in groups]
    return "\n".join(line.rstrip() for line in lines)


def _group(name: str) -> str:
    return "mtp input" if name == "mtp.input" else name.rsplit(".", 1)[-1]
