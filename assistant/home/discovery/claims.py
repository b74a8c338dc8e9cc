"""Which entity gets which id, whatever order they come in."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """An entity's wish. `key` is its own; `identity` it shares with its double, if it has one."""

    key: str
    identity: str
    wanted_id: str


class Claims:
    """Decides by the keys alone: of two that want one id the lower key gets it, the other a longer
    one; of two configurations of one entity the lower key counts, the other gets none."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}
        self._by_identity: defaultdict[str, set[str]] = defaultdict(set)
        self._by_wanted: defaultdict[str, set[str]] = defaultdict(set)

    def put(self, claim: Claim) -> set[str]:
        """Add a claim, or replace the one of the same key; the keys whose id may have changed."""
        touched = self.remove(claim.key)
        self._claims[claim.key] = claim
        self._by_identity[claim.identity].add(claim.key)
        self._by_wanted[claim.wanted_id].add(claim.key)
        return touched | self._touched(claim)

    def remove(self, key: str) -> set[str]:
        """Take a claim back; the keys whose id may have changed."""
        if key not in self._claims:
            return set()
        claim = self._claims[key]
        touched = self._touched(claim) - {key}
        del self._claims[key]
        for index, value in (
            (self._by_identity, claim.identity),
            (self._by_wanted, claim.wanted_id),
        ):
            index[value].discard(key)
            if not index[value]:
                del index[value]
        return touched

    def original(self, key: str) -> str:
        """The key of the configuration that counts for this entity; mostly `key` itself."""
        return min(self._by_identity[self._claims[key].identity])

    def id_of(self, key: str) -> str | None:
        """The id that an entity gets; None where another configuration of it counts."""
        if self.original(key) != key:
            return None
        wanted = self._claims[key].wanted_id
        first = min(k for k in self._by_wanted[wanted] if self.original(k) == k)
        if first == key:
            return wanted
        # The hyphen is in no id that can be wished for, so this is nobody else's.
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        return f"{wanted}-{digest[:8]}"

    def _touched(self, claim: Claim) -> set[str]:
        doubles = self._by_identity[claim.identity]
        wanted = {self._claims[key].wanted_id for key in doubles} | {claim.wanted_id}
        return doubles.union(*(self._by_wanted.get(w, set()) for w in wanted))
