"""A model directory: what the exporter writes and the decoder runs.

Beside the graphs (`trunk.onnx`, `head.onnx`; with an MTP layer `mtp.onnx` and `draft.onnx`) and
their data files lie `tokenizer.json`, `chat_template.jinja`, `report.json` (the error of the
quantisation) and `manifest.json`, which says what all this is and is written last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from assistant.errors import ModelError
from assistant.llm.architecture import Architecture, check
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


_MANIFEST: Final = TypeAdapter(ModelDirectory)


def write_manifest(directory: ModelDirectory) -> None:
    """Write the manifest into the directory's folder."""
    data = asdict(directory)
    del data["folder"]
    text = json.dumps({"format": FORMAT, **data}, indent=1, ensure_ascii=False)
    (directory.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_directory(folder: Path) -> ModelDirectory:
    """What `folder` holds. Checks that every file is there in its size; reads none of them.

    Raises ModelError: no manifest, a manifest of another format, files missing or of another size.
    All but the first say at their end to build it anew; who knows how, may go on with the command.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder} holds no model: there is no {MANIFEST}") from None
    except OSError as error:
        raise ModelError(
            f"{path} can't be read: {error.strerror}; check who may read it, or build it anew"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} can't be read: {error}; build it anew") from error
    found = data.pop("format", None) if isinstance(data, dict) else None
    if type(found) is not int or found != FORMAT:
        newer = isinstance(found, int) and found > FORMAT
        raise ModelError(
            f"{folder} is of format {found!r}, this program runs format {FORMAT}; "
            f"{'update the program, or ' if newer else ''}build it anew"
        )
    try:
        directory = _directory(folder, data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelError(f"{path} is damaged ({where}: {first['msg']}); build it anew") from error
    except ModelError as error:
        raise ModelError(f"{path} is damaged ({error}); build it anew") from error
    for name, file in directory.files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != file.size:
            what = "is missing" if size is None else f"has {size} bytes instead of {file.size}"
            raise ModelError(f"{path} {what}; build it anew")
    return directory


def _directory(folder: Path, manifest: dict[str, Any]) -> ModelDirectory:
    """Raises ValidationError and ModelError for entries that are missing, too many or senseless."""
    text = json.dumps({**manifest, "folder": str(folder)})
    directory = _MANIFEST.validate_json(text, strict=True)
    check(directory.architecture)
    tokens = (*directory.eos, *(() if directory.bos is None else (directory.bos,)))
    if not directory.eos or not all(0 <= n < directory.architecture.vocabulary for n in tokens):
        raise ModelError(f"tokens {tokens} can't begin and end texts")
    if not directory.files:
        raise ModelError("it names no files")
    return directory
