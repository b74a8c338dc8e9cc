"""`assistant bench`: how fast and how reliably this machine takes spoken commands."""

from __future__ import annotations

import asyncio
import platform
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from assistant.cli import bench_llm
from assistant.cli.options import ConfigOption, VerboseOption, log_to_terminal, settings_from
from assistant.paths import Directories

if TYPE_CHECKING:
    from assistant.rehearsal import Performance


class Noise(StrEnum):
    """What lies under the speech."""

    NONE = "none"
    WHITE = "white"
    PINK = "pink"


QUIET = 50.0
"""dB below the speech: a silent room."""


app = typer.Typer()


@app.callback(invoke_without_command=True)
def speech(
    context: typer.Context,
    noise: Annotated[Noise, typer.Option("--noise", help="Noise under the speech.")] = Noise.NONE,
    snr: Annotated[
        float, typer.Option("--snr", help="How far the noise lies below the speech, in dB.")
    ] = 12.0,
    turns: Annotated[
        int, typer.Option("--turns", "-n", min=1, max=30, help="How many of the 30 commands.")
    ] = 30,
    least: Annotated[
        int, typer.Option("--least", min=0, help="Exit 1 when fewer turns than this are right.")
    ] = 0,
    config: ConfigOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Speak 30 commands to a virtual home, in real time, and time every stage.

    The recogniser, voice, wake word and endpointing are those of the configuration; broker and
    home are the program's own. Prints medians, and what each stage has of the whole. The language
    model is timed by itself: assistant bench llm.
    """
    if context.invoked_subcommand is not None:
        return
    log_to_terminal(verbose)
    settings = settings_from(config, "en")
    console = Console()

    from assistant.audio.noise import coloured_noise
    from assistant.audio.wavsink import NullSink
    from assistant.rehearsal import SPEECH_LEVEL, Rehearsal
    from assistant.simulate.script import THIRTY

    distance = QUIET if noise is Noise.NONE else snr
    bed = coloured_noise(10, SPEECH_LEVEL - distance, pink=noise is Noise.PINK)

    async def perform() -> tuple[list[Performance], str]:
        with tempfile.TemporaryDirectory(prefix="mimo-voice-bench-") as scratch:
            place = Path(scratch)
            folders = Directories(config=place / "config", data=place, cache=place)
            async with Rehearsal(settings, folders, NullSink(), noise=bed, snr=distance) as stage:
                done = []
                with Progress(console=console, transient=True) as progress:
                    for turn in progress.track(THIRTY[:turns], description="speaking"):
                        done.append(await stage.perform(turn, reset=True))  # noqa: PERF401
                return done, stage.models.recogniser.name

    done, recogniser = asyncio.run(perform())
    _report(console, done, f"{recogniser}, noise {noise.value}, {distance:g} dB")
    if sum(p.right for p in done) < least:
        raise typer.Exit(1)


app.command("llm")(bench_llm.command)


def _report(console: Console, done: list[Performance], title: str) -> None:
    for performance in done:
        if not performance.right:
            heard = performance.record.transcript if performance.record else "nothing"
            problems = "; ".join(performance.problems)
            console.print(f"[red]wrong[/] “{performance.turn.text}” heard as “{heard}”: {problems}")
    right = sum(p.right for p in done)
    console.print(
        f"[bold]{right} of {len(done)} turns are right[/] ({title}, {platform.machine()})"
    )
    rows: dict[str, list[float]] = defaultdict(list)
    for performance in done:
        if performance.record is None:
            continue
        for stage in performance.record.stages:
            rows[stage.name].append(stage.end - stage.start)
    table = Table("after the end of speech is decided", "median", "p90", "share of first audio")
    audio = [p.audio_after for p in done if p.audio_after is not None]
    whole = statistics.median(audio) if audio else 0.0
    for name in ("recognise", "understand", "act", "synthesise"):
        if rows[name]:
            share = statistics.median(rows[name]) / whole if whole else 0.0
            table.add_row(f"  {name}", *_spread(rows[name]), f"{share:.0%}")
    commands = [p.command_after for p in done if p.command_after is not None]
    table.add_row("command at the appliance", *_spread(commands), "")
    table.add_row("first audio of the reply", *_spread(audio), "100%")
    console.print(table)
    console.print(f"from the last word to that decision: median {_spread(rows['endpoint'])[0]}")


def _spread(seconds: Iterable[float]) -> tuple[str, str]:
    values = sorted(seconds)
    if not values:
        return "–", "–"
    ninetieth = values[min(len(values) - 1, round(0.9 * (len(values) - 1)))]
    return f"{1000 * statistics.median(values):.0f} ms", f"{1000 * ninetieth:.0f} ms"
