"""`assistant sentences`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Quickly

VILLA = Path(__file__).parents[1] / "homes" / "villa.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config" / "sentences" / "en"
    made.mkdir(parents=True)
    return made


def test_what_each_sentence_would_do_is_told(quickly: Quickly, folder: Path) -> None:
    (folder / "own.yaml").write_text(
        "intents:\n"
        "  Movie: {data: [{sentences: [movie night]}], run: turn on the lights in the lounge}\n"
        "  Sesame: {data: [{sentences: [open sesame]}], run: unlock the front door}\n"
        "  Hi: {data: [{sentences: [hi you]}], say: 'Hi, {{ 1 + 1 }}.'}\n"
        "  HassTurnOn: {data: [{sentences: ['engage {name}'], requires_context: {domain: fan}}]}\n"
    )
    out, err = quickly("sentences", "check", "--home", str(VILLA))
    assert err == ""
    assert "“movie night”  → turn on Sofa Lamp, Ceiling Light" in out
    assert "“open sesame”  asks first → unlock Front Door" in out
    assert "“hi you”  “Hi, 2.”" in out
    assert "“engage bedroom fan”  → turn on Bedroom Fan" in out
    assert "4 sentences in 1 file: all right" in out


def test_what_is_wrong_is_told_by_file_and_line(quickly: Quickly, folder: Path) -> None:
    good, bad = folder / "good.yaml", folder / "bad.yaml"
    good.write_text(
        "intents:\n"
        "  A: {data: [{sentences: [so long]}], run: gibber the jabber}\n"
        "  B:\n    data: [{sentences: [shine on]}]\n"
        "    actions: [{action: turn_on, devices: [Moon]}]\n"
    )
    bad.write_text("intents:\n  A: {data: [{sentences: ['(a']}], say: b}\n")
    out, _ = quickly("sentences", "check", str(folder.parent), "--home", str(VILLA), status=1)
    assert f"{bad}:2: “(a”: the '(' at letter 1 is never closed by ')'" in out
    assert f"{good}:2: “so long” is refused: Your own sentence stands for “gibber" in out
    assert f"{good}:5: there is no device 'Moon'" in out
    assert "all right" not in out


def test_without_any_the_way_to_an_example_is_shown(quickly: Quickly) -> None:
    out, _ = quickly("sentences", "check", "--home", str(VILLA))
    assert "assistant sentences example" in out


def test_the_example_is_sound(quickly: Quickly, folder: Path) -> None:
    out, _ = quickly("sentences", "example")
    (folder / "example.yaml").write_text(out.replace("Desk Lamp", "Sofa Lamp"))
    out, _ = quickly("sentences", "check", "--home", str(VILLA))
    assert "8 sentences in 1 file: all right" in out
