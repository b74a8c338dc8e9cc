"""`assistant trace`: the last turns, each as a waterfall of its stages."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.paths import directories
from assistant.turn.trace import TurnRecord, read_records

BAR_WIDTH = 48


def command(
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many turns.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where the records lie.", show_default=False)
    ] = None,
) -> None:
    """Show the last turns: what was heard, meant and done, and how long each stage took.

    Examples: `assistant trace -n 1`, `assistant trace -n 100 --json > turns.jsonl`
    """
    records = read_records(folder or directories().traces, last)
    if as_json:
        for record in records:
            typer.echo(json.dumps(asdict(record), ensure_ascii=False))
        return
    console = Console()
    if not records:
        console.print("No turns are recorded yet. Say something, or try: assistant demo")
    for record in records:
        print_record(console, record)


def print_record(console: Console, record: TurnRecord) -> None:
    """Draw one turn as a waterfall."""
    woken = f' · wake "{record.wake}" {record.wake_score or 0:.2f}' if record.wake else ""
    console.rule(f"[bold]{record.id}[/] {record.source} · {record.started}{woken}", align="left")
    if record.transcript:
        console.print(f"heard   “{escape(record.transcript)}”")
    if record.plan:
        origin = f"[dim]{record.intent} ({record.skill})[/]" if record.intent else ""
        console.print(f"plan    {record.plan} {origin}")
    for outcome in record.outcomes:
        colour = {"confirmed": "green", "sent": "yellow"}.get(outcome["result"], "red")
        params = ", ".join(f"{k}={v}" for k, v in outcome["params"].items())
        console.print(
            f"did     {outcome['action']}({escape(params)}) → {outcome['device'] or '–'} "
            f"[{colour}]{outcome['result']}[/] {outcome['reason']} "
            f"[dim]{escape(' '.join(outcome['topics']))}[/]"
        )
    if record.reply:
        console.print(f"reply   “{escape(record.reply)}”")
    if record.error:
        console.print(f"[red]error   {escape(record.error)}[/]")
    console.print(waterfall(record))


def waterfall(record: TurnRecord) -> Table:
    """The stages of `record` as bars over the turn's length."""
    length = max([record.seconds, *(s.end for s in record.stages), 0.001])
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan")
    table.add_column(width=BAR_WIDTH)
    table.add_column(justify="right")
    for stage in record.stages:
        begin = int(BAR_WIDTH * max(stage.start, 0) / length)
        size = max(1, round(BAR_WIDTH * (stage.end - stage.start) / length))
        table.add_row(
            stage.name,
            " " * min(begin, BAR_WIDTH - 1) + "█" * min(size, BAR_WIDTH - begin),
            f"{1000 * (stage.end - stage.start):.0f} ms",
        )
    return table
