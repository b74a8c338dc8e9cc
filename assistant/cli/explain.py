"""`assistant ask --explain`: how sentences are understood, tried on a copy of the home."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from assistant.cli.home import check_area, visited_home, warn_of_emptiness
from assistant.config import Settings
from assistant.home.file import load_home
from assistant.home.memory import in_memory
from assistant.home.model import Home
from assistant.paths import Directories, directories

if TYPE_CHECKING:
    from assistant.turn.events import TurnEvent
    from assistant.understand.explain import Considered


async def explained(
    sentences: Sequence[str], area: str | None, settings: Settings, home_file: Path | None
) -> bool:
    """Show how each of `sentences`, turns of one conversation, is understood.

    Nothing real is switched, started or noted down: they act on a copy of the configured home, or
    of that in `home_file`. Returns whether all were understood.
    """
    from assistant.cli.explained import show
    from assistant.compose import language_model, open_mind
    from assistant.plan import PlanKind, Utterance
    from assistant.understand.conversation import Conversation

    console = Console()
    steps: list[Considered] = []

    def observe(event: TurnEvent) -> None:
        """A copy's turns leave no traces."""

    good = True
    with tempfile.TemporaryDirectory() as place:
        folders = _copied(directories(), Path(place))
        async with _home(settings, home_file) as home, language_model(settings, folders) as load:
            registry = in_memory(home)
            check_area(area, registry)
            with open_mind(settings, folders, registry, observe, load) as mind:
                conversation = Conversation()
                for sentence in sentences:
                    steps.clear()
                    utterance = Utterance(sentence, settings.language, area, spoken_at=time.time())
                    response = await mind.responder.respond(
                        utterance, conversation, observe=observe, note=steps.append
                    )
                    show(console, sentence, steps, registry.home())
                    console.print(f"[bold cyan]“{escape(response.reply)}”[/]", highlight=False)
                    idle = response.plan.kind in (PlanKind.UNKNOWN, PlanKind.REFUSE)
                    good = good and not idle
    return good


@asynccontextmanager
async def _home(settings: Settings, file: Path | None) -> AsyncIterator[Home]:
    if file is not None:
        yield load_home(file)
        return
    async with visited_home(settings) as link:
        warn_of_emptiness(link)
        home = link.registry.home()
    yield home


def _copied(folders: Directories, place: Path) -> Directories:
    """`folders` with copies of the databases in `place`: timers, lists, what is remembered."""
    data = place / "data"
    data.mkdir()
    for file in folders.data.glob("*.sqlite"):
        with closing(_opened(file)) as source, closing(sqlite3.connect(data / file.name)) as copy:
            source.backup(copy)
    return replace(folders, data=data)


def _opened(file: Path) -> Any:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
