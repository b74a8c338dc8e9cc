"""A language is a folder of data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import assistant.understand.language as package
from assistant.errors import SkillError
from assistant.understand.language import languages, load_language, read_language
from assistant.understand.mood import Mood, mood


@pytest.fixture
def klingon(tmp_path: Path) -> Path:
    """A third language, begun as a copy of English."""
    folder = tmp_path / "tlh"
    shutil.copytree(Path(package.__file__).parent / "en", folder)
    return folder


def test_all_there_are_can_be_read() -> None:
    assert set(languages()) >= {"en", "it"}
    for code in languages():
        assert load_language(code).code == code


def test_one_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(SkillError, match="'xx' is not known; there are: en, it"):
        load_language("xx")


def test_a_third_one_is_a_folder(klingon: Path) -> None:
    file = klingon / "moods.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('negation: ["', 'negation: [qo, "', 1), encoding="utf-8")
    language = read_language("en", klingon)
    assert mood("qo turn on the light", language) is Mood.FORBIDDING
    assert mood("qo turn on the light", load_language("en")) is Mood.ORDER


def _twice(folder: Path) -> None:
    (folder / "more.yaml").write_text("articles: [the]\n")


def _short(folder: Path) -> None:
    (folder / "sounds.yaml").unlink()


def _strange(folder: Path) -> None:
    (folder / "more.yaml").write_text("artikel: [the]\n")


def _broken(folder: Path) -> None:
    (folder / "more.yaml").write_text("a: [")


def _bare(folder: Path) -> None:
    (folder / "more.yaml").write_text("hello")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_twice, r"more.yaml: 'articles' is in another file"),
        (_short, r"tlh: lacks .*sounds"),
        (_strange, r"tlh: nothing is called 'artikel'"),
        (_broken, r"more.yaml: is not valid YAML"),
        (_bare, r"more.yaml: must hold keys and values"),
    ],
)
def test_what_is_wrong_with_one_is_told(
    klingon: Path, harm: Callable[[Path], None], said: str
) -> None:
    harm(klingon)
    with pytest.raises(SkillError, match=said):
        read_language("en", klingon)
