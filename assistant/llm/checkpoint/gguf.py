"""A checkpoint as llama.cpp has it: one GGUF file with weights, dimensions and tokenizer.

The gguf package knows how each kind of block is stored. Weights are read by pread, a few rows at a
time, for pages of a mapping count as this process's memory.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np

from assistant.errors import ModelError
from assistant.llm.architecture import LONGEST, Architecture, Family, check
from assistant.llm.checkpoint.bpe import byte_level_bpe
from assistant.llm.checkpoint.contract import Floats, Texts
from assistant.llm.checkpoint.gguf_header import Place, read_header
from assistant.llm.checkpoint.safetensors import open_file, read_at

_FAMILIES: Final = {"llama": Family.LLAMA, "qwen2": Family.QWEN2}
_CONTROL, _USER_DEFINED = 3, 4  # kinds of tokens
_END_OF_TURN: Final = "<|im_end|>"

_OUTSIDE: Final = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_WITHIN: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_NAME: Final = re.compile(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)")


class GgufCheckpoint:
    """The Checkpoint in one GGUF file of a Llama or Qwen2.

    Raises ModelError: damaged, of another architecture, with a tokenizer that is not known.
    `source`: what to call it in place of the file's name.
    """

    def __init__(self, path: Path, *, source: str | None = None) -> None:
        self._path = path
        self._source = source or path.name
        self._file: int | None = None
        fields, places = read_header(path)
        self._places = {_hugging_face(name): place for name, place in places.items()}
        self._shards = dict.fromkeys(self._places, path.name)
        try:
            self._architecture = _architecture(fields, self._places)
            self._texts = _texts(fields)
            self._licence = str(fields.get("general.license", ""))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{path}: the header is damaged ({error!r}); download it again"
            ) from error
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        try:
            with path.open("rb") as file:
                self._revision = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError as error:
            raise ModelError(f"{path} can't be read: {error.strerror}; check the disk") from error

    @property
    def architecture(self) -> Architecture:
        """As the metadata has it."""
        return self._architecture

    @property
    def source(self) -> str:
        """Name of the file, unless it was given another."""
        return self._source

    @property
    def revision(self) -> str:
        """SHA-256 of the file."""
        return self._revision

    @property
    def licence(self) -> str:
        """As the metadata has it."""
        return self._licence

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self._path.parent

    @property
    def texts(self) -> Texts:
        """Made of the metadata."""
        return self._texts

    @property
    def shards(self) -> Mapping[str, str]:
        """All tensors are in the one file."""
        return self._shards

    def to_fetch(self, shard: str) -> int:
        """Nothing: the file is here."""
        return 0

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self._places[tensor].shape

    def rows(self, tensor: str, start: int, stop: int) -> Floats:
        """Rows as float32."""
        place = self._places[tensor]
        width = place.size // place.shape[0]
        if self._file is None:
            self._file = open_file(self._path)
        data = read_at(self._path, self._file, place.offset + start * width, (stop - start) * width)
        packed = np.frombuffer(data, np.uint8)
        if len(place.shape) > 1:
            packed = packed.reshape(stop - start, width)
        try:
            numbers = gguf.dequantize(packed, place.kind)
        except NotImplementedError as error:
            raise ModelError(
                f"{self._path}: {tensor} is stored as {place.kind.name}, which can't be read; get "
                "the model as Q8_0, F16 or BF16"
            ) from error
        return numbers.astype(np.float32, copy=False).reshape(stop - start, *place.shape[1:])

    def frees(self, shard: str) -> int:
        """Nothing: the file stays."""
        return 0

    def release(self, shard: str) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _hugging_face(name: str) -> str:
    found = _NAME.fullmatch(name)
    if found is None:
        return name
    layer, part, kind = found.groups()
    if layer is None:
        return f"{_OUTSIDE.get(part, part)}.{kind}"
    return f"model.layers.{layer}.{_WITHIN.get(part, part)}.{kind}"


def _architecture(fields: Mapping[str, Any], places: Mapping[str, Place]) -> Architecture:
    if fields.get("split.count", 1) != 1:
        raise ModelError(
            "the file is a part of a model; join the parts with: llama-gguf-split --merge"
        )
    kind = fields["general.architecture"]
    family = _FAMILIES.get(kind)
    if family is None:
        raise ModelError(f"architecture {kind!r} can't be run; known: {', '.join(_FAMILIES)}")
    if fields.get(f"{kind}.rope.scaling.type", "none") != "none" or "rope_freqs.weight" in places:
        raise ModelError("scaled rotary positions can't be run")
    if fields.get(f"{kind}.expert_count"):
        raise ModelError("a mixture of experts can't be run")
    if "model.embed_tokens.weight" not in places:
        raise ModelError("there is no embedding (token_embd.weight)")
    biased = "model.layers.0.self_attn.q_proj.bias" in places
    if biased and family is Family.LLAMA:
        raise ModelError("a Llama with biases can't be run")

    def number(key: str, default: int | None = None) -> int:
        value = fields.get(f"{kind}.{key}", default)
        if not isinstance(value, int) or not 0 < value <= 1 << 24:
            raise ModelError(f"{kind}.{key} is {value!r}; a whole number is needed")
        return value

    heads = number("attention.head_count")
    hidden = number("embedding_length")
    head_size = number("attention.key_length", hidden // heads)
    if fields.get(f"{kind}.rope.dimension_count", head_size) != head_size:
        raise ModelError("rotary positions in a part of each head only can't be run")
    architecture = Architecture(
        family=family,
        hidden=hidden,
        layers=number("block_count"),
        heads=heads,
        kv_heads=number("attention.head_count_kv", heads),
        head_size=head_size,
        intermediate=number("feed_forward_length"),
        vocabulary=places["model.embed_tokens.weight"].shape[0],
        context=min(LONGEST, number("context_length")),
        rope_theta=float(fields.get(f"{kind}.rope.freq_base", 10_000.0)),
        # Stored as float32: 1e-5 would come out as 9.999999747378752e-06.
        rms_eps=float(str(np.float32(fields[f"{kind}.attention.layer_norm_rms_epsilon"]))),
        qkv_bias=biased,
        tied="lm_head.weight" not in places,
        rope_interleaved=family is Family.LLAMA,
    )
    check(architecture)
    return architecture


def _texts(fields: Mapping[str, Any]) -> Texts:
    kind = fields.get("tokenizer.ggml.model")
    if kind != "gpt2":
        raise ModelError(
            f"a tokenizer of kind {kind!r} can't be read from GGUF, only byte-level BPE (gpt2); "
            "get the model as safetensors, which bring their tokenizer.json along"
        )
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    kinds: list[int] = fields["tokenizer.ggml.token_type"]
    merges = []
    for merge in fields["tokenizer.ggml.merges"]:
        left, right = merge.split(" ")
        merges.append((left, right))
    tokenizer = byte_level_bpe(
        fields.get("tokenizer.ggml.pre", "default"),
        tokens,
        merges,
        special=[t for t, k in zip(tokens, kinds, strict=True) if k == _CONTROL],
        added=[t for t, k in zip(tokens, kinds, strict=True) if k == _USER_DEFINED],
    )
    template = fields.get("tokenizer.chat_template")
    if not isinstance(template, str):
        raise ModelError("there is no chat template, so it can't be talked to; get another version")
    ends = [fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot")]
    if _END_OF_TURN in template and _END_OF_TURN in tokens:
        ends.append(tokens.index(_END_OF_TURN))
    begins = fields.get("tokenizer.ggml.add_bos_token")
    begin = fields.get("tokenizer.ggml.bos_token_id") if begins else None
    return Texts(
        tokenizer=tokenizer,
        template=template,
        eos=tuple(dict.fromkeys(end for end in ends if isinstance(end, int))),
        bos=begin if isinstance(begin, int) else None,
    )
