"""`assistant models`: what there is, fetch it, build it, check it, remove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.cli import models_build, models_inspect
from assistant.cli.models_build import size_of
from assistant.cli.options import ConfigOption, LanguageOption, log_to_terminal, settings_from
from assistant.errors import ModelError
from assistant.models.bars import bars
from assistant.models.catalogue import CATALOGUE, Kind, Model, find, speech_defaults
from assistant.models.fetch import ensure
from assistant.models.store import installed, path_of, read_manifest
from assistant.models.store import remove as remove_model
from assistant.models.store import verify as verify_model

if TYPE_CHECKING:
    from assistant.llm.library import Shelved
    from assistant.models.fetch import Progress

app = typer.Typer(
    help="Models for hearing, speaking and understanding: list, fetch, build, verify, remove."
)

_DAMAGED = "damaged\nor outdated"

NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")]


@app.command("list")
def list_models() -> None:
    """List the models that are known or were built here, and which of them are installed."""
    from assistant.llm.library import begun, shelf

    built = {item.name: item for item in shelf()}
    table = Table("name", "installed", "download", "what it is", box=None, pad_edge=False)
    for model in CATALOGUE:
        languages = ", ".join(model.languages[:4]) + (", …" if len(model.languages) > 4 else "")
        table.add_row(
            model.name,
            _state(model, built.pop(model.name, None)),
            size_of(model.download_size),
            f"{model.about}\n[dim]{languages or 'any language'} · {model.licence}[/]",
        )
    for item in built.values():
        about = ""
        if item.directory is not None:
            source, licence = escape(item.directory.source), escape(item.directory.licence)
            about = f"language model built from {source}\n[dim]{licence}[/]"
        table.add_row(item.name, _built_state(item), "", about)
    known = {model.name for model in CATALOGUE} | set(built)
    for name in begun():
        if name not in known:
            table.add_row(name, "begun", "", "an unfinished build: go on with it, or remove it")
    Console().print(table)


@app.command()
def fetch(
    names: NamesArgument = None, language: LanguageOption = None, config: ConfigOption = None
) -> None:
    """Fetch models; without names, those that hearing and speaking your language needs.

    Examples: `assistant models fetch`, `assistant models fetch vosk-model-small-en-us-0.15`

    What is there already is not fetched again. Interrupted downloads are gone on with. Language
    models are built, as by `assistant models build NAME`.
    """
    log_to_terminal(verbose=False)
    wanted = names or speech_defaults(settings_from(config, language).language)
    models = [find(name) for name in wanted]
    console = Console()
    with bars(console) as progress:
        for model in models:
            if model.kind is Kind.LLM:
                continue
            there = installed(model.name)
            folder = ensure(model.name, progress=progress)
            console.print(
                f"{model.name}: {'is installed' if there else 'installed'} in {folder}",
                soft_wrap=True,
                highlight=False,
            )
    for model in models:
        if model.kind is Kind.LLM:
            models_build.build_model(console, model.name)


app.command("build")(models_build.command)
app.command("inspect")(models_inspect.command)


@app.command()
def verify(names: NamesArgument = None) -> None:
    """Read models and compare every file's checksum; without names, all that are installed.

    Example: `assistant models verify mimo-7b`
    """
    from assistant.llm.library import mend

    log_to_terminal(verbose=False)
    remedies = []
    console = Console(stderr=True)
    with bars(console) as progress:
        for name in names or _installed_names():
            if _is_language_model(name):
                problems = _verify_built(name, progress if console.is_terminal else None)
                again = mend(name)
            else:
                problems, again = verify_model(name), f"assistant models fetch {name}"
            typer.echo(f"{name}: {'; '.join(problems) or 'sound'}")
            if problems:
                remedies.append(f"assistant models remove {name} && {again}")
    if remedies:
        raise ModelError(f"get anew what is damaged: {' && '.join(remedies)}")


@app.command()
def remove(names: Annotated[list[str], typer.Argument(metavar="NAME...")]) -> None:
    """Delete models, and what was left of their downloads and of builds that were interrupted.

    Example: `assistant models remove whisper-base`
    """
    from assistant.llm import library

    for name in names:
        gone = library.remove(name) if _is_language_model(name) else remove_model(name)
        typer.echo(f"{name}: {'removed' if gone else 'was not installed'}")


@app.command()
def path(name: str) -> None:
    """Print the folder of an installed model.

    Example: `assistant models path mimo-7b`
    """
    from assistant.llm.library import open_built

    typer.echo(open_built(name).folder if _is_language_model(name) else path_of(name))


def _state(model: Model, built: Shelved | None) -> str:
    if model.kind is Kind.LLM:
        from assistant.llm.library import unfinished

        begun = "begun" if unfinished(model.name) else "no"
        return begun if built is None else _built_state(built)
    if installed(model.name):
        return "yes"
    return "no" if read_manifest(model) is None else _DAMAGED


def _built_state(item: Shelved) -> str:
    return "yes" if item.problem is None else _DAMAGED


def _is_language_model(name: str) -> bool:
    """Whether the name is of a language model, catalogued or not, built or only begun."""
    from assistant.llm import library

    if library.is_path(name):
        return True
    try:
        return find(name).kind is Kind.LLM
    except ModelError:
        return library.place_of(name).exists() or bool(library.unfinished(name))


def _verify_built(name: str, progress: Progress | None) -> tuple[str, ...]:
    from assistant.llm import library

    item = next((item for item in library.shelf() if item.name == name), None)
    if item is not None and item.problem is not None:
        return (item.problem,)
    return library.verify(library.open_built(name), progress=progress)


def _installed_names() -> list[str]:
    from assistant.llm.library import shelf

    fetched = [m.name for m in CATALOGUE if m.kind is not Kind.LLM and read_manifest(m)]
    return fetched + [item.name for item in shelf()]
