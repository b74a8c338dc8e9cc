"""The shape of a language model: what its checkpoint's configuration says, and nothing assumed.

Three layouts are known, all of them the same transformer with grouped-query attention, rotary
positions, RMS norms and a SiLU-gated MLP: Llama, Qwen2 (with biases on q, k and v), and MiMo,
which is Qwen2 with a multi-token-prediction (MTP) layer for drafting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from assistant.errors import ModelError


class Family(StrEnum):
    """A layout of tensors."""

    LLAMA = "llama"
    QWEN2 = "qwen2"
    MIMO = "mimo"


@dataclass(frozen=True, slots=True)
class Architecture:
    """Dimensions of a model. `context` is the longest sequence it was made for, in tokens."""

    family: Family
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    context: int
    rope_theta: float
    rms_eps: float
    qkv_bias: bool = False
    tied: bool = False
    """The embedding serves as the output matrix too."""
    rope_interleaved: bool = False
    """Rotary pairs are neighbours (GGUF's Llama) rather than halves."""
    mtp_layers: int = 0

    @property
    def parameters(self) -> int:
        """How many numbers the model consists of, biases and norms left out."""
        attention = (2 * self.heads + 2 * self.kv_heads) * self.head_size * self.hidden
        layer = attention + 3 * self.hidden * self.intermediate
        mtp = self.mtp_layers * (layer + 2 * self.hidden * self.hidden)
        return self.layers * layer + mtp + (2 - self.tied) * self.vocabulary * self.hidden

    @property
    def kv_bytes(self) -> int:
        """Bytes of KV cache a token takes: float32 keys and values of every layer."""
        return 2 * 4 * (self.layers + self.mtp_layers) * self.kv_heads * self.head_size


_FAMILIES: Final = {
    "llama": Family.LLAMA,
    "qwen2": Family.QWEN2,
    "mimo": Family.MIMO,
}


def from_config(config: Mapping[str, Any]) -> Architecture:
    """The architecture that a Hugging Face `config.json` describes.

    Raises ModelError for what the engine can't run: other architectures, scaled rotary positions,
    sliding windows, other activations; and for missing or senseless dimensions.
    """
    kind = config.get("model_type")
    family = _FAMILIES.get(str(kind))
    if family is None:
        known = ", ".join(_FAMILIES)
        raise ModelError(f"config.json: model_type {kind!r} can't be run; known: {known}")
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise ModelError("config.json: scaled rotary positions (rope_scaling) can't be run")
    if config.get("use_sliding_window"):
        raise ModelError("config.json: sliding-window attention can't be run")
    if config.get("hidden_act", "silu") != "silu":
        raise ModelError(f"config.json: activation {config['hidden_act']!r} can't be run")
    if family is Family.LLAMA and (config.get("attention_bias") or config.get("mlp_bias")):
        raise ModelError("config.json: a Llama with biases can't be run")
    hidden = _whole(config, "hidden_size")
    heads = _whole(config, "num_attention_heads")
    theta = rope.get("rope_theta", config.get("rope_theta", 10_000.0))
    architecture = Architecture(
        family=family,
        hidden=hidden,
        layers=_whole(config, "num_hidden_layers"),
        heads=heads,
        kv_heads=_whole(config, "num_key_value_heads", heads),
        head_size=_whole(config, "head_dim", hidden // heads),
        intermediate=_whole(config, "intermediate_size"),
        vocabulary=_whole(config, "vocab_size"),
        context=_whole(config, "max_position_embeddings"),
        rope_theta=float(theta),
        rms_eps=float(config.get("rms_norm_eps", 1e-6)),
        qkv_bias=family is not Family.LLAMA and bool(config.get("attention_bias", True)),
        tied=bool(config.get("tie_word_embeddings", False)),
        mtp_layers=_count(config) if family is Family.MIMO else 0,
    )
    check(architecture)
    return architecture


def check(architecture: Architecture) -> None:
    """Raise ModelError where the dimensions do not fit each other."""
    a = architecture
    if a.heads % a.kv_heads:
        raise ModelError(f"{a.heads} attention heads can't share {a.kv_heads} KV heads")
    if a.head_size % 16:
        raise ModelError(f"head size {a.head_size} can't be run: onnxruntime wants multiples of 16")
    if a.mtp_layers > 1:
        raise ModelError(f"{a.mtp_layers} MTP layers: only checkpoints with one are known")


def _count(config: Mapping[str, Any]) -> int:
    return _whole(config, "num_nextn_predict_layers", 0, least=0)


def _whole(
    config: Mapping[str, Any], key: str, default: int | None = None, *, least: int = 1
) -> int:
    value = config.get(key)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1 << 24:
        raise ModelError(f"config.json: {key} is {value!r}; a whole number is needed")
    return value
