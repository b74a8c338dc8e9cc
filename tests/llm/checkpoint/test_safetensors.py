from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from assistant.errors import ModelError
from assistant.llm.checkpoint.safetensors import SafetensorsFile

F32 = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def written(path: Path, header: Any, data: bytes = bytes(24), *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_rows_are_read_as_the_format_s_own_library_wrote_them(tmp_path: Path, dtype: Any) -> None:
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((70, 33)).astype(dtype)
    vector = generator.standard_normal(9).astype(dtype)
    save_file({"m": matrix, "v": vector}, tmp_path / "x.safetensors", metadata={"format": "pt"})
    file = SafetensorsFile(tmp_path / "x.safetensors")
    assert {name: entry.shape for name, entry in file.entries.items()} == {"m": (70, 33), "v": (9,)}
    for start, stop in ((0, 70), (0, 1), (69, 70), (13, 40), (5, 5)):
        rows = file.rows("m", start, stop)
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, matrix[start:stop].astype(np.float32))
    np.testing.assert_array_equal(file.rows("v", 2, 9), vector[2:].astype(np.float32))
    file.close()


def test_every_bfloat16_is_read_as_itself(tmp_path: Path) -> None:
    everything = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16)
    save_file({"x": everything}, tmp_path / "x.safetensors")
    read = SafetensorsFile(tmp_path / "x.safetensors").rows("x", 0, 1 << 16)
    np.testing.assert_array_equal(read.view(np.uint32) >> 16, np.arange(1 << 16, dtype=np.uint32))


@pytest.mark.parametrize(
    ("header", "data", "length", "says"),
    [
        ({"a": F32}, bytes(23), None, "truncated"),
        ({"a": F32}, b"", None, "truncated"),
        ({"a": F32}, b"", 5000, "truncated within its header"),
        ({"a": F32}, b"", 1 << 60, "no safetensors file"),
        ({"a": F32}, bytes(20_000_000), 20_000_000, "no safetensors file"),
        (b"{not json", b"", None, "damaged"),
        (b"\xff\xfe{}", b"", None, "damaged"),
        (b"[" * 100_000, b"", None, "damaged"),
        (b"[]", b"", None, "damaged"),
        ({"a": 5}, b"", None, "damaged"),
        ({"a": {**F32, "dtype": "Q9"}}, bytes(24), None, "unknown type 'Q9'"),
        ({"a": {**F32, "dtype": ["F32"]}}, bytes(24), None, "damaged"),
        ({"a": {**F32, "shape": [2, 4]}}, bytes(24), None, "do not fit its shape"),
        ({"a": {**F32, "shape": [-2, -3]}}, bytes(24), None, "size or offset -2"),
        ({"a": {**F32, "shape": [2.0, 3]}}, bytes(24), None, "size or offset 2.0"),
        ({"a": {**F32, "shape": None}}, bytes(24), None, "damaged"),
        ({"a": {**F32, "shape": [10**4000] * 3000}}, bytes(24), None, "3000 dimensions"),
        ({"a": {**F32, "data_offsets": [24, 0]}}, bytes(24), None, "do not fit"),
        ({"a": {**F32, "data_offsets": [-24, 0]}}, bytes(24), None, "size or offset -24"),
        ({"a": {**F32, "data_offsets": [0]}}, bytes(24), None, "damaged"),
        ({"a": {**F32, "data_offsets": [100, 124]}}, bytes(24), None, "truncated"),
        ({"a": F32, "b": {**F32, "data_offsets": [20, 44]}}, bytes(44), None, "b overlaps"),
        ({"a": F32, "b": F32}, bytes(24), None, "overlaps"),
        ({"a": {"dtype": "F32", "shape": [2, 3]}}, bytes(24), None, "damaged"),
    ],
)
def test_a_damaged_file_is_told_from_a_sound_one(
    tmp_path: Path, header: Any, data: bytes, length: int | None, says: str
) -> None:
    path = written(tmp_path / "x.safetensors", header, data, length=length)
    with pytest.raises(ModelError, match=says) as caught:
        SafetensorsFile(path)
    assert str(path) in str(caught.value)


def test_a_clone_without_its_big_files_says_how_to_get_them(tmp_path: Path) -> None:
    path = tmp_path / "model-00001-of-00004.safetensors"
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:9b4d\nsize 4967215360\n"
    )
    with pytest.raises(ModelError, match=r"00004\.safetensors is a note of Git LFS.*git lfs pull"):
        SafetensorsFile(path)


def test_what_is_no_weights_at_all_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("<html>404 not found</html>")
    with pytest.raises(ModelError, match="is no safetensors file; download it again"):
        SafetensorsFile(path)


def test_what_is_cut_off_anywhere_is_truncated(tmp_path: Path) -> None:
    whole = written(tmp_path / "x", {"a": F32}).read_bytes()
    SafetensorsFile(tmp_path / "x").close()
    for size in range(len(whole)):
        (tmp_path / "x").write_bytes(whole[:size])
        with pytest.raises(ModelError, match="truncated"):
            SafetensorsFile(tmp_path / "x")


@given(at=st.integers(0, 70), to=st.integers(0, 255))
def test_no_changed_byte_does_more_harm_than_an_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, to: int
) -> None:
    path = written(tmp_path_factory.mktemp("x") / "x", {"a": F32})
    data = bytearray(path.read_bytes())
    data[at] = to
    path.write_bytes(data)
    try:
        file = SafetensorsFile(path)
        for name, entry in file.entries.items():
            file.rows(name, 0, entry.shape[0] if entry.shape else 0)
    except ModelError:
        pass


def test_a_tensor_of_whole_numbers_may_be_there_and_is_not_read(tmp_path: Path) -> None:
    save_file({"ids": np.arange(4), "w": np.ones((2, 2), np.float32)}, tmp_path / "x.safetensors")
    file = SafetensorsFile(tmp_path / "x.safetensors")
    assert file.rows("w", 0, 2).sum() == 4
    with pytest.raises(ModelError, match=r"ids is stored as I64.*not quantised"):
        file.rows("ids", 0, 4)


def test_weights_of_half_a_byte_are_no_damage(tmp_path: Path) -> None:
    entry = {"dtype": "F4", "shape": [6, 8], "data_offsets": [0, 24]}
    file = SafetensorsFile(written(tmp_path / "x.safetensors", {"w": entry}))
    with pytest.raises(ModelError, match=r"w is stored as F4.*not quantised"):
        file.rows("w", 0, 6)


def test_a_file_that_shrinks_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "x", {"a": F32})
    file = SafetensorsFile(path)
    path.open("r+b").truncate(path.stat().st_size - 1)
    assert file.rows("a", 0, 1).shape == (1, 3)
    with pytest.raises(ModelError, match="truncated"):
        file.rows("a", 0, 2)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.safetensors can't be read: No such file"):
        SafetensorsFile(tmp_path / "nothing.safetensors")
