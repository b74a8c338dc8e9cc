"""Every sentence of the tables, one table a language: what is said, and the plan it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.home.model import Home
from assistant.plan import PlanKind, Utterance
from assistant.understand.template import TemplateUnderstanding

TABLES = sorted((Path(__file__).parent / "sentences").glob("*.yaml"))


def rows() -> list[Any]:
    return [
        pytest.param(table.stem, row, id=f"{table.stem}-{group}-{row['say']}")
        for table in TABLES
        for group, found in yaml.safe_load(table.read_text(encoding="utf-8")).items()
        for row in found
    ]


@pytest.mark.parametrize(("language", "row"), rows())
def test_a_sentence_makes_its_plan(
    language: str, row: dict[str, Any], understanding: TemplateUnderstanding, homes: dict[str, Home]
) -> None:
    plan = understanding.understand(Utterance(row["say"], language, row.get("at")), homes[language])

    if "do" not in row:
        assert plan.kind is PlanKind(row["kind"])
        assert "says" not in row or (plan.speech and plan.speech.key == row["says"])
        return
    assert plan.kind is PlanKind.ACT, plan
    assert {a.name: set(a.devices) for a in plan.actions} == {
        name: set(devices) for name, devices in row["do"].items()
    }
    if "with" in row:
        assert row["with"].items() <= dict(plan.actions[0].params).items()
