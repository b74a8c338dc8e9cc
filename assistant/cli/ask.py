"""`assistant ask`: a sentence in writing, understood and carried out as if it had been said."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
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
    text: Annotated[
        list[str],
        typer.Argument(metavar="TEXT", help="What to say; several sentences: several turns."),
    ],
    area: Annotated[
        str | None, typer.Option("--area", help="Id of the room it is said in.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            "-x",
            help="Show how it is understood, and why so; tried on a copy of the home, so that "
            "nothing is switched.",
        ),
    ] = False,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="With --explain: a home from a file (assistant devices --json).",
        ),
    ] = None,
    language: LanguageOption = None,
    config: ConfigOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Say TEXT in writing: assistant ask "turn on the kitchen light".

    Each TEXT is a turn of one conversation, so a question can be answered by the next. Commands
    go to the real devices, but with --explain. Exit status 1 when a turn was not understood, or
    not carried out.
    """
    if not all(sentence.strip() for sentence in text):
        raise typer.BadParameter("is empty; write what you would say", param_hint="TEXT")
    if home is not None and not explain:
        raise typer.BadParameter("is for --explain; add that", param_hint="--home")
    log_to_terminal(verbose)
    settings = settings_from(config, language)
    if explain:
        from assistant.cli.explain import explained

        sys.exit(0 if asyncio.run(explained(text, area, settings, home)) else 1)

    from assistant.compose import language_model, open_mind
    from assistant.home.action import Result
    from assistant.plan import PlanKind, Utterance
    from assistant.stt.transcript import Transcript
    from assistant.turn.events import Heard, TurnEnded, TurnEvent
    from assistant.turn.trace import Tracer
    from assistant.understand.conversation import Conversation
    from assistant.understand.pin import HIDDEN

    async def ask() -> bool:
        console = Console()
        display = TurnDisplay(console)
        tracer = Tracer(
            directories().traces, keep=settings.trace.keep, transcripts=settings.trace.transcripts
        )

        def observe(event: TurnEvent) -> None:
            tracer(event)
            if verbose:
                display(event)

        # A large model takes its time to load; nothing is shown where nobody watches.
        waiting = Console(stderr=True).status("thinking")

        def speak(piece: str) -> None:
            waiting.stop()
            if not verbose:  # else it would be torn by what goes on meanwhile
                typer.echo(piece, nl=False)

        good = True
        async with (
            visited_home(settings) as link,
            language_model(settings, directories()) as load,
        ):
            check_area(area, link.registry)
            warn_of_emptiness(link)
            with open_mind(settings, directories(), link.registry, observe, load) as mind:
                await mind.prepare(settings.language)
                conversation = Conversation()
                for sentence in text:
                    utterance = Utterance(sentence, settings.language, area, spoken_at=time.time())
                    turn = uuid.uuid4().hex[:8]
                    secret = mind.responder.confides(utterance, conversation)
                    heard = Transcript(HIDDEN if secret else sentence, final=True)
                    observe(Heard(turn, utterance.source, time.monotonic(), heard))
                    waiting.start()
                    response = await mind.responder.respond(
                        utterance, conversation, turn=turn, observe=observe, speak=speak
                    )
                    waiting.stop()
                    observe(TurnEnded(turn, utterance.source, time.monotonic()))
                    typer.echo(response.reply if verbose else "")
                    failed = any(
                        o.result in (Result.FAILED, Result.REFUSED) for o in response.outcomes
                    )
                    idle = response.plan.kind in (PlanKind.UNKNOWN, PlanKind.REFUSE)
                    good = good and not failed and not idle
        return good

    sys.exit(0 if asyncio.run(ask()) else 1)
