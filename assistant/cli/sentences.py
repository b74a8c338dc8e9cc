"""`assistant sentences`: the user's own sentences, what is wrong with them, and what they do."""

from __future__ import annotations

import asyncio
import logging
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from assistant.cli.home import visited_home
from assistant.cli.options import ConfigOption, settings_from
from assistant.errors import MqttError
from assistant.paths import directories

if TYPE_CHECKING:
    from assistant.config import Settings
    from assistant.home.model import Home
    from assistant.turn.reply import Replies
    from assistant.understand.policy import Policy
    from assistant.understand.trial import Trial

log = logging.getLogger(__name__)

app = typer.Typer(
    no_args_is_help=True,
    help="Your own sentences: files in hassil's format, as Home Assistant's custom sentences are.",
)

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="A home from a file (assistant devices --json) in place of the configured one.",
    ),
]


@app.command()
def check(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]",
            exists=True,
            file_okay=False,
            help="Folder with the files. Default: sentences/ in your configuration folder.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Read your sentences; print what is wrong, with file and line, and what each would do.

    Examples: `assistant sentences check`, `assistant sentences check ./new --home home.json`

    Nothing is carried out. Exit status 1 when anything is wrong.
    """
    from assistant.skill import load_skills, skill_folders
    from assistant.turn.reply import Replies
    from assistant.understand.custom.library import CustomSentences
    from assistant.understand.policy import Policy
    from assistant.understand.template import TemplateUnderstanding
    from assistant.understand.trial import trials

    # What it complains of is in the report; the same in the log would be said twice.
    logging.basicConfig(level="ERROR", format="%(message)s")
    settings = settings_from(config)
    where = folder or directories().sentences
    console = Console(soft_wrap=True, highlight=False)
    skills = load_skills(skill_folders(directories().skills), settings.skills)
    custom = CustomSentences(where, skills)
    version = custom.current
    problems = [str(problem) for problem in version.problems]
    if not version.blocks and not problems:
        console.print(f"No sentences in {escape(str(where))}. How such a file looks:")
        console.print("assistant sentences example")
        return
    there = _home(home, settings)
    if there is None or not there.devices:
        console.print("[yellow]No devices are known, so what the sentences do is not tried.[/]")
    else:
        problems += [str(problem) for problem in version.problems_at(there)]
        understanding = TemplateUnderstanding(skills, custom)
        policy = Policy(settings.policy)
        replies = Replies(skills, lambda wordings: wordings[0])
        file: Path | None = None
        for trial in trials(version, understanding, there):
            path = trial.block.file.path
            if path != file:
                console.print(f"\n[bold]{escape(_shown(path))}[/]")
                file = path
            what, fault = _told(trial, there, policy, replies)
            console.print(f"[dim]{trial.line:5}[/]  “{escape(trial.text)}”  {what}")
            if fault:
                problems.append(f"{path}:{trial.line}: “{trial.text}” {fault}")
    for problem in dict.fromkeys(problems):
        console.print(f"[red]{escape(problem)}[/]")
    if problems:
        raise typer.Exit(1)
    files = len({block.file.path for block in version.blocks})
    count = sum(len(block.expressions) for block in version.blocks)
    sentences, of = "sentence" + "s" * (count != 1), "file" + "s" * (files != 1)
    console.print(f"\n{count} {sentences} in {files} {of}: all right")


@app.command()
def example() -> None:
    """Print a file of sentences that explains itself."""
    text = resources.files("assistant.cli").joinpath("example_sentences.yaml").read_text("utf-8")
    typer.echo(text, nl=False)


def _home(file: Path | None, settings: Settings) -> Home | None:
    """The home of the file, or the configured one; None where its broker does not answer."""
    if file is not None:
        from assistant.home.file import load_home

        return load_home(file)

    async def visit() -> Home:
        async with visited_home(settings) as link:
            return link.registry.home()

    found: Home | None = None
    try:
        found = asyncio.run(visit())
    except* MqttError as error:
        log.debug("the home is not there: %s", error)
    return found


def _told(trial: Trial, home: Home, policy: Policy, replies: Replies) -> tuple[str, str]:
    """What a sentence would do, for the screen, and what is wrong with that, if anything."""
    from assistant.cli.deeds import deed
    from assistant.plan import PlanKind

    plan = policy.check(trial.plan, home)
    language = trial.block.file.language
    if plan.kind is PlanKind.UNKNOWN:
        return "[red]does nothing[/]", "does nothing with the devices that are there"
    deeds = "; ".join(deed(action, home) for action in plan.actions)
    if plan.kind is PlanKind.ACT:
        return f"→ {escape(deeds)}", ""
    if plan.kind is PlanKind.ASK:
        return f"[yellow]asks first[/] → {escape(deeds)}", ""
    speech = plan.speech
    words = replies.word(speech, language) if speech is not None else ""
    if plan.kind is PlanKind.REFUSE:
        # What is missing has been complained of already, where it is named.
        own = speech is not None and speech.key in ("core.custom_unclear", "core.custom_lacks")
        return f"[yellow]refused[/]: {escape(words)}", f"is refused: {words}" if own else ""
    return f"[cyan]“{escape(words)}”[/]", ""


def _shown(path: Path) -> str:
    """`path` from here, where that is shorter."""
    try:
        return os.fspath(path.relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)
