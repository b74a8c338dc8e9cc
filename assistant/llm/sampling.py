"""Which token comes next: greedily or by chance, and how probable the model thought it.

By chance, the logits are divided by the temperature first; of the probabilities that this makes
`min_p` drops those too far below the best, and `top_p` keeps of the rest, shared out anew, the most
probable ones. It is the order of vLLM, so that the same settings mean the same there.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from assistant.errors import LlmError
from assistant.llm.model import Sampling

_COLDEST: Final = 1e-5
"""Temperatures below are 0: dividing float32 logits by them tells nothing but the best apart."""
_LEAST: Final = float(np.finfo(np.float32).tiny)
"""Shares of the best token's probability that still count as possible."""

Logits = NDArray[np.float32]


class Chooser:
    """Chooses tokens for one answer, each choice with at most one draw of its random numbers.

    Raises LlmError where the settings make no sense.
    """

    def __init__(self, sampling: Sampling) -> None:
        _check(sampling)
        self.sampling = sampling
        self._random = np.random.default_rng(sampling.seed)

    @property
    def greedy(self) -> bool:
        """Whether it always takes the most probable token."""
        return self.sampling.temperature < _COLDEST

    def choose(self, logits: Logits) -> int:
        """The next token, from float32 [vocabulary]; a logit of -inf is a token not allowed.

        Greedily the lowest of those equally good. Raises LlmError: no token is allowed, or the
        logits hold NaN or +inf.
        """
        if self.greedy:
            best = int(logits.argmax())  # of a NaN too: it counts as the greatest
            _check_best(logits[best])
            return best
        tokens, shares = self._candidates(logits)
        sums = np.cumsum(shares, dtype=np.float64)
        drawn = self._random.random() * sums[-1]
        place = int(np.searchsorted(sums, drawn, side="right"))
        return int(tokens[min(place, len(tokens) - 1)])

    def logprob(self, logits: Logits, token: int) -> float:
        """Natural logarithm of the probability of `token`, as the model itself sees it.

        From the logits as they are, whatever the temperature: pass them without a mask. Raises
        LlmError as `choose` does.
        """
        best = logits.max()
        _check_best(best)
        total = float(np.exp(logits - best).sum())
        return float(logits[token]) - float(best) - math.log(total)

    def _candidates(self, logits: Logits) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Tokens that may be drawn, and their shares (above 0, of any sum)."""
        best = logits.max()
        _check_best(best)
        with np.errstate(over="ignore"):  # far below the best at a low temperature: -inf is right
            scaled = (logits - best) / np.float32(self.sampling.temperature)
        shares = np.exp(scaled, out=scaled)
        least = max(self.sampling.min_p, _LEAST)  # the best has 1
        if self.sampling.top_p >= 1:
            tokens = np.flatnonzero(shares >= least)
            return tokens, shares[tokens]
        total = float(shares.sum(where=shares >= least, dtype=np.float64))
        # Tokens below this do not make up the rest beside `top_p` even if all were: the others
        # reach it without them. Most of a vocabulary need not be sorted then.
        rest = (1 - self.sampling.top_p) * total / len(shares)
        tokens = np.flatnonzero(shares >= max(least, rest))
        tokens = tokens[np.argsort(-shares[tokens], kind="stable")]
        sums = np.cumsum(shares[tokens], dtype=np.float64)
        # The token with which the share is reached still belongs to those kept.
        kept = tokens[: int(np.searchsorted(sums, self.sampling.top_p * total)) + 1]
        return kept, shares[kept]


def _check(sampling: Sampling) -> None:
    if not (math.isfinite(sampling.temperature) and sampling.temperature >= 0):
        raise LlmError(f"temperature {sampling.temperature} can't be used; choose 0 or more")
    if not 0 < sampling.top_p <= 1:
        raise LlmError(f"top_p {sampling.top_p} can't be used; choose more than 0, at most 1")
    if not 0 <= sampling.min_p <= 1:
        raise LlmError(f"min_p {sampling.min_p} can't be used; choose 0 to 1")
    if sampling.seed is not None and sampling.seed < 0:
        raise LlmError(f"seed {sampling.seed} can't be used; choose 0 or more")


def _check_best(best: np.float32) -> None:
    if np.isneginf(best):
        raise LlmError("the language model has no token left to go on with: all are ruled out")
    if not np.isfinite(best):
        raise LlmError(
            "the language model computed nonsense (NaN or infinite logits): its files are damaged; "
            "build it anew with: assistant models build"
        )
