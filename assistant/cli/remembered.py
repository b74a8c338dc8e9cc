"""`assistant remembered`: what the language model made of sentences, to look at and to correct."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.cli.options import log_to_terminal
from assistant.errors import AssistantError
from assistant.paths import directories

if TYPE_CHECKING:
    from assistant.understand.remembered import Remembered
    from assistant.understand.remembered_file import RememberedFile

app = typer.Typer(
    no_args_is_help=True,
    help="Sentences that the language model resolved and nobody took back: they are known at once "
    "the next time. A running daemon notices what is changed here.",
)

_PLACE = "slotplace"
"""A word that nobody says, for a slot."""

NumberArgument = Annotated[int, typer.Argument(metavar="NUMBER", help="As in the list.")]


@app.command("list")
def show_all() -> None:
    """List what is remembered: what was said, what it does, how often it was used, when last.

    `{name}`, `{area}` and `{number}` stand for others of the same kind, of which it is known too.
    """
    with _opened() as file:
        entries = file.entries() if file is not None else ()
    console = Console()
    if not entries:
        console.print("Nothing is remembered yet. What the language model resolves is, if nobody")
        console.print("takes it back within a minute.")
        return
    console.print(_table(entries))


@app.command()
def show(number: NumberArgument) -> None:
    """Show all that is known of one sentence.

    Example: `assistant remembered show 3`
    """
    with _opened() as file:
        entry = _entry(file, number)
    from assistant.understand.remembered import does

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan")
    table.add_column(overflow="fold")
    table.add_row("said", escape(f"“{entry.said}” ({entry.language})"))
    if entry.area is not None:
        table.add_row("in", escape(entry.area))
    if entry.pattern:
        table.add_row("also", escape(f"“{entry.pattern}”"))
    for step in entry.steps:
        table.add_row("does", escape(does((step,))))
    table.add_row("learnt", _moment(entry.learnt))
    table.add_row("used", _times(entry))
    if state := _state(entry):
        table.add_row("now", state)
    Console().print(table)


@app.command()
def edit(
    number: NumberArgument,
    said: Annotated[
        str | None, typer.Option("--said", metavar="TEXT", help="What is to be said for it.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            metavar="TEXT",
            help="The same for others, with the slots it has: “make {name} cosy”.",
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact-only", help="It is to say nothing of others.")
    ] = False,
    enabled: Annotated[
        bool | None,
        typer.Option(
            "--on/--off", help="Off: the language model is asked each time, and not remembered."
        ),
    ] = None,
) -> None:
    """Change what is to be said for it, or switch it off and on. It counts as approved then.

    Examples: `assistant remembered edit 3 --said "film time"`, `assistant remembered edit 3 --off`
    """
    if exact and pattern is not None:
        raise typer.BadParameter("goes without --exact-only", param_hint="--pattern")
    if said is None and pattern is None and not exact and enabled is None:
        raise typer.BadParameter("say what to change: --said, --pattern, --exact-only, --on, --off")
    with _opened() as file:
        entry = _entry(file, number)
        if said is not None:
            words = _sentence(said, entry, "--said")
            _check_untaken(file, entry, words)
            entry = replace(entry, said=words, about="")
        if pattern is not None:
            entry = replace(entry, pattern=_pattern(pattern, entry))
        if exact:
            entry = replace(entry, pattern="", slots=())
        if enabled is not None:
            entry = replace(entry, enabled=enabled)
        if file is not None:
            file.change(replace(entry, trial_ends=min(entry.trial_ends, time.time())))
    show(number)


@app.command()
def forget(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="NUMBER", help="As in the list.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Forget everything.")] = False,
) -> None:
    """Forget sentences; the language model is asked what they mean, and may teach them again.

    Example: `assistant remembered forget 3 5`

    To have it asked each time, use: assistant remembered edit NUMBER --off
    """
    if everything == bool(numbers):
        raise typer.BadParameter("name numbers of the list, or --all")
    with _opened() as file:
        for number in numbers or ():
            _entry(file, number)
        count = 0
        if file is not None:
            count = file.forget_all() if everything else file.forget(numbers or ())
    typer.echo(f"Forgotten: {count}")


@contextmanager
def _opened() -> Iterator[RememberedFile | None]:
    """The file; None where there is none yet."""
    from assistant.understand.remembered_file import FILE_NAME, RememberedFile

    log_to_terminal(verbose=False)
    path = directories().data / FILE_NAME
    if not path.exists():
        yield None
        return
    with closing(RememberedFile(path)) as file:
        yield file


def _entry(file: RememberedFile | None, number: int) -> Remembered:
    entries = file.entries() if file is not None else ()
    for entry in entries:
        if entry.id == number:
            return entry
    raise AssistantError(
        f"nothing is remembered under the number {number}; see: assistant remembered list"
    )


def _sentence(text: str, entry: Remembered, option: str) -> str:
    """`text` as it is kept. Raises BadParameter for what would never lead to an action."""
    from assistant.understand.language import load_language
    from assistant.understand.remembered import is_order
    from assistant.understand.remembered import said as kept

    language = load_language(entry.language)
    words = kept(text, language)
    if not words:
        raise typer.BadParameter("is empty; write what you would say", param_hint=option)
    if not is_order(text, language):
        raise typer.BadParameter(
            "asks or forbids something, or is too long: it would never be done", param_hint=option
        )
    return words


def _check_untaken(file: RememberedFile | None, entry: Remembered, words: str) -> None:
    for other in file.entries() if file is not None else ():
        same = (other.language, other.said, other.area) == (entry.language, words, entry.area)
        if same and other.id != entry.id:
            raise AssistantError(
                f"“{words}” is remembered already, under the number {other.id}; forget that first"
            )


def _pattern(text: str, entry: Remembered) -> str:
    from assistant.understand.language import load_language
    from assistant.understand.remembered import SLOT

    slots = [slot.kind for slot in entry.slots]
    if not slots or SLOT.findall(text) != slots:
        has = " ".join(f"{{{kind}}}" for kind in slots) or "none"
        raise typer.BadParameter(
            f"must have the slots that number {entry.id} has, in their order: {has}",
            param_hint="--pattern",
        )
    between = _sentence(SLOT.sub(f" {_PLACE} ", text), entry, "--pattern").split()
    articles = load_language(entry.language).articles
    parts: list[str] = []
    for word in between:
        while word == _PLACE and parts and parts[-1] in articles:
            parts.pop()  # another name may want another
        parts.append(word)
    if set(parts) == {_PLACE}:
        raise typer.BadParameter("needs words beside its slots", param_hint="--pattern")
    filled = iter(slots)
    return " ".join(f"{{{next(filled)}}}" if part == _PLACE else part for part in parts)


def _table(entries: tuple[Remembered, ...]) -> Table:
    from assistant.understand.remembered import does

    table = Table("number", box=None, header_style="dim")
    for header in ("said", "does", "used", "last"):
        table.add_column(header, overflow="fold")
    for entry in entries:
        said = escape(entry.said)
        if entry.area is not None:
            said += f" [dim]in {escape(entry.area)}[/]"
        if entry.pattern:
            said += f"\n[dim]{escape(entry.pattern)}[/]"
        state = _state(entry)
        what = escape(does(entry.steps)) + (f" [yellow]{state}[/]" if state else "")
        last = _moment(entry.last_used) if entry.used else "never"
        table.add_row(
            str(entry.id), said, what, str(entry.used), last, style="" if entry.enabled else "dim"
        )
    return table


def _state(entry: Remembered) -> str:
    if not entry.enabled:
        return "off"
    if entry.trial_ends > time.time():
        return f"on trial until {_moment(entry.trial_ends, '%H:%M:%S')}"
    return ""


def _times(entry: Remembered) -> str:
    if not entry.used:
        return "never"
    return f"{entry.used} ×, last {_moment(entry.last_used)}"


def _moment(seconds: float, form: str = "%Y-%m-%d %H:%M") -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime(form)
