"""`assistant models inspect`: what a language model's folder holds, and what it needs to run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.cli.display import hanging
from assistant.cli.models_build import size_of
from assistant.cli.options import ConfigOption, settings_from
from assistant.errors import LlmError

if TYPE_CHECKING:
    from assistant.llm.directory import ModelDirectory
    from assistant.llm.export.report import GroupError

TOKENS = 1000
"""A prompt with thirty devices has about as many tokens."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes of memory that the model takes beside its context, and bytes that are there.

    `problem`: why it can't be run here with the configured `context`.
    """

    memory: int
    context: int
    available: int
    problem: str | None


def command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FOLDER",
            help="The name of a built model, or its folder (with a slash in it).",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Tell what a built language model is, where it is from, and whether it can run here.

    Examples: `assistant models inspect mimo-7b`, `assistant models inspect ./copied/model --json`
    """
    from assistant.llm import memory
    from assistant.llm.export.report import read_report
    from assistant.llm.library import open_built

    directory = open_built(model)
    report = read_report(directory.folder)
    context = min(settings_from(config).llm.context, directory.architecture.context)
    try:
        memory.check(directory, context)
        problem = None
    except LlmError as error:
        problem = str(error)
    needs = Needs(memory.demand(directory, 0), context, memory.available(), problem)
    if as_json:
        described = _described(directory, report, needs)
        typer.echo(json.dumps(described, indent=1, ensure_ascii=False))
    else:
        _show(Console(), directory, report, needs)


def _described(
    directory: ModelDirectory, report: tuple[GroupError, ...], needs: Needs
) -> dict[str, Any]:
    a = directory.architecture
    return {
        "name": directory.name,
        "folder": str(directory.folder),
        "source": directory.source,
        "revision": directory.revision,
        "licence": directory.licence,
        "built": directory.built,
        "weak": directory.weak,
        "parameters": a.parameters,
        "architecture": asdict(a),
        "quantisation": asdict(directory.quantisation),
        "size": directory.size,
        "files": {name: asdict(file) for name, file in directory.files.items()},
        "errors": [asdict(group) for group in report],
        "needs": {
            "memory": needs.memory,
            "kv_per_1000_tokens": a.kv_bytes * TOKENS,
            "context": needs.context,
            "available": needs.available,
            "fits": needs.problem is None,
        },
    }


def _show(
    console: Console, directory: ModelDirectory, report: tuple[GroupError, ...], needs: Needs
) -> None:
    a, q = directory.architecture, directory.quantisation
    lines = hanging(12)
    heads = f"{a.heads} heads on {a.kv_heads} KV heads of {a.head_size}"
    drafter = "; an MTP layer drafts" if a.mtp_layers else ""
    sensitive = {"embedding": q.embedding_bits, "output": q.head_bits}
    if a.mtp_layers:
        sensitive["MTP input"] = q.mtp_input_bits
    others = ", ".join(f"{what} {bits}" for what, bits in sensitive.items() if bits != q.bits)
    kv = a.kv_bytes * TOKENS
    for what, told in (
        ("model", f"{directory.name} in {directory.folder}"),
        ("source", f"{directory.source} at {directory.revision}"),
        ("licence", directory.licence),
        ("built", directory.built),
        ("layout", f"{a.family.value}, {_count(a.parameters)} weights, {a.layers} layers{drafter}"),
        ("", f"hidden {a.hidden}, {heads}, intermediate {a.intermediate}"),
        ("", f"vocabulary {a.vocabulary}, context {a.context} tokens"),
        ("stored", f"{q.bits} bits in blocks of {q.block}" + (f"; {others}" if others else "")),
        ("needs", f"{size_of(needs.memory)} of memory, and {size_of(kv)} for {TOKENS} tokens"),
        ("here", needs.problem or f"it fits, with a context of {needs.context} tokens"),
        ("trust", "weak: chats, acts only when sure" if directory.weak else "acts by itself"),
    ):
        lines.add_row(what, escape(told))
    console.print(lines)
    files = Table("file", "size", box=None, pad_edge=False)
    files.columns[1].justify = "right"
    for name, file in directory.files.items():
        files.add_row(escape(name), size_of(file.size))
    files.add_row("together", size_of(directory.size))
    console.print(files)

    from assistant.llm.export.report import table

    console.print(table(report), highlight=False)


def _count(number: int) -> str:
    return f"{number / 1e9:.2f} billion" if number >= 1e9 else f"{number / 1e6:.1f} million"
