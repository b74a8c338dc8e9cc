"""`assistant models build`: a language model made on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from assistant.cli.display import hanging
from assistant.cli.options import log_to_terminal
from assistant.errors import LlmError, ModelError
from assistant.models.bars import bars

if TYPE_CHECKING:
    from assistant.llm.architecture import Architecture
    from assistant.llm.checkpoint.contract import Checkpoint
    from assistant.llm.directory import ModelDirectory
    from assistant.llm.export.build import Progress as Converted
    from assistant.llm.export.needs import Needs
    from assistant.llm.quantisation import Quantisation
    from assistant.models.fetch import Progress

BIG = 1_000_000_000
"""Bytes of a download that somebody at a terminal is asked about."""


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME|OWNER/NAME|FOLDER|FILE.gguf",
            help="A name from `assistant models list`, a repository on the Hugging Face hub, a "
            "folder with config.json and safetensors, or a GGUF file.",
            show_default=False,
        ),
    ],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit on the hub. Default: the newest.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the model. Default: after its source.")
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            help="Bits of a weight: 4, 8, or 32 (exact, and huge). Default: 4, or 8 for models "
            "under a billion weights.",
            show_default=False,
        ),
    ] = None,
    block: Annotated[
        int | None,
        typer.Option(
            help="Weights that share a scale: 32, 64 or 128. More of them: smaller, faster, less "
            "accurate. Default: 64, or 32 for models under a billion weights.",
            show_default=False,
        ),
    ] = None,
    sensitive_bits: Annotated[
        int | None,
        typer.Option(
            help="Bits of the matrices that errors hurt most: embedding, output, input of the MTP "
            "layer. Default: as --bits.",
            show_default=False,
        ),
    ] = None,
    search: Annotated[
        bool, typer.Option(help="Search the best scales: more accurate, takes longer to build.")
    ] = True,
    keep_shards: Annotated[
        bool, typer.Option("--keep-shards", help="Keep downloads, to build again another way.")
    ] = False,
    delete_shards: Annotated[
        bool,
        typer.Option(
            "--delete-shards",
            help="Of a folder: delete its shards one by one as they are read, to save disk.",
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask about downloads and deletions.")
    ] = False,
) -> None:
    """Build a language model: download it if need be, quantise it, write it as ONNX.

    What it takes is told and checked before it begins. It may be interrupted at any time: the same
    command goes on where it stopped. A model of the same name stays in use until the new one is
    complete.

    Examples:

    - `assistant models build mimo-7b`: MiMo-7B. Downloads 16 GB piece by piece, keeps 4.4 GB.
    - `assistant models build mimo-7b --block 128`: a little less accurate, and smaller by 0.3 GB.
    - `assistant models build mimo-7b --sensitive-bits 8`: more accurate where it matters most.
    - `assistant models build smollm2`: small and weak, for trying things out.
    - `assistant models build Qwen/Qwen2-1.5B-Instruct --name qwen`: any checkpoint on the hub in
      MiMo's, Qwen2's or Llama's layout.
    - `assistant models build ~/Downloads/MiMo-7B-RL`: a folder, in which nothing is changed
      (`--delete-shards`: its shards go as they are read, where the disk is small).
    - `assistant models build ./model.Q8_0.gguf --bits 8 --block 32`: a file of llama.cpp's.
    """
    log_to_terminal(verbose=False)
    console = Console()
    wishes = (bits, block, sensitive_bits, search)
    try:
        build_model(
            console,
            source,
            revision=revision,
            name=name,
            wishes=wishes,
            keep=keep_shards,
            delete=delete_shards,
            yes=yes,
        )
    except KeyboardInterrupt:
        console.print("Interrupted. What is done is kept: the same command goes on from here.")
        raise


Wishes = tuple[int | None, int | None, int | None, bool]
"""Bits, block, bits of sensitive matrices, whether to search; None: what suits the model."""


def build_model(
    console: Console,
    text: str,
    *,
    revision: str | None = None,
    name: str | None = None,
    wishes: Wishes = (None, None, None, True),
    keep: bool = False,
    delete: bool = False,
    yes: bool = False,
) -> None:
    """Build what `text` names, telling `console` about it. Raises ModelError."""
    from assistant.llm.export.build import build, needs
    from assistant.llm.layout import file_sizes, layout
    from assistant.llm.library import place_of
    from assistant.llm.sources import find_source

    source = find_source(text, revision=revision, name=name)
    target = place_of(source.name)
    if source.version is not None and _there(target, *source.version, wishes):
        _say(console, f"{source.name}: is built in {target}")
        return
    licence = f", licence {source.licence}" if source.licence else ""
    _say(console, f"{source.name} from {source.title}{licence}")
    if source.at_once >= BIG and not yes:
        _ask(f"Download {size_of(source.at_once)}?")
    if delete and not yes:
        _ask(f"Delete the shards in {source.title} as they are read?")
    with (
        bars(console, doing="") as progress,
        source.opened(keep=keep, delete=delete, progress=progress) as checkpoint,
    ):
        if _there(target, checkpoint.source, checkpoint.revision, wishes):
            _say(console, f"{source.name}: is built in {target}")
            return
        quantisation = _wanted(checkpoint.architecture, wishes)
        wanted = needs(checkpoint, quantisation, target)
        _tell_needs(console, wanted, _planned(checkpoint, quantisation, target))
        wanted.check()
        if wanted.download >= BIG and not yes:
            _ask(f"Download {size_of(wanted.download)}?")
        size = sum(file_sizes(layout(checkpoint.architecture, quantisation)).values())
        told = _converted(progress, size)
        directory = build(checkpoint, quantisation, target, source.name, progress=told)
    _tell_result(console, directory)


def _wanted(architecture: Architecture, wishes: Wishes) -> Quantisation:
    from assistant.llm.quantisation import Quantisation
    from assistant.llm.sources import suited

    bits, block, sensitive, search = wishes
    default = suited(architecture)
    if sensitive is None:
        sensitive = default.head_bits if bits is None else bits
    bits = default.bits if bits is None else bits
    block = default.block if block is None else block
    return Quantisation(bits, block, sensitive, sensitive, sensitive, search)


def _there(target: Path, source: str, revision: str | None, wishes: Wishes) -> bool:
    """Whether just this is built already; `revision` None: whichever."""
    from assistant.llm.directory import read_directory

    try:
        there = read_directory(target)
    except ModelError:
        return False
    same = there.source == source and revision in (None, there.revision)
    return same and there.quantisation == _wanted(there.architecture, wishes)


def _planned(checkpoint: Checkpoint, quantisation: Quantisation, target: Path) -> ModelDirectory:
    """What will be there."""
    from assistant.llm.directory import ModelDirectory

    return ModelDirectory(
        folder=target,
        name=target.name,
        source=checkpoint.source,
        revision=checkpoint.revision,
        licence=checkpoint.licence,
        architecture=checkpoint.architecture,
        quantisation=quantisation,
        eos=(),
        bos=None,
        built="",
        files={},
    )


def _tell_needs(console: Console, needs: Needs, planned: ModelDirectory) -> None:
    from assistant.config import LlmSettings
    from assistant.llm.memory import check, demand

    table = hanging(2, 10)
    if needs.download:
        held = f", {size_of(needs.held)} of it at a time" if needs.held < needs.download else ""
        table.add_row("", "download", size_of(needs.download) + held)
    here = needs.written + (needs.held if needs.held_free is None else 0)
    room = f"{size_of(here)} of the {size_of(needs.free)} that are free in {planned.folder.parent}"
    table.add_row("", "disk", room)
    memory = f"{size_of(needs.memory)} to build; {size_of(needs.memory_free)} are free"
    table.add_row("", "memory", memory)
    kv = f"{size_of(planned.architecture.kv_bytes * 1000)} for each 1000 tokens"
    table.add_row("", "", f"{size_of(demand(planned, 0))} to run, and {kv}")
    download = ", and the download" if needs.download else ""
    table.add_row("", "time", f"about {_duration(needs.seconds)}{download}")
    try:
        check(planned, LlmSettings().context)
    except LlmError as error:  # it may well be meant for another machine, or for a calmer hour
        table.add_row("", "but", f"it can't run here now: {error}")
    console.print(table)


def _tell_result(console: Console, directory: ModelDirectory) -> None:
    from assistant.llm.export.report import read_report, table

    console.print(table(read_report(directory.folder)), highlight=False)
    size = size_of(directory.size)
    _say(console, f"{directory.name}: built in {directory.folder}, {size}")
    if directory.weak:
        _say(console, "It is small and weak: the assistant lets it chat, and act only when sure.")
    if directory.name not in ("mimo-7b", "smollm2"):
        _say(console, f'To use it, set model = "{directory.name}" in [llm].')


def _ask(question: str) -> None:
    if sys.stdin.isatty() and not typer.confirm(question, default=True):
        raise typer.Exit(1)


def _converted(progress: Progress, size: int) -> Converted:
    """Tell of weights as the share of the bytes that are written."""
    from assistant.llm.export.build import WEIGHTS

    def told(what: str, done: int, total: int) -> None:
        if what == WEIGHTS:
            progress("converting", size * done // max(1, total), size)
        else:
            progress(what, done, total)

    return told


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def size_of(size: int) -> str:
    """A size in bytes for people."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} hours"
