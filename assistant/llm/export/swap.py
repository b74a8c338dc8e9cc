"""Putting a finished folder in the place of an earlier one, so that there is always one of them."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path
from typing import Final

_HERE: Final = -100  # AT_FDCWD
_EXCHANGE: Final = 2  # RENAME_EXCHANGE


def put_in_place(fresh: Path, target: Path) -> None:
    """Move the folder `fresh` to `target`; what was there is deleted afterwards.

    The two are exchanged in one step of the file system. Where it has no such step, a kill at the
    wrong moment leaves the earlier folder under another name, from which `recover` brings it back.
    """
    if not target.exists():
        fresh.rename(target)
    elif _exchange(fresh, target):
        shutil.rmtree(fresh)
    else:
        old = _aside(target)
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old)
    _sync(target.parent)


def recover(target: Path) -> None:
    """Undo what a kill left half done."""
    old = _aside(target)
    if old.exists():
        if target.exists():
            shutil.rmtree(old)
        else:
            old.rename(target)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders' names; False where that can't be done, for whatever reason.

    Containers answer as they like to a call that they do not know. Where more is wrong than that,
    two plain renames say so.
    """
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return not rename(_HERE, paths[0], _HERE, paths[1], ctypes.c_uint(_EXCHANGE))


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
