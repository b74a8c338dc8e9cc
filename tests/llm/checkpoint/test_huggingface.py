from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from assistant.errors import ModelError
from assistant.llm.architecture import Family
from assistant.llm.checkpoint.open import open_checkpoint
from tests.llm.fake import (
    DTYPES,
    TEMPLATE,
    config,
    random_arrays,
    shapes,
    tokenizer_json,
    tokens,
    write_arrays,
    write_checkpoint,
)

INDEX = "model.safetensors.index.json"
END, START, TURN = (tokens().index(f"<|{name}|>") for name in ("endoftext", "im_start", "im_end"))


def change(path: Path, **entries: Any) -> None:
    data = json.loads(path.read_text()) if path.exists() else {}
    data = {**data, **entries}
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_all_tensors_are_there_with_their_shapes_and_numbers(
    tmp_path: Path, shards: int, dtype: str
) -> None:
    checkpoint = open_checkpoint(write_checkpoint(tmp_path, shards=shards, dtype=dtype, seed=3))
    expected = random_arrays(config(), 3)
    assert set(checkpoint.shards) == set(expected)
    assert len(set(checkpoint.shards.values())) == shards
    for name, array in expected.items():
        assert checkpoint.shape(name) == array.shape
        stored = array.astype(DTYPES[dtype]).astype(np.float32)
        np.testing.assert_array_equal(checkpoint.rows(name, 1, len(array)), stored[1:])


def test_what_it_is_and_where_from(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_checkpoint(tmp_path, layers=3, tied=True))
    assert checkpoint.architecture.family is Family.MIMO
    assert checkpoint.architecture.layers == 3
    assert checkpoint.architecture.tied
    assert checkpoint.architecture.mtp_layers == 1
    assert (checkpoint.source, checkpoint.folder) == (str(tmp_path), tmp_path)
    assert checkpoint.licence == "mit"
    assert "lm_head.weight" not in checkpoint.shards
    assert all(checkpoint.to_fetch(shard) == 0 for shard in checkpoint.shards.values())


def test_a_checkpoint_that_lost_its_mtp_layer_is_read_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_checkpoint(tmp_path)
    arrays = {n: a for n, a in random_arrays(config()).items() if "mtp_layers" not in n}
    write_arrays(tmp_path, arrays)  # as programs save it that do not know the layer
    assert open_checkpoint(tmp_path).architecture.mtp_layers == 0
    assert "has no MTP layer" in caplog.text


def test_it_is_the_same_until_its_files_change(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    first = open_checkpoint(tmp_path).revision
    (tmp_path / "README.md").write_text("changed")
    assert open_checkpoint(tmp_path).revision == first
    write_checkpoint(tmp_path, seed=1)
    assert open_checkpoint(tmp_path).revision != first


@pytest.mark.parametrize(
    ("files", "ends"),
    [
        ({}, {END, TURN}),
        ({"generation_config.json": {"eos_token_id": [TURN, 5]}}, {TURN, 5, END}),
        ({"config.json": {"eos_token_id": [1, 2]}}, {1, 2, TURN}),
        ({"tokenizer_config.json": {"eos_token": {"content": "<think>"}}},
         {END, TURN, tokens().index("<think>")}),
        ({"tokenizer_config.json": {"eos_token": "unheard of"}}, {END, TURN}),
        ({"tokenizer_config.json": {"eos_token": "half a letter: \ud83d"}}, {END, TURN}),
        ({"config.json": {"eos_token_id": None},
          "tokenizer_config.json": {"chat_template": "{{ messages }}", "eos_token": None}}, set()),
    ],
)  # fmt: skip
def test_every_token_that_ends_a_text_or_a_turn_is_known(
    tmp_path: Path, files: dict[str, dict[str, Any]], ends: set[int]
) -> None:
    write_checkpoint(tmp_path)
    for name, entries in files.items():
        change(tmp_path / name, **entries)
    assert set(open_checkpoint(tmp_path).texts.eos) == ends


def test_the_token_that_the_tokenizer_names_comes_first(tmp_path: Path) -> None:
    """The chat template is given it as `eos_token`."""
    write_checkpoint(tmp_path)
    change(tmp_path / "generation_config.json", eos_token_id=[5, END, TURN])
    assert open_checkpoint(tmp_path).texts.eos == (TURN, 5, END)


def test_a_token_begins_a_text_only_where_the_tokenizer_says_so(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    assert open_checkpoint(tmp_path).texts.bos is None
    change(tmp_path / "tokenizer_config.json", add_bos_token=True)
    assert open_checkpoint(tmp_path).texts.bos == END
    change(tmp_path / "tokenizer_config.json", add_bos_token=None)
    tokenizer = Tokenizer.from_str(tokenizer_json().decode())
    tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", START)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert open_checkpoint(tmp_path).texts.bos == START


def test_the_chat_template_is_found_wherever_it_is_kept(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    assert open_checkpoint(tmp_path).texts.template == TEMPLATE
    several = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    change(tmp_path / "tokenizer_config.json", chat_template=several)
    assert open_checkpoint(tmp_path).texts.template == "d"
    (tmp_path / "chat_template.jinja").write_text("from the file")
    assert open_checkpoint(tmp_path).texts.template == "from the file"


def test_the_text_of_the_licence_comes_along(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    assert open_checkpoint(tmp_path).texts.licence is None
    (tmp_path / "README.md").unlink()
    assert open_checkpoint(tmp_path).licence == ""
    (tmp_path / "LICENSE").write_text("\nMIT License\n\nCopyright …")
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.licence == "MIT License"
    assert (checkpoint.texts.licence or b"").startswith(b"\nMIT License")


def _index_without_map(folder: Path) -> None:
    (folder / INDEX).write_text("{}")


def _index_beyond_the_folder(folder: Path) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "../../etc/x.safetensors"}}))


def _index_of_settings(folder: Path) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "config.json"}}))


def _pickled(folder: Path) -> None:
    (folder / INDEX).unlink()
    for shard in folder.glob("*.safetensors"):
        shard.unlink()
    (folder / "pytorch_model-00001-of-00002.bin").write_bytes(b"PK")


def _without(name: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        (folder / name).unlink()

    return remove


def _with(name: str, content: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(content, encoding="latin-1")

    return write


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:9b4d\nsize 4967215360\n"


def _unreadable(name: str) -> Callable[[Path], None]:
    """As a file that only another user may read, for a test whose user may be root."""

    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to("/proc/self/mem")

    return change


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_unreadable("tokenizer.json"), "tokenizer.json can't be read"),
        (_unreadable("tokenizer_config.json"), "tokenizer_config.json can't be read"),
        (_unreadable("chat_template.jinja"), "chat_template.jinja can't be read"),
        (_unreadable("LICENSE"), "LICENSE can't be read"),
        (_with("tokenizer.json", POINTER), "tokenizer.json is a note of Git LFS.*git lfs pull"),
        (_without("config.json"), "no config.json"),
        (_without("tokenizer.json"), "no tokenizer.json"),
        (_without(INDEX), "holds no weights"),
        (_without("model-00002-of-00003.safetensors"), "model-00002-of-00003.safetensors is miss"),
        (_with("config.json", "{"), "config.json can't be read"),
        (_with("config.json", "[]"), "config.json is damaged"),
        (_with("config.json", "[" * 100_000), "config.json can't be read"),
        (_with("chat_template.jinja", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1")),
         "chat_template.jinja can't be read"),
        (_with("config.json", '{"model_type": "gpt2"}'), "model_type 'gpt2' can't be run"),
        (_with("tokenizer.json", "{}"), "tokenizer.json can't be used"),
        (_with("tokenizer.json", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1")),
         "tokenizer.json can't be used"),
        (_with("tokenizer_config.json", "{}"), "no chat template.*RL, SFT, Instruct"),
        (_with("tokenizer_config.json", '{"chat_template": [{"template": "x"}]}'),
         "no chat template"),
        (_with("tokenizer_config.json", '{"chat_template": ["x", 5]}'), "no chat template"),
        (_with("generation_config.json", "nothing"), "generation_config.json can't be read"),
        (_index_without_map, "index.json is damaged"),
        (_index_beyond_the_folder, "x.safetensors is missing"),
        (_index_of_settings, "index.json is damaged"),
        (_with("tokenizer_config.json", '{"chat_template": "{# \\ud800 #}"}'),
         "tokenizer_config.json is damaged"),
        (_pickled, r"pytorch_model-00001-of-00002.bin is pickled.*can run any program.*"
                   r"in safetensors"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_checkpoint_is_said(
    tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    write_checkpoint(tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelError, match=says):
        open_checkpoint(tmp_path)


def test_a_shard_without_a_promised_tensor_is_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    placed = dict.fromkeys(shapes(config()), "model-00001-of-00003.safetensors")
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": placed}))
    checkpoint = open_checkpoint(tmp_path)
    with pytest.raises(ModelError, match=r"00001-of-00003\S+ lacks the tensor lm_head\.weight"):
        checkpoint.shape("lm_head.weight")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("model.pt", "is pickled"),
        ("model.pth", "is pickled"),
        ("pytorch_model.bin", "is pickled"),
        ("model.onnx", "is no checkpoint"),
        ("absent", "is not there"),
    ],
)
def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path, name: str, says: str) -> None:
    if name != "absent":
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=says):
        open_checkpoint(tmp_path / name)


def test_a_folder_with_a_gguf_file_in_it_is_not_taken_for_half_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "MiMo-7B.Q8_0.gguf").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"name the file itself: \S+/MiMo-7B\.Q8_0\.gguf"):
        open_checkpoint(tmp_path)


def test_a_released_shard_can_be_read_again(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_checkpoint(tmp_path))
    first = checkpoint.rows("model.norm.weight", 0, 64)
    for shard in set(checkpoint.shards.values()):
        checkpoint.release(shard)
        checkpoint.release(shard)
    np.testing.assert_array_equal(checkpoint.rows("model.norm.weight", 0, 64), first)
