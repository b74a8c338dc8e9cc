"""`assistant pin`: the PIN without which some things are not done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import typer

from assistant.cli.options import ConfigOption, settings_from
from assistant.errors import AssistantError
from assistant.paths import directories

if TYPE_CHECKING:
    from assistant.understand.pin import PinLock

app = typer.Typer(
    no_args_is_help=True,
    help="The PIN for what [policy] pin names in the configuration. It is kept as a salted digest; "
    "a running daemon knows of a change at once.",
)


@app.command("set")
def set_it() -> None:
    """Choose the PIN, of 4 to 12 digits. Asks for it, or reads it from standard input."""
    if sys.stdin.isatty():
        pin = typer.prompt("PIN", hide_input=True, confirmation_prompt="The same again")
    else:
        pin = sys.stdin.readline()
    with _opened() as lock:
        lock.set(pin.strip())
    typer.echo("The PIN is set.")


@app.command()
def remove() -> None:
    """Forget the PIN. What needs one is refused from now on."""
    with _opened() as lock:
        lock.remove()
    typer.echo("There is no PIN now.")


@app.command()
def status(config: ConfigOption = None) -> None:
    """Say whether there is a PIN, whether it is taken now, and what needs it."""
    settings = settings_from(config)
    with _opened(settings.policy.pin_lockout) as lock:
        if not lock.is_set:
            typer.echo("There is no PIN; choose one: assistant pin set")
        elif locked := lock.locked_for():
            typer.echo(
                f"There is a PIN. It was wrong too often: none is taken for {locked:.0f} s, "
                "or until one is set again."
            )
        else:
            typer.echo("There is a PIN.")
    needing = ", ".join(settings.policy.pin)
    typer.echo(f"Needed for: {needing or 'nothing; see pin in [policy] of the configuration'}")


@contextmanager
def _opened(lockout: float = 0.0) -> Iterator[PinLock]:
    from assistant.compose import STORE_FILE
    from assistant.store import Store
    from assistant.understand.pin import PinLock

    try:
        with closing(Store(directories().data / STORE_FILE)) as store:
            yield PinLock(store, lockout=lockout)
    except AssistantError as error:
        raise type(error)(f"the PIN: {error}") from error
