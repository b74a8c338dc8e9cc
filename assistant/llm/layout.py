"""Which arrays an ONNX model directory stores, where, and from which tensors of a checkpoint.

The layout follows from architecture and quantisation alone, so that the exporter can write any
tensor at its place at any time, and the graph can refer to it before it is there. Tensors are
called as in Hugging Face checkpoints; other formats are read under these names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from assistant.llm.architecture import Architecture
from assistant.llm.quantisation import Quantisation

ALIGNMENT: Final = 4096
"""Bytes: arrays begin on pages, so that they can be mapped into memory as they are."""

EMBEDDING_FILE: Final = "embedding.data"
TRUNK_FILE: Final = "trunk.data"
HEAD_FILE: Final = "head.data"
MTP_FILE: Final = "mtp.data"
MTP: Final = "model.mtp_layers.0"
ROTARY: Final = ("rotary.cos", "rotary.sin")
"""Tables of the rotary positions, float32 [context, head_size / 2]; made, not read: no sources."""


class Part(StrEnum):
    """Graphs of a directory, `PART.onnx` each: the layers, the output matrix, the drafter."""

    TRUNK = "trunk"
    HEAD = "head"
    MTP = "mtp"
    DRAFT = "draft"
    """The output matrix for the drafter: the first SHORTLIST tokens alone."""


SHORTLIST: Final = 32768
"""Tokens that a draft is chosen from. A byte-pair tokenizer numbers its tokens by how common they
were, so these are nearly all that is ever said, and cost a fifth of the whole output matrix."""


def parts(architecture: Architecture) -> tuple[Part, ...]:
    """The graphs that a directory of this architecture has."""
    drafting = (Part.MTP, Part.DRAFT) if architecture.mtp_layers else ()
    return (Part.TRUNK, Part.HEAD, *drafting)


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor as stored, `sources` joined along their rows.

    A matrix (`columns` > 0) of 4 or 8 bits is codes, uint8 [rows, columns / block,
    block * bits / 8] (of two 4-bit codes in a byte the first is the low half), at `offset`, and
    scales, float32 [rows, columns / block], at `scales_offset`. A matrix of 32 bits is float32
    [rows, columns], a vector (`columns` 0) float32 [rows]. Columns that do not fill the last block
    are padded with weight 0. Everything is little-endian and row by row. Without `sources` it is
    computed: see `rotary_tables`.
    """

    name: str
    file: str
    sources: tuple[str, ...]
    rows: int
    columns: int
    bits: int
    block: int
    offset: int
    scales_offset: int

    @property
    def blocks(self) -> int:
        """Blocks in a row of a quantised matrix."""
        return -(-self.columns // self.block)

    @property
    def size(self) -> int:
        """Bytes of the codes, or of the floats."""
        if self.bits == 32:
            return 4 * self.rows * max(1, self.columns)
        return self.rows * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of codes, or of floats."""
        if self.bits == 32:
            return 4 * max(1, self.columns)
        return self.blocks * self.block * self.bits // 8

    @property
    def scales_size(self) -> int:
        """Bytes of the scales; 0 for floats."""
        return 0 if self.bits == 32 else 4 * self.rows * self.blocks


def layout(architecture: Architecture, quantisation: Quantisation) -> tuple[Stored, ...]:
    """Everything a directory of this architecture stores, in the order of the files."""
    ends: dict[str, int] = {}

    def take(file: str, size: int) -> int:
        start = -(-ends.get(file, 0) // ALIGNMENT) * ALIGNMENT
        ends[file] = start + size
        return start

    placed = []
    for name, file, sources, rows, columns, bits in _wanted(architecture, quantisation):
        plain = Stored(name, file, sources, rows, columns, bits, quantisation.block, 0, 0)
        offset = take(file, plain.size)
        scales = take(file, plain.scales_size) if plain.scales_size else 0
        placed.append(
            Stored(name, file, sources, rows, columns, bits, quantisation.block, offset, scales)
        )
    return tuple(placed)


def file_sizes(stored: tuple[Stored, ...]) -> dict[str, int]:
    """Bytes of each data file."""
    sizes: dict[str, int] = {}
    for tensor in stored:
        end = max(tensor.offset + tensor.size, tensor.scales_offset + tensor.scales_size)
        sizes[tensor.file] = max(sizes.get(tensor.file, 0), end)
    return sizes


Floats = NDArray[np.float32]
_Wanted = tuple[str, str, tuple[str, ...], int, int, int]


def _wanted(a: Architecture, q: Quantisation) -> Iterator[_Wanted]:
    embedding = ("model.embed_tokens.weight",)
    yield "embedding", EMBEDDING_FILE, embedding, a.vocabulary, a.hidden, q.embedding_bits
    for layer in range(a.layers):
        yield from _layer(f"layers.{layer}", f"model.layers.{layer}", TRUNK_FILE, a, q)
    for table in ROTARY:
        yield table, TRUNK_FILE, (), a.context, a.head_size // 2, 32
    yield "norm", TRUNK_FILE, ("model.norm.weight",), a.hidden, 0, 32
    head = embedding if a.tied else ("lm_head.weight",)
    yield "head", HEAD_FILE, head, a.vocabulary, a.hidden, q.head_bits
    if a.mtp_layers:
        for norm in ("token_layernorm", "hidden_layernorm", "final_layernorm"):
            yield f"mtp.{norm}", MTP_FILE, (f"{MTP}.{norm}.weight",), a.hidden, 0, 32
        source = (f"{MTP}.input_proj.weight",)
        yield "mtp.input", MTP_FILE, source, a.hidden, 2 * a.hidden, q.mtp_input_bits
        yield from _layer("mtp", MTP, MTP_FILE, a, q)


def _layer(
    name: str, source: str, file: str, a: Architecture, q: Quantisation
) -> Iterator[_Wanted]:
    def of(*parts: str, kind: str = "weight") -> tuple[str, ...]:
        return tuple(f"{source}.{part}.{kind}" for part in parts)

    qkv = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    outputs, width = (a.heads + 2 * a.kv_heads) * a.head_size, a.heads * a.head_size
    yield f"{name}.input_norm", file, of("input_layernorm"), a.hidden, 0, 32
    yield f"{name}.qkv", file, of(*qkv), outputs, a.hidden, q.bits
    if a.qkv_bias:
        yield f"{name}.qkv_bias", file, of(*qkv, kind="bias"), outputs, 0, 32
    yield f"{name}.o", file, of("self_attn.o_proj"), a.hidden, width, q.bits
    yield f"{name}.post_norm", file, of("post_attention_layernorm"), a.hidden, 0, 32
    gate_up = of("mlp.gate_proj", "mlp.up_proj")
    yield f"{name}.gate_up", file, gate_up, 2 * a.intermediate, a.hidden, q.bits
    yield f"{name}.down", file, of("mlp.down_proj"), a.hidden, a.intermediate, q.bits


def rotary_tables(architecture: Architecture) -> tuple[Floats, Floats]:
    """The arrays ROTARY: cosines and sines of position * theta^(-2i / head_size).

    Source: Su et al., "RoFormer", section 3.2.2.
    """
    half = architecture.head_size // 2
    speeds = architecture.rope_theta ** (-np.arange(half, dtype=np.float64) / half)
    angles = np.arange(architecture.context, dtype=np.float64)[:, None] * speeds
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
