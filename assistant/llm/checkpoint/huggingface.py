"""A checkpoint as on the Hugging Face hub: config.json, a tokenizer, safetensors in shards."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from assistant.errors import ModelError
from assistant.llm.architecture import Architecture, from_config
from assistant.llm.checkpoint.contract import Floats, Texts
from assistant.llm.checkpoint.safetensors import Entry, SafetensorsFile, check_pulled
from assistant.llm.directory import TEMPLATE, TOKENIZER
from assistant.llm.layout import MTP
from assistant.models.shards import CONFIG, INDEX, SINGLE, Shards

PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""Endings of checkpoints that torch pickled."""

_SHARD: Final = ".safetensors"
_END_OF_TURN: Final = "<|im_end|>"
_log = logging.getLogger(__name__)


class HuggingFaceCheckpoint:
    """A Checkpoint of `shards`. Raises ModelError for what shows without the weights.

    Programs that do not know MiMo's MTP layer leave it out and its mention in: then there is none.
    """

    def __init__(self, shards: Shards) -> None:
        self._files = shards
        self._open: dict[str, SafetensorsFile] = {}
        self._architecture = from_config(_json(shards, CONFIG))
        self._shards = _placed(shards)
        drafter = any(name.startswith(f"{MTP}.") for name in self._shards)
        if self._architecture.mtp_layers and not drafter:
            _log.warning(
                "%s has no MTP layer, though its config.json tells of one: it is built without, "
                "and will answer more slowly. The maker's own checkpoints have it",
                shards.source,
            )
            self._architecture = replace(self._architecture, mtp_layers=0)
        self._texts = _texts(shards)

    @property
    def architecture(self) -> Architecture:
        """As config.json has it."""
        return self._architecture

    @property
    def source(self) -> str:
        """Hub id or folder."""
        return self._files.source

    @property
    def revision(self) -> str:
        """Commit or fingerprint."""
        return self._files.revision

    @property
    def licence(self) -> str:
        """As the model card says."""
        return self._files.licence

    @property
    def folder(self) -> Path:
        """Where the shards lie."""
        return self._files.folder

    @property
    def texts(self) -> Texts:
        """Of tokenizer.json, tokenizer_config.json, generation_config.json, chat_template.jinja."""
        return self._texts

    @property
    def shards(self) -> Mapping[str, str]:
        """As the index has it, or the header of the only file."""
        return self._shards

    def to_fetch(self, shard: str) -> int:
        """Bytes of a shard that is not here."""
        return 0 if self._files.here(shard) else self._files.sizes[shard]

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Shape of a tensor, after a look into its shard."""
        return self._entry(tensor).shape

    def rows(self, tensor: str, start: int, stop: int) -> Floats:
        """Rows as float32."""
        self._entry(tensor)
        return self._open[self._shards[tensor]].rows(tensor, start, stop)

    def release(self, shard: str) -> None:
        """Close a shard and hand it back. A single file is kept: its header is the index."""
        if opened := self._open.pop(shard, None):
            opened.close()
        if shard != SINGLE:
            try:
                self._files.done(shard)
            except OSError as error:
                raise ModelError(
                    f"{self.folder / shard} can't be deleted: {error.strerror}; mend that, or do "
                    "without deleting shards"
                ) from error

    def frees(self, shard: str) -> int:
        """Bytes of a shard that is the user's own and is to be deleted."""
        return 0 if shard == SINGLE else self._files.frees(shard)

    def _entry(self, tensor: str) -> Entry:
        shard = self._shards[tensor]
        if shard not in self._open:
            self._open[shard] = SafetensorsFile(self._files.get(shard))
        entry = self._open[shard].entries.get(tensor)
        if entry is None:
            raise ModelError(
                f"{self.source}: {shard} lacks the tensor {tensor}, which {INDEX} promises; "
                "download both again"
            )
        return entry


def _placed(shards: Shards) -> Mapping[str, str]:
    """Which file holds which tensor."""
    if INDEX in shards.sizes:
        placed = _json(shards, INDEX).get("weight_map")
        if not isinstance(placed, dict) or not all(map(_is_shard, placed.values())):
            raise ModelError(f"{shards.source}: {INDEX} is damaged; download it again")
        if absent := sorted(set(placed.values()) - set(shards.sizes)):
            raise ModelError(f"{shards.source}: {_few(absent)} missing; copy the whole checkpoint")
        return placed
    if SINGLE in shards.sizes:
        opened = SafetensorsFile(shards.get(SINGLE))
        opened.close()
        return dict.fromkeys(opened.entries, SINGLE)
    pickled = [name for name in shards.sizes if name.endswith(PICKLES)]
    if pickled:
        raise ModelError(f"{shards.source}: {refusal(pickled[0])}")
    raise ModelError(f"{shards.source} holds no weights: neither {INDEX} nor {SINGLE} is there")


def _is_shard(name: Any) -> bool:
    """Whether a file may be read, and perhaps deleted then, as one of weights."""
    return isinstance(name, str) and name.endswith(_SHARD)


def refusal(name: str) -> str:
    """Why a pickled checkpoint is not read, and what to do."""
    return (
        f"{name} is pickled, and reading a pickle can run any program that its maker put in; it is "
        "not opened. Get the version of the checkpoint in safetensors (model.safetensors), or "
        "convert it where you trust it"
    )


def _texts(shards: Shards) -> Texts:
    if TOKENIZER not in shards.sizes:
        raise ModelError(f"{shards.source} has no {TOKENIZER}; get it from the model's hub page")
    source = _read(shards.get(TOKENIZER))
    tokenizer = load_tokenizer(source, f"{shards.source}/{TOKENIZER}")
    config = _json(shards, CONFIG)
    words = _json(shards, "tokenizer_config.json", needed=False)
    generation = _json(shards, "generation_config.json", needed=False)
    template = _template(shards, words)

    vocabulary = tokenizer.get_vocab()

    def token(text: Any) -> list[int]:
        return [vocabulary[text]] if isinstance(text, str) and text in vocabulary else []

    named = words.get("eos_token")
    ends = [
        # First, for this is the one that templates know.
        *token(named.get("content") if isinstance(named, dict) else named),
        *_tokens(generation.get("eos_token_id")),
        *_tokens(config.get("eos_token_id")),
        # Checkpoints name the end of the text, and forget the end of a turn.
        *(token(_END_OF_TURN) if _END_OF_TURN in template else ()),
    ]
    begins = _tokens(config.get("bos_token_id")) if words.get("add_bos_token") else []
    # A tokenizer.json can begin texts on its own account.
    begins = begins or tokenizer.encode("", add_special_tokens=True).ids[:1]
    licence = _read(shards.get("LICENSE")) if "LICENSE" in shards.sizes else None
    return Texts(
        source, template, tuple(dict.fromkeys(ends)), begins[0] if begins else None, licence
    )


def load_tokenizer(data: bytes, where: str) -> Tokenizer:
    """The tokenizer of a tokenizer.json. Raises ModelError where it is none."""
    check_pulled(data, where)
    try:
        return Tokenizer.from_str(data.decode())
    except Exception as error:  # the library raises nothing more special
        raise ModelError(f"{where} can't be used: {error}") from error


def _template(shards: Shards, words: Mapping[str, Any]) -> str:
    if TEMPLATE in shards.sizes:
        path = shards.get(TEMPLATE)
        try:
            return _read(path).decode()
        except UnicodeDecodeError as error:
            raise ModelError(f"{path} can't be read: {error}; download it again") from error
    found = words.get("chat_template")
    if isinstance(found, list):  # several by name
        named = {e.get("name"): e.get("template") for e in found if isinstance(e, dict)}
        found = named.get("default")
    if not isinstance(found, str):
        raise ModelError(
            f"{shards.source} has no chat template, so it can't be talked to; choose the model's "
            "version for chats (RL, SFT, Instruct)"
        )
    try:
        found.encode()
    except UnicodeEncodeError as error:  # JSON can hold halves of letters
        raise ModelError(
            f"{shards.source}: tokenizer_config.json is damaged ({error}); download it again"
        ) from error
    return found


def _tokens(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return [v for v in values if isinstance(v, int) and not isinstance(v, bool)]


def _json(shards: Shards, name: str, *, needed: bool = True) -> dict[str, Any]:
    if name not in shards.sizes:
        if needed:
            raise ModelError(f"{shards.source} has no {name}; copy the whole checkpoint")
        return {}
    path = shards.get(name)
    try:
        data = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} can't be read: {error}; download it again") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path} is damaged; download it again")
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path} can't be read: {error.strerror}; check who may read it"
        ) from error


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"
