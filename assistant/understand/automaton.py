"""All sentence templates of a language as one automaton over words.

hassil's sentence templates describe regular languages: a template is a path of words and lists
with alternatives, and expansion rules stand for parts of it. All of them together are one
nondeterministic automaton; the subsets of its states that sentences lead to (the deterministic
automaton) are worked out as they are first met, and kept. So a word costs one look-up, however
many templates there are (Aho, Sethi, Ullman: Compilers, section 3.7.4, "lazy transition
evaluation"). What the lists hold is not in it: names of devices come and go with the home.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hassil.expression import (
    Alternative,
    Expression,
    ListReference,
    Permutation,
    RuleReference,
    Sentence,
    Sequence,
    TextChunk,
)
from hassil.sample import sample_expression

from assistant.understand.numbers import NumberRange
from assistant.understand.words import words_of

ListKey = str | NumberRange
"""What the automaton knows a list by: a name, or the numbers it holds."""

START: Final = 0
_MOST_VARIANTS: Final = 200
"""Spellings that a single word of a template may have ("timer[s]" has two)."""
_FEW: Final = 3
"""Words between two states that have an edge each; more are together on one."""
_MOST_SUBSETS: Final = 50_000
"""Subsets that are kept; then they are worked out anew. Each takes about a kilobyte."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Where a sentence ends: what it then means."""

    intent: str
    """Skill and intent: "lights.turn_on"."""
    slots: Mapping[str, Any]
    """Slots that are as they are whatever was said."""


@dataclass(slots=True, eq=False)
class Subset:
    """A state of the deterministic automaton: where, in all templates, a sentence may have led."""

    states: frozenset[int]
    words: dict[str, Subset | None] = field(default_factory=dict)
    lists: dict[ListKey, Subset] = field(default_factory=dict)
    """Where the lists that may come next lead to, whatever of them is said."""
    opened: bool = False


class Automaton:
    """Templates, added with `add`, then walked with `begin`, `after_word` and `open`.

    Edges are words, or one of many words (`out_any`), or lists. The backward edges (`into_*`) tell
    which templates a walk came through.
    """

    def __init__(self) -> None:
        self.out_words: list[dict[str, list[int]]] = [{}]
        self.out_any: list[list[tuple[frozenset[str], int]]] = [[]]
        self.out_lists: list[list[tuple[ListKey, str, int]]] = [[]]
        self.out_free: list[list[int]] = [[]]
        self.into_words: list[dict[str, list[int]]] = [{}]
        self.into_any: list[list[tuple[frozenset[str], int]]] = [[]]
        self.into_lists: list[list[tuple[ListKey, str, int]]] = [[]]
        self.into_free: list[list[int]] = [[]]
        self.accepts: dict[int, Accept] = {}
        self._entries: dict[tuple[int, int], int] = {}
        """The state from which a piece (told by its id) leads to another state."""
        self._kept: list[_Piece] = []
        """The pieces in `_entries`, so that no other takes an id of theirs."""
        self._pieces: _Pieces | None = None
        self._begin: Subset | None = None
        self._subsets: dict[frozenset[int], Subset] = {}
        self._closures: dict[int, frozenset[int]] = {}

    @property
    def vocabulary(self) -> frozenset[str]:
        """Every word that stands in a template itself."""
        words = {word for edges in self.out_words for word in edges}
        return frozenset(words.union(*{some for edges in self.out_any for some, _ in edges}))

    def add(
        self,
        expression: Expression,
        rules: Mapping[str, Sentence],
        lists: Mapping[str, ListKey],
        end: int,
    ) -> None:
        """Add a template that ends in state `end` (from `accept`).

        `lists` maps the names that the template's lists have to what the walk knows them by.
        What leads to the same state by the same words is there once, for all templates that end
        alike. Raises KeyError where a rule or a list is missing, ValueError where a word has too
        many spellings.
        """
        if self._pieces is None or self._pieces.rules is not rules:
            self._pieces = _Pieces(rules, lists)
        self.free_edge(START, self._entry(self._pieces.piece(expression), end))
        self._begin = None

    def _entry(self, piece: _Piece, end: int) -> int:
        """The state from which `piece` leads to `end`."""
        if piece.is_sequence:
            for part in reversed(piece.parts):
                end = self._entry(part, end)
            return end
        key = (id(piece), end)
        start = self._entries.get(key)
        if start is None:
            start = self._entries[key] = self.state()
            self._kept.append(piece)
            self._lead(piece, start, end)
        return start

    def _lead(self, piece: _Piece, start: int, end: int) -> None:
        """Make `piece` lead from `start` to `end`."""
        if len(piece.words) > _FEW:
            self.out_any[start].append((piece.any_word, end))
            self.into_any[end].append((piece.any_word, start))
        else:
            for word in piece.words:
                self.word_edge(start, word, end)
        for key, slot in piece.lists:
            self.list_edge(start, key, slot, end)
        for part in piece.parts:
            if part.is_sequence:
                self.free_edge(start, self._entry(part, end))
            else:
                self._lead(part, start, end)

    def complete(self) -> None:
        """Nothing is added any more: forget what only that needs, a sixth of all it takes."""
        self._entries.clear()
        self._kept.clear()
        self._pieces = None

    def accept(self, accept: Accept) -> int:
        """A new state in which templates that mean `accept` end."""
        state = self.state()
        self.accepts[state] = accept
        return state

    def state(self) -> int:
        """A new state without edges."""
        for edges in (self.out_words, self.into_words):
            edges.append({})
        for any_of in (self.out_any, self.into_any):
            any_of.append([])
        for listed in (self.out_lists, self.into_lists):
            listed.append([])
        for free in (self.out_free, self.into_free):
            free.append([])
        return len(self.out_words) - 1

    def word_edge(self, start: int, word: str, end: int) -> None:
        """From `start` to `end` by `word`."""
        ends = self.out_words[start].setdefault(word, [])
        if end not in ends:
            ends.append(end)
            self.into_words[end].setdefault(word, []).append(start)

    def list_edge(self, start: int, key: ListKey, slot: str, end: int) -> None:
        """From `start` to `end` by any value of a list, which fills `slot`."""
        edge = (key, slot, end)
        if edge not in self.out_lists[start]:
            self.out_lists[start].append(edge)
            self.into_lists[end].append((key, slot, start))

    def free_edge(self, start: int, end: int) -> None:
        """From `start` to `end` by nothing."""
        if start != end and end not in self.out_free[start]:
            self.out_free[start].append(end)
            self.into_free[end].append(start)

    def begin(self) -> Subset:
        """Where every sentence begins."""
        if self._begin is None or len(self._subsets) > _MOST_SUBSETS:
            self._subsets.clear()
            self._begin = self._subset((START,))
        return self._begin

    def after_word(self, subset: Subset, word: str) -> Subset | None:
        """Where `word` leads from `subset`; None: nowhere."""
        try:
            return subset.words[word]
        except KeyError:
            ends = {end for state in subset.states for end in self.out_words[state].get(word, ())}
            any_of = itertools.chain.from_iterable(self.out_any[s] for s in subset.states)
            ends.update(end for words, end in any_of if word in words)
            after = self._subset(ends) if ends else None
            if len(subset.words) < _MOST_SUBSETS:
                subset.words[word] = after
            return after

    def open(self, subset: Subset) -> dict[ListKey, Subset]:
        """The lists that may come next, and where they lead."""
        if not subset.opened:
            ends: dict[ListKey, set[int]] = defaultdict(set)
            for state in subset.states:
                for key, _, end in self.out_lists[state]:
                    ends[key].add(end)
            subset.lists = {key: self._subset(states) for key, states in ends.items()}
            subset.opened = True
        return subset.lists

    def _subset(self, states: set[int] | tuple[int, ...]) -> Subset:
        closed = frozenset(itertools.chain.from_iterable(self._closure(s) for s in states))
        subset = self._subsets.get(closed)
        if subset is None:
            subset = self._subsets[closed] = Subset(closed)
        return subset

    def _closure(self, state: int) -> frozenset[int]:
        known = self._closures.get(state)
        if known is None:
            reached, waiting = {state}, [state]
            while waiting:
                for end in self.out_free[waiting.pop()]:
                    if end not in reached:
                        reached.add(end)
                        waiting.append(end)
            known = self._closures[state] = frozenset(reached)
        return known


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A part of a template, in the form in which it is added; equal ones are the same object.

    It is one of `words`; or one of `lists`; or `parts`: one of them where `either`, else one after
    the other, and nothing at all where there are none.
    """

    words: tuple[str, ...] = ()
    lists: tuple[tuple[ListKey, str], ...] = ()
    parts: tuple[_Piece, ...] = ()
    either: bool = False
    any_word: frozenset[str] = frozenset()
    """The `words`, of which a template may have hundreds: all the forms of all its verbs."""

    @property
    def is_sequence(self) -> bool:
        """Whether it is what its parts are one after the other."""
        return not (self.words or self.lists or self.either)


class _Pieces:
    """Templates that refer to the same rules and lists, taken apart; each piece once."""

    def __init__(self, rules: Mapping[str, Sentence], lists: Mapping[str, ListKey]) -> None:
        self.rules = rules
        self.lists = lists
        self._pieces: dict[tuple[Any, ...], _Piece] = {}
        self._of_rules: dict[str, _Piece] = {}
        self._literal: dict[str, bool] = {}

    def piece(self, expression: Expression | frozenset[str]) -> _Piece:
        """`expression` taken apart. Raises KeyError where a rule or list is missing, ValueError
        where a word has too many spellings.
        """
        if isinstance(expression, TextChunk):
            return self._text(expression.text)
        if isinstance(expression, frozenset):
            return self._either([self._text(text) for text in sorted(expression)])
        if isinstance(expression, ListReference):
            return self._made(lists=((self.lists[expression.list_name], expression.slot_name),))
        if isinstance(expression, RuleReference):
            name = expression.rule_name
            if name not in self._of_rules:
                self._of_rules[name] = self.piece(self.rules[name].expression)
            return self._of_rules[name]
        if isinstance(expression, Permutation):
            orders = itertools.permutations(expression.items)
            return self._either([self._sequence(list(order)) for order in orders])
        if isinstance(expression, Alternative):
            return self._either([self.piece(item) for item in expression.items])
        if isinstance(expression, Sequence):
            return self._sequence(expression.items)
        raise ValueError(f"a template can't hold {expression!r}")

    def _text(self, text: str) -> _Piece:
        return self._one_after_other([self._made(words=(word,)) for word in _split(text)])

    def _sequence(self, items: list[Expression]) -> _Piece:
        return self._one_after_other([self.piece(part) for part in self._parts(items)])

    def _one_after_other(self, pieces: list[_Piece]) -> _Piece:
        parts: list[_Piece] = []
        for piece in pieces:
            parts += piece.parts if piece.is_sequence else [piece]
        return parts[0] if len(parts) == 1 else self._made(parts=tuple(parts))

    def _either(self, pieces: list[_Piece]) -> _Piece:
        """One of `pieces`, single words and lists of them being together."""
        flat = [one for p in pieces for one in (p.parts if p.either else (p,))]
        words = sorted({word for p in flat for word in p.words})
        lists = dict.fromkeys(one for p in flat for one in p.lists)
        parts = list(dict.fromkeys(p for p in flat if not p.words and not p.lists))
        if lists:
            parts.insert(0, self._made(lists=tuple(lists)))
        if words:
            parts.insert(0, self._made(words=tuple(words)))
        return parts[0] if len(parts) == 1 else self._made(parts=tuple(parts), either=True)

    def _made(self, **told: Any) -> _Piece:
        key = tuple((name, tuple(map(id, v)) if name == "parts" else v) for name, v in told.items())
        if key not in self._pieces:
            self._pieces[key] = _Piece(**told, any_word=frozenset(told.get("words", ())))
        return self._pieces[key]

    def _parts(self, items: list[Expression]) -> list[Expression | frozenset[str]]:
        """`items` with those that make up one word put together: as all its spellings."""
        parts: list[Expression | frozenset[str]] = []
        run: list[Expression] = []
        for item in self._flat(items):
            if run and not self._glued(run[-1], item):
                parts += self._spelt(run)
                run = []
            run.append(item)
        return parts + self._spelt(run)

    def _flat(self, items: list[Expression]) -> list[Expression]:
        """`items` with each text cut where its words end: a glued run is one word, not more."""
        flat: list[Expression] = []
        for item in items:
            if isinstance(item, Sequence) and not isinstance(item, Alternative | Permutation):
                flat += self._flat(item.items)
            elif isinstance(item, TextChunk):
                head, space, tail = item.text.rpartition(" ")
                first, inner, middle = head.partition(" ")
                pieces = [first + inner, middle + space if inner else space, tail]
                flat += [TextChunk(text=piece) for piece in pieces if piece]
            else:
                flat.append(item)
        return flat

    def _glued(self, before: Expression, after: Expression) -> bool:
        """Whether nothing parts the two, and both are words alone."""
        return (
            self._is_literal(before)
            and self._is_literal(after)
            and not (isinstance(before, TextChunk) and before.text[-1:] == " ")
            and not (isinstance(after, TextChunk) and after.text[:1] == " ")
        )

    def _is_literal(self, expression: Expression) -> bool:
        if isinstance(expression, TextChunk):
            return True
        if isinstance(expression, RuleReference):
            name = expression.rule_name
            if name not in self._literal:
                self._literal[name] = self._is_literal(self.rules[name].expression)
            return self._literal[name]
        if isinstance(expression, Sequence | Alternative):
            return all(self._is_literal(item) for item in expression.items)
        return False

    def _spelt(self, run: list[Expression]) -> list[Expression | frozenset[str]]:
        if len(run) < 2:
            return list(run)
        spellings = [self._variants(item) for item in run]
        count = 1
        for some in spellings:
            count *= len(some)
        if count > _MOST_VARIANTS:
            raise ValueError(f"a word has more than {_MOST_VARIANTS} spellings")
        return [frozenset("".join(parts) for parts in itertools.product(*spellings))]

    def _variants(self, expression: Expression) -> frozenset[str]:
        return frozenset(sample_expression(expression, {}, dict(self.rules)))


@functools.lru_cache(maxsize=8192)
def _split(text: str) -> tuple[str, ...]:
    return tuple(word.text for word in words_of(text))
