"""A model directory: what the exporter writes and the decoder runs.

Beside the graphs (`trunk.onnx`, `head.onnx`, `mtp.onnx`) and their data files lie
`tokenizer.json`, `chat_template.jinja`, `report.json` (the error of the quantisation) and
`manifest.json`, which says what all this is and is written last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from assistant.errors import ModelError
from assistant.llm.architecture import Architecture, Family
from assistant.llm.quantisation import Quantisation

FORMAT: Final = 1
"""Changes whenever directories written before can no longer be run."""
MANIFEST: Final = "manifest.json"
TOKENIZER: Final = "tokenizer.json"
TEMPLATE: Final = "chat_template.jinja"
REPORT: Final = "report.json"
TRUSTED_FROM: Final = 1_000_000_000
"""Parameters from which a model is trusted with actions."""


@dataclass(frozen=True, slots=True)
class BuiltFile:
    """Size in bytes and SHA-256 (hex) of one file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelDirectory:
    """The manifest of a built model, and where it lies.

    `source` is a hub id, a folder's path or a file's name; `revision` the commit, or a checksum of
    what was read; `eos` the tokens that end a text; `bos` the token to begin with, if any.
    """

    folder: Path
    name: str
    source: str
    revision: str
    licence: str
    architecture: Architecture
    quantisation: Quantisation
    eos: tuple[int, ...]
    bos: int | None
    built: str
    files: Mapping[str, BuiltFile]

    @property
    def weak(self) -> bool:
        """Too small to be trusted with actions that it is not very sure of."""
        return self.architecture.parameters < TRUSTED_FROM

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def write_manifest(directory: ModelDirectory) -> None:
    """Write the manifest into the directory's folder."""
    data = asdict(directory)
    del data["folder"]
    text = json.dumps({"format": FORMAT, **data}, indent=1, ensure_ascii=False)
    (directory.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_directory(folder: Path) -> ModelDirectory:
    """What `folder` holds. Checks that every file is there in its size; reads none of them.

    Raises ModelError: no manifest, a manifest of another format, files missing or of another size.
    """
    try:
        data: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder} holds no model: there is no {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / MANIFEST} can't be read: {error}; build it anew") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else None
        raise ModelError(
            f"{folder} is of format {found!r}, this program runs format {FORMAT}; build it anew "
            "with: assistant models build"
        )
    try:
        directory = ModelDirectory(
            folder=folder,
            name=data["name"],
            source=data["source"],
            revision=data["revision"],
            licence=data["licence"],
            architecture=Architecture(
                **{**data["architecture"], "family": Family(data["architecture"]["family"])}
            ),
            quantisation=Quantisation(**data["quantisation"]),
            eos=tuple(data["eos"]),
            bos=data["bos"],
            built=data["built"],
            files={name: BuiltFile(**file) for name, file in data["files"].items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / MANIFEST} is damaged ({error}); build it anew") from error
    for name, file in directory.files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != file.size:
            what = "is missing" if size is None else f"has {size} bytes instead of {file.size}"
            raise ModelError(f"{path} {what}; build the model anew with: assistant models build")
    return directory
