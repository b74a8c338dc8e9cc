"""Reading a sentence: every way in which the templates can mean it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from assistant.understand.automaton import START, Accept, Automaton, ListKey, Subset
from assistant.understand.lattice import Found, Lattice, Trie, walk
from assistant.understand.numbers import NumberRange, NumberWords

FREE: Final = "*"
"""What the automaton knows free text by: one word or more, whatever they are."""
_MOST_PARTIAL: Final = 48
"""Ways to one place that are followed further; the cheapest, and those with most words fixed."""

_EXACT: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a list. Not `exact`: it is another form of what it stands for, which costs."""

    value: Any
    exact: bool = True
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: a trie of Entries, and words within its values that may be said or not."""

    trie: Trie
    skips: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a sentence that a list of the template held: the words from node `start` on."""

    name: str
    value: Any
    start: int
    end: int
    free: bool = False
    exact: bool = True
    changed: bool = False
    """Some of its words are others than those that were heard."""


Change = tuple[int, int, str | None]
"""The nodes between which words were heard, and the word for which they were taken, if any."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One way in which the templates mean a sentence."""

    accept: Accept
    slots: tuple[Slot, ...]
    fixed: int
    """Words that stand in the template itself."""
    cost: float
    changes: tuple[Change, ...] = ()
    """Words of the template that are others than those heard, and words that were left out."""


def read(
    automaton: Automaton,
    lattice: Lattice,
    listings: Mapping[str, Listing],
    numbers: NumberWords,
    limit: float = 0.0,
) -> list[Reading]:
    """All readings of the whole sentence that cost at most `limit`; none twice.

    `listings` has each list that the automaton knows by a name. Takes time in
    proportion to the words and the readings, not to the templates.
    """
    return list(_Walk(automaton, lattice, listings, numbers, limit + _EXACT).readings())


@dataclass(slots=True)
class _Way:
    """How a state was reached: the slots filled so far, in order, words fixed, and the cost."""

    slots: tuple[Slot, ...]
    fixed: int
    cost: float
    changes: tuple[Change, ...] = ()

    @property
    def rank(self) -> tuple[int, float, int]:
        return sum(slot.free for slot in self.slots), self.cost, -self.fixed


@dataclass(slots=True)
class _Walk:
    automaton: Automaton
    lattice: Lattice
    listings: Mapping[str, Listing]
    numbers: NumberWords
    limit: float
    _reached: list[dict[Subset, float]] = field(default_factory=list)
    _found: dict[tuple[ListKey, int], list[Found]] = field(default_factory=dict)
    _ending: dict[tuple[ListKey, int], list[tuple[int, Found]]] = field(default_factory=dict)
    _entering: list[list[tuple[int, str | None, float]]] = field(default_factory=list)
    _alive: dict[tuple[int, int], bool] = field(default_factory=dict)
    _ways: dict[tuple[int, int], list[_Way]] = field(default_factory=dict)
    _numbers: dict[int, list[Found]] = field(default_factory=dict)

    def readings(self) -> Iterator[Reading]:
        self._forward()
        end = self.lattice.end
        accepts = self.automaton.accepts
        states = {s for subset in self._reached[end] for s in subset.states if s in accepts}
        for state in sorted(states):
            for way in self._back(end, state):
                if way.cost <= self.limit:
                    yield Reading(accepts[state], way.slots, way.fixed, way.cost, way.changes)

    def _forward(self) -> None:
        edges, automaton = self.lattice.edges, self.automaton
        reached: list[dict[Subset, float]] = [{} for _ in edges]
        self._reached = reached
        self._entering = [[] for _ in edges]
        reached[0][automaton.begin()] = 0.0
        for node in self.lattice.order:
            for edge in edges[node]:
                self._entering[edge.end].append((node, edge.word, edge.cost))
            for subset, cost in reached[node].items():
                for edge in edges[node]:
                    spent = cost + edge.cost
                    if spent > self.limit:
                        continue
                    if edge.word is None:
                        _reach(reached[edge.end], subset, spent)
                    elif (after := automaton.after_word(subset, edge.word)) is not None:
                        _reach(reached[edge.end], after, spent)
                for key, after in automaton.open(subset).items():
                    for one in self._held(key, node):
                        if cost + one.cost <= self.limit:
                            _reach(reached[one.end], after, cost + one.cost)

    def _held(self, key: ListKey, node: int) -> list[Found]:
        """What the list `key` holds from `node` on."""
        place = (key, node)
        found = self._found.get(place)
        if found is None:
            found = self._found[place] = self._look_up(key, node)
            for one in found:
                self._ending.setdefault((key, one.end), []).append((node, one))
        return found

    def _look_up(self, key: ListKey, node: int) -> list[Found]:
        if key == FREE:
            if node > self.lattice.end:
                return []
            return [Found(None, end) for end in range(node + 1, self.lattice.end + 1)]
        if isinstance(key, NumberRange):
            if node not in self._numbers:
                self._numbers[node] = self.numbers.at(self.lattice, node, self.limit)
            return [
                Found(Entry(one.value.value), one.end, one.cost, one.changed)
                for one in self._numbers[node]
                if key.takes(one.value)
            ]
        listing = self.listings.get(key)
        if listing is None:
            return []
        return [
            replace(one, cost=one.cost + one.value.cost) if one.value.cost else one
            for one in walk(listing.trie, self.lattice, node, self.limit, listing.skips)
            if one.cost + one.value.cost <= self.limit
        ]

    def _is_alive(self, node: int, state: int) -> bool:
        place = (node, state)
        alive = self._alive.get(place)
        if alive is None:
            alive = any(state in subset.states for subset in self._reached[node])
            self._alive[place] = alive
        return alive

    def _back(self, node: int, state: int) -> list[_Way]:
        """All ways from the beginning to `state` at `node`, the best first."""
        place = (node, state)
        known = self._ways.get(place)
        if known is not None:
            return known
        best: dict[tuple[Slot, ...], _Way] = {}

        def take(
            way: _Way,
            slots: tuple[Slot, ...],
            fixed: int,
            cost: float,
            change: Change | None = None,
        ) -> None:
            changes = way.changes if change is None else (*way.changes, change)
            made = _Way((*way.slots, *slots), way.fixed + fixed, way.cost + cost, changes)
            other = best.get(made.slots)
            if made.cost <= self.limit and (other is None or made.rank < other.rank):
                best[made.slots] = made

        if place == (0, START):
            best[()] = _Way((), 0, 0.0)
        automaton = self.automaton
        for before in automaton.into_free[state]:
            if self._is_alive(node, before):
                for way in self._back(node, before):
                    take(way, (), 0, 0.0)
        by_word, by_any = automaton.into_words[state], automaton.into_any[state]
        for start, word, cost in self._entering[node]:
            # What costs nothing is as it was heard.
            change = (start, node, word) if cost else None
            if word is None:
                if self._is_alive(start, state):
                    for way in self._back(start, state):
                        take(way, (), 0, cost, change)
                continue
            before_word = [*by_word.get(word, ()), *(s for words, s in by_any if word in words)]
            for before in before_word:
                if self._is_alive(start, before):
                    for way in self._back(start, before):
                        take(way, (), 1, cost, change)
        for key, name, before in automaton.into_lists[state]:
            for start, one in self._ending.get((key, node), ()):
                if not self._is_alive(start, before):
                    continue
                slot = _slot(name, key, start, one)
                for way in self._back(start, before):
                    take(way, (slot,), 0, one.cost)
        ways = sorted(best.values(), key=lambda way: way.rank)[:_MOST_PARTIAL]
        self._ways[place] = ways
        return ways


def _slot(name: str, key: ListKey, start: int, one: Found) -> Slot:
    if key == FREE:
        return Slot(name, None, start, one.end, free=True)
    entry: Entry = one.value
    return Slot(
        name, entry.value, start, one.end, False, entry.exact and not one.loose, one.changed
    )


def _reach(nodes: dict[Subset, float], subset: Subset, cost: float) -> None:
    known = nodes.get(subset)
    if known is None or cost < known:
        nodes[subset] = cost
