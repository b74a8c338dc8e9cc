"""The language models built on this machine: one folder each, beside the models that were fetched.

A built model goes by its name in the catalogue, or by the one its builder gave it. Beside its
folder lie, while it is being built, what it is built from and what is done of it so far.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assistant.errors import ModelError
from assistant.llm.directory import MANIFEST, ModelDirectory, read_directory
from assistant.models.catalogue import CATALOGUE, Kind, Model, find
from assistant.models.shards import CONFIG
from assistant.models.store import built_from
from assistant.paths import directories

Progress = Callable[[str, int, int], None]
"""Told what is read, the bytes so far, and the bytes in all."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_BEGUN: Final = re.compile(rf"\.({_NAME.pattern})\.(?:source|building|old|removed)")
_BLOCK: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Shelved:
    """A model's folder: what it holds, or the `problem` with it."""

    name: str
    folder: Path
    directory: ModelDirectory | None
    problem: str | None = None


def shelf() -> tuple[Shelved, ...]:
    """All built models in the order of their names, sound or not."""
    root = directories().models
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return tuple(_shelved(folder) for folder in folders if _is_built(folder))


def built(name: str) -> bool:
    """Whether the model is there with all its files, in the format that this program runs."""
    folder = place_of(name)
    return _is_built(folder) and _shelved(folder).directory is not None


def open_built(model: str) -> ModelDirectory:
    """The model of this name, or in this folder (a path with a slash in it, or an absolute one).

    Raises ModelError that names the command which builds it, or builds it anew.
    """
    if is_path(model):
        path = Path(model).expanduser()
        try:
            return read_directory(path)
        except ModelError as error:
            if _is_checkpoint(path):
                raise ModelError(
                    f"{path} is not built yet; build it with: assistant models build "
                    f"{shlex.quote(str(path))}"
                ) from error
            raise
    folder = place_of(model)
    if not _is_built(folder):
        raise ModelError(f"the language model {model} is not here; {_remedy(model)}")
    try:
        return read_directory(folder)
    except ModelError as error:
        raise ModelError(
            f"the language model {model} is unusable: {error} with: {mend(model)}"
        ) from error


def verify(directory: ModelDirectory, *, progress: Progress | None = None) -> tuple[str, ...]:
    """Read every file and compare its checksum; what is wrong, a line each."""
    return tuple(
        f"{name} is damaged (its SHA-256 differs)"
        for name, file in directory.files.items()
        if _sha256(directory.folder / name, progress) != file.sha256
    )


def remove(name: str) -> bool:
    """Delete a built model and all that was left of its making; False when there was nothing."""
    doomed = place_of(name).with_name(f".{name}.removed")
    there = [path for path in (*unfinished(name), place_of(name)) if path.exists()]
    for path in there:
        if path.is_dir() and not path.is_symlink():
            # Out of sight at once: nobody may open a half-deleted model.
            path.rename(doomed)
            shutil.rmtree(doomed)
        else:
            path.unlink()
    return bool(there)


def place_of(name: str) -> Path:
    """Where the model of this name lies, or would. Raises ModelError for what can't be a name."""
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} can't be a model's name: it has small letters, digits, dots and dashes, "
            "64 at most"
        )
    return directories().models / name


def unfinished(name: str) -> tuple[Path, ...]:
    """What there is of a build of `name` that was interrupted, or of its removal."""
    root = place_of(name).parent
    # In the order in which they can be removed: the first would be in the way of the others.
    parts = (f".{name}.removed", built_from(name), f".{name}.building", f".{name}.old")
    return tuple(path for part in parts if (path := root / part).exists())


def begun() -> tuple[str, ...]:
    """Names of models whose build or removal was interrupted, or whose downloads were kept."""
    root = directories().models
    folders = root.iterdir() if root.is_dir() else iter(())
    names = (_BEGUN.fullmatch(folder.name) for folder in folders)
    return tuple(sorted({match[1] for match in names if match}))


def language_model(name: str) -> Model | None:
    """The catalogue's entry of this name, if it is a language model."""
    entry = _catalogued(name)
    return entry if entry is not None and entry.kind is Kind.LLM else None


def is_path(model: str) -> bool:
    """Whether somebody who writes this means a folder or file rather than a name."""
    return "/" in model or model.startswith(("~", "."))


def mend(name: str) -> str:
    """The command that builds the model `name`; of one with a name of its own, as it was built."""
    if language_model(name) is not None:
        return f"assistant models build {name}"
    try:  # also of a manifest that is of another format, or damaged elsewhere
        manifest = json.loads((place_of(name) / MANIFEST).read_text(encoding="utf-8"))
        source, revision = str(manifest["source"]), str(manifest["revision"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return f"assistant models build SOURCE --name {name}"
    pinned = f" --revision {revision}" if re.fullmatch("[0-9a-f]{40}", revision) else ""
    return f"assistant models build {shlex.quote(source)}{pinned} --name {name}"


def _remedy(name: str) -> str:
    if language_model(name) is not None:
        return f"build it with: {mend(name)}"
    there = ", ".join(item.name for item in shelf())
    known = ", ".join(model.name for model in CATALOGUE if model.kind is Kind.LLM)
    return f"built are: {there or 'none'}; known are: {known} (assistant models build NAME)"


def _catalogued(name: str) -> Model | None:
    try:
        return find(name)
    except ModelError:
        return None


def _is_checkpoint(path: Path) -> bool:
    try:
        return path.is_file() or ((path / CONFIG).is_file() and not (path / MANIFEST).exists())
    except OSError:
        return False


def _is_built(folder: Path) -> bool:
    if folder.name.startswith(".") or not (folder / MANIFEST).is_file():
        return False
    entry = _catalogued(folder.name)
    return entry is None or entry.kind is Kind.LLM


def _shelved(folder: Path) -> Shelved:
    try:
        return Shelved(folder.name, folder, read_directory(folder))
    except ModelError as error:
        return Shelved(folder.name, folder, None, str(error))


def _sha256(path: Path, progress: Progress | None) -> str:
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if progress:
                progress(path.name, file.tell(), size)
    return digest.hexdigest()
