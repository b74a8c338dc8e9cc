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
    from assistant.store import Store

app = typer.Typer(
    no_args_is_help=True,
    help="Commands and reminders for a time of day, a date or the sun, as they were given: "
    "“every weekday at seven open the blinds”. A running daemon notices what is cancelled here.",
)


@app.command("list")
def show_all(config: ConfigOption = None) -> None:
    """List what is scheduled, the next to come first, and when it comes."""
    zone = settings_from(config).home.zone
    with _opened() as store:
        waiting = store.schedules()
    if not waiting:
        typer.echo("Nothing is scheduled.")
        return
    table = Table("number", box=None, header_style="dim")
    for header in ("next", "when", "what", "agreed"):
        table.add_column(header, overflow="fold")
    for one in waiting:
        coming = datetime.fromtimestamp(one.next, zone).strftime("%a %Y-%m-%d %H:%M")
        what = escape(one.command) or f"[dim]reminder:[/] {escape(one.message)}"
        if one.area is not None:
            what += f" [dim]in {escape(one.area)}[/]"
        table.add_row(str(one.id), coming, one.occasion, what, one.approved)
    Console().print(table)


@app.command()
def cancel(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="NUMBER", help="As in the list.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Cancel everything.")] = False,
) -> None:
    """Cancel what is scheduled."""
    if everything == bool(numbers):
        raise typer.BadParameter("name numbers of the list, or --all")
    with _opened() as store:
        known = {one.id for one in store.schedules()}
        if unknown := sorted(set(numbers or ()) - known):
            raise AssistantError(
                f"nothing is scheduled under the number {unknown[0]}; see: assistant schedule list"
            )
        gone = [
            one
            for one in (known if everything else set(numbers or ()))
            if store.remove_schedule(one)
        ]
    typer.echo(f"Cancelled: {len(gone)}")


@contextmanager
def _opened() -> Iterator[Store]:
    from assistant.compose import STORE_FILE
    from assistant.store import Store

    with closing(Store(directories().data / STORE_FILE)) as store:
        yield store
