"""The systemd unit: what it may do, and how long it waits after failures."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "mimo-voice.service"


def test_exposure_is_low() -> None:
    report = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    overall = re.search(r"Overall exposure level .*: ([\d.]+)", report)
    assert overall is not None, report
    assert float(overall[1]) <= 2.0, report


def test_systemd_of_debian_12_knows_every_setting() -> None:
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False
    )
    complaints = [
        line
        for line in (checked.stdout + checked.stderr).splitlines()
        if "mimo-voice" in line and "not executable" not in line  # it is not installed here
    ]
    assert complaints == []


def test_a_large_language_model_fits_under_the_limit() -> None:
    """On the smallest machine it is meant for, of 8 GB."""
    limit = re.search(r"^MemoryMax=(\d+)%$", UNIT.read_text(), re.MULTILINE)
    assert limit is not None
    assert int(limit[1]) / 100 * 8e9 >= 6.5e9
    assert "MemoryHigh=" not in UNIT.read_text(), "it would throttle the model's mapped files"


@pytest.fixture
def backoff(tmp_path: Path) -> Backoff:
    return Backoff(tmp_path)


class Backoff:
    """Runs deploy/backoff as systemd does, with a sleep that only tells."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sleep = folder / "bin" / "sleep"
        sleep.parent.mkdir()
        sleep.write_text('#!/bin/sh\necho "slept $1"\n')
        sleep.chmod(0o755)

    def run(self, what: str, result: str = "success") -> str:
        return subprocess.run(
            [ROOT / "deploy" / "backoff", what],
            env={
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "RUNTIME_DIRECTORY": str(self.folder),
                "SERVICE_RESULT": result,
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def delay(self) -> int:
        waited = re.search(r"slept (\d+)", self.run("wait"))
        assert waited is not None
        return int(waited[1])


def test_waits_longer_after_each_failure_up_to_a_minute(backoff: Backoff) -> None:
    delays = [backoff.delay()]
    for result in ("exit-code", "watchdog", "signal", "oom-kill", "core-dump", *["timeout"] * 3):
        backoff.run("ended", result)
        delays.append(backoff.delay())
    assert delays == [0, 1, 3, 7, 15, 31, 60, 60, 60]


def test_a_wanted_stop_forgets_the_failures(backoff: Backoff) -> None:
    backoff.run("ended", "exit-code")
    backoff.run("ended", "success")
    assert backoff.delay() == 0


def test_a_failure_long_ago_does_not_count(backoff: Backoff) -> None:
    for _ in range(4):
        backoff.run("ended", "exit-code")
    long_ago = (backoff.folder / "failures").stat().st_mtime - 3600
    os.utime(backoff.folder / "failures", (long_ago, long_ago))
    assert backoff.delay() == 0
    backoff.run("ended", "exit-code")
    assert backoff.delay() == 1
