"""`assistant models`: what there is, fetch it, check it, remove it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from assistant.cli.options import ConfigOption, LanguageOption, log_to_terminal, settings_from
from assistant.errors import ModelError
from assistant.models.bars import bars
from assistant.models.catalogue import CATALOGUE, Model, find, speech_defaults
from assistant.models.fetch import ensure
from assistant.models.store import installed, path_of, read_manifest
from assistant.models.store import remove as remove_model
from assistant.models.store import verify as verify_model

app = typer.Typer(help="Models for hearing and speaking: list, fetch, verify, remove.")

NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")]


@app.command("list")
def list_models() -> None:
    """List the models that are known, and which of them are installed."""
    table = Table("name", "installed", "download", "what it is", box=None, pad_edge=False)
    for model in CATALOGUE:
        languages = ", ".join(model.languages[:4]) + (", …" if len(model.languages) > 4 else "")
        table.add_row(
            model.name,
            _state(model),
            f"{model.download_size / 1e6:.0f} MB",
            f"{model.about}\n[dim]{languages or 'any language'} · {model.licence}[/]",
        )
    Console().print(table)


@app.command()
def fetch(
    names: NamesArgument = None, language: LanguageOption = None, config: ConfigOption = None
) -> None:
    """Fetch models; without names, those that hearing and speaking your language needs.

    What is there already is not fetched again. Interrupted downloads are gone on with.
    """
    log_to_terminal(verbose=False)
    wanted = names or speech_defaults(settings_from(config, language).language)
    for name in wanted:
        find(name)
    console = Console()
    with bars(console) as progress:
        for name in wanted:
            there = installed(name)
            folder = ensure(name, progress=progress)
            console.print(
                f"{name}: {'is installed' if there else 'installed'} in {folder}",
                soft_wrap=True,
                highlight=False,
            )


@app.command()
def verify(names: NamesArgument = None) -> None:
    """Read models and compare every file's checksum; without names, all that are installed."""
    broken = []
    for name in names or [model.name for model in CATALOGUE if read_manifest(model)]:
        problems = verify_model(name)
        typer.echo(f"{name}: {'; '.join(problems) or 'sound'}")
        if problems:
            broken.append(name)
    if broken:
        commands = " && ".join(
            f"assistant models {verb} {' '.join(broken)}" for verb in ("remove", "fetch")
        )
        raise ModelError(f"fetch anew what is damaged: {commands}")


@app.command()
def remove(names: Annotated[list[str], typer.Argument(metavar="NAME...")]) -> None:
    """Delete models, and what was left of their downloads."""
    for name in names:
        typer.echo(f"{name}: {'removed' if remove_model(name) else 'was not installed'}")


@app.command()
def path(name: str) -> None:
    """Print the folder of an installed model."""
    typer.echo(path_of(name))


def _state(model: Model) -> str:
    if installed(model.name):
        return "yes"
    if read_manifest(model) is not None:
        return "damaged\nor outdated"
    return "no"
