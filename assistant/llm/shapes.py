"""Models of the true dimensions with random weights: what speed and memory can be measured on.

A checkpoint's numbers don't matter to how long a pass takes, so a machine's owner learns what
MiMo-7B will be like without fetching 15 GB first.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import onnx

from assistant.llm.architecture import Architecture, Family
from assistant.llm.layout import ROTARY, Floats, Stored, file_sizes, layout, parts, rotary_tables
from assistant.llm.quantisation import Quantisation

MIMO_7B: Final = Architecture(
    family=Family.MIMO,
    hidden=4096,
    layers=36,
    heads=32,
    kv_heads=8,
    head_size=128,
    intermediate=11008,
    vocabulary=151680,
    context=32768,
    rope_theta=640_000.0,
    rms_eps=1e-5,
    qkv_bias=True,
    mtp_layers=1,
)
"""config.json of XiaomiMiMo/MiMo-7B-RL. That of MiMo-7B-RL-0530 allows twice the context."""

SHAPES: Final = {"mimo-7b": MIMO_7B}
_CHUNK: Final = 32 << 20


def write_random(
    folder: Path,
    architecture: Architecture,
    quantisation: Quantisation,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seed: int = 0,
) -> None:
    """Write graphs and data files of a model that nobody trained into `folder`.

    `progress` is told bytes written and bytes in all. The same seed gives the same bytes.
    """
    from assistant.llm.graph import build_graph

    folder.mkdir(parents=True, exist_ok=True)
    stored = layout(architecture, quantisation)
    for part in parts(architecture):
        onnx.save(build_graph(part, architecture, quantisation), folder / f"{part.value}.onnx")
    sizes = file_sizes(stored)
    total = sum(s.size + s.scales_size for s in stored)
    tables = dict(zip(ROTARY, rotary_tables(architecture), strict=True))
    # Every matrix differs: onnxruntime keeps one copy of those that are alike.
    generator = np.random.default_rng(seed)
    done = 0
    for file, size in sizes.items():
        with (folder / file).open("wb") as sink:
            os.truncate(sink.fileno(), size)
            for tensor in (s for s in stored if s.file == file):
                sink.seek(tensor.offset)
                if tensor.name in tables:
                    sink.write(tables[tensor.name].tobytes())
                elif tensor.bits == 32:
                    sink.write(_floats(tensor, generator).tobytes())
                else:
                    for start in range(0, tensor.size, _CHUNK):
                        sink.write(generator.bytes(min(_CHUNK, tensor.size - start)))
                    sink.seek(tensor.scales_offset)
                    sink.write(np.full(tensor.scales_size // 4, _scale(tensor), "<f4").tobytes())
                done += tensor.size + tensor.scales_size
                progress(done, total)


def _floats(tensor: Stored, generator: np.random.Generator) -> Floats:
    """Norms of ones, small biases, and weights that keep the size of what they multiply."""
    if not tensor.columns:
        return np.full(tensor.rows, 0.0 if tensor.name.endswith("bias") else 1.0, "<f4")
    weights = generator.standard_normal((tensor.rows, tensor.columns), np.float32)
    scaled: Floats = (weights / tensor.columns**0.5).astype("<f4")
    return scaled


def _scale(tensor: Stored) -> float:
    """Uniform codes of b bits spread by 2^b / sqrt(12); the product keeps the size of its input."""
    return float(12**0.5 / 2**tensor.bits / tensor.columns**0.5)
