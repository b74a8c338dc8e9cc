"""The decoder computes what the checkpoint's own implementation computes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from assistant.llm.decoder import Decoder, Runtime
from assistant.llm.directory import ModelDirectory
from assistant.llm.quantisation import Quantisation
from tests.llm.dequantise import stored_weights
from tests.llm.fake import build_tiny, config, random_arrays
from tests.llm.parity.reference import Reference

pytestmark = pytest.mark.parity

PLAIN = Quantisation(bits=32, head_bits=32, embedding_bits=32, mtp_input_bits=32)
LAYOUTS = [
    pytest.param({}, id="mimo"),
    pytest.param({"tied": True}, id="mimo tied"),
    pytest.param({"shards": 5, "layers": 4, "kv_heads": 4}, id="mimo 5 shards"),
    pytest.param({"shards": 1, "mtp": False}, id="mimo without MTP"),
    pytest.param({"hidden": 96, "head_size": 32, "intermediate": 160}, id="mimo odd sizes"),
    pytest.param({"family": "qwen2", "tied": True}, id="qwen2 tied"),
    pytest.param({"family": "llama"}, id="llama"),
]
QUANTISED = [
    pytest.param(Quantisation(bits=4, block=32), id="4 bits, 32"),
    pytest.param(Quantisation(bits=4, block=64, search=False), id="4 bits, 64"),
    pytest.param(Quantisation(bits=4, block=128), id="4 bits, 128"),
    pytest.param(
        Quantisation(bits=4, block=64, head_bits=8, embedding_bits=8, mtp_input_bits=8),
        id="4 bits, sensitive 8",
    ),
    pytest.param(
        Quantisation(bits=8, block=32, head_bits=8, embedding_bits=8, mtp_input_bits=8), id="8 bits"
    ),
]
TOKENS = np.random.default_rng(5).integers(0, 300, 48).tolist()


def _build(folder: Path, quantisation: Quantisation, dims: dict[str, Any]) -> ModelDirectory:
    return build_tiny(folder, quantisation=quantisation, dtype="F32", seed=11, **dims)


def _logits(decoder: Decoder) -> NDArray[np.float32]:
    """Logits after each of TOKENS, computed as in use: a prompt, single tokens, several at once."""
    decoder.rollback(0)
    cuts = [0, 20, 21, 22, 24, 29, 48]
    rows = [decoder.append(TOKENS[a:b]).normed for a, b in itertools.pairwise(cuts)]
    return decoder.logits(np.concatenate(rows))


def _mtp_logits(decoder: Decoder) -> NDArray[np.float32]:
    """The MTP layer's logits after each pair, through the same caches that drafts use."""
    decoder.rollback(0)
    rows = []
    for token in TOKENS[:-1]:
        decoder.append([token])
        rows.append(decoder.draft_rows(TOKENS[len(decoder.tokens)]))
    return decoder.logits(np.concatenate(rows))


@pytest.mark.parametrize("dims", LAYOUTS)
def test_unquantised_logits_are_those_of_transformers(tmp_path: Path, dims: dict[str, Any]) -> None:
    directory = _build(tmp_path, PLAIN, dims)
    settings = config(**{k: v for k, v in dims.items() if k != "shards"})
    reference = Reference(directory.architecture, random_arrays(settings, seed=11))
    decoder = Decoder(directory, Runtime(context=64))
    np.testing.assert_allclose(_logits(decoder), reference.logits(TOKENS), rtol=0, atol=1e-4)
    if decoder.drafts:
        expected = reference.mtp_logits(TOKENS)
        np.testing.assert_allclose(_mtp_logits(decoder), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("quantisation", QUANTISED)
@pytest.mark.parametrize("dims", LAYOUTS)
def test_quantised_logits_are_those_of_the_same_weights(
    tmp_path: Path, dims: dict[str, Any], quantisation: Quantisation
) -> None:
    """With float arithmetic, exactly; with integers, as it is run, within a hundredth."""
    # Layers of random weights as strong as their input multiply every rounding; trained ones, and
    # these of a quarter, add a little to it.
    directory = _build(tmp_path, quantisation, {**dims, "gain": 0.25})
    reference = Reference(directory.architecture, stored_weights(directory))
    expected = reference.logits(TOKENS)
    assert _error(_logits(Decoder(directory, Runtime(context=64))), expected) < 1e-2
    if directory.architecture.mtp_layers:
        drafts = _mtp_logits(Decoder(directory, Runtime(context=64)))
        assert _error(drafts, reference.mtp_logits(TOKENS)) < 1e-2
    _compute_in_floats(directory.folder)
    np.testing.assert_allclose(
        _logits(Decoder(directory, Runtime(context=64))), expected, rtol=0, atol=1e-4
    )


def _compute_in_floats(folder: Path) -> None:
    for file in folder.glob("*.onnx"):
        graph = onnx.load(file, load_external_data=False)
        for node in graph.graph.node:
            for attribute in node.attribute:
                if attribute.name == "accuracy_level":
                    attribute.i = 1
        onnx.save(graph, file)


def _error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
