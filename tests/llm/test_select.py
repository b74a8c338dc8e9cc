"""Which model answers, by the settings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.config import LlmRemoteSettings, LlmServeSettings, LlmSettings
from assistant.errors import ConfigError, ModelError
from assistant.llm.library import place_of
from assistant.llm.select import (
    answering,
    api_key,
    choose,
    default_threads,
    engine_settings,
    select_model,
)

from .fake import build_tiny

Put = Callable[[str], Path]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("tiny")).folder


@pytest.fixture
def put(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Has the tiny model built under a name."""
    monkeypatch.setenv("ASSISTANT_HOME", str(tmp_path))

    def put(name: str) -> Path:
        return Path(shutil.copytree(tiny, place_of(name)))

    return put


def test_mimo_is_preferred_where_it_is_built(put: Put) -> None:
    auto = LlmSettings()
    assert choose(auto) is None
    small = put("smollm2")
    assert (found := choose(auto)) is not None
    assert found.folder == small
    large = put("mimo-7b")
    assert (found := choose(auto)) is not None
    assert found.folder == large
    assert choose(LlmSettings(model="none")) is None


def test_a_model_is_named_or_its_folder_is(put: Put, tiny: Path) -> None:
    mine = put("mine")
    for model, folder in (("mine", mine), (str(tiny), tiny)):
        assert (found := choose(LlmSettings(model=model))) is not None
        assert found.folder == folder
    with pytest.raises(ModelError, match="assistant models build mimo-7b"):
        choose(LlmSettings(model="mimo-7b"))


async def test_another_machine_answers_with_or_without_this_one(put: Put, tmp_path: Path) -> None:
    put("smollm2")
    big = LlmRemoteSettings(url="http://big:8000", model="MiMo-7B-RL")
    both = select_model(LlmSettings(remote=big), tmp_path)
    alone = select_model(LlmSettings(model="none", remote=big), tmp_path)
    assert both is not None
    assert alone is not None
    assert both.name == alone.name == "MiMo-7B-RL at http://big:8000"
    assert type(both) is not type(alone)
    only = big.model_copy(update={"fallback": False})
    assert answering(LlmSettings(model="not-built", remote=only)) is None
    for model in (both, alone):
        await model.close()


def test_how_the_engine_is_run(tmp_path: Path) -> None:
    settings = LlmSettings(
        context=2048,
        threads=3,
        providers=("CUDA", "CPUExecutionProvider"),
        idle_unload=60,
        drafting=False,
        prefix_cache=10,
    )
    engine = engine_settings(settings, tmp_path)
    runtime = engine.runtime
    assert (runtime.context, runtime.threads, runtime.drafting) == (2048, 3, False)
    assert runtime.providers == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert (engine.idle, engine.prefix_limit) == (60, 10 << 20)
    assert engine.prefixes is not None
    assert engine.prefixes.is_relative_to(tmp_path)
    assert engine_settings(LlmSettings(prefix_cache=0), tmp_path).prefixes is None


def test_threads_by_default_are_few() -> None:
    assert 1 <= default_threads() <= 4


def test_a_key_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("abc\nnot this\n")
    assert api_key(LlmRemoteSettings()) is None
    key = api_key(LlmServeSettings(api_key_file=file))
    assert key is not None
    assert key.get_secret_value() == "abc"
    file.write_text(" \n")
    with pytest.raises(ConfigError, match=r"llm\.remote\.api_key_file: .* is empty"):
        api_key(LlmRemoteSettings(api_key_file=file))
    with pytest.raises(ConfigError, match=r"llm\.serve\.api_key_file: .* can't be read"):
        api_key(LlmServeSettings(api_key_file=tmp_path / "none"))
