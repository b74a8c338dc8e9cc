"""`assistant bench llm`: how fast a language model answers on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from assistant.cli.options import ConfigOption, VerboseOption, log_to_terminal, settings_from
from assistant.errors import ModelError
from assistant.models.bars import bars
from assistant.paths import directories

if TYPE_CHECKING:
    from assistant.cli.bench_figures import Figure, Subject
    from assistant.llm.architecture import Architecture
    from assistant.llm.directory import ModelDirectory
    from assistant.llm.quantisation import Quantisation

_RESERVE = 1 << 30
"""Bytes of the disk that are left to others."""
_SCRIPTED = (
    "The answers were given in advance: every pass, mask and guess was computed, and only which "
    "token was chosen, and how often a guess was right, was not the model's own doing."
)


def command(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FOLDER]",
            help="A built model. Default: the configured, else mimo-7b or smollm2.",
            show_default=False,
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            help="Instead of a model, random weights in the dimensions of this one (mimo-7b): "
            "written for the purpose, and removed afterwards.",
            show_default=False,
        ),
    ] = None,
    block: Annotated[
        int, typer.Option(help="With --shape: weights that share a scale; 32, 64 or 128.")
    ] = 64,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Default: the configured.", show_default=False),
    ] = None,
    acceptance: Annotated[
        float,
        typer.Option(min=0, max=1, help="How often guesses of the MTP layer are to be right."),
    ] = 0.9,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the figures to this file as well."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="With --shape: keep the weights for the next time.")
    ] = False,
    config: ConfigOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Time a language model: loading, reading, answering, and the memory that it takes.

    Examples: `assistant bench llm smollm2`, `assistant bench llm --shape mimo-7b --block 128`

    Answers are given in advance: every pass, mask and guess is computed, and only the choice of
    the tokens is scripted, because what a model says has no influence on how long it takes. So a
    machine can be tried with --shape mimo-7b before 16 GB are fetched for it. Takes some minutes;
    let nothing else run meanwhile.
    """
    log_to_terminal(verbose)
    settings = settings_from(config).llm
    console = Console()
    if model is not None and shape is not None:
        raise typer.BadParameter("give a model or a shape, not both", param_hint="--shape")
    if json_file is not None:  # rather than after minutes of work
        _check_writable(json_file)

    from assistant.cli.bench_figures import figures
    from assistant.llm import memory
    from assistant.llm.select import choose, engine_settings

    if model is not None:
        settings = settings.model_copy(update={"model": model})
    runtime = engine_settings(settings, directories().cache).runtime
    runtime = replace(runtime, threads=threads or runtime.threads)
    if shape is not None:
        opened = _random(console, shape, block, keep)
    elif (chosen := choose(settings)) is not None:
        opened = _installed(chosen)
    else:
        raise ModelError(
            "there is no language model to measure: build one with assistant models build "
            "mimo-7b, or measure its dimensions with assistant bench llm --shape mimo-7b"
        )
    with opened as subject:
        directory = subject.directory
        memory.check(directory, runtime.context, drafting=runtime.drafting)
        with _watched(console) as tell:
            found = list(figures(subject, runtime, acceptance, tell))
    machine = f"{runtime.threads} threads, {platform.machine()}"
    about = f"{directory.name}, blocks of {directory.quantisation.block}, {directory.source}"
    _report(console, f"{about}; {machine}", found)
    if json_file is not None:
        data = {"about": about, "machine": machine, "acceptance": acceptance}
        text = json.dumps({**data, **{one.key: one.value for one in found}}, indent=1)
        json_file.write_text(text + "\n", encoding="utf-8")


@contextmanager
def _installed(directory: ModelDirectory) -> Iterator[Subject]:
    from assistant.cli.bench_figures import Subject
    from assistant.cli.bench_turn import turns, virtual_home
    from assistant.llm.texts import read_template, read_tokenizer

    tokenizer = read_tokenizer(directory)
    template = read_template(directory, tokenizer)
    yield Subject(directory, tokenizer, template, turns(virtual_home()), trained=True)


@contextmanager
def _random(console: Console, shape: str, block: int, keep: bool) -> Iterator[Subject]:
    """A model of random weights, in the cache folder; gone afterwards unless `keep`."""
    from assistant.cli.bench_figures import Subject
    from assistant.cli.bench_turn import turns, virtual_home
    from assistant.llm.chat import ChatTemplate
    from assistant.llm.layout import file_sizes, layout
    from assistant.llm.measure.untrained import TEMPLATE, made_up_tokenizer, untrained
    from assistant.llm.quantisation import Quantisation
    from assistant.llm.shapes import SHAPES, write_random

    if shape not in SHAPES:
        raise ModelError(f"the shape {shape!r} is not known; known are: {', '.join(SHAPES)}")
    architecture, quantisation = SHAPES[shape], Quantisation(block=block)
    folder = directories().cache / "bench" / f"{shape}-{block}"
    whole = folder / "whole"
    try:
        made = _made(architecture, quantisation)
        if not whole.exists() or whole.read_text("ascii") != made:
            whole.unlink(missing_ok=True)
            _check_space(folder, sum(file_sizes(layout(architecture, quantisation)).values()))
            with bars(console, "writing ") as told:
                write_random(
                    folder,
                    architecture,
                    quantisation,
                    lambda done, total: told("random weights", done, total),
                )
            whole.write_text(made, "ascii")
        told_in_advance = turns(virtual_home())
        texts = [message.content for turn in told_in_advance for message in turn.messages]
        texts += [turn.answer for turn in told_in_advance]
        tokenizer = made_up_tokenizer(architecture.vocabulary, "\n".join(texts))
        template = ChatTemplate(TEMPLATE, bos="", eos="<|im_end|>")
        directory = untrained(folder, shape, architecture, quantisation)
        yield Subject(directory, tokenizer, template, told_in_advance, trained=False)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _watched(console: Console) -> Iterator[Callable[[str], None]]:
    """Say what is being measured: in one line that changes, or in a log in one line each."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    # Drawn seldom: drawing takes time from what is measured.
    display = Progress(
        *columns,
        console=console,
        transient=True,
        refresh_per_second=1,
        disable=not console.is_terminal,
    )
    task = display.add_task("beginning", total=None)

    def tell(what: str) -> None:
        if console.is_terminal:
            display.update(task, description=escape(what))
        else:
            console.print(f"measuring: {what}", highlight=False, markup=False, soft_wrap=True)

    with display:
        yield tell


def _report(console: Console, title: str, found: list[Figure]) -> None:
    table = Table("what", "result", title=escape(title), title_justify="left")
    for figure in found:
        table.add_row(escape(figure.label), escape(figure.shown))
    console.print(table)
    console.print(_SCRIPTED)


def _made(architecture: Architecture, quantisation: Quantisation) -> str:
    """A sum by which weights that were kept are known to be those that are written now."""
    from assistant.llm.graph import build_graph
    from assistant.llm.layout import layout, parts

    known = hashlib.sha256(repr(layout(architecture, quantisation)).encode())
    for part in parts(architecture):
        graph = build_graph(part, architecture, quantisation)
        known.update(graph.SerializeToString(deterministic=True))
    return known.hexdigest()


def _check_writable(file: Path) -> None:
    if file.is_dir() or not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        raise typer.BadParameter(f"{file} can't be written", param_hint="--json")


def _check_space(folder: Path, size: int) -> None:
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free - _RESERVE
    if free < size:
        raise ModelError(
            f"the random weights take {size / 1e9:.1f} GB, and {max(0, free) / 1e9:.1f} GB are "
            f"free in {there}; make room"
        )
