"""Every sentence of the tables, one table a language: what is said, and the plan it makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Utterance
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


def test_a_place_next_to_the_verb_tells_the_one_that_is_called_so(
    understanding: TemplateUnderstanding, homes: dict[str, Home]
) -> None:
    home, old = homes["it"], homes["it"].devices["climate.salotto"]
    both = {
        "climate.salotto": replace(old, name="Termostato"),
        "climate.aria": replace(old, id="climate.aria", name="Condizionatore Salotto"),
    }
    home = replace(home, id="two", devices={**home.devices, **both})

    def plan_of(text: str) -> Plan:
        return understanding.understand(Utterance(text, "it"), home)

    assert plan_of("accendi in salotto il climatizzatore").commanded == ("climate.aria",)
    assert plan_of("accendi in salotto il termostato").commanded == ("climate.salotto",)
    for asked in ("accendi in salotto il termosifone", "accendi il termosifone in salotto"):
        assert plan_of(asked).kind is PlanKind.ASK, "an air conditioner is no radiator"
