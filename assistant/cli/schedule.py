"""`assistant schedule`: commands and reminders that wait for their time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.cli.options import ConfigOption, settings_from
from assistant.errors import AssistantError
from assistant.paths import directories

if TYPE_CHECKING:
    from assistant.store import Store, StoredTimer

app = typer.Typer(
    no_args_is_help=True,
    help="Commands and reminders for a time of day, a date or the sun, or for when some time has "
    "passed, as they were given: “every weekday at seven open the blinds”. A running daemon "
    "notices what is cancelled here.",
)


@app.command("list")
def show_all(config: ConfigOption = None) -> None:
    """List what is scheduled, the next to come first, and when it comes."""
    zone = settings_from(config).home.zone
    with _opened() as store:
        waiting = store.schedules()
        delayed = _delayed(store)
    if not waiting and not delayed:
        typer.echo("Nothing is scheduled.")
        return
    table = Table("number", box=None, header_style="dim")
    for header in ("next", "when", "what", "agreed"):
        table.add_column(header, overflow="fold")
    rows = [
        (timer.ends or 0.0, number, "once", _told(timer.command or "", "", timer.area), timer)
        for number, timer in delayed.items()
    ] + [
        (one.next, str(one.id), one.occasion, _told(one.command, one.message, one.area), one)
        for one in waiting
    ]
    for coming, number, when, what, one in sorted(rows, key=lambda row: row[0]):
        next_time = datetime.fromtimestamp(coming, zone).strftime("%a %Y-%m-%d %H:%M")
        table.add_row(number, next_time, when, what, one.approved)
    Console().print(table)


@app.command()
def cancel(
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="NUMBER", help="As in the list.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Cancel everything.")] = False,
) -> None:
    """Cancel what is scheduled.

    Example: `assistant schedule cancel 2`
    """
    if everything == bool(numbers):
        raise typer.BadParameter("name numbers of the list, or --all")
    with _opened() as store:
        delayed = _delayed(store)
        known = {str(one.id) for one in store.schedules()} | set(delayed)
        if unknown := sorted(set(numbers or ()) - known):
            raise AssistantError(
                f"nothing is scheduled under the number {unknown[0]}; see: assistant schedule list"
            )
        gone = known if everything else set(numbers or ())
        for number in gone:
            if number in delayed:
                store.remove_timer(delayed[number].id)
            else:
                store.remove_schedule(int(number))
    typer.echo(f"Cancelled: {len(gone)}")


def _told(command: str, message: str, area: str | None) -> str:
    what = escape(command) or f"[dim]reminder:[/] {escape(message)}"
    return what if area is None else f"{what} [dim]in {escape(area)}[/]"


def _delayed(store: Store) -> dict[str, StoredTimer]:
    """The commands that wait for some minutes to pass, by what they go by in the list."""
    waiting = (timer for timer in store.timers() if timer.command is not None)
    return {timer.id.removeprefix("timer."): timer for timer in waiting}


@contextmanager
def _opened() -> Iterator[Store]:
    from assistant.compose import STORE_FILE
    from assistant.store import Store

    with closing(Store(directories().data / STORE_FILE)) as store:
        yield store
