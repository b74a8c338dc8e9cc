"""Checkpoints on the Hugging Face hub: what a repository holds at one commit, and its files.

huggingface_hub knows the hub's addresses, its answers and the user's token; it is imported only
when asked. The bytes come through our own `download`: huggingface_hub throws away what arrived of
a file when the program ends or a connection stays broken, and shards have five gigabytes.

Nothing is ever fetched but safetensors and the JSON and Jinja files that belong to them: pickled
weights can run code when they are read. Every file is compared with the checksum that the hub
gives for the commit.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from assistant.errors import ModelError
from assistant.models.download import download
from assistant.models.fetch import Progress
from assistant.models.shards import CONFIG, INDEX, SINGLE, SMALL_FILES

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

NEEDED: Final = (CONFIG, "tokenizer.json")

_SHARD = re.compile(r"\w[\w.-]*\.safetensors")
_PICKLED = re.compile(r".+\.(bin|pt|pth|ckpt|pkl|pickle)")
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MAX_TEXT = 64 << 20
_ATTEMPTS = 8
_BLOCK = 1 << 22
_TIMEOUT = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository: its size in bytes, and SHA-256 or git's SHA-1 of its blob (hex)."""

    name: str
    size: int
    sha256: str | None
    blob: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A model on the hub as it is at `commit`, and those of its files that a build reads."""

    id: str
    commit: str
    licence: str
    endpoint: str
    shards: tuple[HubFile, ...]
    texts: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all shards and texts."""
        return sum(file.size for file in (*self.shards, *self.texts))


def is_id(text: str) -> bool:
    """Whether `text` is written as repositories of the hub are called: OWNER/NAME."""
    return _ID.fullmatch(text) is not None and len(text) <= 96


def resolve(
    repository: str,
    revision: str | None = None,
    *,
    endpoint: str | None = None,
    pause: float = 1.0,
) -> Repository:
    """Look `repository` up at `revision` (a branch, tag or commit; None: its main branch).

    `endpoint`: another hub than the one that HF_ENDPOINT names, else huggingface.co. A hub that is
    not there or out of order is asked a few times, `pause` seconds apart at first. Raises
    ModelError: no such repository or revision, no access, no safetensors, no checksums.
    """
    if not is_id(repository):
        raise ModelError(f"{repository!r} is no hub id; they are written OWNER/NAME")
    hub = _huggingface_hub()
    where = (endpoint or os.environ.get("HF_ENDPOINT") or hub.constants.ENDPOINT).rstrip("/")
    info = _asked(hub, repository, revision, where, pause)
    return _described(info, where)


class HubShards:
    """The files of `repository`, fetched into `folder` when they are asked for.

    A shard is deleted once it is done with, unless `keep`. An interrupted download is gone on with
    by the next HubShards of the same commit and folder. `progress` is told which shard is fetched,
    and which is checked, in bytes.
    """

    def __init__(
        self,
        repository: Repository,
        folder: Path,
        *,
        keep: bool = False,
        progress: Progress | None = None,
        attempts: int = _ATTEMPTS,
        pause: float = 1.0,
    ) -> None:
        self._repository = repository
        self._folder = folder
        self._keep = keep
        self._progress = progress or _silent
        self._attempts = attempts
        self._pause = pause
        self._files = {file.name: file for file in (*repository.shards, *repository.texts)}

    @property
    def source(self) -> str:
        """The hub id."""
        return self._repository.id

    @property
    def revision(self) -> str:
        """The commit."""
        return self._repository.commit

    @property
    def licence(self) -> str:
        """As the model card names it."""
        return self._repository.licence

    @property
    def sizes(self) -> Mapping[str, int]:
        """Names and bytes of shards and of the small files beside them."""
        return {file.name: file.size for file in self._files.values()}

    @property
    def folder(self) -> Path:
        """Where files are downloaded to."""
        return self._folder

    def here(self, name: str) -> bool:
        """Whether the file is downloaded."""
        path = self._folder / name
        return path.is_file() and path.stat().st_size == self._files[name].size

    def get(self, name: str) -> Path:
        """Path of a file, fetched and checked first where it is not there yet.

        Raises ModelError: the hub can't be reached any more, refuses, or sends what does not fit
        its own checksum even the second time.
        """
        try:
            file = self._files[name]
        except KeyError:
            raise ModelError(f"{self._repository.id} has no file {name}") from None
        path = self._folder / name
        if self.here(name):  # it got its name only after it was checked
            return path
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{name}.part"
        for last in (False, True):
            self._fetch(file, part)
            if self._sound(file, part):
                break
            part.unlink()
            if last:
                raise ModelError(
                    f"{self._repository.id}: {name} came damaged twice: it does not fit the "
                    "checksum that the hub gives for it. Something on the way changes it (a proxy, "
                    "failing memory or a failing disk); mend that and try again"
                )
            _log.warning("%s: came damaged, its checksum differs; it is fetched once more", name)
        _put(part, path)
        return path

    def done(self, name: str) -> None:
        """Delete the file if it is a shard, and to be deleted."""
        if not self._keep and name not in SMALL_FILES:
            (self._folder / name).unlink(missing_ok=True)

    def frees(self, name: str) -> int:
        """Nothing: whatever goes was downloaded."""
        return 0

    def _fetch(self, file: HubFile, part: Path) -> None:
        here = part.stat().st_size if part.exists() else 0
        if here > file.size:
            part.unlink()
        if here == file.size:
            return
        hub = _huggingface_hub()
        repository = self._repository
        url = hub.hf_hub_url(
            repository.id, file.name, revision=repository.commit, endpoint=repository.endpoint
        )
        try:
            download(
                url,
                part,
                validator=None,  # the address names a commit
                max_bytes=file.size,
                progress=lambda done, _: self._tell(file.name, "", done),
                headers=_token(hub),
                attempts=self._attempts,
                pause=self._pause,
            )
        except ModelError as error:
            raise ModelError(f"{repository.id}: {error}{_advice(str(error))}") from error

    def _sound(self, file: HubFile, path: Path) -> bool:
        if path.stat().st_size != file.size:
            return False
        if file.sha256 is None:
            content = path.read_bytes()
            header = f"blob {len(content)}\0".encode()
            digest = hashlib.sha1(header + content, usedforsecurity=False)
            return digest.hexdigest() == file.blob
        sha256 = hashlib.sha256()
        with path.open("rb") as source:
            while block := source.read(_BLOCK):
                sha256.update(block)
                self._tell(file.name, " (checksum)", source.tell())
        return sha256.hexdigest() == file.sha256

    def _tell(self, name: str, what: str, done: int) -> None:
        if name not in SMALL_FILES:
            self._progress(name + what, done, self._files[name].size)


def _put(part: Path, path: Path) -> None:
    """Give a checked file its name, so that a power cut leaves no empty one under it."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _huggingface_hub() -> ModuleType:
    # Read when it is imported: otherwise it would tell the hub which other packages are here, and
    # ask it for a list of programs to look out for.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise ModelError(
            f"the package huggingface_hub is missing ({error}); install it with: "
            "pip install huggingface_hub"
        ) from error
    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    return huggingface_hub


def _token(hub: ModuleType) -> Mapping[str, str]:
    """The user's own token, if they have set one up (HF_TOKEN, or `hf auth login`)."""
    headers: Mapping[str, str] = hub.utils.build_hf_headers()
    return {name: value for name, value in headers.items() if name.lower() == "authorization"}


def _asked(
    hub: ModuleType, repository: str, revision: str | None, endpoint: str, pause: float
) -> ModelInfo:
    import httpx2

    api = hub.HfApi(endpoint=endpoint, library_name="mimo-voice")
    failure: Exception
    for attempt in range(_ATTEMPTS // 2):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            info: ModelInfo = api.model_info(
                repository, revision=revision, files_metadata=True, timeout=_TIMEOUT
            )
        except hub.errors.HfHubHTTPError as error:
            status = error.response.status_code
            if status < 500 and status != 429:
                raise _refusal(hub, error, repository, revision, endpoint) from error
            failure = error
            _log.info("%s answers %d; asking again", endpoint, status)
        except httpx2.HTTPError as error:
            failure = error
            _log.info("%s: %s; asking again", endpoint, error)
        except hub.errors.OfflineModeIsEnabled as error:
            raise ModelError(
                f"{repository} can't be looked up while HF_HUB_OFFLINE is set; unset it, or build "
                "from a local folder"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{endpoint} does not answer as a hub does ({error}); check HF_ENDPOINT"
            ) from error
        else:
            return info
    raise ModelError(
        f"{endpoint} does not answer ({_reason(failure)}); check the connection and try again "
        "later, or download it elsewhere and build that: assistant models build FOLDER"
    ) from failure


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    return str(error) or type(error).__name__


def _refusal(
    hub: ModuleType, error: Any, repository: str, revision: str | None, endpoint: str
) -> ModelError:
    """What a person can do about the hub's refusal."""
    errors, page = hub.errors, f"{endpoint}/{repository}"
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(
            f"{repository} has no revision {revision!r}; leave it out, or see {page}/commits/main"
        )
    if isinstance(error, errors.GatedRepoError):
        return ModelError(
            f"{repository} is for those who accepted its terms: do so at {page}, then set HF_TOKEN "
            "to a token of yours"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelError(
            f"{endpoint} has no model {repository}, or it is private: check how it is written, or "
            "set HF_TOKEN to a token of yours"
        )
    said = f"status {error.response.status_code}"
    return ModelError(f"{endpoint} refuses {repository} ({said}){_advice(said)}")


def _advice(refusal: str) -> str:
    if re.search(r"(answers|status) 40[13]\b", refusal):
        return "; accept its terms on its page there, and set HF_TOKEN to a token of yours"
    return ""


def _described(info: ModelInfo, endpoint: str) -> Repository:
    if not info.sha or info.siblings is None:
        raise ModelError(f"{endpoint} does not tell the commit of {info.id}; check HF_ENDPOINT")
    names = [sibling.rfilename for sibling in info.siblings]
    # The index may name them in any way: an MTP layer, for one, sometimes has a file of its own.
    indexed = [s for s in info.siblings if _SHARD.fullmatch(s.rfilename) and s.rfilename != SINGLE]
    single = [s for s in info.siblings if s.rfilename == SINGLE]
    shards = (indexed if INDEX in names else []) or single
    if not shards:
        without = f"has no {INDEX}" if indexed else _without_shards(names)
        raise ModelError(f"{info.id} {without}")
    if missing := [name for name in NEEDED if name not in names]:
        raise ModelError(f"{info.id} has no {' and no '.join(missing)}; it can't be built from")
    texts = [s for s in info.siblings if s.rfilename in SMALL_FILES]
    return Repository(
        id=info.id,
        commit=info.sha,
        licence=_licence(info),
        endpoint=endpoint,
        shards=tuple(_file(info, s) for s in shards),
        texts=tuple(_file(info, s, _MAX_TEXT) for s in texts),
    )


def _without_shards(names: list[str]) -> str:
    pickled = [name for name in names if _PICKLED.fullmatch(name)]
    if pickled:
        return (
            f"offers its weights only as {pickled[0]}: such files can run any program when they "
            "are read, so they are refused. Look for a repository with safetensors"
        )
    if any(name.endswith(".gguf") for name in names):
        return "holds GGUF files: download the one you want, then: assistant models build FILE.gguf"
    return "holds no weights (model.safetensors, or model-00001-of-…)"


def _file(info: ModelInfo, sibling: RepoSibling, most: int | None = None) -> HubFile:
    size = sibling.lfs.size if sibling.lfs else sibling.size
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    if size is None or not (sha256 or sibling.blob_id):
        raise ModelError(
            f"the hub gives no checksum of {sibling.rfilename} in {info.id}: a damaged one could "
            "not be told from it"
        )
    if most is not None and size > most:
        raise ModelError(f"{sibling.rfilename} in {info.id} has {size} bytes, which is absurd")
    return HubFile(sibling.rfilename, size, sha256, sibling.blob_id)


def _licence(info: ModelInfo) -> str:
    card: Any = info.card_data
    if card is not None:
        named = card.get("license_name") if card.get("license") == "other" else card.get("license")
        if isinstance(named, str) and named:
            return named
    tags = (tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:"))
    return next(tags, "")


def _silent(name: str, done: int, total: int) -> None:
    """Progress for nobody."""
