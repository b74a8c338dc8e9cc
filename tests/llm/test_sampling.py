from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from assistant.errors import LlmError
from assistant.llm.model import GREEDY, Sampling
from assistant.llm.sampling import Chooser

NAN, INF = float("nan"), float("inf")


def f32(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def of_shares(*shares: float) -> NDArray[np.float32]:
    """Logits, shifted somewhere, of a model that gives these probabilities."""
    with np.errstate(divide="ignore"):
        return (np.log(np.array(shares, np.float64)) + 17.5).astype(np.float32)


def drawn(sampling: Sampling, logits: NDArray[np.float32], times: int) -> Counter[int]:
    chooser = Chooser(sampling)
    return Counter(chooser.choose(logits) for _ in range(times))


def fits(counts: Counter[int], shares: dict[int, float]) -> bool:
    """Whether the counts may come from these shares (chi-square, at about five deviations)."""
    if set(counts) - set(shares):
        return False
    total = counts.total()
    distance = sum((counts[t] - total * s) ** 2 / (total * s) for t, s in shares.items())
    freedom = len(shares) - 1
    return distance <= freedom + 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize(
    ("logits", "best"),
    [
        (f32(1, 3, 2), 1),
        (f32(2, 5, 5, 1, 5), 1),
        (f32(-INF, -1e30, -INF), 1),
        (f32(0, 0), 0),
        (f32(-3), 0),
    ],
)
@pytest.mark.parametrize("sampling", [GREEDY, Sampling(1e-9, top_p=0.5), Sampling(5e-324)])
def test_greedy_takes_the_best_and_the_first_of_equals(
    logits: NDArray[np.float32], best: int, sampling: Sampling
) -> None:
    assert Chooser(sampling).choose(logits) == best


@pytest.mark.parametrize(
    ("sampling", "shares"),
    [
        (Sampling(1.0), {0: 0.05, 1: 0.5, 2: 0.15, 3: 0.3}),
        # A temperature of 1/2 squares what each is probable: .0025 .25 .0225 .09 of .365
        (Sampling(0.5), {0: 0.00685, 1: 0.68493, 2: 0.06164, 3: 0.24658}),
        (Sampling(1.0, min_p=0.25), {1: 0.5 / 0.95, 2: 0.15 / 0.95, 3: 0.3 / 0.95}),
        (Sampling(1.0, top_p=0.79), {1: 0.625, 3: 0.375}),
        (Sampling(1.0, top_p=0.81), {1: 0.5 / 0.95, 2: 0.15 / 0.95, 3: 0.3 / 0.95}),
        (Sampling(1.0, top_p=0.01), {1: 1.0}),
        (Sampling(1.0, min_p=1.0), {1: 1.0}),
        # The temperature comes first: min_p 0.2 of .68493 leaves two, at temperature 1 three.
        (Sampling(0.5, min_p=0.2), {1: 0.73529, 3: 0.26471}),
        # top_p counts what min_p left: .84 of .95 is reached by two, of the whole by three.
        (Sampling(1.0, min_p=0.25, top_p=0.84), {1: 0.625, 3: 0.375}),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_tokens_are_drawn_as_often_as_the_settings_say(
    sampling: Sampling, shares: dict[int, float], seed: int
) -> None:
    seeded = Sampling(sampling.temperature, sampling.top_p, sampling.min_p, seed)
    logits = of_shares(0.05, 0.5, 0.15, 0.3, 0.0)
    assert fits(drawn(seeded, logits, 5_000), shares)


def test_the_distribution_of_a_true_vocabulary_is_kept() -> None:
    logits = np.random.default_rng(0).normal(0, 2, 151_680).astype(np.float32)
    shares = np.exp(logits.astype(np.float64) / 0.9 - (logits / 0.9).max())
    order = np.argsort(-shares)
    kept = order[: int(np.searchsorted(np.cumsum(shares[order]), 0.5 * shares.sum())) + 1]
    assert len(kept) > 600
    counts = drawn(Sampling(0.9, top_p=0.5, seed=3), logits, 300)
    assert set(counts) <= set(kept.tolist())
    half = int(np.searchsorted(np.cumsum(shares[kept]), 0.5 * shares[kept].sum()))
    assert 110 < sum(counts[int(t)] for t in kept[:half]) < 190


def test_a_seed_repeats_and_without_one_answers_differ() -> None:
    logits = np.zeros(1000, np.float32)

    def some(seed: int | None) -> list[int]:
        chooser = Chooser(Sampling(1.0, seed=seed))
        return [chooser.choose(logits) for _ in range(20)]

    assert some(5) == some(5)
    assert some(5) != some(6)
    assert some(None) != some(None)


@given(
    st.lists(st.one_of(st.just(-INF), st.floats(-50, 50, width=32)), min_size=1, max_size=300),
    st.floats(0, 5),
    st.floats(0.001, 1),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_what_is_ruled_out_is_never_chosen(
    values: list[float], temperature: float, top_p: float, min_p: float, seed: int
) -> None:
    logits = f32(*values)
    chooser = Chooser(Sampling(temperature, top_p, min_p, seed))
    if max(values) == -INF:
        with pytest.raises(LlmError, match="ruled out"):
            chooser.choose(logits)
    else:
        token = chooser.choose(logits)
        assert logits[token] > -INF
        assert math.isfinite(chooser.logprob(logits, token))


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(0.7, top_p=0.9)])
@pytest.mark.parametrize("logits", [f32(1, NAN, 2), f32(NAN, NAN), f32(0, INF), f32(-INF, NAN)])
def test_a_damaged_model_is_noticed(sampling: Sampling, logits: NDArray[np.float32]) -> None:
    chooser = Chooser(sampling)
    with pytest.raises(LlmError, match="damaged"):
        chooser.choose(logits)
    with pytest.raises(LlmError, match="damaged"):
        chooser.logprob(logits, 0)


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=200), st.data())
def test_logprobs_are_those_of_the_plain_softmax(values: list[float], data: st.DataObject) -> None:
    token = data.draw(st.integers(0, len(values) - 1))
    best = max(values)
    total = math.fsum(math.exp(v - best) for v in values)
    expected = values[token] - best - math.log(total)
    # Of any settings: it is what the model itself holds of the token.
    found = Chooser(Sampling(0.3, top_p=0.1)).logprob(f32(*values), token)
    assert found == pytest.approx(expected, abs=1e-3, rel=1e-5)


def test_the_logprob_of_what_is_ruled_out() -> None:
    assert Chooser(GREEDY).logprob(f32(0, -INF), 1) == -INF
    assert Chooser(GREEDY).logprob(f32(0, -INF), 0) == 0


@pytest.mark.parametrize(
    ("sampling", "named"),
    [
        (Sampling(-0.1), "temperature"),
        (Sampling(NAN), "temperature"),
        (Sampling(INF), "temperature"),
        (Sampling(1, top_p=0), "top_p"),
        (Sampling(1, top_p=1.1), "top_p"),
        (Sampling(1, min_p=-0.1), "min_p"),
        (Sampling(1, min_p=1.5), "min_p"),
        (Sampling(1, seed=-1), "seed"),
    ],
)
def test_senseless_settings_are_refused_by_name(sampling: Sampling, named: str) -> None:
    with pytest.raises(LlmError, match=named):
        Chooser(sampling)
