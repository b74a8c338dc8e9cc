"""The files of a published checkpoint, wherever they are: taken one by one, given back when read.

A checkpoint of 15 GB need not lie on the disk as a whole. Whoever reads it asks for a file when it
needs it and says when it needs it no more, so that a download can be deleted again at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from assistant.errors import ModelError

INDEX: Final = "model.safetensors.index.json"
"""Says which shard holds which tensor, where there are several."""
SINGLE: Final = "model.safetensors"
CONFIG: Final = "config.json"

SMALL_FILES: Final = (
    CONFIG,
    INDEX,
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
    "LICENSE",
)
"""What is read of a checkpoint beside its weights, where it is there; a few MB in all."""

_WEIGHTS: Final = ".safetensors"
_CONSUMED: Final = ".consumed.json"


class Shards(Protocol):
    """The files of one checkpoint, in one version of it."""

    @property
    def source(self) -> str:
        """Hub id, or path of the folder."""
        ...

    @property
    def revision(self) -> str:
        """The commit, or what else tells this version from others. It stays while files go."""
        ...

    @property
    def licence(self) -> str:
        """Its short name ("mit"), or "" where nobody says."""
        ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """Names of all files, with their bytes, whether they are here yet or were deleted."""
        ...

    @property
    def folder(self) -> Path:
        """Where files lie once they are here: its disk must have room for them."""
        ...

    def here(self, name: str) -> bool:
        """Whether `get` would find the file without a download."""
        ...

    def get(self, name: str) -> Path:
        """The whole file, checked; downloaded first if need be, which may take long.

        Raises ModelError: there is no such file, it can't be had, or it is damaged.
        """
        ...

    def done(self, name: str) -> None:
        """The file is not needed for now; it may be deleted. It can be asked for again."""
        ...

    def frees(self, name: str) -> int:
        """Bytes that `done` gives back to the disk, of what was not downloaded for this."""
        ...


class LocalShards:
    """A checkpoint in a folder of the user's own.

    Nothing in there is deleted, unless `delete` asks for it: then shards go as they are consumed,
    and a list of them stays, so that an interrupted build can tell that it is the same checkpoint.
    """

    def __init__(self, folder: Path, *, delete: bool = False) -> None:
        self._folder = folder.absolute()
        self._delete = delete
        self._sizes: dict[str, int] = {}
        self._times: dict[str, int] = {}
        try:
            if not folder.is_dir():
                raise ModelError(f"{folder} is no folder; name the folder that holds config.json")
            for path in self._folder.iterdir():
                if path.is_file() and not path.name.startswith("."):
                    if delete and path.suffix == _WEIGHTS and path.is_symlink():
                        raise ModelError(
                            f"the shards in {folder} are links to files elsewhere, which are not "
                            "deleted: leave --delete-shards out"
                        )
                    state = path.stat()
                    self._sizes[path.name] = state.st_size
                    self._times[path.name] = state.st_mtime_ns
        except OSError as error:
            raise ModelError(
                f"{folder} can't be read: {error.strerror}; check who may read it"
            ) from error
        for name, (size, time) in self._consumed().items():
            # The list came with the folder: it may be anybody's, and name anything.
            if name not in self._sizes and "/" not in name:
                self._sizes[name], self._times[name] = size, time
        listed = [
            [name, self._sizes[name], self._times[name]]
            for name in sorted(self._sizes)
            if name in SMALL_FILES or name.endswith(_WEIGHTS)
        ]
        digest = hashlib.sha256(json.dumps(listed).encode())
        self._revision = f"files:{digest.hexdigest()[:40]}"

    @property
    def source(self) -> str:
        """Path of the folder."""
        return str(self._folder)

    @property
    def revision(self) -> str:
        """A fingerprint of the names, sizes and times of the files: nobody reads 15 GB for it."""
        return self._revision

    @property
    def licence(self) -> str:
        """As the model card names it, or as the licence's text is headed."""
        with contextlib.suppress(OSError):
            card = (self._folder / "README.md").read_text(encoding="utf-8", errors="replace")
            if card.startswith("---") and (found := _LICENCE.search(card.split("\n---", 1)[0])):
                return found[1]
        with contextlib.suppress(OSError):
            text = (self._folder / "LICENSE").read_text(encoding="utf-8", errors="replace")
            return next((line.strip() for line in text.splitlines() if line.strip()), "")[:60]
        return ""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Names and bytes of the files."""
        return self._sizes

    @property
    def folder(self) -> Path:
        """The folder."""
        return self._folder

    def here(self, name: str) -> bool:
        """Whether the file is there."""
        return (self._folder / name).is_file()

    def get(self, name: str) -> Path:
        """The file. Raises ModelError where it is missing."""
        path = self._folder / name
        if not path.is_file():
            raise ModelError(f"{path} is missing; copy the whole checkpoint there")
        return path

    def done(self, name: str) -> None:
        """Delete the file if that was asked for."""
        path = self._folder / name
        if not self._delete or not path.is_file():
            return
        listed = {**self._consumed(), name: (self._sizes[name], self._times[name])}
        fresh = self._folder / f"{_CONSUMED}.new"
        fresh.write_text(json.dumps(listed), encoding="utf-8")
        fresh.replace(self._folder / _CONSUMED)
        path.unlink()

    def frees(self, name: str) -> int:
        """The file's size, if it is to be deleted."""
        return self._sizes[name] if self._delete and self.here(name) else 0

    def _consumed(self) -> dict[str, tuple[int, int]]:
        try:
            data = json.loads((self._folder / _CONSUMED).read_text(encoding="utf-8"))
            return {name: (int(size), int(time)) for name, (size, time) in data.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


_LICENCE = re.compile(r"^license:\s*[\"']?([\w.+-]+)", re.MULTILINE)
