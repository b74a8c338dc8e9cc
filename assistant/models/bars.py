"""Progress bars for somebody who waits for models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from assistant.models.fetch import Progress as Told

LONG: Final = 1_000_000_000
"""Bytes from which a line at the beginning is not enough."""


@contextmanager
def bars(console: Console, doing: str = "fetching ") -> Iterator[Told]:
    """Show a bar for each thing that is told of meanwhile: hand the result to `ensure`.

    Where nobody watches (a file, a pipe), a line says what is done (`doing`); of what takes long,
    more lines say how far it is.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    display = Progress(*columns, console=console, disable=not console.is_terminal)
    tasks: dict[str, TaskID] = {}
    tenths: dict[str, int] = {}

    def told(name: str, done: int, total: int) -> None:
        if not console.is_terminal:
            say(name, done, total)
            return
        if name not in tasks:
            display.start()
            tasks[name] = display.add_task(name, total=total)
        display.update(tasks[name], completed=done, total=total)

    def say(name: str, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        size = f"{total / 1e6:.0f} MB"
        if name not in tenths:
            console.print(f"{name}: {doing}{size}", highlight=False, soft_wrap=True)
        elif total >= LONG and tenth > tenths[name]:
            console.print(f"{name}: {10 * tenth} % of {size}", highlight=False, soft_wrap=True)
        tenths[name] = max(tenth, tenths.get(name, 0))

    try:
        yield told
    finally:
        display.stop()
