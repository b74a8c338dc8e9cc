"""`assistant replay`: files in, files out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from assistant.cli.replay import command
from tests.support.smollm2 import NAME, smollm2

VILLA = Path(__file__).parents[1] / "homes" / "villa.json"
app = typer.Typer()
app.command()(command)


def line(**values: Any) -> str:
    turns = values.pop("turns")
    return json.dumps({"id": "x", "lang": "en", "home": "villa", "turns": turns, **values})


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    (tmp_path / "homes" / "villa").mkdir(parents=True)
    shutil.copy(VILLA, tmp_path / "homes" / "villa" / "home.json")
    return tmp_path / "homes"


def run(
    homes: Path, *lines: str, confirm: str = "no", model: str | None = None
) -> tuple[int, str, list[dict[str, Any]]]:
    texts, out = homes.parent / "texts.jsonl", homes.parent / "results.jsonl"
    texts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = ["--homes", str(homes), str(texts), "-o", str(out), "--confirm", confirm]
    if model is not None:
        arguments += ["--model", model]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "400"})  # no path is wrapped
    rows = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    return result.exit_code, result.output, [json.loads(row) for row in rows]


def test_each_line_starts_from_the_homes_own_state(homes: Path) -> None:
    louder = line(turns=["turn the TV up"])
    code, _, (first, second, third) = run(
        homes,
        louder,
        louder,
        line(turns=["turn the TV up"], state={"media_player.tv": {"volume": 60}}),
    )
    assert code == 0
    assert first["actions"] == second["actions"]
    volume = {"device": "media_player.tv", "action": "set_volume"}
    assert first["actions"] == [{**volume, "params": {"volume": 40}}]
    assert third["actions"] == [{**volume, "params": {"volume": 70}}]
    assert first["ms"] > 0


def test_a_language_model_is_asked_where_one_is_named(homes: Path) -> None:
    smollm2()
    question = line(turns=["what is the capital of France"])
    _, _, (without,) = run(homes, question)
    assert "did not understand" in without["reply"]
    command = line(turns=["turn on the sofa lamp"])
    code, _, (answered, done) = run(homes, question, command, model=NAME)
    assert code == 0
    assert "Paris" in answered["reply"]
    assert answered["actions"] == []
    assert [a["device"] for a in done["actions"]] == ["light.sofa"]


def test_a_language_model_that_is_not_there_is_named(homes: Path) -> None:
    code, output, _ = run(homes, line(turns=["hello"]), model="none-such")
    assert code == 2
    assert "the language model none-such is not here" in " ".join(output.split())


def test_the_satellites_room_and_earlier_turns_count(homes: Path) -> None:
    _, _, (here, later) = run(
        homes,
        line(turns=["lights off"], satellite_area="kitchen"),
        line(turns=["turn on the sofa lamp", "make it blue"]),
    )
    assert {a["device"] for a in here["actions"]} == {"light.kitchen_ceiling", "light.worktop"}
    assert later["first_turns"][0]["actions"][0]["action"] == "turn_on"
    assert later["actions"] == [
        {"device": "light.sofa", "action": "set_color", "params": {"color": "blue"}}
    ]


def test_yes_is_said_to_risk_and_never_to_a_choice(homes: Path) -> None:
    risky, choice = line(turns=["unlock the front door"]), line(turns=["turn on the ceiling light"])
    _, _, (kept, asked) = run(homes, risky, choice)
    assert kept["actions"] == []
    assert kept["reply"].endswith("?")
    _, _, (done, still) = run(homes, risky, choice, confirm="yes")
    assert done["actions"] == [{"device": "lock.front", "action": "unlock", "params": {}}]
    assert still["actions"] == []
    assert still["reply"] == asked["reply"]


def test_questions_and_timers_are_reported(homes: Path) -> None:
    _, _, (question, timer) = run(
        homes, line(turns=["is the front door locked?"]), line(turns=["pause the pasta timer"])
    )
    assert question["actions"][0]["action"] == "get_state"
    assert question["actions"][0]["params"] == {"devices": ["lock.front"]}
    assert timer["actions"] == [{"device": "timer.pasta", "action": "pause_timer", "params": {}}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "line 2"),
        (line(turns=[]), "line 2, key 'turns'"),
        (line(turns=["x"], lang="english"), "line 2, key 'lang'"),
        (line(turns=["x"], home="../villa"), "line 2, key 'home'"),
        (line(turns=["x"], home="castle"), "castle"),
        (line(turns=["x"], lang="xx"), "language 'xx' is not known"),
        (line(turns=["x"], state={"light.none": {"on": True}}), "no device 'light.none'"),
    ],
)
def test_bad_input_is_named_and_ends_with_2(homes: Path, text: str, says: str) -> None:
    code, output, _ = run(homes, line(turns=["lights off"]), text)
    assert code == 2
    assert says in " ".join(output.split())


def test_a_missing_file_is_named(homes: Path) -> None:
    result = CliRunner().invoke(app, ["--homes", str(homes), str(homes / "none"), "-o", "x"])
    assert result.exit_code == 2
    assert "can't be read" in " ".join(result.output.split())
