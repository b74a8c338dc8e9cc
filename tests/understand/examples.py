"""Sentences that the templates hold, made at random."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from assistant.understand.automaton import START, Accept, Automaton, ListKey
from assistant.understand.lattice import Trie
from assistant.understand.numbers import NumberRange, as_number
from assistant.understand.reading import FREE, Listing

_MOST_TENTHS: Final = 10


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence, and what it was made to mean."""

    text: str
    accept: Accept
    slots: tuple[tuple[str, Any], ...]
    """Slot and value, in the order in which they are said; for free text, the words."""


def leading_to(automaton: Automaton, end: int) -> frozenset[int]:
    """The states through which templates lead that end in state `end`."""
    reached, waiting = {end}, [end]
    while waiting:
        state = waiting.pop()
        before = {start for starts in automaton.into_words[state].values() for start in starts}
        before.update(start for _, start in automaton.into_any[state])
        before.update(start for _, _, start in automaton.into_lists[state])
        before.update(automaton.into_free[state])
        waiting += before - reached
        reached |= before
    return frozenset(reached)


def example(
    automaton: Automaton,
    within: frozenset[int],
    listings: Mapping[str, Listing],
    dice: random.Random,
    free: Sequence[str],
) -> Example | None:
    """A sentence of some template through the states `within` (of `leading_to`).

    `free` are words that free text is made of. None where the way that was taken can't go
    on without a list that is empty, or not there.
    """
    state, said = START, list[str]()
    slots: list[tuple[str, Any]] = []
    while True:
        ways: list[tuple[Collection[str], ListKey | None, str, int]] = [
            ((word,), None, "", end)
            for word, ends in automaton.out_words[state].items()
            for end in ends
        ]
        ways += [(words, None, "", end) for words, end in automaton.out_any[state]]
        ways += [
            ((), key, slot, end)
            for key, slot, end in automaton.out_lists[state]
            if isinstance(key, NumberRange) or key == FREE or key in listings
        ]
        ways += [((), None, "", end) for end in automaton.out_free[state]]
        ways = [way for way in ways if way[-1] in within]
        if not ways:
            if state not in automaton.accepts:
                return None
            return Example(" ".join(said), automaton.accepts[state], tuple(slots))
        words, key, slot, state = dice.choice(ways)
        if key is None:
            said += [dice.choice(sorted(words))] if words else []
            continue
        filled = _fill(key, listings, dice, free)
        if filled is None:
            return None
        phrase, value = filled
        said += phrase
        slots.append((slot, value))


def _fill(
    key: ListKey, listings: Mapping[str, Listing], dice: random.Random, free: Sequence[str]
) -> tuple[list[str], Any] | None:
    if isinstance(key, NumberRange):
        number: float = dice.randrange(int(key.low), int(key.high) + 1, key.step)
        if key.parts > 1 and number < key.high:
            number += dice.randrange(key.parts) * (_MOST_TENTHS // key.parts) / _MOST_TENTHS
        number = as_number(round(number, 1))
        return [key.figures(number)], number
    if key == FREE:
        words = [dice.choice(free) for _ in range(dice.randint(1, 3))]
        return words, " ".join(words)
    return _phrase(listings[key].trie, dice)


def _phrase(trie: Trie, dice: random.Random) -> tuple[list[str], Any] | None:
    """Some phrase of `trie`, and what it stands for. Entries that cost are left out."""
    words: list[str] = []
    while trie:
        ends = [entry for entry in trie.get("", ()) if not entry.cost]
        choices = [word for word in trie if word]
        if ends and (not choices or dice.random() < 1 / (1 + len(choices))):
            return words, dice.choice(ends).value
        if not choices:
            return None
        words.append(dice.choice(choices))
        trie = trie[words[-1]]
    return None
