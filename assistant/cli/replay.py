"""`assistant replay`: text turns against homes from files, without a broker or a microphone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from assistant.config import Settings
from assistant.errors import AssistantError, ConfigError, HomeError, ModelError
from assistant.home.action import Action, Outcome, Result
from assistant.home.executor import Executor
from assistant.home.file import load_home
from assistant.home.memory import in_memory
from assistant.home.model import Home
from assistant.home.registry import Registry
from assistant.home.vocabulary import VOCABULARY
from assistant.paths import directories
from assistant.plan import PlanKind, Utterance
from assistant.skill import load_skills, skill_folders
from assistant.turn.reply import Replies
from assistant.turn.respond import Responder, Response, ways
from assistant.turn.thinker import Load, Thinker, planner_settings
from assistant.understand.conversation import Conversation
from assistant.understand.custom.library import CustomSentences
from assistant.understand.language import load_language
from assistant.understand.planner import PlannerSettings
from assistant.understand.policy import Policy
from assistant.understand.template import TemplateUnderstanding

_DONE = (Result.CONFIRMED, Result.SENT)


class Line(BaseModel):
    """One line of the input: turns of one conversation against one home."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    lang: str = Field(pattern=r"^[a-z]{2}$")
    home: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    satellite_area: str | None = None
    turns: tuple[str, ...] = Field(min_length=1)
    state: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class _Chain:
    """What turns share: built once, for all lines."""

    understanding: TemplateUnderstanding
    policy: Policy
    replies: Replies
    settings: Settings
    load: Load
    thinking: PlannerSettings


class _Obliging:
    """Performs actions without a device, such as timers, by doing nothing."""

    async def perform(self, action: Action) -> None:
        """Nothing: a replay reports what would be done."""


def read_lines(path: Path) -> Iterator[Line]:
    """The input's lines. Raises ConfigError naming file, line and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield Line.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(str(part) for part in problem["loc"])
            where = f"{path}, line {number}" + (f", key {key!r}" if key else "")
            raise ConfigError(f"{where}: {problem['msg']}") from error


async def replay(
    homes: Path,
    lines: list[Line],
    settings: Settings,
    *,
    confirm: bool = False,
    load: Load | None = None,
    on_result: Callable[[dict[str, Any]], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Run every line from its home's own state; one result a line (eval's results.jsonl).

    `homes` holds a folder with a home.json for each home. `confirm` answers yes where the policy
    asks whether to do something risky; a question of choice is never answered. `load` gives the
    language model; None: there is none. Raises HomeError where a home can't be read, SkillError
    where sentences can't be compiled.
    """
    skills = load_skills(skill_folders(directories().skills), settings.skills)
    chain = _Chain(
        TemplateUnderstanding(
            skills,
            CustomSentences(directories().sentences, skills),
            mishearings=settings.understanding.mishearings,
        ),
        Policy(settings.policy),
        Replies(skills, lambda wordings: wordings[0]),
        settings,
        load or _no_model,
        planner_settings(settings),
    )
    loaded: dict[str, Home] = {}
    results = []
    for line in lines:
        if line.home not in loaded:
            loaded[line.home] = replace(load_home(homes / line.home / "home.json"), id=line.home)
        chain.understanding.prepare(line.lang, loaded[line.home])
        result = await _run(line, _with_state(loaded[line.home], line), chain, confirm)
        results.append(result)
        on_result(result)
    return results


async def _no_model() -> None:
    return None


async def _replay_with_model(
    homes: Path,
    lines: list[Line],
    model: str,
    confirm: bool,
    on_result: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:
    settings = Settings()
    settings = settings.model_copy(update={"llm": settings.llm.model_copy(update={"model": model})})
    if model == "none":
        return await replay(homes, lines, settings, confirm=confirm, on_result=on_result)

    from assistant.compose import language_model

    async with language_model(settings, directories()) as load:
        if await load() is None:
            raise ModelError("no language model is built; see: assistant models list")
        return await replay(homes, lines, settings, confirm=confirm, load=load, on_result=on_result)


def _with_state(home: Home, line: Line) -> Home:
    if not line.state:
        return home
    devices = dict(home.devices)
    for device_id, changes in line.state.items():
        if device_id not in devices:
            raise HomeError(f"{line.id}: state: home {line.home} has no device {device_id!r}")
        state = MappingProxyType({**devices[device_id].state, **changes})
        devices[device_id] = replace(devices[device_id], state=state)
    return replace(home, devices=MappingProxyType(devices))


async def _run(line: Line, home: Home, chain: _Chain, confirm: bool) -> dict[str, Any]:
    registry = in_memory(home)
    deviceless = [name for name, spec in VOCABULARY.actions.items() if not spec.types]
    registry.add_performer(deviceless, _Obliging())
    thinker = Thinker(chain.load, registry, line.lang, chain.thinking)
    await thinker.planner()  # loading it, and reading the home, is not part of a turn's time
    responder = Responder(
        chain.understanding,
        chain.policy,
        Executor(registry),
        chain.replies,
        registry,
        thinker=thinker,
        ways=ways(chain.settings),
    )
    conversation = Conversation()
    turns = [
        await _turn(text, line, responder, conversation, registry, confirm) for text in line.turns
    ]
    result: dict[str, Any] = {"id": line.id, **turns[-1]}
    if turns[:-1]:
        result["first_turns"] = turns[:-1]
    return result


async def _turn(
    text: str,
    line: Line,
    responder: Responder,
    conversation: Conversation,
    registry: Registry,
    confirm: bool,
) -> dict[str, Any]:
    utterance = Utterance(text, line.lang, line.satellite_area, "replay", spoken_at=time.time())
    started = time.perf_counter()
    response = await responder.respond(utterance, conversation)
    spent = time.perf_counter() - started
    if confirm and response.plan.confirm and response.plan.kind is PlanKind.ASK:
        yes = sorted(load_language(line.lang).yes)[0]
        response = await responder.respond(replace(utterance, text=yes), conversation)
    return {
        "actions": list(_reported(response)),
        "reply": response.reply,
        "ms": round(spent * 1000, 3),
    }


def _reported(response: Response) -> Iterator[dict[str, Any]]:
    for outcome in response.outcomes:
        if outcome.result in _DONE:
            yield _as_json(outcome)
    plan = response.plan
    if plan.kind is PlanKind.ANSWER and plan.query:
        yield {"device": None, "action": plan.query, "params": {"devices": list(plan.devices)}}


def _as_json(outcome: Outcome) -> dict[str, Any]:
    params: Mapping[str, Any] = outcome.action.params
    device = outcome.device or params.get("timer")
    told = {name: value for name, value in params.items() if name != "timer"}
    return {"device": device, "action": outcome.action.name, "params": told}


def command(
    texts: Annotated[
        Path,
        typer.Argument(
            help="One JSON object a line: id, lang, home, satellite_area, turns, state."
        ),
    ],
    homes: Annotated[
        Path, typer.Option("--homes", help="Folder with a folder for each home, in it home.json.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the results are written, a line each.")
    ],
    confirm: Annotated[
        str, typer.Option(help="Answer to questions whether to do something risky: yes or no.")
    ] = "no",
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FOLDER",
            help="Language model asked about what no template knows; none: the templates alone.",
        ),
    ] = "none",
) -> None:
    """Run texts against homes from files, to test sentences: no broker, no sound.

    Example: `assistant replay sentences.jsonl --homes homes -o results.jsonl --confirm yes`

    Settings come from the environment: ASSISTANT_UNDERSTANDING__ORDER=model asks the model first.
    """
    console = Console(stderr=True)
    if confirm not in ("yes", "no"):
        raise typer.BadParameter("say yes or no", param_hint="--confirm")
    try:
        lines = list(read_lines(texts))
        with Progress(
            TextColumn("replay"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as progress:
            task = progress.add_task("replay", total=len(lines))
            results = asyncio.run(
                _replay_with_model(
                    homes, lines, model, confirm == "yes", lambda _: progress.advance(task)
                )
            )
        output.write_text(
            "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in results), encoding="utf-8"
        )
    except OSError as error:
        console.print(f"{output}: can't be written ({error.strerror})", style="red", markup=False)
        raise typer.Exit(2) from error
    except AssistantError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(2) from error
    times = sorted(r["ms"] for r in results)
    if times:
        p95 = times[min(len(times) - 1, int(0.95 * len(times)))]
        console.print(f"{len(results)} done; ms median {times[len(times) // 2]:.1f}, p95 {p95:.1f}")
