"""The skill loader: what it takes, and what it says of skills that are not right."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.errors import SkillError
from assistant.home.model import Home
from assistant.plan import PlanKind, Utterance
from assistant.skill import load_skills, shipped_folder, skill_folders
from assistant.understand.language import load_language
from assistant.understand.template import TemplateUnderstanding

MANIFEST = 'name = "tea"\nversion = "1.0"\ndescription = "Tea"\nlanguages = ["en"]\n'
SENTENCES = 'language: en\nintents:\n  brew:\n    data:\n      - sentences: ["brew [some] tea"]\n'
HANDLERS = """
from assistant.plan import Plan, PlanKind, Speech

def brew(request):
    return Plan(PlanKind.CHAT, speech=Speech("brewing"))
"""


def write(folder: Path, **files: str) -> Path:
    contents = {
        "manifest.toml": MANIFEST,
        "sentences/en.yaml": SENTENCES,
        "replies/en.yaml": "brewing: Tea is on its way.\n",
        "handlers.py": HANDLERS,
    } | files
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_shipped_skills_all_load_in_english() -> None:
    skills = load_skills(skill_folders(None), {})
    assert not skills.problems
    assert {"lights", "covers", "locks", "climate", "media", "timers", "core"} <= set(skills.skills)
    assert all(s.folder.parent == shipped_folder() for s in skills.skills.values())


def test_a_users_skill_is_understood_and_replaces_a_shipped_one(tmp_path: Path) -> None:
    own = write(tmp_path / "own" / "tea")
    lights = write(
        tmp_path / "own" / "lights",
        **{
            "manifest.toml": MANIFEST.replace("tea", "lights", 1),
            "sentences/en.yaml": SENTENCES.replace("tea", "light"),
        },
    )
    skills = load_skills(skill_folders(tmp_path / "own"), {})
    assert skills.skills["tea"].folder == own
    assert skills.skills["lights"].folder == lights
    plan = TemplateUnderstanding(skills).understand(Utterance("Brew some tea!", "en"), Home())
    assert (plan.kind, plan.skill, plan.intent) == (PlanKind.CHAT, "tea", "brew")
    assert plan.speech is not None
    assert plan.speech.key == "tea.brewing"


def test_a_skill_that_is_switched_off_is_not_there(tmp_path: Path) -> None:
    folder = write(tmp_path / "tea")
    assert not load_skills([folder], {"tea": {"enabled": False}}).skills
    assert load_skills([folder], {"tea": {"strength": 3}}).skills["tea"].options == {"strength": 3}


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("manifest.toml", "name = ", "manifest.toml: is not valid TOML"),
        ("manifest.toml", MANIFEST + 'colour = "red"\n', "key 'colour'"),
        ("manifest.toml", MANIFEST.replace('"1.0"', '"one"'), "key 'version'"),
        ("manifest.toml", MANIFEST.replace('"en"', '"en", "fr"'), "neither sentences/fr.yaml"),
        ("sentences/en.yaml", "language: en\nintents: [", "en.yaml, line 2: is not valid YAML"),
        (
            "sentences/en.yaml",
            SENTENCES.replace("brew:", "steep:"),
            "line 3: intent 'steep' has no",
        ),
        ("sentences/en.yaml", SENTENCES + "colours: {}\n", "unknown key 'colours'"),
        ("sentences/en.yaml", SENTENCES.replace("language: en", "language: de"), "'language' must"),
        (
            "sentences/en.yaml",
            SENTENCES.replace('["brew [some] tea"]', "[12]"),
            "12 is no sentence",
        ),
        ("replies/en.yaml", "brewing: {a: 1}\n", "line 1: key 'brewing' must be a wording"),
        ("handlers.py", "def brew(request:\n", "handlers.py, line 1: SyntaxError"),
        (
            "handlers.py",
            "x = 1\nimport nothing_of_this_name\n",
            "handlers.py, line 2: ModuleNotFound",
        ),
    ],
)
def test_a_broken_skill_is_named_and_the_others_go_on(
    tmp_path: Path, file: str, text: str, says: str
) -> None:
    broken = write(tmp_path / "broken", **{file: text})
    good = write(tmp_path / "good", **{"manifest.toml": MANIFEST.replace("tea", "good", 1)})
    skills = load_skills([broken, good], {})
    assert set(skills.skills) == {"good"}
    assert says in str(skills.problems[0])
    assert str(broken) in str(skills.problems[0])


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        ('"brew <some> tea"', "there is no rule <some>"),
        ('"brew (tea"', "intent 'brew'"),
    ],
)
def test_a_malformed_sentence_is_named(
    tmp_path: Path, sentence: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = SENTENCES.replace('"brew [some] tea"', sentence)
    skills = load_skills([write(tmp_path / "tea", **{"sentences/en.yaml": text})], {})
    TemplateUnderstanding(skills).prepare("en", Home())
    assert "skill tea" in caplog.text
    assert says in caplog.text


def test_an_unknown_language_is_named() -> None:
    with pytest.raises(SkillError, match="language 'xx' is not known"):
        load_language("xx")


def test_a_handler_that_raises_does_not_end_the_turn(tmp_path: Path) -> None:
    bad = "def brew(request):\n    raise ValueError('no leaves')\n"
    skills = load_skills([write(tmp_path / "tea", **{"handlers.py": bad})], {})
    plan = TemplateUnderstanding(skills).understand(Utterance("brew tea", "en"), Home())
    assert plan.kind is PlanKind.REFUSE
    assert plan.speech is not None
    assert plan.speech.key == "core.skill_failed"
