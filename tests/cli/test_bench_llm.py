"""`assistant bench llm`: every figure is there, and nothing is left behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.llm.shapes import MIMO_7B, SHAPES
from tests.llm.fake import build_tiny

from .conftest import Quickly

FIGURES = {
    "load_s", "resident_loaded", "prefill_64", "prefill_512", "decode_s", "pass_2", "pass_3",
    "pass_4", "pass_6", "pass_8", "grammars_s", "grammar_s", "mask_s", "mask_p99_s", "prefix_s",
    "prefix_restored_s", "short_first_s", "short_late_s", "short_passes", "long_first_s",
    "long_late_s", "long_passes", "question_first_s", "question_late_s", "question_passes",
    "act_passes", "resident_after", "kv_1000",
}  # fmt: skip
DRAFTS = {"draft_s", "drafted_s", "draft_gain"}


@pytest.fixture
def shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shape that is written in a moment."""
    small = replace(
        MIMO_7B, hidden=64, layers=2, heads=4, kv_heads=2, head_size=16, intermediate=128,
        vocabulary=6000, context=4096,
    )  # fmt: skip
    monkeypatch.setitem(SHAPES, "small", small)


@pytest.mark.usefixtures("shape")
def test_a_shape_is_measured_and_removed(quickly: Quickly, tmp_path: Path) -> None:
    out, _ = quickly("bench", "llm", "--shape", "small", "--block", "32", "--json", "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    about = {key: figures.pop(key) for key in ("about", "machine", "acceptance")}
    assert about["about"] == "small, blocks of 32, random weights"
    assert about["acceptance"] == 0.9
    assert figures.keys() == FIGURES | DRAFTS
    assert all(value > 0 for value in figures.values())
    assert figures["act_passes"] < 0.5
    assert figures["kv_1000"] == 1000 * 2 * 4 * 3 * 2 * 16
    for line in ("random weights: writing", "measuring: loading", "floor lamp", "first action"):
        assert line in out
    assert "given in advance" in out
    assert not list((tmp_path / "cache" / "bench").iterdir())


@pytest.mark.usefixtures("shape")
def test_weights_are_kept_on_request_and_used_again(quickly: Quickly, tmp_path: Path) -> None:
    quickly("bench", "llm", "--shape", "small", "--keep")
    data = tmp_path / "cache" / "bench" / "small-64" / "trunk.data"
    written = data.stat().st_mtime_ns
    out, _ = quickly("bench", "llm", "--shape", "small", "--keep")
    assert data.stat().st_mtime_ns == written
    assert "writing" not in out
    # An earlier version may have laid them out otherwise.
    (tmp_path / "cache" / "bench" / "small-64" / "whole").write_text("of another version")
    out, _ = quickly("bench", "llm", "--shape", "small")
    assert "writing" in out


@pytest.mark.parametrize("mtp", [True, False])
def test_a_built_model_is_measured_with_words_of_its_own(
    quickly: Quickly, tmp_path: Path, mtp: bool
) -> None:
    build_tiny(tmp_path, context=8192, mtp=mtp)
    config = tmp_path / "assistant.toml"
    config.write_text("[llm]\ncontext = 8192\n")
    out, _ = quickly("bench", "llm", "./tiny", "-c", str(config), "--json", "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    wanted = FIGURES | {"own_s"} | (DRAFTS if mtp else set())
    assert figures.keys() - {"about", "machine", "acceptance"} == wanted
    assert "its own words" in out


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ((), 1, "--shape mimo-7b"),
        (("--shape", "gpt-9"), 1, "known are: mimo-7b"),
        (("--shape", "mimo-7b", "--block", "7"), 1, "blocks of 7"),
        (("smollm2", "--shape", "mimo-7b"), 2, "not both"),
        (("./nowhere",), 1, "nowhere holds no model"),
        (("--acceptance", "2"), 2, "acceptance"),
        (("--shape", "mimo-7b", "--json", "nowhere/figures.json"), 2, "can't be written"),
    ],
)
def test_what_can_not_be_measured_is_said(
    quickly: Quickly, tmp_path: Path, words: tuple[str, ...], status: int, complaint: str
) -> None:
    out, err = quickly("bench", "llm", *words, status=status)
    assert complaint in " ".join((out + err).split())
    assert not (tmp_path / "cache" / "bench").exists()


def test_the_other_bench_takes_its_options_still(quickly: Quickly) -> None:
    out, _ = quickly("bench", "--help")
    assert "--noise" in out
    assert "llm" in out
    _, err = quickly("bench", "--turns", "31", status=2)
    assert "--turns" in err
