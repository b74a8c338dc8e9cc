"""Models on disk: one folder each under the data directory, with a manifest of its files.

Whether a model is there is decided in well under a millisecond from its manifest and its files'
sizes; `verify` reads everything and compares checksums. Of a language model, this is about what it
is built from; where the built ones lie, `assistant.llm.library` knows.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from assistant.errors import ModelError
from assistant.models.catalogue import HubOrigin, Kind, Model, UrlOrigin, find
from assistant.paths import directories

MANIFEST = "manifest.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Size in bytes and SHA-256 (hex) of one file of a model."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was installed: from where (each with version and checksum), when, which files."""

    name: str
    source: tuple[str, ...]
    fetched: str
    files: Mapping[str, StoredFile]


def installed(name: str) -> bool:
    """Whether the model is there, complete, and the one the catalogue means now."""
    return _complete(find(name))


def path_of(name: str) -> Path:
    """Folder of an installed model. Raises ModelError that names the command which fetches it."""
    model = find(name)
    if not _complete(model):
        raise ModelError(
            f"model {name} is not installed; fetch it with: assistant models fetch {name}"
        )
    return folder_of(model)


def verify(name: str) -> tuple[str, ...]:
    """Read the whole model and compare it with its manifest; returns what is wrong, a line each.

    Raises ModelError when the model isn't installed at all.
    """
    model = find(name)
    manifest = read_manifest(model)
    if manifest is None:
        raise ModelError(
            f"model {name} is not installed; fetch it with: assistant models fetch {name}"
        )
    folder = folder_of(model)
    problems = []
    if manifest.source != source_of(model):
        problems.append(f"comes from {', '.join(manifest.source)}, which is outdated")
    for file, expected in manifest.files.items():
        path = folder / file
        if not path.is_file():
            problems.append(f"{file} is missing")
        elif path.stat().st_size != expected.size:
            problems.append(f"{file} has {path.stat().st_size} bytes instead of {expected.size}")
        elif sha256_of(path) != expected.sha256:
            problems.append(f"{file} is damaged (its SHA-256 differs)")
    return tuple(problems)


def remove(name: str) -> bool:
    """Delete the model and what was left of its download; False when there was nothing."""
    model = find(name)
    with locked(model):
        folder = folder_of(model)
        leftovers = (scratch_of(model), partial_of(model), validator_of(model))
        doomed = folder.with_name(f".{model.name}.removed")
        # What a killed removal left of it goes first: it would be in the way.
        there = [path for path in (doomed, folder, *leftovers) if path.exists()]
        for path in there:
            if path.is_dir():
                # Out of sight at once: nobody may open a half-deleted model.
                path.rename(doomed)
                shutil.rmtree(doomed)
            else:
                path.unlink()
    return bool(there)


def read_manifest(model: Model) -> Manifest | None:
    """The manifest of an installed model; None when there is none that can be read."""
    try:
        data = json.loads((folder_of(model) / MANIFEST).read_text(encoding="utf-8"))
        return Manifest(
            name=data["name"],
            source=tuple(data["source"]),
            fetched=data["fetched"],
            files={name: StoredFile(**entry) for name, entry in data["files"].items()},
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s: manifest can't be read, model is taken as missing: %s", model.name, error)
        return None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest into `folder`."""
    text = json.dumps(asdict(manifest), indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def source_of(model: Model) -> tuple[str, ...]:
    """Where the catalogue has the model from, in the words of the manifest."""
    if isinstance(model.origin, UrlOrigin):
        checksum = f" sha256:{model.origin.sha256}" if model.origin.sha256 else ""
        return (model.origin.url + checksum,)
    if isinstance(model.origin, HubOrigin):
        return (model.origin.repository,)
    return tuple(f"{w.distribution}=={w.version} sha256:{w.sha256}" for w in model.origin.wheels)


def folder_of(model: Model) -> Path:
    """Where the model lies once installed; of a language model, what it is built from."""
    if model.kind is Kind.LLM:
        return built_from(model.name)
    return directories().models / model.name


def built_from(name: str) -> Path:
    """Where the language model `name` has what it is built from, while it is being built."""
    return directories().models / f".{name}.source"


def scratch_of(model: Model) -> Path:
    """Where the model is put together before it moves to its place as a whole."""
    return directories().models / f".{model.name}.new"


def partial_of(model: Model) -> Path:
    """What has been downloaded so far from a maker's site; survives interruptions."""
    return directories().models / f".{model.name}.part"


def validator_of(model: Model) -> Path:
    """Which version of the maker's file `partial_of` is a beginning of."""
    return directories().models / f".{model.name}.part.validator"


@contextmanager
def locked(model: Model) -> Iterator[None]:
    """Keep other processes from fetching or removing the same model meanwhile."""
    root = directories().models
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / f".{model.name}.lock").open("w")
    except OSError as error:
        raise ModelError(
            f"{root} can't be written to ({error.strerror}); make it writable for this user, "
            "or set ASSISTANT_HOME to a folder that is"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("%s: waiting for another process that is at work on it", model.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _complete(model: Model) -> bool:
    manifest = read_manifest(model)
    if manifest is None or manifest.source != source_of(model):
        return False
    folder = folder_of(model)
    return all(_size(folder / file) == entry.size for file, entry in manifest.files.items())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
