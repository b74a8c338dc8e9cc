"""The README: its commands exist, its files exist, its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from assistant.cli.app import app
from assistant.config import load_settings
from assistant.home.file import load_overrides
from assistant.home.model import Device, DeviceType, Home
from assistant.plan import PlanKind, Utterance
from assistant.skill import load_skills, skill_folders
from assistant.understand.template import TemplateUnderstanding

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
SHELL = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
ASSISTANT = sorted(
    {
        words
        for line in [*SHELL, *re.findall(r"`(assistant [^`]*)`", TEXT)]
        for words in re.findall(r"^assistant ([a-z]+(?: [a-z]+\b)?)", line)
    }
)


def test_the_two_commands_come_first() -> None:
    assert [block for _, block in BLOCKS[:2]] == ["deploy/demo\n", "deploy/test\n"]
    for name in ("deploy/demo", "deploy/test"):
        assert (ROOT / name).stat().st_mode & 0o111


@pytest.mark.parametrize("words", ASSISTANT)
def test_commands_exist(words: str) -> None:
    done = CliRunner().invoke(app, [*words.split(), "--help"])
    assert done.exit_code == 0, done.output
    command = get_command(app)
    for word in words.split():
        command = command.commands[word] if isinstance(command, TyperGroup) else command
    # A group alone is no command, unless it is one besides; its help would hide that.
    assert not isinstance(command, TyperGroup) or command.invoke_without_command


def test_named_files_exist() -> None:
    named = set(re.findall(r"(?<![\w/.~])(?:deploy|skills|assistant|tests|\.ci)/[\w./-]*", TEXT))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_settings_are_settings(tmp_path: Path) -> None:
    tables = [
        block
        for language, block in BLOCKS
        if language == "toml" and re.match(r"\[(mqtt|wake|llm)|\[\[source", block)
    ]
    assert len(tables) == 5
    path = tmp_path / "assistant.toml"
    path.write_text("\n".join(tables))
    settings = load_settings(path)
    assert settings.mqtt.host == "broker.local"
    assert settings.source[0].area == "kitchen"
    assert settings.llm.model == "mimo-7b"
    assert settings.llm.remote.url == "http://big.local:8000/v1"


def test_the_home_file_is_one(tmp_path: Path) -> None:
    (block,) = [block for _, block in BLOCKS if block.startswith("[floors.")]
    path = tmp_path / "home.toml"
    path.write_text(block)
    assert "cover.gate" in load_overrides(path).devices


def test_the_skill_works(tmp_path: Path) -> None:
    folder = tmp_path / "leaving"
    found = re.findall(r"`leaving/([\w./]+)`[^\n]*\n\n```\w+\n(.*?)```", TEXT, re.DOTALL)
    for name, block in found:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block)
    skills = load_skills(skill_folders(tmp_path), {})
    assert skills.problems == ()
    understanding = TemplateUnderstanding(skills)
    lamp = Device("light.lamp", "Lamp", DeviceType.LIGHT, state={"on": True})
    plan = understanding.understand(
        Utterance("we're leaving now", "en"), Home(devices={lamp.id: lamp})
    )
    assert plan.kind is PlanKind.ACT
    assert plan.actions[0].devices == ("light.lamp",)
    assert understanding.understand(Utterance("I am off", "en"), Home()).kind is PlanKind.CHAT
