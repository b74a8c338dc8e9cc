"""What a sentence template is like, without trying what it matches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    Sentence,
    TextChunk,
)

from assistant.understand.automaton import ListKey
from assistant.understand.reading import FREE
from assistant.understand.words import spoken

_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}


@dataclass(frozen=True, slots=True)
class Traits:
    """What is true of a template whatever is said."""

    always: frozenset[str] = frozenset()
    """Slots that are filled in any case."""
    ever: frozenset[str] = frozenset()
    """Slots that may be filled."""
    anchored: bool = False
    """Any sentence of it holds a word, or a value of a list, that is not free text."""
    size: int = 1
    """How many states of an automaton it takes."""
    forms: int = 1
    """How many ways there are to say it, each list counting as one."""


def traits_of(
    expression: Expression, rules: Mapping[str, Sentence], lists: Mapping[str, ListKey]
) -> Traits:
    """The traits of `expression`, the rules and lists of which must be there."""
    return _Judging(rules, lists, {}).traits(expression)


@dataclass(frozen=True, slots=True)
class _Judging:
    rules: Mapping[str, Sentence]
    lists: Mapping[str, ListKey]
    known: dict[str, Traits]

    def traits(self, expression: Expression) -> Traits:
        if isinstance(expression, TextChunk):
            return Traits(anchored=bool(spoken(expression.text)))
        if isinstance(expression, ListReference):
            slots = frozenset({expression.slot_name})
            return Traits(slots, slots, self.lists[expression.list_name] != FREE)
        if isinstance(expression, RuleReference):
            name = expression.rule_name
            if name not in self.known:
                self.known[name] = self.traits(self.rules[name].expression)
            return self.known[name]
        assert isinstance(expression, Group)  # noqa: S101 -- there is no other expression
        parts = [self.traits(item) for item in expression.items]
        if isinstance(expression, Alternative):
            return _either(parts)
        whole = reduce(_both, parts, Traits())
        if isinstance(expression, Permutation):
            orders = math.factorial(len(parts))
            return Traits(
                whole.always, whole.ever, whole.anchored, whole.size * orders, whole.forms * orders
            )
        return whole


def _both(first: Traits, second: Traits) -> Traits:
    return Traits(
        first.always | second.always,
        first.ever | second.ever,
        first.anchored or second.anchored,
        first.size + second.size,
        first.forms * second.forms,
    )


def _either(parts: list[Traits]) -> Traits:
    if not parts:
        return Traits()
    return Traits(
        frozenset.intersection(*(part.always for part in parts)),
        frozenset.union(*(part.ever for part in parts)),
        all(part.anchored for part in parts),
        sum(part.size for part in parts),
        sum(part.forms for part in parts),
    )


def bracket_fault(template: str) -> str:
    """What is wrong with the brackets of a template; "" where nothing is."""
    opened: list[tuple[str, int]] = []
    for place, letter in enumerate(template, 1):
        if letter in _BRACKETS:
            opened.append((letter, place))
        elif letter in _BRACKETS.values():
            if not opened:
                return f"the {letter!r} at letter {place} closes nothing"
            last, start = opened.pop()
            if _BRACKETS[last] != letter:
                return (
                    f"the {last!r} at letter {start} must be closed by {_BRACKETS[last]!r} before "
                    f"the {letter!r} at letter {place}"
                )
    if opened:
        letter, place = opened[-1]
        return f"the {letter!r} at letter {place} is never closed by {_BRACKETS[letter]!r}"
    return ""
