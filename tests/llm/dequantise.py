"""Weights as a model directory stores them, under the names of the checkpoint they came from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assistant.llm.directory import ModelDirectory
from assistant.llm.export.sources import source_shapes
from assistant.llm.layout import Stored, layout


def stored_weights(directory: ModelDirectory) -> dict[str, NDArray[np.float32]]:
    """All weights as float32: what the codes stand for, split into the tensors they were joined
    from."""
    return {
        source: part
        for tensor in layout(directory.architecture, directory.quantisation)
        if tensor.sources
        for source, part in zip(tensor.sources, _parts(directory, tensor), strict=True)
    }


def _parts(directory: ModelDirectory, tensor: Stored) -> list[NDArray[np.float32]]:
    return np.split(_floats(directory, tensor), np.cumsum(_rows(directory, tensor))[:-1])


def _rows(directory: ModelDirectory, tensor: Stored) -> list[int]:
    shapes = source_shapes(tensor, directory.architecture)
    return [shapes[source][0] for source in tensor.sources]


def _floats(directory: ModelDirectory, tensor: Stored) -> NDArray[np.float32]:
    data = np.memmap(directory.folder / tensor.file, np.uint8, "r")
    raw = data[tensor.offset : tensor.offset + tensor.size]
    if tensor.bits == 32:
        shape = (tensor.rows, tensor.columns) if tensor.columns else (tensor.rows,)
        return raw.view("<f4").reshape(shape)
    codes = raw if tensor.bits == 8 else np.stack([raw & 15, raw >> 4], axis=-1)
    codes = codes.reshape(tensor.rows, tensor.blocks, tensor.block).astype(np.float32)
    end = tensor.scales_offset + tensor.scales_size
    scales = data[tensor.scales_offset : end].view("<f4").reshape(tensor.rows, tensor.blocks, 1)
    floats: NDArray[np.float32] = (codes - 2 ** (tensor.bits - 1)) * scales
    return floats.reshape(tensor.rows, -1)[:, : tensor.columns]
