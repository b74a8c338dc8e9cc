"""What need not be computed of a prompt, because its beginning is known from earlier ones.

Prompts of one house begin alike: the rules and the home, then the dialogue so far. What the
sequence holds of a prompt is left there; what something else has taken the place of is read back,
from memory or from the disk, where it was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from assistant.llm import memory
from assistant.llm.decoder import Decoder, Floats
from assistant.llm.prefix import PrefixStore, key

_WORTH_RESTORING: Final = 64
"""Tokens that a restored prefix must spare: below, computing them is as quick."""
_KEPT: Final = 8
"""Prefixes remembered: one for each home and language in use, and those before the last changes."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A sequence, and what was computed of it, in memory."""

    tokens: list[int]
    arrays: list[Floats]


def copied(decoder: Decoder) -> Copy | None:
    """A copy of the decoder's sequence; None: not worth it, or no memory is spare."""
    views = decoder.snapshot(len(decoder.tokens))
    if len(decoder.tokens) < _WORTH_RESTORING:
        return None
    if not memory.spares(sum(view.nbytes for view in views)):
        return None
    return Copy(list(decoder.tokens), [view.copy() for view in views])


class Beginnings:
    """Those kept in `store`, if there is one. Only those that were asked about are known."""

    def __init__(self, store: PrefixStore | None) -> None:
        self._store = store
        self._kept: dict[str, list[int]] = {}

    def place(self, decoder: Decoder, tokens: Sequence[int], copy: Copy | None = None) -> None:
        """Bring `decoder` to a beginning of `tokens`: the longest that need not be computed."""
        self._restore(decoder, tokens)
        if copy is not None and len(copy.tokens) > _shared(decoder.tokens, tokens):
            for array, computed in zip(
                decoder.snapshot(len(copy.tokens)), copy.arrays, strict=True
            ):
                array[...] = computed
            decoder.restored(copy.tokens)
        decoder.rollback(_shared(decoder.tokens, tokens))

    def recall(self, decoder: Decoder, tokens: list[int]) -> bool:
        """Bring `decoder` to `tokens` if they are kept; whether its sequence begins with them."""
        name = _key(decoder, tokens)
        if self._store is None or self._store.meta(name) is None:
            return False
        self._remember(name, tokens)
        self._restore(decoder, tokens)
        return _shared(decoder.tokens, tokens) == len(tokens)

    def keep(self, decoder: Decoder, tokens: list[int]) -> None:
        """Keep what `decoder` has computed of `tokens`, with which its sequence begins."""
        if self._store is not None:
            name = _key(decoder, tokens)
            self._store.save(name, decoder.snapshot(len(tokens)))
            self._remember(name, tokens)

    def forget(self) -> None:
        """Know none any more: they are another model's."""
        self._kept.clear()

    def _restore(self, decoder: Decoder, tokens: Sequence[int]) -> None:
        """Read the longest kept prefix of `tokens` back, where that spares more than it costs."""
        here = _shared(decoder.tokens, tokens)
        known = [
            (len(kept), name)
            for name, kept in self._kept.items()
            if _shared(kept, tokens) == len(kept) <= decoder.context
        ]
        length, name = max(known, default=(0, ""))
        if self._store is None or length < here + _WORTH_RESTORING:
            return
        kept = self._kept[name]
        arrays = decoder.snapshot(length)
        decoder.rollback(0)
        if self._store.load_into(name, arrays) is None:
            del self._kept[name]
        else:
            decoder.restored(kept)

    def _remember(self, name: str, tokens: list[int]) -> None:
        self._kept.pop(name, None)
        self._kept[name] = tokens
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]


def _key(decoder: Decoder, tokens: Sequence[int]) -> str:
    d = decoder.directory
    weights = " ".join(file.sha256 for _, file in sorted(d.files.items())) or d.built
    shape = [array.shape[0] for array in decoder.snapshot(0)]
    return key(f"{weights} {shape}", "", tokens)  # what the template made is in the tokens


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    n = min(len(first), len(second))
    differing = np.flatnonzero(np.array(first[:n]) != np.array(second[:n]))
    return int(differing[0]) if len(differing) else n
