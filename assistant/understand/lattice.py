"""A sentence as a lattice: its words, and what may have been said in their stead.

Nodes are the places between words, edges lead from one to a later one by a word of the language
or of the home. Reading exactly, each word is its only edge. Else a recogniser's mistakes are
foreseen: a word that sounds or is spelt alike, two words for one and one for two, one said twice,
one that says nothing. Each costs, so that the cheapest reading wins and the dearest is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from assistant.understand.sound import Alikes
from assistant.understand.words import Word

TWICE: Final = 0.1
"""Cost of leaving out a word that repeats the one before it ("the the")."""
FILLER: Final = 0.05
"""Cost of leaving out a word that says nothing ("um")."""


@dataclass(frozen=True, slots=True)
class Edge:
    """From the node it leaves to node `end`, by `word`; None: by nothing, words are left out."""

    end: int
    word: str | None
    cost: float = 0.0
    changed: bool = False
    """The word is another than what was heard."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """`edges[i]` leave node i. Nodes 0 to `len(words)`, the end, are the places between the words
    heard; further ones lie within a word that may have been two. `order` has every node before
    those that its edges lead to.
    """

    words: tuple[Word, ...]
    edges: tuple[tuple[Edge, ...], ...]
    order: tuple[int, ...]

    @property
    def end(self) -> int:
        """The node after the last word."""
        return len(self.words)


def exactly(words: Sequence[Word]) -> Lattice:
    """The lattice of the words alone."""
    edges = [(Edge(i + 1, word.text),) for i, word in enumerate(words)]
    return Lattice(tuple(words), (*edges, ()), tuple(range(len(words) + 1)))


def loosely(
    words: Sequence[Word],
    alikes: Alikes,
    fillers: frozenset[str],
    telling: Callable[[Sequence[str], int], bool] = lambda _, __: False,
) -> Lattice:
    """The lattice of the words and of what may have been said in their stead.

    Of `fillers` each may be left out, unless `telling` says of all words and a place that the one
    there tells something.
    """
    texts = [word.text for word in words]
    edges: list[list[Edge]] = [[] for _ in range(len(words) + 1)]
    order: list[int] = []
    for i, text in enumerate(texts):
        order.append(i)
        edges[i].append(Edge(i + 1, text))
        if i > 0 and text == texts[i - 1]:
            edges[i].append(Edge(i + 1, None, TWICE))
        elif text in fillers and not telling(texts, i):
            edges[i].append(Edge(i + 1, None, FILLER))
        said = [(others, cost, i + 1) for others, cost in alikes.of(text)]
        if i + 1 < len(texts):
            joined = alikes.joined(text, texts[i + 1])
            said += [(others, cost, i + 2) for others, cost in joined]
        for others, cost, end in said:
            node = i
            for word in others[:-1]:
                edges.append([])
                edges[node].append(Edge(len(edges) - 1, word, cost, changed=True))
                node, cost = len(edges) - 1, 0.0
                order.append(node)
            edges[node].append(Edge(end, others[-1], cost, changed=True))
    order.append(len(words))
    return Lattice(tuple(words), tuple(map(tuple, edges)), tuple(order))


Trie = dict[str, Any]
"""Word -> trie of what may follow; under "" what is said where it ends."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a trie holds along some edges: `value`, ending at node `end`, for `cost`."""

    value: Any
    end: int
    cost: float = 0.0
    changed: bool = False
    """Some words of it are others than those heard."""
    loose: bool = False
    """Words were passed over."""


def put(trie: Trie, words: Sequence[str], value: Any) -> None:
    """Add `words` to `trie`: each of the values under its end is found by them."""
    for word in words:
        trie = trie.setdefault(word, {})
    trie.setdefault("", []).append(value)


def walk(
    trie: Trie,
    lattice: Lattice,
    start: int,
    limit: float = 0.0,
    skips: frozenset[str] = frozenset(),
) -> list[Found]:
    """All that `trie` holds along the edges from node `start`, for at most `limit`.

    Of `skips`, words may be passed over for nothing, but at the beginning and at the end.
    """
    found: list[Found] = []
    waiting = [(trie, start, 0.0, False, False, False)]
    while waiting:
        here, node, cost, changed, loose, at_gap = waiting.pop()
        if "" in here and not at_gap:
            found += [Found(value, node, cost, changed, loose) for value in here[""]]
        for edge in lattice.edges[node]:
            spent, word = cost + edge.cost, edge.word
            if spent > limit:
                continue
            if word is None:
                if here is not trie:  # what comes first is left out by the walk around us
                    waiting.append((here, edge.end, spent, changed, loose, True))
                continue
            if (after := here.get(word)) is not None:
                changes = changed or edge.changed
                waiting.append((after, edge.end, spent, changes, loose, False))
            if word in skips and here is not trie:
                waiting.append((here, edge.end, spent, changed, True, True))
    return found


def vocabulary(trie: Trie) -> set[str]:
    """All words in `trie`."""
    return {w for w in trie if w} | {x for w in trie if w for x in vocabulary(trie[w])}
