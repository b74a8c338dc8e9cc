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
    """Dimensions of a model. `context` is the longest sequence it can be given, in tokens: the one
    it was made for, or LONGEST."""

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


LONGEST: Final = 131_072
"""Tokens. No hub has the memory for more, and the tables of positions would fill it too."""
_MOST: Final = 1 << 24
"""No dimension is larger."""
_MOST_LAYERS: Final = 1024
"""Several times what the largest models have; each is looked at, tensor by tensor."""
_ENDLESS: Final = 1e30
"""No setting is that large, but for infinity."""
_FAMILIES: Final = {
    "llama": Family.LLAMA,
    "qwen2": Family.QWEN2,
    "mimo": Family.MIMO,
}


def from_config(config: Mapping[str, Any]) -> Architecture:
    """The architecture that a Hugging Face `config.json` describes.

    Of several MTP layers the first is used. Raises ModelError for what the engine can't run: other
    architectures, scaled rotary positions, sliding windows, other activations, weights that are
    quantised already; and for missing or senseless dimensions.
    """
    kind = config.get("model_type")
    family = _FAMILIES.get(str(kind))
    if family is None:
        known = ", ".join(_FAMILIES)
        raise ModelError(
            f"config.json: model_type {kind!r} can't be run; known: {known}; get a checkpoint of "
            "one of these layouts"
        )
    if config.get("quantization_config") or config.get("quantization"):
        raise ModelError(
            "config.json: the weights are quantised already; get the checkpoint that is not "
            "quantised (BF16, F16 or F32)"
        )
    rope = _rope(config)
    layers = config.get("layer_types") or []
    full = isinstance(layers, list) and all(layer == "full_attention" for layer in layers)
    if config.get("use_sliding_window") or not full:
        raise ModelError("config.json: sliding-window attention can't be run")
    if config.get("hidden_act", "silu") != "silu":
        raise ModelError(f"config.json: activation {config['hidden_act']!r} can't be run")
    if family is Family.LLAMA and (config.get("attention_bias") or config.get("mlp_bias")):
        raise ModelError("config.json: a Llama with biases can't be run")
    hidden = _whole(config, "hidden_size")
    heads = _whole(config, "num_attention_heads")
    architecture = Architecture(
        family=family,
        hidden=hidden,
        layers=_whole(config, "num_hidden_layers"),
        heads=heads,
        kv_heads=_whole(config, "num_key_value_heads", heads),
        head_size=_whole(config, "head_dim", hidden // heads),
        intermediate=_whole(config, "intermediate_size"),
        vocabulary=_whole(config, "vocab_size"),
        context=min(LONGEST, _whole(config, "max_position_embeddings")),
        rope_theta=_positive({**config, **rope}, "rope_theta", 10_000.0),
        rms_eps=_positive(config, "rms_norm_eps", 1e-6),
        qkv_bias=family is not Family.LLAMA and bool(config.get("attention_bias", True)),
        tied=bool(config.get("tie_word_embeddings", False)),
        mtp_layers=min(1, _count(config)) if family is Family.MIMO else 0,
    )
    check(architecture)
    return architecture


def check(architecture: Architecture) -> None:
    """Raise ModelError where the dimensions do not fit each other."""
    a = architecture
    sizes = (a.hidden, a.layers, a.heads, a.kv_heads, a.head_size, a.intermediate, a.vocabulary)
    sound = all(0 < size <= _MOST for size in (*sizes, a.context)) and a.layers <= _MOST_LAYERS
    if not sound or a.mtp_layers not in (0, 1):
        raise ModelError(f"{a} can't be a model")
    if a.heads % a.kv_heads:
        raise ModelError(f"{a.heads} attention heads can't share {a.kv_heads} KV heads")
    if a.head_size % 16:
        raise ModelError(f"head size {a.head_size} can't be run: onnxruntime wants multiples of 16")
    if not (0 < a.rope_theta < _ENDLESS and 0 < a.rms_eps < _ENDLESS):
        raise ModelError(f"rotary base {a.rope_theta} or epsilon {a.rms_eps} can't be meant")


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the rotary positions; newer and older checkpoints keep them in two places."""
    settings: dict[str, Any] = {}
    for key in ("rope_scaling", "rope_parameters"):
        found = config.get(key) or {}
        if not isinstance(found, Mapping):
            raise ModelError(f"config.json: {key} is {found!r}; it is damaged: download it again")
        settings |= found
    if settings.get("rope_type", settings.get("type", "default")) != "default":
        raise ModelError("config.json: scaled rotary positions (rope_scaling) can't be run")
    if any(isinstance(value, Mapping) for value in settings.values()):
        raise ModelError("config.json: rotary positions that differ from layer to layer can't run")
    if ({**config, **settings}.get("partial_rotary_factor") or 1) != 1:
        raise ModelError("config.json: rotary positions in a part of each head only can't be run")
    return settings


def _count(config: Mapping[str, Any]) -> int:
    return _whole(config, "num_nextn_predict_layers", 0, least=0)


def _whole(
    config: Mapping[str, Any], key: str, default: int | None = None, *, least: int = 1
) -> int:
    value = config.get(key)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise ModelError(f"config.json: {key} is {value!r}; a whole number is needed")
    return value


def _positive(config: Mapping[str, Any], key: str, default: float) -> float:
    value = config.get(key, default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < _ENDLESS:
        raise ModelError(f"config.json: {key} is {repr(value)[:40]}; a number above 0 is needed")
    return float(value)
