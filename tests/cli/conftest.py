"""Commands without the second that a process takes to begin."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.__main__ import main

Quickly = Callable[..., tuple[str, str]]


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Shells start background jobs deaf to Ctrl-C, and whatever those start inherits it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def quickly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Quickly:
    """Run a command in this process; what it printed and what it complained of.

    ASSISTANT_HOME and the current folder are `tmp_path`. It must end with `status`.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSISTANT_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def does(*words: str, status: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["assistant", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == status
        captured = capsys.readouterr()
        return captured.out, captured.err

    return does
