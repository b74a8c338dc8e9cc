from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.errors import LlmError
from assistant.llm import memory
from assistant.llm.directory import ModelDirectory
from assistant.llm.memory import available, check, demand
from assistant.llm.quantisation import Quantisation
from assistant.llm.shapes import MIMO_7B

GB = 1_000_000_000
KIB = 1024


def mimo(bits: int = 4, block: int = 64) -> ModelDirectory:
    return ModelDirectory(
        folder=Path("/nowhere"),
        name="mimo-7b",
        source="",
        revision="",
        licence="",
        architecture=MIMO_7B,
        quantisation=Quantisation(bits, block, bits, bits, bits),
        eos=(0,),
        bos=None,
        built="",
        files={},
    )


def write(root: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "proc", root / "groups"


MEMINFO = "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n"
STAT = "anon 5\ninactive_file 300\nactive_file 200\ntotal_inactive_file 30\ntotal_active_file 20\n"


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 8_000_000 * KIB),
        # Version 2: no limit; a limit; memory.high counts where it is lower; an outer group counts.
        ({"proc/self/cgroup": "0::/a/b\n", "groups/a/b/memory.max": "max\n"}, 8_000_000 * KIB),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "groups/a/b/memory.max": "9000\n",
                "groups/a/b/memory.high": "max\n",
                "groups/a/b/memory.current": "4000\n",
                "groups/a/b/memory.stat": STAT,
            },
            5500,
        ),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "groups/a/b/memory.max": "9000\n",
                "groups/a/b/memory.high": "8000\n",
                "groups/a/b/memory.current": "4000\n",
            },
            4000,
        ),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "groups/a/memory.max": "7000\n",
                "groups/a/memory.current": "6500\n",
                "groups/a/b/memory.max": "9000\n",
                "groups/a/b/memory.current": "4000\n",
            },
            500,
        ),
        (
            {
                "proc/self/cgroup": "0::/a\n",
                "groups/a/memory.max": "100\n",
                "groups/a/memory.current": "400\n",
            },
            0,
        ),
        # Within a container: its own group is the root of what it sees.
        (
            {
                "proc/self/cgroup": "0::/../host/path\n",
                "groups/memory.max": "9000\n",
                "groups/memory.current": "1000\n",
            },
            8000,
        ),
        # A limit beyond what the machine has.
        (
            {
                "proc/self/cgroup": "0::/\n",
                "groups/memory.max": f"{1 << 50}\n",
                "groups/memory.current": "1000\n",
            },
            8_000_000 * KIB,
        ),
        # Version 1.
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/a\n0::/\n",
                "groups/memory/a/memory.limit_in_bytes": "9000\n",
                "groups/memory/a/memory.usage_in_bytes": "4000\n",
                "groups/memory/a/memory.stat": STAT,
            },
            5050,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/\n",
                "groups/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "groups/memory/memory.usage_in_bytes": "4000\n",
            },
            8_000_000 * KIB,
        ),
        # What can't be read counts for nothing.
        (
            {
                "proc/self/cgroup": "nonsense\n0::/a\n",
                "groups/a/memory.max": "?\n",
                "groups/a/memory.current": "",
            },
            8_000_000 * KIB,
        ),
    ],
)
def test_the_tightest_bound_counts(tmp_path: Path, files: dict[str, str], free: int) -> None:
    assert available(*write(tmp_path, {"proc/meminfo": MEMINFO, **files})) == free


@pytest.mark.parametrize("meminfo", [None, "", "MemAvailable:\n", "MemAvailable: much kB\n"])
def test_a_system_that_tells_nothing_stops_nobody(tmp_path: Path, meminfo: str | None) -> None:
    files = {} if meminfo is None else {"proc/meminfo": meminfo}
    assert available(*write(tmp_path, files)) == sys.maxsize


def test_this_machine_has_some_memory_and_not_endlessly_much() -> None:
    assert 1 << 20 < available() < 1 << 50


@pytest.mark.parametrize(
    ("directory", "least", "most"),
    [(mimo(4, 128), 4.2, 4.7), (mimo(4, 64), 4.7, 5.2), (mimo(4, 32), 5.4, 6.2)],
)
def test_what_mimo_takes_is_what_was_measured(
    directory: ModelDirectory, least: float, most: float
) -> None:
    assert least < demand(directory, 0) / GB < most
    assert demand(directory, 1000) - demand(directory, 0) == 1000 * MIMO_7B.kv_bytes


def test_what_is_not_loaded_is_not_counted() -> None:
    saved = demand(mimo(), 0) - demand(mimo(), 0, drafting=False)
    assert 0.1 < saved / GB < 0.3
    longest = MIMO_7B.context
    assert demand(mimo(), 10 * longest) == demand(mimo(), longest)


def test_more_bits_take_more() -> None:
    sizes = [demand(mimo(bits), 0) for bits in (4, 8, 32)]
    assert 1.6 < sizes[1] / sizes[0] < 2
    assert 3 < sizes[2] / sizes[1] < 4


def machine(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr(memory, "available", lambda: int(free * GB))


def test_what_fits_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 6.5)
    check(mimo(), 4096)


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (0.0, r"mimo-7b needs 6\.\d GB of memory with a context of 4096 tokens, 0\.0 GB are free"),
        (3.0, r"2\.8 GB are free: end other programs, or choose a smaller model$"),
        (6.0, r"end other programs, or set \[llm\] context to \d+ or less, or choose a smaller"),
    ],
)
def test_what_does_not_fit_is_refused_and_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, free: float, said: str
) -> None:
    machine(monkeypatch, free)
    with pytest.raises(LlmError, match=said):
        check(mimo(), 4096)


def test_the_shorter_context_that_is_named_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 5.8)
    with pytest.raises(LlmError) as refused:
        check(mimo(), 4096)
    context = int(str(refused.value).split("context to ")[1].split()[0])
    check(mimo(), context)
    with pytest.raises(LlmError):
        check(mimo(), context + 256)


def test_a_context_beyond_the_models_own_is_not_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(mimo(), architecture=replace(MIMO_7B, context=1024))
    machine(monkeypatch, 5.6)
    check(short, 1 << 20)
