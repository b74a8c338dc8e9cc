"""What each command says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from assistant.cli.app import app


def _commands(command: Any, *path: str) -> Iterator[str]:
    """Those that take an argument: what to write there is to be shown."""
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from _commands(inner, *path, name)
    if any(parameter.param_type_name == "argument" for parameter in command.params):
        yield " ".join(path)


@pytest.mark.parametrize("words", list(_commands(get_command(app))))
def test_help_shows_how_it_is_used(words: str) -> None:
    done = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "200"})
    _, usage, rest = done.output.partition(f"Usage: root {words}")
    assert usage
    assert f"assistant {words} " in rest
