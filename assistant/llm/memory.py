"""Whether a model fits into what memory is free: asked before it is loaded, not found out by it.

A hub that begins to swap answers nobody, and the kernel may end the wrong program.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from assistant.errors import LlmError
from assistant.llm.directory import ModelDirectory
from assistant.llm.layout import EMBEDDING_FILE, SHORTLIST, Stored, layout

_RUNTIME: Final = 200_000_000
"""Bytes of onnxruntime itself, of the tokenizer, the grammar, and of a pass's values."""
_SPARE: Final = 200_000_000
"""Bytes that are left to the other programs."""
_EMBEDDING_SHARE: Final = 8
"""Of the embedding, which stays a mapped file, about an eighth is in use: the common tokens."""
_SMALLEST_CONTEXT: Final = 512
_NO_LIMIT: Final = 1 << 60
"""Control groups write "no limit" as a number beyond this, or as "max"."""


def available(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory that can be taken without swapping: of the machine, and of this service.

    The least of what Linux estimates (MemAvailable) and of what the control groups (versions 1 and
    2) that this process is in still allow. Where nothing is told, as good as endless.
    """
    return min([_machine(proc), *_groups(proc, groups)])


def demand(directory: ModelDirectory, context: int, *, drafting: bool = True) -> int:
    """Bytes that the model takes when it is loaded, its KV cache full with `context` tokens.

    `drafting`: its MTP layer is loaded too. The embedding stays a mapped file and counts for the
    part that is in use. An estimate, some per cent above what was measured.
    """
    a = directory.architecture
    total = _RUNTIME
    for tensor in layout(a, directory.quantisation):
        if tensor.file == EMBEDDING_FILE:
            total += (tensor.size + tensor.scales_size) // _EMBEDDING_SHARE
        elif drafting or not tensor.name.startswith("mtp."):
            total += _packed(tensor)
        if tensor.name == "head" and a.mtp_layers and drafting:
            total += _packed(tensor) * min(SHORTLIST, tensor.rows) // tensor.rows
    return total + min(context, a.context) * a.kv_bytes


def spares(size: int) -> bool:
    """Whether so many bytes can be taken, and enough is left to other programs."""
    return available() - _SPARE >= size


def check(directory: ModelDirectory, context: int, *, drafting: bool = True) -> None:
    """Raise LlmError, which says what is missing and what to do, where the model does not fit."""
    free = available() - _SPARE
    context = min(context, directory.architecture.context)
    needed = demand(directory, context, drafting=drafting)
    if needed <= free:
        return
    kv_bytes = directory.architecture.kv_bytes
    fitting = (free - (needed - context * kv_bytes)) // kv_bytes // 256 * 256
    shorter = f"set [llm] context to {fitting} or less" if fitting >= _SMALLEST_CONTEXT else None
    remedies = ["end other programs", shorter, "choose a smaller model"]
    raise LlmError(
        f"{directory.name} needs {needed / 1e9:.1f} GB of memory with a context of {context} "
        f"tokens, {max(0, free) / 1e9:.1f} GB are free: "
        + ", or ".join(remedy for remedy in remedies if remedy)
    )


def _packed(tensor: Stored) -> int:
    """Bytes in memory: the kernels keep a second number with each block's scale."""
    return tensor.size + 2 * tensor.scales_size


def _machine(proc: Path) -> int:
    try:
        for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return sys.maxsize


def _groups(proc: Path, root: Path) -> Iterator[int]:
    """What each control group around this process, the outer ones too, has left."""
    try:
        lines = (proc / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            base, limits, used = root, ["memory.max", "memory.high"], "memory.current"
        elif "memory" in controllers.split(","):
            base, limits, used = root / "memory", ["memory.limit_in_bytes"], "memory.usage_in_bytes"
        else:
            continue
        prefix = "" if number == "0" else "total_"  # version 1 counts groups within apart
        # In a container the path may be the host's, and the container's own group the root.
        steps = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(steps) + 1):
            folder = base.joinpath(*steps[:depth])
            allowed = [limit for name in limits if (limit := _number(folder / name)) is not None]
            taken = _number(folder / used)
            if allowed and taken is not None and min(allowed) < _NO_LIMIT:
                yield max(0, min(allowed) - taken + _cached(folder / "memory.stat", prefix))


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
        return _NO_LIMIT if text == "max" else int(text)
    except (OSError, ValueError):
        return None


def _cached(file: Path, prefix: str) -> int:
    """Bytes of file contents that a group counts as taken and that can be let go at any time."""
    names = (f"{prefix}active_file", f"{prefix}inactive_file")
    try:
        pairs = [line.split() for line in file.read_text(encoding="ascii").splitlines()]
        return sum(int(pair[1]) for pair in pairs if pair[0] in names)
    except (OSError, ValueError, IndexError):
        return 0
