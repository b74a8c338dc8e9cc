from __future__ import annotations

from pathlib import Path

import pytest

from assistant.home.file import load_home
from assistant.home.model import Home
from assistant.skill import Skills, load_skills, skill_folders
from assistant.understand.template import TemplateUnderstanding


@pytest.fixture(scope="session")
def skills() -> Skills:
    loaded = load_skills(skill_folders(None), {})
    assert not loaded.problems
    return loaded


@pytest.fixture(scope="session")
def understanding(skills: Skills) -> TemplateUnderstanding:
    return TemplateUnderstanding(skills)


@pytest.fixture(scope="session")
def villa() -> Home:
    return load_home(Path(__file__).parents[1] / "homes" / "villa.json")


@pytest.fixture(scope="session")
def casa() -> Home:
    return load_home(Path(__file__).parents[1] / "homes" / "casa.json")


@pytest.fixture(scope="session")
def homes(villa: Home, casa: Home) -> dict[str, Home]:
    """The home each language's sentences are about."""
    return {"en": villa, "it": casa}
