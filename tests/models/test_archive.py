from __future__ import annotations

import hashlib
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import ModelError
from assistant.models.archive import unpack


def zipped(path: Path, entries: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    return path


def test_takes_the_wanted_files_out_of_their_folder(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"p/data/x.bin": b"x", "p/data/y": b"y", "p/z": b"z"})
    target = tmp_path / "out"
    files = unpack(archive, target, folder="p/data", files={"x.bin": "model.bin"}, max_bytes=99)
    assert {f.name: f.read_bytes() for f in target.iterdir()} == {"model.bin": b"x"}
    assert files["model.bin"].size == 1
    assert files["model.bin"].sha256 == hashlib.sha256(b"x").hexdigest()


def test_strips_the_single_top_folder(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"m/": b"", "m/am/final.mdl": b"1", "m/README": b"2"})
    assert set(unpack(archive, tmp_path / "out", folder=None, max_bytes=99)) == {
        "am/final.mdl",
        "README",
    }
    assert (tmp_path / "out/am/final.mdl").read_bytes() == b"1"


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "m/../../evil",
        "/etc/evil",
        "m//evil",
        "m/./evil",
        "..\\evil",
        "m\\..\\..\\evil",
        "C:/evil",
        "m/..",
    ],
)
def test_an_archive_with_an_escaping_entry_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", {"m/good": b"1", name: b"2"})
    target = tmp_path / "deep" / "out"
    with pytest.raises(ModelError):
        unpack(archive, target, folder=None, max_bytes=99)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip"]


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFCHR])
def test_links_and_special_files_are_refused(tmp_path: Path, mode: int) -> None:
    archive = zipped(tmp_path / "a.zip", {"m/link": b"/etc/passwd"}, mode)
    with pytest.raises(ModelError, match="link"):
        unpack(archive, tmp_path / "out", folder=None, max_bytes=99)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"m/zeros": bytes(50_000_000)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(ModelError, match="at most"):
        unpack(archive, tmp_path / "out", folder=None, max_bytes=1_000_000)
    assert not (tmp_path / "out").exists()


def test_an_entry_that_lies_about_its_size_writes_no_more_than_it_said(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"m/zeros": bytes(5_000_000)})
    data = archive.read_bytes()
    true, lie = (5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert data.count(true) >= 2
    archive.write_bytes(data.replace(true, lie))
    with pytest.raises(ModelError):
        unpack(archive, tmp_path / "out", folder=None, max_bytes=1_000)
    assert all(p.stat().st_size <= 10 for p in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize(
    ("entries", "folder", "files"),
    [
        ({"m/a": b""}, "other", None),
        ({"m/a": b""}, "m", {"b": "b"}),
        ({"a": b""}, None, None),
        ({"m/a": b"", "n/a": b""}, None, None),
    ],
)
def test_an_archive_without_what_is_wanted_is_refused(
    tmp_path: Path, entries: dict[str, bytes], folder: str | None, files: dict[str, str] | None
) -> None:
    with pytest.raises(ModelError):
        unpack(
            zipped(tmp_path / "a.zip", entries),
            tmp_path / "out",
            folder=folder,
            files=files,
            max_bytes=99,
        )


@given(st.binary(max_size=200), st.integers(0, 120))
def test_damage_never_raises_anything_but_a_model_error(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int
) -> None:
    folder = tmp_path_factory.mktemp("zip")
    archive = zipped(folder / "a.zip", {"m/a": b"hello" * 9, "m/b": b"world"})
    data = archive.read_bytes()
    archive.write_bytes(data[:at] + junk + data[at + len(junk) :])
    try:
        files = unpack(archive, folder / "out", folder=None, max_bytes=1000)
    except ModelError:
        return
    for name, file in files.items():
        assert (folder / "out" / name).stat().st_size == file.size
