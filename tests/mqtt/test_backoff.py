from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.mqtt.backoff import Backoff


@pytest.mark.parametrize(
    ("failures", "longest"), [(0, 1), (1, 2), (2, 4), (5, 32), (6, 60), (7, 60), (10**6, 60)]
)
def test_waits_double_up_to_the_cap(failures: int, longest: float) -> None:
    delays = {Backoff().delay(failures) for _ in range(200)}
    assert all(longest / 2 <= delay <= longest for delay in delays)
    assert len(delays) > 100, "clients must not return in step"


@given(st.integers(0, 10**9), st.floats(0.01, 10), st.floats(0.01, 1000))
def test_never_beyond_the_cap(failures: int, first: float, cap: float) -> None:
    assert 0 < Backoff(first, cap).delay(failures) <= cap
