"""The command line: one module a command, imported here, doing heavy work only when called."""

from __future__ import annotations

from typing import Annotated

import typer

from assistant import __version__
from assistant.cli import (
    ask,
    bench,
    config,
    demo,
    devices,
    doctor,
    listen,
    llm,
    models,
    pin,
    remembered,
    replay,
    run,
    say,
    schedule,
    sentences,
    trace,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # paragraphs are filled to the terminal's width
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A private voice assistant for the home. Nothing leaves the house.",
    epilog="First time here? Try: assistant demo. Something wrong? Ask: assistant doctor.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mimo-voice {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options before any command."""


app.command("run")(run.command)
app.command("demo")(demo.command)
app.command("ask")(ask.command)
app.command("listen")(listen.command)
app.command("replay")(replay.command)
app.command("devices")(devices.command)
app.add_typer(remembered.app, name="remembered")
app.add_typer(pin.app, name="pin")
app.add_typer(schedule.app, name="schedule")
app.add_typer(sentences.app, name="sentences")
app.add_typer(models.app, name="models")
app.add_typer(llm.app, name="llm")
app.command("say")(say.command)
app.command("trace")(trace.command)
app.command("doctor")(doctor.command)
app.add_typer(config.app, name="config")
app.add_typer(bench.app, name="bench")
