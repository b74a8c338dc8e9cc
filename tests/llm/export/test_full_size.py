"""The exporter under MiMo's true width: memory, and kills at any point."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LAYERS = 4  # of 36, for time; every matrix has its true size
SHARDS = 4
KILLS = 5
LIMIT_KB = 1_000_000


def run(folder: Path, *, kill_at: float | None = None) -> dict[str, Any] | None:
    """Build in a process of its own; killed when it has come as far as `kill_at` of 1, if ever.

    Weights make the first nine tenths of the way, checksums the last. None: it was killed.
    """
    command = [sys.executable, "-m", "tests.llm.export.full_size", str(folder)]
    last = ""
    with subprocess.Popen(
        [*command, str(LAYERS), str(SHARDS)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line
            what, _, rest = line.partition(" ")
            if kill_at is None or what not in ("weights", "checksums"):
                continue
            done, total = map(int, rest.split())
            way = 0.9 * done / total if what == "weights" else 0.9 + 0.1 * done / total
            if way >= kill_at:
                process.kill()
                process.wait()
                return None
    assert process.returncode == 0, last
    facts: dict[str, Any] = json.loads(last)
    return facts


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_kills_cost_neither_bytes_nor_memory(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    assert whole is not None
    assert whole["peak_kb"] < LIMIT_KB
    assert whole["made"] == whole["shards"] > 1
    seed = random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)
    for point in sorted(chance.random() for _ in range(KILLS)):
        assert run(tmp_path / "cut", kill_at=point) is None, f"seed {seed}"
        assert not (tmp_path / "cut" / "model").exists()
    cut = run(tmp_path / "cut")
    assert cut is not None
    assert cut["files"] == whole["files"], f"seed {seed}"
    assert cut["peak_kb"] < LIMIT_KB
