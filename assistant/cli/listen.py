"""`assistant listen`: a recording, heard as if it were said now."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from assistant.cli.display import TurnDisplay
from assistant.cli.home import check_area, visited_home, warn_of_emptiness
from assistant.cli.options import (
    ConfigOption,
    LanguageOption,
    VerboseOption,
    log_to_terminal,
    settings_from,
)
from assistant.paths import directories


def command(
    recording: Annotated[Path, typer.Argument(metavar="FILE.wav", help="What to listen to.")],
    area: Annotated[
        str | None, typer.Option("--area", help="Id of the room it is said in.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Write the replies there as WAV."),
    ] = None,
    language: LanguageOption = None,
    config: ConfigOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Hear FILE.wav from wake word to reply, in real time, and show each turn.

    Any rate, mono or stereo. Commands go to the real devices of the configured home. Exit status
    1 when no wake word was heard.

    Example: `assistant listen kitchen.wav --area kitchen -o replies`
    """
    log_to_terminal(verbose)
    settings = settings_from(config, language)

    from assistant.audio.file import FileSource
    from assistant.audio.ports import AudioSink
    from assistant.audio.wav import read_wav
    from assistant.audio.wavsink import NullSink, WavSink
    from assistant.compose import (
        build_listener,
        keep_vocabulary,
        language_model,
        load_speech,
        open_mind,
    )
    from assistant.turn.events import TurnEvent
    from assistant.turn.trace import Tracer, TurnRecord

    read_wav(recording)  # what is wrong with it is said before anybody waits for models
    turns: list[TurnRecord] = []

    async def listen() -> None:
        source = FileSource(recording)
        models = await asyncio.to_thread(load_speech, settings)
        display = TurnDisplay(Console())
        tracer = Tracer(
            directories().traces,
            keep=settings.trace.keep,
            transcripts=settings.trace.transcripts,
            on_record=turns.append,
        )

        def observe(event: TurnEvent) -> None:
            tracer(event)
            display(event)

        sink: AudioSink = WavSink(output) if output else NullSink()
        async with (
            visited_home(settings) as link,
            language_model(settings, directories()) as load,
        ):
            check_area(area, link.registry)
            warn_of_emptiness(link)
            with open_mind(settings, directories(), link.registry, observe, load) as mind:
                await mind.prepare(settings.language)
                keep_vocabulary(settings, models.recogniser, link.registry)
                listener = build_listener(settings, source, sink, models, mind, observe, area)
                await listener.run()

    asyncio.run(listen())
    if not turns:
        words = " or ".join(f"“{word}”" for word in settings.wake.words)
        Console(stderr=True).print(f"assistant: no wake word was heard; it listens for {words}")
        sys.exit(1)
