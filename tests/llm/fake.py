"""Tiny checkpoints with random weights, laid out as the real ones are, and models made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers.pre_tokenizers import ByteLevel

from assistant.llm.checkpoint.bpe import byte_level_bpe
from assistant.llm.checkpoint.open import open_checkpoint
from assistant.llm.directory import ModelDirectory
from assistant.llm.export.build import build
from assistant.llm.quantisation import Quantisation

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
TEMPLATE = (
    "{%- for message in messages -%}\n"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}\n"
)
DTYPES = {"BF16": ml_dtypes.bfloat16, "F16": np.float16, "F32": np.float32}
_PAIRS = (
    "Ġ t/h e/i n/Ġt he/o n/e r/Ġ a/Ġ l/i g/ig h/igh t/Ġl ight/Ġ k/i t/c h/Ġk it/ch e/che n/"
    'Ġkit chen/Ġ o/f f/Ġ on/Ġo ff/t u/r n/tu rn/Ġ "/: Ġ"/" :/" ,/", Ġ"/Ċ Ċ'
)

Arrays = dict[str, NDArray[np.float32]]


def tokens() -> list[str]:
    """All tokens of the tiny tokenizer: 256 bytes, what merges make, and SPECIAL."""
    return [*sorted(ByteLevel.alphabet()), *("".join(pair) for pair in _merges()), *SPECIAL]


def tokenizer_json() -> bytes:
    """A byte-level BPE as Qwen2's, with few merges."""
    return byte_level_bpe("qwen2", tokens(), _merges(), special=SPECIAL[:3], added=SPECIAL[3:])


def config(
    *,
    family: str = "mimo",
    hidden: int = 64,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    head_size: int | None = None,
    intermediate: int = 128,
    vocabulary: int = 320,
    context: int = 512,
    tied: bool = False,
    mtp: bool = True,
) -> dict[str, Any]:
    """The config.json of a checkpoint, as Xiaomi writes it."""
    assert vocabulary >= len(tokens())
    names = {"mimo": "MiMo", "qwen2": "Qwen2", "llama": "Llama"}
    entries = {
        "architectures": [f"{names[family]}ForCausalLM"],
        "model_type": family,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_size or hidden // heads,
        "intermediate_size": intermediate,
        "vocab_size": vocabulary,
        "max_position_embeddings": context,
        "rope_theta": 640_000,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": tied,
        "use_sliding_window": False,
        "eos_token_id": tokens().index("<|endoftext|>"),
        "bos_token_id": tokens().index("<|endoftext|>"),
        "torch_dtype": "bfloat16",
    }
    if family != "llama":
        entries["attention_bias"] = True
    if family == "mimo":
        entries["num_nextn_predict_layers"] = int(mtp)
    return entries


def shapes(settings: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that belong to a config.json, in the checkpoint's order."""
    hidden, vocabulary = settings["hidden_size"], settings["vocab_size"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(settings["num_hidden_layers"]):
        found |= _layer(f"model.layers.{layer}", settings)
    for layer in range(settings.get("num_nextn_predict_layers", 0)):
        prefix = f"model.mtp_layers.{layer}"
        found |= _layer(prefix, settings)
        for norm in ("token_layernorm", "hidden_layernorm", "final_layernorm"):
            found[f"{prefix}.{norm}.weight"] = (hidden,)
        found[f"{prefix}.input_proj.weight"] = (hidden, 2 * hidden)
    found["model.norm.weight"] = (hidden,)
    if not settings["tie_word_embeddings"]:
        found["lm_head.weight"] = (vocabulary, hidden)
    return found


def random_arrays(settings: dict[str, Any], seed: int = 0, gain: float = 1) -> Arrays:
    """Weights that keep the size of what they multiply, so that the logits differ by a few.

    `gain`: how much of it the matrices of the layers keep.
    """
    generator = np.random.default_rng(seed)
    arrays: Arrays = {}
    for name, shape in shapes(settings).items():
        numbers = generator.standard_normal(shape, dtype=np.float32)
        if name.endswith("norm.weight"):
            arrays[name] = np.float32(1) + numbers / np.float32(10)
        elif name.endswith("bias"):
            arrays[name] = numbers / np.float32(5)
        elif name.endswith(("embed_tokens.weight", "lm_head.weight")):
            arrays[name] = numbers * np.float32(2 / shape[1] ** 0.5)
        else:
            arrays[name] = numbers * np.float32(gain / shape[1] ** 0.5)
    return arrays


def write_arrays(folder: Path, arrays: Arrays, *, shards: int = 3, dtype: str = "BF16") -> None:
    """Write `arrays` as safetensors: one file, or shards with an index, as the hub has them."""
    stored = {name: array.astype(DTYPES[dtype]) for name, array in arrays.items()}
    if shards == 1:
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        return
    placed: dict[str, str] = {}
    for number, names in enumerate(np.array_split(list(stored), shards), 1):
        file = f"model-{number:05}-of-{shards:05}.safetensors"
        save_file({str(n): stored[str(n)] for n in names}, folder / file, metadata={"format": "pt"})
        placed |= dict.fromkeys(map(str, names), file)
    size = sum(array.nbytes for array in stored.values())
    index = {"metadata": {"total_size": size}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def write_checkpoint(
    folder: Path,
    *,
    shards: int = 3,
    seed: int = 0,
    dtype: str = "BF16",
    gain: float = 1,
    **dims: Any,
) -> Path:
    """Write a tiny random checkpoint to `folder` and return it. `dims` are those of `config`."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = config(**dims)
    write_arrays(folder, random_arrays(settings, seed, gain), shards=shards, dtype=dtype)
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "tokenizer.json").write_bytes(tokenizer_json())
    words = {"eos_token": "<|im_end|>", "chat_template": TEMPLATE, "add_bos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(words))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n")
    return folder


def build_tiny(
    folder: Path,
    *,
    name: str = "tiny",
    quantisation: Quantisation | None = None,
    **checkpoint: Any,
) -> ModelDirectory:
    """Write a tiny checkpoint (see `write_checkpoint`) into `folder` and export it beside it."""
    source = write_checkpoint(folder / f"{name}-checkpoint", **checkpoint)
    quantisation = quantisation or Quantisation(block=32)
    return build(open_checkpoint(source), quantisation, folder / name, name)


def _layer(prefix: str, settings: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, inner = settings["hidden_size"], settings["intermediate_size"]
    head = settings["head_dim"]
    query, pair = settings["num_attention_heads"] * head, settings["num_key_value_heads"] * head
    found: dict[str, tuple[int, ...]] = {}
    for name, rows in (("q", query), ("k", pair), ("v", pair)):
        found[f"{prefix}.self_attn.{name}_proj.weight"] = (rows, hidden)
        if settings["model_type"] != "llama":
            found[f"{prefix}.self_attn.{name}_proj.bias"] = (rows,)
    found[f"{prefix}.self_attn.o_proj.weight"] = (hidden, query)
    found[f"{prefix}.mlp.gate_proj.weight"] = (inner, hidden)
    found[f"{prefix}.mlp.up_proj.weight"] = (inner, hidden)
    found[f"{prefix}.mlp.down_proj.weight"] = (hidden, inner)
    found[f"{prefix}.input_layernorm.weight"] = (hidden,)
    found[f"{prefix}.post_attention_layernorm.weight"] = (hidden,)
    return found


def _merges() -> list[tuple[str, str]]:
    pairs = []
    for entry in _PAIRS.split("/"):
        left, right = entry.split(" ")
        pairs.append((left, right))
    return pairs
