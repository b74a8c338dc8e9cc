"""`assistant ask`: a sentence in writing, understood and carried out as if it had been said."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from assistant.cli.display import TurnDisplay
from assistant.cli.home import visited_home
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
        list[str], typer.Argument(help="What to say; several sentences: several turns.")
    ],
    area: Annotated[
        str | None, typer.Option("--area", help="Id of the room it is said in.")
    ] = None,
    language: LanguageOption = None,
    config: ConfigOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Say TEXT in writing: assistant ask "turn on the kitchen light".

    Each TEXT is a turn of one conversation, so a question can be answered by the next. Commands
    go to the real devices. Exit status 1 when a turn was not understood or failed.
    """
    log_to_terminal(verbose)
    settings = settings_from(config, language)

    from assistant.compose import open_mind
    from assistant.home.action import Result
    from assistant.plan import PlanKind, Utterance
    from assistant.turn.events import TurnEvent
    from assistant.understand.conversation import Conversation

    async def ask() -> bool:
        console = Console()
        observe = TurnDisplay(console) if verbose else _ignore
        good = True
        async with visited_home(settings) as link:
            with open_mind(settings, directories(), link.registry, observe) as mind:
                conversation = Conversation()
                for sentence in text:
                    utterance = Utterance(sentence, settings.language, area, spoken_at=time.time())
                    response = await mind.responder.respond(
                        utterance, conversation, turn="ask", observe=observe
                    )
                    console.print(response.reply, highlight=False, markup=False)
                    failed = any(
                        o.result in (Result.FAILED, Result.REFUSED) for o in response.outcomes
                    )
                    good = good and not failed and response.plan.kind is not PlanKind.UNKNOWN
        return good

    def _ignore(_: TurnEvent) -> None:
        pass

    sys.exit(0 if asyncio.run(ask()) else 1)
