"""A GGUF file of random weights in Q4_0, for llama.cpp, in the dimensions of one of our shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from assistant.llm.architecture import Architecture

_Q4_0 = gguf.GGMLQuantizationType.Q4_0
_WEIGHTS = 32
_BYTES = 18
"""Of a block: its scale in 16 bits, then 32 codes of 4 bits."""
_AT_ONCE = 1 << 20
"""Blocks made in one go."""


def write_random_gguf(
    file: Path, architecture: Architecture, progress: Callable[[int, int], None]
) -> None:
    """Write `file`, tensor after tensor. An MTP layer is left out: llama.cpp would not run it.

    `progress` is told bytes written and bytes in all. Each tensor has other weights.
    """
    a = architecture
    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_context_length(a.context)
    writer.add_embedding_length(a.hidden)
    writer.add_block_count(a.layers)
    writer.add_feed_forward_length(a.intermediate)
    writer.add_head_count(a.heads)
    writer.add_head_count_kv(a.kv_heads)
    writer.add_key_length(a.head_size)
    writer.add_value_length(a.head_size)
    writer.add_layer_norm_rms_eps(a.rms_eps)
    writer.add_rope_freq_base(a.rope_theta)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_vocab_size(a.vocabulary)
    writer.add_tokenizer_model("none")
    tensors = list(_tensors(a))
    total = 0
    for name, shape in tensors:
        if len(shape) == 1:
            size = 4 * shape[0]
            writer.add_tensor_info(name, shape, np.dtype(np.float32), size)
        else:
            packed = (shape[0], shape[1] // _WEIGHTS * _BYTES)
            size = packed[0] * packed[1]
            writer.add_tensor_info(name, packed, np.dtype(np.uint8), size, _Q4_0)
        total += size
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    generator = np.random.default_rng(1)
    done = 0
    for name, shape in tensors:
        data = _vector(name, shape[0]) if len(shape) == 1 else _matrix(generator, *shape)
        writer.write_tensor_data(data)
        done += data.nbytes
        progress(done, total)
    writer.close()


def _tensors(a: Architecture) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, narrow = a.heads * a.head_size, a.kv_heads * a.head_size
    yield "token_embd.weight", (a.vocabulary, a.hidden)
    for layer in range(a.layers):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", (a.hidden,)
        for name, rows in (("attn_q", width), ("attn_k", narrow), ("attn_v", narrow)):
            yield f"{block}.{name}.weight", (rows, a.hidden)
            yield f"{block}.{name}.bias", (rows,)
        yield f"{block}.attn_output.weight", (a.hidden, width)
        yield f"{block}.ffn_norm.weight", (a.hidden,)
        yield f"{block}.ffn_gate.weight", (a.intermediate, a.hidden)
        yield f"{block}.ffn_up.weight", (a.intermediate, a.hidden)
        yield f"{block}.ffn_down.weight", (a.hidden, a.intermediate)
    yield "output_norm.weight", (a.hidden,)
    yield "output.weight", (a.vocabulary, a.hidden)


def _vector(name: str, size: int) -> NDArray[np.float32]:
    return np.full(size, 0.0 if name.endswith("bias") else 1.0, np.float32)


def _matrix(generator: np.random.Generator, rows: int, columns: int) -> NDArray[np.uint8]:
    """Random codes; the one scale keeps a product the size of its input."""
    blocks = rows * columns // _WEIGHTS
    matrix = np.empty((blocks, _BYTES), np.uint8)
    scale = np.float16(12**0.5 / 16 / columns**0.5)
    matrix[:, :2] = np.frombuffer(scale.tobytes(), np.uint8)
    for start in range(0, blocks, _AT_ONCE):
        codes = matrix[start : start + _AT_ONCE, 2:]
        codes[:] = np.frombuffer(generator.bytes(codes.size), np.uint8).reshape(codes.shape)
    return matrix.reshape(rows, -1)
