"""From a checkpoint to an ONNX model directory, in fixed memory, resumable at any point.

All work is done in a hidden folder beside the target. Data files have their full size from the
start, and every tensor is written at its place, in the order in which shards are consumed; those
that are safely on the disk are noted in a journal. The manifest comes last, and then the folder
takes the place of the target as a whole: an earlier good model stays until there is a better one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from assistant.errors import ModelError
from assistant.llm.checkpoint.contract import Checkpoint
from assistant.llm.directory import (
    FORMAT,
    MANIFEST,
    REPORT,
    TEMPLATE,
    TOKENIZER,
    BuiltFile,
    ModelDirectory,
    read_directory,
    write_manifest,
)
from assistant.llm.export.journal import Journal
from assistant.llm.export.needs import Needs, needs_of
from assistant.llm.export.report import report_json, summarise
from assistant.llm.export.sources import check_sources, check_texts, in_order
from assistant.llm.export.swap import put_in_place, recover
from assistant.llm.export.tensors import write_tensors
from assistant.llm.graph import build_graph
from assistant.llm.layout import Stored, file_sizes, layout, parts
from assistant.llm.quantisation import Quantisation

Progress = Callable[[str, int, int], None]
"""Told WEIGHTS or CHECKSUMS, how many weights or bytes are done, and how many there are."""
WEIGHTS: Final = "weights"
CHECKSUMS: Final = "checksums"
LICENCE: Final = "LICENSE"

_JOURNAL: Final = "journal"
_BLOCK: Final = 8 << 20
_log = logging.getLogger(__name__)


def needs(checkpoint: Checkpoint, quantisation: Quantisation, target: Path) -> Needs:
    """What `build` with these will take, less what an interrupted one has done.

    Raises ModelError as `build` does, for all that can be seen without fetching weights.
    """
    stored = _checked_layout(checkpoint, quantisation)
    with _writing(target):
        journal = _interrupted(_building(target), stored, _key(checkpoint, quantisation))
        unfinished = [t for t in stored if journal is None or t.name not in journal.finished]
        return needs_of(checkpoint, quantisation, unfinished, stored, _building(target))


def build(
    checkpoint: Checkpoint,
    quantisation: Quantisation,
    target: Path,
    name: str,
    *,
    progress: Progress = lambda what, done, total: None,
) -> ModelDirectory:
    """Write `checkpoint` as the model directory `target`, called `name`.

    Goes on where a build of the same checkpoint and quantisation was interrupted, and ends with
    the same bytes. Raises ModelError: the checkpoint is damaged or can't be run, the needs are not
    met, the disk is full, another process is at it. What was at `target` stays until the end.
    """
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target):
            recover(target)
            needs(checkpoint, quantisation, target).check()
            _build(checkpoint, quantisation, target, name, progress)
    _log.info("%s: built in %s", name, target)
    return read_directory(target)


def _build(
    checkpoint: Checkpoint,
    quantisation: Quantisation,
    target: Path,
    name: str,
    progress: Progress,
) -> None:
    stored = in_order(layout(checkpoint.architecture, quantisation), checkpoint.shards)
    building = _building(target)
    key = _key(checkpoint, quantisation)
    journal = _interrupted(building, stored, key) or _begun(building, stored, key)
    write_tensors(
        checkpoint,
        stored,
        building,
        journal,
        search=quantisation.search,
        progress=lambda done, total: progress(WEIGHTS, done, total),
    )
    _write_rest(checkpoint, quantisation, building, journal)
    directory = ModelDirectory(
        folder=building,
        name=name,
        source=checkpoint.source,
        revision=checkpoint.revision,
        licence=checkpoint.licence or "unknown",
        architecture=checkpoint.architecture,
        quantisation=quantisation,
        eos=checkpoint.texts.eos,
        bos=checkpoint.texts.bos,
        built=datetime.now(UTC).isoformat(timespec="seconds"),
        files=_checksums(building, progress),
    )
    write_manifest(directory)
    # Whatever is in there must be on the disk before it replaces something that is.
    for path in building.iterdir():
        _sync(path)
    _sync(building)
    put_in_place(building, target)
    # It went along: had it been deleted before, a kill in between would have cost the whole work.
    (target / _JOURNAL).unlink()


def _checked_layout(checkpoint: Checkpoint, quantisation: Quantisation) -> list[Stored]:
    stored = layout(checkpoint.architecture, quantisation)
    check_texts(checkpoint)
    check_sources(checkpoint, stored)
    return in_order(stored, checkpoint.shards)


def _building(target: Path) -> Path:
    return target.with_name(f".{target.name}.building")


def _key(checkpoint: Checkpoint, quantisation: Quantisation) -> str:
    """Stands for everything that decides about the bytes of the data files."""
    stored = layout(checkpoint.architecture, quantisation)
    parts = {
        "format": FORMAT,
        "layout": [asdict(tensor) for tensor in stored],
        "source": checkpoint.source,
        "revision": checkpoint.revision,
        "architecture": asdict(checkpoint.architecture),
        "quantisation": asdict(quantisation),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _interrupted(building: Path, stored: Sequence[Stored], key: str) -> Journal | None:
    """The journal of a build of the same that was interrupted, if its files are all there."""
    sizes = file_sizes(tuple(stored))
    journal = Journal.read(building / _JOURNAL, key)
    whole = all(_size(building / file) == size for file, size in sizes.items())
    return journal if whole else None


def _begun(building: Path, stored: Sequence[Stored], key: str) -> Journal:
    """The journal of a build that begins now, in a folder with data files of zeros."""
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    for file, size in file_sizes(tuple(stored)).items():
        with (building / file).open("wb") as sink:
            os.truncate(sink.fileno(), size)
    return Journal.begun(building / _JOURNAL, key)


def _write_rest(
    checkpoint: Checkpoint, quantisation: Quantisation, building: Path, journal: Journal
) -> None:
    """Graphs, texts and report; all of them small."""
    architecture, texts = checkpoint.architecture, checkpoint.texts
    for part in parts(architecture):
        graph = build_graph(part, architecture, quantisation)
        (building / f"{part}.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    (building / TOKENIZER).write_bytes(texts.tokenizer)
    (building / TEMPLATE).write_text(texts.template, encoding="utf-8")
    if texts.licence is not None:
        (building / LICENCE).write_bytes(texts.licence)
    groups = summarise(layout(architecture, quantisation), journal.finished)
    (building / REPORT).write_bytes(report_json(groups))


def _checksums(building: Path, progress: Progress) -> dict[str, BuiltFile]:
    paths = sorted(p for p in building.iterdir() if p.name not in (_JOURNAL, MANIFEST))
    total = sum(path.stat().st_size for path in paths)
    done = 0
    files = {}
    for path in paths:
        digest = hashlib.sha256()
        size = 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                progress(CHECKSUMS, done + size, total)
        done += size
        files[path.name] = BuiltFile(size, digest.hexdigest())
    return files


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{target} can't be written: {error.strerror}; mend that and build again: it goes on "
            "where it stopped"
        ) from error


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    with target.with_name(f".{target.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelError(
                f"{target} is being built by another process; wait for it, or stop it: what it has "
                "done so far is not lost"
            ) from None
        yield
