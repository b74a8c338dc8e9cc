"""`assistant ask --explain`: what is shown of how sentences are understood."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from assistant.compose import STORE_FILE
from assistant.home.file import load_home
from assistant.plan import PlanKind, Utterance
from assistant.skill import load_skills, skill_folders
from assistant.store import Store, StoredTimer
from assistant.understand.explain import Considered, Verdict
from assistant.understand.template import TemplateUnderstanding

from .conftest import Quickly

VILLA = Path(__file__).parents[1] / "homes" / "villa.json"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Sentence -> what was printed of it; filled by the first test that asks."""
    return {}


SENTENCES = (
    "turn on the sofa lamp",
    "turn on the soffa lamp",
    "turn off the tv and lock the back door",
    "unlock the front door",
    "no",
    "turn on the lights in the basement",
    "dim the sofa lamp, no, the worktop lights",
    "and the sofa lamp",
    "is the tv on?",
    "don't turn on the tv",
    "fetch me a lawyer from the moon",
    "hocus pocus",
    "cancel the pizza timer",
)


@pytest.fixture
def explained(quickly: Quickly, tmp_path: Path, shown: dict[str, str]) -> dict[str, list[str]]:
    """Sentence -> the lines printed of it, blanks squeezed; all are turns of one conversation."""
    if not shown:
        folder = tmp_path / "config" / "sentences" / "en"
        folder.mkdir(parents=True)
        (folder / "own.yaml").write_text(
            "intents: {Magic: {data: [{sentences: [hocus pocus]}], run: toggle the sofa lamp}}"
        )
        data = tmp_path / "data"
        data.mkdir()
        with closing(Store(data / STORE_FILE)) as store:
            store.put_timer(StoredTimer("p", 600, time.time() + 600, name="pizza"))
        out, err = quickly("ask", "--explain", "--home", str(VILLA), *SENTENCES, status=1)
        assert err == ""
        with closing(Store(data / STORE_FILE)) as store:
            assert [t.name for t in store.timers()] == ["pizza"], "what is only tried changes none"
        for part in out.strip().split("\n\n"):
            said, _, rest = part.partition("\n")
            shown[said.strip("“” ")] = rest
    return {
        said: [" ".join(line.split()) for line in text.splitlines()] for said, text in shown.items()
    }


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (
            "turn on the sofa lamp",
            [
                "word for word ✓ lights.turn_on name sofa lamp 1.00 turn on Sofa Lamp",
                "language model · is not asked: the sentence is known",
                "policy ✓ lights.turn_on 1.00 turn on Sofa Lamp · may be done",
                "“Turned on the Sofa Lamp.”",
            ],
        ),
        (
            "turn on the soffa lamp",
            ["word for word ✗ no sentence that is known", "“soffa lamp” taken for “sofa lamp”"],
        ),
        (
            "turn off the tv and lock the back door",
            [
                "word for word “turn off the tv”",
                "✓ media.turn_off name tv 1.00 turn off TV",
                "word for word “lock the back door”",
                "✓ locks.lock name back door 1.00 lock Back Door",
                "in parts ✓",
                "turn off TV; lock Back Door · turn off the tv · lock the back door",
                "policy ✓",
            ],
        ),
        ("unlock the front door", ["policy ✓", "unlock Front Door · asks before it is done"]),
        ("no", ["answer ✓", "to what was asked before", "“All right"]),
        (
            "turn on the lights in the basement",
            ["unknown place ✓ lights.turn_on kind light+, area basement", "“There is no basement"],
        ),
        (
            "dim the sofa lamp, no, the worktop lights",
            ["corrected", "make brighter or dimmer Worktop Lights"],
        ),
        ("and the sofa lamp", ["follow-up “dim the sofa lamp”", "0.95", "policy ✓"]),
        ("is the tv on?", ["word for word ✓ state.ask_state", "answers get_state TV"]),
        ("don't turn on the tv", ["negation ✗ it forbids something", "“All right, I do nothing.”"]),
        (
            "fetch me a lawyer from the moon",
            ["misheard ✗", "near enough", "language model · there is none"],
        ),
        (
            "hocus pocus",
            ["own sentence ✓ lights.toggle", "toggle", "word for word “toggle the sofa lamp”"],
        ),
        ("cancel the pizza timer", ["policy ✓ timers.cancel 1.00 cancel a timer", "“"]),
    ],
)  # fmt: skip
def test_each_sentence_is_explained(
    explained: dict[str, list[str]], said: str, lines: list[str]
) -> None:
    text = "\n".join(explained[said])
    for line in lines:
        assert line in text, text


def test_a_home_from_a_file_is_for_explanations(quickly: Quickly) -> None:
    _, err = quickly("ask", "--home", str(VILLA), "lights on", status=2)
    assert "--explain" in err


def test_candidates_tell_why_they_were_not_taken() -> None:
    steps: list[Considered] = []
    understanding = TemplateUnderstanding(load_skills(skill_folders(None), {}))
    said = Utterance("play jazz on the TV", "en")
    plan = understanding.understand(said, load_home(VILLA), note=steps.append)
    assert plan.kind is PlanKind.ACT
    (taken,) = [s for s in steps if s.verdict is Verdict.TAKEN and s.stage == "exact"]
    assert taken.slots["query"] == "jazz"
    rejected = [s for s in steps if s.verdict is Verdict.REJECTED]
    assert all(s.reason for s in rejected)
    assert any("free text" in s.reason for s in rejected)
