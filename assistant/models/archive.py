"""Unpacking of archives from outside: nothing leaves the target folder, nothing fills the disk."""

from __future__ import annotations

import errno
import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from assistant.errors import ModelError
from assistant.models.store import StoredFile

_MAX_ENTRIES = 10_000
_BLOCK = 1 << 20
# What zipfile raises on damage, besides its own error (UnicodeDecodeError is a ValueError).
_UNSOUND = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)


def unpack(
    archive: Path,
    target: Path,
    *,
    folder: str | None,
    files: Mapping[str, str] | None = None,
    max_bytes: int,
) -> dict[str, StoredFile]:
    """Unpack a zip archive (a wheel is one) into `target`; returns what was written.

    Only entries below `folder` are taken, without it in their name (None: the archive's single
    top folder). `files` maps wanted names to new ones (None: all, unchanged). An archive is
    refused as a whole, before a byte is written, when any entry leaves the folder, is a link or
    a special file, appears twice, or when the wanted ones exceed `max_bytes` together. Raises
    ModelError.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            wanted = _select(content, folder, files, max_bytes)
            return {name: _extract(content, info, target, name) for name, info in wanted.items()}
    except _UNSOUND as error:
        raise ModelError(f"{archive.name} is not a sound zip archive: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # an offset before the start
            raise
        raise ModelError(f"{archive.name} is not a sound zip archive: {error}") from error


def _select(
    content: zipfile.ZipFile,
    folder: str | None,
    files: Mapping[str, str] | None,
    max_bytes: int,
) -> dict[str, zipfile.ZipInfo]:
    entries = content.infolist()
    if len(entries) > _MAX_ENTRIES:
        raise ModelError(
            f"archive has {len(entries)} entries; more than {_MAX_ENTRIES} is no model"
        )
    for info in entries:
        _check(info)
    plain = [info for info in entries if not info.is_dir()]
    base = PurePosixPath(folder) if folder is not None else _top_folder(plain)
    wanted: dict[str, zipfile.ZipInfo] = {}
    for info in plain:
        path = PurePosixPath(info.filename)
        if not path.is_relative_to(base):
            continue
        name = str(path.relative_to(base))
        if files is not None:
            if name not in files:
                continue
            name = files[name]
        if name in wanted:
            raise ModelError(f"archive has {info.filename!r} twice")
        wanted[name] = info
    if missing := set((files or {}).values()) - set(wanted):
        raise ModelError(f"archive lacks {', '.join(sorted(missing))}")
    if not wanted:
        raise ModelError(f"archive has no files in {base}")
    total = sum(info.file_size for info in wanted.values())
    if total > max_bytes:
        raise ModelError(f"archive unpacks to {total} bytes; at most {max_bytes} are expected")
    return wanted


def _check(info: zipfile.ZipInfo) -> None:
    name = info.filename
    parts = name.removesuffix("/").split("/")
    if not name or "\\" in name or "\0" in name or any(p in ("", ".", "..") for p in parts):
        raise ModelError(f"archive entry {name!r} leaves its folder; the archive is refused")
    if ":" in parts[0]:
        raise ModelError(f"archive entry {name!r} has a drive letter; the archive is refused")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelError(f"archive entry {name!r} is packed in an unusual way; it is refused")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ModelError(
            f"archive entry {name!r} is a link or special file; the archive is refused"
        )


def _top_folder(entries: list[zipfile.ZipInfo]) -> PurePosixPath:
    tops = {PurePosixPath(info.filename).parts[0] for info in entries}
    flat = any(len(PurePosixPath(info.filename).parts) == 1 for info in entries)
    if len(tops) != 1 or flat:
        raise ModelError("archive does not consist of a single folder")
    return PurePosixPath(tops.pop())


def _extract(
    content: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, name: str
) -> StoredFile:
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    # zipfile stops at the announced size and checks the CRC, so no entry outgrows the total.
    with content.open(info) as source, path.open("xb") as sink:
        while block := source.read(_BLOCK):
            sink.write(block)
            digest.update(block)
            size += len(block)
    return StoredFile(size=size, sha256=digest.hexdigest())
