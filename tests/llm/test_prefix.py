from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assistant.llm.prefix import PrefixStore, key
from tests.support.disk import small_files

KEY = key("model", "template", [1, 2, 3])
META = {"tokens": [1, 2, 3], "name": "é"}


def some(seed: int = 0, rows: int = 50) -> list[NDArray[Any]]:
    random = np.random.default_rng(seed)
    return [random.standard_normal((1, 2, rows, 8), np.float32) for _ in range(4)]


def same(left: list[NDArray[Any]], right: list[NDArray[Any]]) -> bool:
    return all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(left, right, strict=True)
    )


@pytest.fixture
def store(tmp_path: Path) -> PrefixStore:
    return PrefixStore(tmp_path / "cache" / "prefix", 1 << 20)


def the_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "prefix").iterdir()
    return path


def test_what_is_saved_is_loaded_also_by_the_next_process(
    store: PrefixStore, tmp_path: Path
) -> None:
    assert store.load(KEY) is None
    assert store.save(KEY, some(), META)
    again = PrefixStore(tmp_path / "cache" / "prefix", 1 << 20)
    for one in (store, again):
        loaded = one.load(KEY)
        assert loaded is not None
        assert same(loaded.arrays, some())
        assert loaded.meta == META
        assert one.meta(KEY) == META
    assert the_file(tmp_path).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "arrays",
    [
        [],
        [np.zeros((3, 0, 2), np.float32), np.array(1.5), np.arange(7, dtype=np.int8)],
        [np.arange(24, dtype=np.float16).reshape(2, 3, 4).transpose(2, 0, 1)],
        [np.arange(10)[::2], np.ones((4, 6), bool)[::2, ::3]],
    ],
)
def test_any_array_of_numbers_is_kept(store: PrefixStore, arrays: list[NDArray[Any]]) -> None:
    assert store.save(KEY, arrays)
    loaded = store.load(KEY)
    assert loaded is not None
    assert same(loaded.arrays, arrays)
    assert loaded.meta == {}


def test_views_of_a_longer_cache_are_saved_and_filled(store: PrefixStore) -> None:
    caches = some(rows=80)
    assert store.save(KEY, [cache[:, :, :50] for cache in caches], META)
    filled = [np.full_like(cache, 9) for cache in caches]
    assert store.load_into(KEY, [cache[:, :, :50] for cache in filled]) == META
    assert same([cache[:, :, :50] for cache in filled], [cache[:, :, :50] for cache in caches])
    assert all((cache[:, :, 50:] == 9).all() for cache in filled)


def test_saving_again_replaces(store: PrefixStore, tmp_path: Path) -> None:
    assert store.save(KEY, some(1))
    assert store.save(KEY, some(2, rows=9))
    loaded = store.load(KEY)
    assert loaded is not None
    assert same(loaded.arrays, some(2, rows=9))
    the_file(tmp_path)


def test_every_difference_makes_another_key() -> None:
    tokens = [[1, 2, 3], [1, 2], [12, 3], []]
    keys = {key(m, t, n) for m in ("a", "ab", "") for t in ("bc", "c", "") for n in tokens}
    assert len(keys) == 3 * 3 * 4
    assert key("a", "b", [1, 2]) == key("a", "b", (1, 2))


def cut(data: bytearray) -> None:
    del data[-1:]


def cut_much(data: bytearray) -> None:
    del data[100:]


def empty(data: bytearray) -> None:
    data.clear()


def longer(data: bytearray) -> None:
    data += b"\0" * 4096


def holes(data: bytearray) -> None:
    """As a power cut leaves it: all of the length, nothing of the content."""
    data[4096:] = bytes(len(data) - 4096)


def all_zero(data: bytearray) -> None:
    data[:] = bytes(len(data))


def other_format(data: bytearray) -> None:
    data[:] = data.replace(b'"format": 1', b'"format": 9')


@pytest.mark.parametrize("damage", [cut, cut_much, empty, longer, holes, all_zero, other_format])
@pytest.mark.parametrize("how", ["load", "load_into"])
def test_a_damaged_file_is_noticed_told_once_and_dropped(
    store: PrefixStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[bytearray], None],
    how: str,
) -> None:
    assert store.save(KEY, some(), META)
    path = the_file(tmp_path)
    data = bytearray(path.read_bytes())
    damage(data)
    path.write_bytes(data)
    for _ in range(3):
        if how == "load":
            assert store.load(KEY) is None
        else:
            assert store.load_into(KEY, some(5)) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(path) in caplog.text
    assert not path.exists()
    assert store.save(KEY, some(), META)
    assert store.load(KEY) is not None


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_never_believed(tmp_path: Path, data: st.DataObject) -> None:
    store = PrefixStore(tmp_path / "cache" / "prefix", 1 << 20)
    arrays = some()
    assert store.save(KEY, arrays, META)
    path = the_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    loaded = store.load(KEY)
    # Between the arrays there is room that means nothing.
    assert loaded is None or (same(loaded.arrays, arrays) and loaded.meta == META)


def test_a_renamed_file_is_not_taken_for_another(store: PrefixStore, tmp_path: Path) -> None:
    assert store.save(KEY, some())
    path = the_file(tmp_path)
    path.rename(path.with_name(f"{key('other', '', [])}{path.suffix}"))
    assert store.load(key("other", "", [])) is None


@pytest.mark.parametrize(
    "wanted", [some(rows=51), some()[:3], [array.astype(np.float16) for array in some()]]
)
def test_arrays_of_another_shape_are_not_filled(
    store: PrefixStore, wanted: list[NDArray[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    assert store.save(KEY, some())
    assert store.load_into(KEY, wanted) is None
    assert "shapes" in caplog.text


def test_those_unused_longest_go_first(tmp_path: Path) -> None:
    one = [np.zeros(25_000, np.float32)]  # about 100 kB
    store = PrefixStore(tmp_path, 350_000)
    for age, name in ((40, "a"), (30, "b"), (20, "c")):
        assert store.save(name, one)
        stamp = (tmp_path / f"{name}.kv").stat().st_mtime - age
        os.utime(tmp_path / f"{name}.kv", (stamp, stamp))
    assert store.load("a") is not None  # so that it is the one used last
    assert store.save("d", one)
    assert [name for name in "abcd" if store.load(name)] == ["a", "c", "d"]
    # Its own old file does not count against it, and nobody else goes for it.
    assert store.save("d", one)
    assert [name for name in "abcd" if store.load(name)] == ["a", "c", "d"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 350_000


def test_what_is_beyond_the_limit_is_not_kept_and_costs_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = PrefixStore(tmp_path, 200_000)
    assert store.save("a", [np.zeros(1000)])
    assert not store.save("b", [np.zeros(100_000)])
    assert "limit" in caplog.text
    assert store.load("a") is not None


def test_the_disk_is_not_filled(
    store: PrefixStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 30))
    assert not store.save(KEY, some())
    assert "left to others" in caplog.text
    assert store.load(KEY) is None


def test_writing_that_fails_leaves_nothing_behind(
    store: PrefixStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_files():
        saved = store.save(KEY, some())
    assert not saved
    assert "can't be kept" in caplog.text
    assert list((tmp_path / "cache" / "prefix").iterdir()) == []


def test_a_folder_that_can_not_be_made_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    store = PrefixStore(tmp_path / "file" / "cache", 1 << 20)
    assert not store.save(KEY, some())
    assert "can't be kept" in caplog.text
    assert store.load(KEY) is None


def test_remains_of_killed_processes_are_swept_away(store: PrefixStore, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "prefix"
    folder.mkdir(parents=True)
    for name, age in (("old", 7200), ("new", 5)):
        path = folder / f"{name}.part"
        path.write_bytes(b"x")
        stamp = path.stat().st_mtime - age
        os.utime(path, (stamp, stamp))
    assert store.save(KEY, some())
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{KEY}.kv", "new.part"])
