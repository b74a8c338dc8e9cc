"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double up to a limit, each cut by a random share of up to a half.

    The randomness keeps the clients of a restarted broker from returning all at once.
    """

    first: float = 1.0
    """Seconds before the first new attempt, at most."""
    cap: float = 60.0
    """Seconds no wait exceeds."""

    def delay(self, failures: int) -> float:
        """Seconds to wait after `failures` attempts in a row came to nothing (0: none yet)."""
        # 2**64 seconds is beyond any cap, and keeps a year of failures from overflowing.
        longest = min(self.cap, self.first * 2.0 ** min(failures, 64))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret hangs on it
