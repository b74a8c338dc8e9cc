"""What a skill is made of, and the loader.

A skill is a folder::

    skills/lights/
      manifest.toml        name, version, description, languages
      sentences/en.yaml    hassil sentences per language: intents, lists, expansion rules
      replies/en.yaml      reply key -> wording (Jinja), one or a list to choose from
      handlers.py          one function per intent, of the same name: Request -> Plan

A handler is pure: it reads the home and returns a plan. What the plan does is done by the
executor after the policy agreed. A plan of kind UNKNOWN means "that was not for me".

Skills come from three places, later ones replacing earlier ones of the same name: installed
packages (entry points of the group ``mimo_voice.skills``, each naming a package that is a skill
folder), those shipped with the assistant, and the user's own folder.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.errors import SkillError
from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Utterance

_log = logging.getLogger(__name__)

ENTRY_POINTS = "mimo_voice.skills"
_SENTENCE_KEYS = {"language", "intents", "lists", "expansion_rules"}
_BLOCK_KEYS = {"sentences", "slots"}


@dataclass(frozen=True, slots=True)
class Request:
    """A sentence that matched: the intent, its slots, and everything a handler may look at."""

    intent: str
    slots: Mapping[str, Any]
    utterance: Utterance
    home: Home
    options: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """What the slots `name`, `area` and `floor` stand for: slot -> value -> ids."""
    understand: Callable[[str], Plan] = lambda _: Plan(PlanKind.UNKNOWN)
    """Understands a part of the sentence."""
    alone: Callable[[str], Plan] = lambda _: Plan(PlanKind.UNKNOWN)
    """The same, as if nothing had been said before: the command in "in ten minutes, ...", which is
    to be understood when its time has come."""
    recent: tuple[str, ...] = ()
    """Ids of the devices of the last turn: what "it" may mean."""
    misheard: float = 0.0
    """How far the sentence is from what was heard; 0: word for word."""


Handler = Callable[[Request], Plan]


class Manifest(BaseModel):
    """The content of a manifest.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    version: str = Field(pattern=r"^\d+(\.\d+){0,2}$")
    description: str = Field(min_length=1, max_length=300)
    languages: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Skill:
    """One loaded skill."""

    name: str
    manifest: Manifest
    folder: Path
    sentences: Mapping[str, Mapping[str, Any]]
    """Language -> the parsed sentence file."""
    replies: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Language -> reply key -> wordings."""
    handlers: Mapping[str, Handler]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skills:
    """All skills in force, by name, and what went wrong with those that are not."""

    skills: Mapping[str, Skill]
    problems: tuple[SkillError, ...] = ()


def shipped_folder() -> Path:
    """Where the skills that come with the assistant lie: in the wheel, or in the checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "shipped_skills"
    return installed if installed.is_dir() else package.parent / "skills"


def skill_folders(user: Path | None) -> list[Path]:
    """All skill folders there are: of installed packages, shipped, and in `user`, in this order."""
    folders = []
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            spec = importlib.util.find_spec(entry.value)
        except (ImportError, ValueError):
            spec = None
        if spec is None or not spec.submodule_search_locations:
            _log.error("skill %s: its package %s can't be found", entry.name, entry.value)
            continue
        folders.append(Path(next(iter(spec.submodule_search_locations))))
    for parent in (shipped_folder(), user):
        if parent is not None and parent.is_dir():
            found = (
                f for f in parent.iterdir() if f.is_dir() and not f.name.startswith((".", "_"))
            )
            folders += sorted(found)
    return folders


def load_skills(folders: Iterable[Path], options: Mapping[str, Mapping[str, Any]]) -> Skills:
    """Load the skills in `folders`; a later one replaces an earlier one of the same name.

    `options` are the settings' ``[skills.NAME]`` tables; ``enabled = false`` leaves a skill out.
    A broken skill is logged once, listed in `problems`, and the others go on.
    """
    skills: dict[str, Skill] = {}
    problems: list[SkillError] = []
    for folder in folders:
        try:
            manifest = _read_manifest(folder / "manifest.toml")
            own = dict(options.get(manifest.name, {}))
            if not own.pop("enabled", True):
                skills.pop(manifest.name, None)
                continue
            skills[manifest.name] = _load(folder, manifest, own)
        except SkillError as error:
            _log.error("%s", error)
            problems.append(error)
    return Skills(MappingProxyType(skills), tuple(problems))


def _load(folder: Path, manifest: Manifest, options: Mapping[str, Any]) -> Skill:
    handlers = _read_handlers(folder / "handlers.py", manifest.name)
    sentences, replies = {}, {}
    for language in manifest.languages:
        if (file := folder / "sentences" / f"{language}.yaml").is_file():
            sentences[language] = _read_sentences(file, language, handlers)
        if (file := folder / "replies" / f"{language}.yaml").is_file():
            replies[language] = _read_replies(file)
        if language not in sentences and language not in replies:
            raise SkillError(
                f"{folder / 'manifest.toml'}: names language {language!r}, but there is neither "
                f"sentences/{language}.yaml nor replies/{language}.yaml"
            )
    return Skill(manifest.name, manifest, folder, sentences, replies, handlers, options)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SkillError(
            f"{path}: can't be read ({error.strerror}); every skill needs it"
        ) from error
    except UnicodeDecodeError as error:
        raise SkillError(f"{path}: is not UTF-8 text; save it as UTF-8") from error


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest(**tomllib.loads(_read_text(path)))
    except tomllib.TOMLDecodeError as error:
        raise SkillError(f"{path}: is not valid TOML: {error}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise SkillError(f"{path}: key {key!r}: {problem['msg']}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(_read_text(path))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SkillError(f"{path}, line {line}: is not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SkillError(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise SkillError(f"{path}: must hold keys and values")
    return data


def _read_sentences(path: Path, language: str, handlers: Mapping[str, Handler]) -> dict[str, Any]:
    data = _read_yaml(path)
    if unknown := set(data) - _SENTENCE_KEYS:
        raise SkillError(f"{path}: unknown key {sorted(map(str, unknown))[0]!r}")
    if data.get("language") != language:
        raise SkillError(f"{path}: key 'language' must be {language!r}")
    intents = data.get("intents")
    if not isinstance(intents, dict):
        raise SkillError(f"{path}: key 'intents' is missing or no table")
    for intent, body in intents.items():
        where = f"{path}{_line_of(path, str(intent))}: intent {intent!r}"
        if intent not in handlers:
            raise SkillError(f"{where} has no function of this name in handlers.py")
        blocks = body.get("data") if isinstance(body, dict) else None
        if not isinstance(blocks, list) or not blocks:
            raise SkillError(f"{where} needs a list 'data' of blocks with sentences")
        for block in blocks:
            _check_block(block, where)
    for key in ("lists", "expansion_rules"):
        if not isinstance(data.get(key, {}), dict):
            raise SkillError(f"{path}: key {key!r} must be a table")
    return data


def _check_block(block: Any, where: str) -> None:
    if not isinstance(block, dict) or not isinstance(block.get("sentences"), list):
        raise SkillError(f"{where}: each block of 'data' needs a list 'sentences'")
    if unknown := set(block) - _BLOCK_KEYS:
        raise SkillError(f"{where}: unknown key {sorted(map(str, unknown))[0]!r} in a block")
    for sentence in block["sentences"]:
        if not isinstance(sentence, str) or not sentence.strip():
            raise SkillError(f"{where}: {sentence!r} is no sentence")


def _read_replies(path: Path) -> dict[str, tuple[str, ...]]:
    replies = {}
    for key, wording in _read_yaml(path).items():
        wordings = wording if isinstance(wording, list) else [wording]
        if not wordings or not all(isinstance(w, str) for w in wordings):
            where = f"{path}{_line_of(path, str(key))}"
            raise SkillError(f"{where}: key {key!r} must be a wording or a list of wordings")
        replies[str(key)] = tuple(wordings)
    return replies


def _line_of(path: Path, key: str) -> str:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if re.match(rf"\s*['\"]?{re.escape(key)}['\"]?\s*:", line):
            return f", line {number}"
    return ""


def _read_handlers(path: Path, name: str) -> Mapping[str, Handler]:
    if not path.is_file():
        return {}  # A skill may consist of wordings alone.
    module = _import(path, f"mimo_voice_skill_{name}")
    return {
        key: value
        for key, value in vars(module).items()
        if callable(value) and not key.startswith("_") and not isinstance(value, type)
    }


def _import(path: Path, module_name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise SkillError(f"{path}: can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a skill is somebody else's code: whatever it raises, we go on
        del sys.modules[module_name]
        line = getattr(error, "lineno", None)
        if line is None and (trace := error.__traceback__) is not None:
            while trace.tb_next is not None:
                trace = trace.tb_next
            line = trace.tb_lineno
        raise SkillError(f"{path}, line {line}: {type(error).__name__}: {error}") from error
    return module
