from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from assistant.llm.export.quantise import NotFiniteError, Quantised, dequantise, quantise

Floats = NDArray[np.float32]
CASES = [(bits, block) for bits in (4, 8) for block in (32, 64, 128)]


def random(rows: int, columns: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((rows, columns), np.float32)


def relative(result: Quantised) -> float:
    return float((result.error / result.weight) ** 0.5)


@pytest.mark.parametrize(("bits", "block"), CASES)
@pytest.mark.parametrize("columns", [128, 96, 129, 1])
def test_the_kernel_that_runs_them_reads_the_same_weights(
    bits: int, block: int, columns: int
) -> None:
    weights = random(24, columns)
    result = quantise(weights, bits, block)
    blocks = -(-columns // block)
    assert result.codes.dtype == np.uint8
    assert result.codes.shape == (24, blocks, block * bits // 8)
    assert result.scales.dtype == np.float32
    assert result.scales.shape == (24, blocks)
    node = helper.make_node(
        "MatMulNBits", ["x", "codes", "scales"], ["y"], domain="com.microsoft",
        K=columns, N=24, bits=bits, block_size=block,
    )  # fmt: skip
    arrays = [
        onnx.numpy_helper.from_array(result.codes, "codes"),
        onnx.numpy_helper.from_array(result.scales.reshape(-1), "scales"),
    ]
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [columns, columns])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [columns, 24])],
        arrays,
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (run,) = session.run(None, {"x": np.eye(columns, dtype=np.float32)})
    np.testing.assert_allclose(
        run.T, dequantise(result.codes, result.scales, bits, columns), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(("bits", "block"), CASES)
def test_the_error_told_is_the_one_made(bits: int, block: int) -> None:
    weights = random(40, 200, seed=1) * 0.02
    result = quantise(weights, bits, block)
    lost = dequantise(result.codes, result.scales, bits, 200) - weights
    assert result.weight == pytest.approx(float((weights**2).sum()), rel=1e-5)
    assert result.error == pytest.approx(float((lost**2).sum()), rel=1e-4)


@pytest.mark.parametrize(
    ("bits", "block", "plain", "searched"),
    [
        (4, 32, 0.087, 0.0815),
        (4, 64, 0.096, 0.0905),
        (4, 128, 0.104, 0.0972),
        (8, 32, 0.0055, 0.0052),
        (8, 64, 0.0061, 0.0058),
    ],
)
def test_a_search_for_the_scales_lowers_the_error_of_normal_weights(
    bits: int, block: int, plain: float, searched: float
) -> None:
    weights = random(256, 1024)
    assert searched < relative(quantise(weights, bits, block, search=False)) <= plain
    assert relative(quantise(weights, bits, block)) <= searched


@pytest.mark.parametrize("bits", [4, 8])
def test_all_codes_are_used_whichever_sign_the_extremes_have(bits: int) -> None:
    weights = random(512, 64)
    for sign in (1, -1):
        codes = quantise(sign * weights, bits, 64, search=False).codes
        if bits == 4:
            codes = np.stack((codes & 15, codes >> 4))
        assert len(np.unique(codes)) == 1 << bits
    assert quantise(-weights, bits, 64).error == pytest.approx(quantise(weights, bits, 64).error)


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 5),
    columns=st.integers(1, 200),
    size=st.sampled_from([1e-38, 1e-20, 1e-3, 1.0, 1e6, 1e14]),
    empty=st.booleans(),
    case=st.sampled_from(CASES),
)
def test_no_weight_is_further_off_than_its_block_allows(
    seed: int, rows: int, columns: int, size: float, empty: bool, case: tuple[int, int]
) -> None:
    bits, block = case
    weights = np.random.default_rng(seed).uniform(-size, size, (rows, columns)).astype(np.float32)
    if empty:
        weights[0] = 0
    for search in (False, True):
        result = quantise(weights, bits, block, search=search)
        again = dequantise(result.codes, result.scales, bits, columns)
        assert again.shape == weights.shape
        # Half a step, or what is clipped beyond the last code, which the search allows for.
        share = 0.5 if search else 1.01 / (1 << (bits - 1))
        assert np.abs(again - weights).max() <= max(share * np.abs(weights).max(), 1e-30)
        assert (again[0] == 0).all() or not empty


def test_a_search_never_makes_a_block_worse() -> None:
    for seed, tail in ((0, 2.0), (1, 5.0), (2, 100.0)):
        weights = np.random.default_rng(seed).standard_t(tail, (200, 64)).astype(np.float32)
        for row in weights:
            plain = quantise(row[None], 4, 64, search=False)
            assert quantise(row[None], 4, 64).error <= plain.error * (1 + 1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e20])
def test_senseless_weights_are_noticed(value: float) -> None:
    weights = random(8, 64)
    weights[5, 17] = value
    with pytest.raises(NotFiniteError):
        quantise(weights, 4, 32)


def test_results_do_not_depend_on_how_rows_are_cut() -> None:
    weights = random(3000, 96)
    whole = quantise(weights, 4, 32)
    parts = [quantise(weights[start : start + 7], 4, 32) for start in range(0, 3000, 7)]
    np.testing.assert_array_equal(whole.codes, np.concatenate([p.codes for p in parts]))
    np.testing.assert_array_equal(whole.scales, np.concatenate([p.scales for p in parts]))
