"""Numbers as they are said: in figures, or in the words of any language.

The words come from Unicode's rule-based number formats (CLDR's spell-out rules, by way of
unicode_rbnf); what stands between a number and its fraction ("point", "and a half") is in the
language's own data.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from unicode_rbnf import RbnfEngine

from assistant.understand.lattice import Found, Lattice, Trie, put, vocabulary, walk
from assistant.understand.words import spoken

_FIGURES: Final = re.compile(r"-?\d+(?:[.,]\d+)?")
_CLOCK: Final = re.compile(r"([01]?\d|2[0-4])[.:]([0-5]\d)")
_SPELT_OUT: Final = ("spellout-numbering", "spellout-cardinal")
_EVERY_ONE_TO: Final = 1000
_THEN_EVERY: Final = 50
_LARGEST: Final = 10_000
_DECIMALS: Final = 10
"""A tenth is the finest fraction of any setting in a home."""


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Which numbers a list of a template holds; `parts`: into how many a whole is divided.

    `clock`: times of day in figures ("7:30"), in minutes since midnight.
    """

    low: float
    high: float
    step: int = 1
    parts: int = 1
    words: bool = True
    clock: bool = False

    def figures(self, number: float) -> str:
        """How `number` is written."""
        return f"{number // 60:.0f}:{number % 60:02.0f}" if self.clock else str(number)

    def takes(self, said: Said) -> bool:
        """Whether what was `said` is one of them."""
        if said.clock is not self.clock or (said.in_words and not self.words):
            return False
        return self.holds(said.value)

    def holds(self, number: float) -> bool:
        """Whether `number` is one of them."""
        if not self.low <= number <= self.high:
            return False
        divided = number * self.parts
        return divided == round(divided) and (
            self.step == 1 or (number - self.low) % self.step == 0
        )


@dataclass(frozen=True, slots=True)
class Said:
    """A number as it was said."""

    value: float
    in_words: bool
    clock: bool = False
    """It was said as a time of day, which is given in minutes since midnight."""


class NumberWords:
    """The words for numbers of one language.

    `points` part a number from its decimals ("point"), `halves` follow it and add one half ("and
    a half"), `minus` precedes it. `also` are further words for whole numbers.
    """

    def __init__(
        self,
        code: str,
        points: Iterable[str] = (),
        halves: Iterable[str] = (),
        minus: Iterable[str] = (),
        also: Mapping[str, int] = {},
    ) -> None:
        self._whole: Trie = {}
        for words, value in _spelt_out(code):
            put(self._whole, words, value)
        for text, value in also.items():
            put(self._whole, spoken(text), value)
        self._points = _trie(points)
        self._minus = _trie(minus)
        self._halves = _trie(halves)
        tries = (self._whole, self._points, self._minus, self._halves)
        self.vocabulary = frozenset(word for trie in tries for word in vocabulary(trie))

    def at(self, lattice: Lattice, start: int, limit: float = 0.0) -> list[Found]:
        """Every number that begins at node `start`. The values found are of type Said."""
        found = self._positive(lattice, start, limit)
        for sign in walk(self._minus, lattice, start, limit):
            for number in self._positive(lattice, sign.end, limit - sign.cost):
                if number.value.clock:
                    continue
                found.append(_and(sign, number, Said(-number.value.value, in_words=True)))
        return found

    def _positive(self, lattice: Lattice, start: int, limit: float) -> list[Found]:
        found = []
        for whole in self._plain(lattice, start, limit):
            found.append(whole)
            value = whole.value.value
            if value != int(value) or whole.value.clock:
                continue
            rest = limit - whole.cost
            found += [
                _and(whole, half, Said(value + 0.5, in_words=True))
                for half in walk(self._halves, lattice, whole.end, rest)
            ]
            for point in walk(self._points, lattice, whole.end, rest):
                for tenths in self._plain(lattice, point.end, rest - point.cost):
                    if tenths.value.value in range(_DECIMALS) and not tenths.value.clock:
                        said = Said(value + tenths.value.value / _DECIMALS, in_words=True)
                        found.append(_and(whole, _and(point, tenths, said), said))
        return found

    def _plain(self, lattice: Lattice, start: int, limit: float) -> list[Found]:
        found = [
            replace(one, value=Said(one.value, in_words=True))
            for one in walk(self._whole, lattice, start, limit)
        ]
        for edge in lattice.edges[start]:
            if edge.word is None or edge.cost > limit:
                continue
            if clock := _CLOCK.fullmatch(edge.word):
                said = Said(60 * int(clock[1]) + int(clock[2]), in_words=False, clock=True)
                found.append(Found(said, edge.end, edge.cost, edge.changed))
            if _FIGURES.fullmatch(edge.word):
                value = as_number(float(edge.word.replace(",", ".")))
                found.append(Found(Said(value, in_words=False), edge.end, edge.cost, edge.changed))
        return found


def as_number(value: float) -> float:
    """`value` as an int where it is a whole number."""
    return int(value) if math.isfinite(value) and value == int(value) else value


def _and(first: Found, second: Found, value: Said) -> Found:
    return Found(value, second.end, first.cost + second.cost, first.changed or second.changed)


def _trie(phrases: Iterable[str]) -> Trie:
    trie: Trie = {}
    for phrase in phrases:
        put(trie, spoken(phrase), True)
    return trie


@functools.cache
def _spelt_out(code: str) -> tuple[tuple[tuple[str, ...], int], ...]:
    engine = RbnfEngine.for_language(code)
    numbers = [*range(_EVERY_ONE_TO), *range(_EVERY_ONE_TO, _LARGEST + 1, _THEN_EVERY)]
    said: dict[tuple[str, ...], int] = {}
    for number in numbers:
        for ruleset, text in engine.format_number(number).text_by_ruleset.items():
            if ruleset.startswith(_SPELT_OUT):
                said.setdefault(spoken(text), number)
    return tuple(said.items())
