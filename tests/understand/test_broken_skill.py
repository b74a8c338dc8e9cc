"""A user's skill that is broken costs itself and nothing else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from assistant.home.model import Device, DeviceType, Home
from assistant.plan import PlanKind, Utterance
from assistant.skill import load_skills, shipped_folder, skill_folders
from assistant.understand.template import TemplateUnderstanding

HANDLER = """
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request


def greet(request: Request) -> Plan:
    return Plan(PlanKind.CHAT, speech=Speech("greeting"))
"""


def write_skill(folder: Path, sentence: str) -> None:
    skill = folder / "greeter"
    (skill / "sentences").mkdir(parents=True)
    (skill / "replies").mkdir()
    (skill / "manifest.toml").write_text(
        'name = "greeter"\nversion = "1.0"\ndescription = "Greets."\nlanguages = ["en"]\n'
    )
    (skill / "sentences" / "en.yaml").write_text(
        "language: en\nintents:\n  greet:\n    data:\n      - sentences:\n"
        f'          - "{sentence}"\n'
    )
    (skill / "replies" / "en.yaml").write_text('greeting: "Ahoy!"\n')
    (skill / "handlers.py").write_text(HANDLER)


LAMP = Device("light.a", "Lamp", DeviceType.LIGHT, capabilities=frozenset({"on_off"}))
HOME = Home(devices={LAMP.id: LAMP})


def test_a_good_one_is_understood(tmp_path: Path) -> None:
    write_skill(tmp_path, "ahoy [there] captain")
    understanding = TemplateUnderstanding(load_skills(skill_folders(tmp_path), {}))
    plan = understanding.understand(Utterance("Ahoy there, captain!", "en"), HOME)
    assert (plan.kind, plan.skill) == (PlanKind.CHAT, "greeter")


@pytest.mark.parametrize(
    "sentence", ["ahoy [there captain", "ahoy <no_such_rule>", "ahoy {no_such_list", "(ahoy|"]
)
def test_a_broken_one_is_said_and_left_out(
    tmp_path: Path, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_skill(tmp_path, sentence)
    assert shipped_folder().is_dir()
    with caplog.at_level(logging.ERROR):
        understanding = TemplateUnderstanding(load_skills(skill_folders(tmp_path), {}))
        understanding.prepare("en", HOME)
    plan = understanding.understand(Utterance("turn on the lamp", "en"), HOME)
    assert plan.kind is PlanKind.ACT
    assert "greeter" in caplog.text
