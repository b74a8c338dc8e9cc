"""What a home is expected to look like, and how far it is from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assistant.home.model import State, StateValue


@dataclass(frozen=True, slots=True)
class Between:
    """Any number from `low` to `high`, both included."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


Wanted = StateValue | Between
Expected = Mapping[str, Mapping[str, Wanted]]
"""Wanted values by state key by device id."""


def meets(actual: StateValue, wanted: Wanted) -> bool:
    """Whether a state value is as wanted."""
    if isinstance(wanted, Between):
        number = isinstance(actual, int | float) and not isinstance(actual, bool)
        return number and wanted.low <= actual <= wanted.high  # type: ignore[operator]
    return actual == wanted


def shortfalls(states: Mapping[str, State], expected: Expected) -> list[str]:
    """What in `states` is not as expected, one line each; empty: all is well."""
    lines = []
    for device, keys in expected.items():
        state = states.get(device)
        if state is None:
            lines.append(f"{device} is not there")
            continue
        lines += [
            f"{device} {key} is {state.get(key)}, not {wanted}"
            for key, wanted in keys.items()
            if not meets(state.get(key), wanted)
        ]
    return lines
