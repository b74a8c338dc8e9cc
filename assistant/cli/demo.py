"""`assistant demo`: the whole chain at work, without a microphone, a broker or an appliance."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.cli.display import TurnDisplay
from assistant.cli.options import VerboseOption, log_to_terminal
from assistant.cli.typed import typed
from assistant.config import Settings
from assistant.paths import directories

if TYPE_CHECKING:
    from assistant.rehearsal import Performance, Rehearsal

LANGUAGE = "en"
MODEL = "smollm2"
"""The small language model: another would take long to load and to get to know the home."""
BETTER = "SmolLM2 is small and weak. MiMo-7B answers far better: assistant models build mimo-7b"


def command(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the replies go as WAV.")
    ] = Path("demo-replies"),
    snr: Annotated[
        float, typer.Option("--snr", help="How far the room's noise lies below the speech, in dB.")
    ] = 20.0,
    prompt: Annotated[
        bool | None,
        typer.Option(
            "--prompt/--no-prompt",
            help="Take commands in writing afterwards. Default: on a terminal.",
            show_default=False,
        ),
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    """Hear, understand, act and answer: twelve spoken turns in a virtual home, as you watch.

    An MQTT broker and a home full of appliances run inside this program. A synthetic voice says
    "hey Jarvis" and a command into a noisy room; from there on everything is the real thing. One
    question only a language model can answer: SmolLM2, which is small and weak.
    Exit status 0 only if every appliance ended in the right state. Needs no configuration.
    """
    log_to_terminal(verbose)
    interactive = prompt if prompt is not None else sys.stdin.isatty() and sys.stdout.isatty()
    console = Console()
    _fetch(console)
    sys.exit(asyncio.run(_demo(console, output.absolute(), snr, interactive)))


def _settings() -> Settings:
    # The defaults alone: the demo shows the same whatever is configured here.
    settings = Settings.model_construct(language=LANGUAGE)
    return settings.model_copy(update={"llm": settings.llm.model_copy(update={"model": MODEL})})


def _fetch(console: Console) -> None:
    """Have the models there. Minutes' work, which Ctrl-C breaks off: no event loop runs yet, whose
    end would wait for the thread that does it.
    """
    from assistant.cli.models_build import build_model
    from assistant.llm.library import built
    from assistant.models.bars import bars
    from assistant.models.catalogue import speech_defaults
    from assistant.models.fetch import ensure

    with bars(console) as progress:
        for name in speech_defaults(LANGUAGE):
            ensure(name, progress=progress)
    if not built(MODEL):
        build_model(console, MODEL, yes=True)


async def _demo(console: Console, output: Path, snr: float, prompt: bool) -> int:
    from assistant.audio.noise import coloured_noise
    from assistant.audio.wavsink import WavSink
    from assistant.mqtt.message import Message
    from assistant.rehearsal import SPEECH_LEVEL, Rehearsal
    from assistant.simulate.script import DEMO

    display = TurnDisplay(console)

    def on_message(message: Message) -> None:
        if not message.retain and "/availability" not in message.topic:
            display.message(message.topic, message.payload, sent="/set" in message.topic)

    sink = WavSink(output)
    noise = coloured_noise(10, SPEECH_LEVEL - snr, pink=True)
    console.print("[bold]Starting:[/] broker, virtual home, speech models …")
    started = time.monotonic()
    async with Rehearsal(
        _settings(),
        directories(),
        sink,
        noise=noise,
        snr=snr,
        thinks=True,
        observe=display,
        on_message=on_message,
    ) as stage:
        home = stage.link.registry.home()
        speaker = stage.models.speaker
        console.print(
            f"Ready after {time.monotonic() - started:.1f} s: {len(home.devices)} devices in "
            f"{len(home.areas)} rooms announced themselves over MQTT "
            f"({stage.link.mqtt.host}:{stage.link.mqtt.port}). Hearing with "
            f"{stage.models.recogniser.name}, thinking with {stage.mind.thinker.model}, "
            f"speaking with {speaker.voice.name if speaker else '–'}, pink noise {snr:g} dB below "
            "the speech."
        )
        done: list[Performance] = []
        for number, turn in enumerate(DEMO, 1):
            console.rule(f"[bold]Turn {number} of {len(DEMO)}[/]  “{turn.text}”", align="left")
            sink.begin(f"reply-{number:02}")
            performance = await stage.perform(turn)
            done.append(performance)
            verdict = "[green]right[/]" if performance.right else "[red]wrong[/]"
            console.print(f"  [bold]{verdict}[/] {escape('; '.join(performance.problems))}")
        _summary(console, done)
        console.print(f"The replies lie in {output} as WAV files.")
        console.print(
            "[dim]MiMo-7B answers far better than SmolLM2: assistant models build mimo-7b"
        )
        if prompt:
            await _prompt(console, stage, display)
    wrong = sum(not performance.right for performance in done)
    if wrong:
        console.print(f"[red bold]{wrong} of {len(done)} turns went wrong.[/]")
        return 1
    console.print(f"[green bold]All {len(done)} spoken turns are right.[/]")
    return 0


def _summary(console: Console, done: list[Performance]) -> None:
    table = Table("", box=box.SIMPLE_HEAD, title="Summary, times in milliseconds")
    table.add_column("said", ratio=1)
    table.add_column("home", no_wrap=True)
    for heading in ("wake", "end", "text", "plan", "command", "audio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, performance in enumerate(done, 1):
        record = performance.record
        stages = {s.name: s.end - s.start for s in record.stages} if record else {}
        table.add_row(
            str(number),
            performance.turn.text,
            "[green]right[/]" if performance.right else "[red]wrong[/]",
            f"{record.wake_score or 0:.2f}" if record else "none",
            _ms(stages.get("endpoint")),
            _ms(stages.get("recognise")),
            _ms(stages.get("plan", stages.get("understand"))),
            _ms(performance.command_after),
            _ms(performance.audio_after),
        )
    console.print(table)
    console.print(
        "[dim]wake: score of the wake word. end: from the last word to the decision that it was "
        "the last. From that decision on, text: the transcript is final. plan: understanding "
        "alone, by the language model where no template knew. command: it reached the appliance. "
        "audio: the reply begins to be heard.[/]"
    )


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:.0f}"


async def _prompt(console: Console, stage: Rehearsal, display: TurnDisplay) -> None:
    from assistant.plan import Utterance
    from assistant.understand.conversation import Conversation

    console.print(
        "\nYour turn: type a command, such as [bold]open the living room blinds[/] or "
        "[bold]which lights are on[/]; an empty line ends."
    )
    conversation = Conversation()
    number = 0
    while True:
        try:
            text = (await typed(console, "[bold]> [/]")).strip()
        except EOFError:
            return
        if not text:
            return
        number += 1
        utterance = Utterance(text, LANGUAGE, "living_room", spoken_at=time.time())
        await stage.mind.responder.respond(
            utterance, conversation, turn=f"typed-{number}", observe=display
        )
        # The states that the command brings about are still coming in.
        await asyncio.sleep(0.3)
