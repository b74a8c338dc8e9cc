"""A model directory's manifest, and every way in which it may be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import ModelError
from assistant.llm.directory import FORMAT, ModelDirectory, read_directory
from tests.llm.fake import build_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelDirectory:
    return build_tiny(tmp_path_factory.mktemp("directory"))


def with_manifest(tiny: ModelDirectory, folder: Path, text: bytes) -> Path:
    """A folder with the same files and another manifest."""
    for name in tiny.files:
        (folder / name).hardlink_to(tiny.folder / name)
    (folder / "manifest.json").write_bytes(text)
    return folder


def changed(manifest: Any, path: str, value: Any) -> bytes:
    *outer, last = path.split("/")
    entry = manifest
    for key in outer:
        entry = entry[key]
    entry[last] = value
    return json.dumps(manifest).encode()


DAMAGES: dict[str, tuple[Any, ...]] = {
    "name": (None, 5, []),
    "source": (None, {}),
    "revision": (None, 1),
    "licence": (None, []),
    "built": (None, 0),
    "eos": (None, 5, [], ["x"], [None], [1.5], [-1], [1 << 70], [320]),
    "bos": ("x", [], -1, 1.5, True, 320),
    "files": (None, [], {}, {"trunk.data": 5}, {"trunk.data": {"size": 1}}),
    "files/trunk.onnx": (None, {"size": "x", "sha256": "x"}, {"size": 1, "sha256": None}),
    "architecture": (None, [], {}, {"family": "mimo"}),
    "architecture/family": (None, "gpt2", []),
    "architecture/layers": (None, "x", 0, -1, 1 << 70, 2.5, True),
    "architecture/hidden": (None, "x", 0, 1 << 70, []),
    "architecture/kv_heads": (None, 0, 3),
    "architecture/head_size": (8, "x"),
    "architecture/vocabulary": ("x", 0),
    "architecture/context": (0, 1 << 70),
    "architecture/mtp_layers": (-1, 2, None, "x"),
    "architecture/rope_theta": (None, "x", 0, float("nan"), []),
    "architecture/rms_eps": (None, -1.0, "x"),
    "architecture/tied": (None, "x", 2),
    "quantisation": (None, [], {"bits": 5}),
    "quantisation/block": (None, 48, [], "x"),
    "quantisation/head_bits": (None, 3, {}),
    "quantisation/search": (None, "x"),
}


@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, values in DAMAGES.items() for value in values]
)
def test_a_damaged_manifest_is_refused(
    tiny: ModelDirectory, tmp_path: Path, path: str, value: Any
) -> None:
    manifest = json.loads((tiny.folder / "manifest.json").read_bytes())
    folder = with_manifest(tiny, tmp_path, changed(manifest, path, value))
    with pytest.raises(ModelError, match=r"manifest\.json is damaged.*build it anew"):
        read_directory(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "manifest.json can't be read"),
        (b"\xff\xfe", "manifest.json can't be read"),
        (b"[" * 100_000, "manifest.json can't be read"),
        (b"[]", f"is of format None, this program runs format {FORMAT}"),
        (b'{"format": 0}', f"is of format 0, this program runs format {FORMAT}; build it anew"),
        (b'{"format": "1"}', "is of format '1'"),
        (b'{"format": %d}' % FORMAT, "manifest.json is damaged"),
        (b'{"format": %d}' % (FORMAT + 1), "update the program, or build it anew"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    tiny: ModelDirectory, tmp_path: Path, text: bytes, says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        read_directory(with_manifest(tiny, tmp_path, text))


def test_a_manifest_that_may_not_be_read_is_no_damage(tiny: ModelDirectory, tmp_path: Path) -> None:
    folder = with_manifest(tiny, tmp_path, b"")
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to("/proc/self/mem")  # not even by root
    with pytest.raises(ModelError, match="can't be read: Input/output error; check who may read"):
        read_directory(folder)


def test_an_unchanged_manifest_is_read(tiny: ModelDirectory) -> None:
    assert read_directory(tiny.folder) == tiny
