from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.errors import ModelError
from assistant.models.shards import LocalShards


def folder(path: Path) -> Path:
    path.mkdir()
    for name in ("config.json", "a.safetensors", "b.safetensors", ".hidden", "notes.txt"):
        (path / name).write_text(name)
    (path / "sub").mkdir()
    return path


def test_files_of_a_folder_are_given_and_kept(tmp_path: Path) -> None:
    shards = LocalShards(folder(tmp_path / "c"))
    assert shards.sizes == {
        "config.json": 11, "a.safetensors": 13, "b.safetensors": 13, "notes.txt": 9
    }  # fmt: skip
    path = shards.get("a.safetensors")
    shards.done("a.safetensors")
    assert path.read_text() == "a.safetensors"
    assert shards.here("a.safetensors")
    assert not shards.here("c.safetensors")
    with pytest.raises(ModelError, match=r"c\.safetensors is missing"):
        shards.get("c.safetensors")


def test_files_go_where_that_is_asked_for_and_the_checkpoint_stays_the_same(
    tmp_path: Path,
) -> None:
    shards = LocalShards(folder(tmp_path / "c"), delete=True)
    shards.done("a.safetensors")
    shards.done("a.safetensors")
    assert not (tmp_path / "c" / "a.safetensors").exists()
    assert (tmp_path / "c" / "b.safetensors").exists()
    for again in (LocalShards(tmp_path / "c"), LocalShards(tmp_path / "c", delete=True)):
        assert again.revision == shards.revision
        assert again.sizes == shards.sizes
        assert not again.here("a.safetensors")
    (tmp_path / "c" / "a.safetensors").write_text("another file")
    assert LocalShards(tmp_path / "c").revision != shards.revision


@pytest.mark.parametrize("damage", ["", "[]", '{"a": 1}', '{"a": [1, "x"]}', "null"])
def test_a_damaged_list_of_what_is_gone_is_ignored(tmp_path: Path, damage: str) -> None:
    folder(tmp_path / "c")
    first = LocalShards(tmp_path / "c")
    (tmp_path / "c" / ".consumed.json").write_text(damage)
    assert LocalShards(tmp_path / "c").revision == first.revision


def test_a_list_of_what_is_gone_leads_to_no_file_elsewhere(tmp_path: Path) -> None:
    """It comes with the folder, which may be somebody else's."""
    other = tmp_path / "other.safetensors"
    other.write_text("of another model")
    folder(tmp_path / "c")
    listed = {name: [1, 1] for name in ("../other.safetensors", str(other))}
    (tmp_path / "c" / ".consumed.json").write_text(json.dumps(listed))
    shards = LocalShards(tmp_path / "c", delete=True)
    for name in listed:
        assert name not in shards.sizes


def test_what_is_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no folder"):
        LocalShards(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\nlanguage: en\n---\n# Hi", "mit"),
        ("---\ntags: [x]\nlicense: 'apache-2.0'\n---\n", "apache-2.0"),
        ("# Hi\nlicense: mit\n", ""),
        ("---\ntags: [x]\n---\nlicense: mit\n", ""),
    ],
)
def test_the_licence_is_the_model_card_s(tmp_path: Path, card: str, licence: str) -> None:
    (folder(tmp_path / "c") / "README.md").write_text(card)
    assert LocalShards(tmp_path / "c").licence == licence
