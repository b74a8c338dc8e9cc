"""Progress bars for somebody who waits for models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def bars(console: Console) -> Iterator[Told]:
    """Show a bar for each model that is fetched meanwhile: hand the result to `ensure`.

    Where nobody watches (a file, a pipe), a line says what is fetched.
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

    def told(name: str, done: int, total: int) -> None:
        if name not in tasks:
            if not console.is_terminal:
                console.print(f"{name}: fetching {total / 1e6:.0f} MB", highlight=False)
            display.start()
            tasks[name] = display.add_task(name, total=total)
        display.update(tasks[name], completed=done, total=total)

    try:
        yield told
    finally:
        display.stop()
