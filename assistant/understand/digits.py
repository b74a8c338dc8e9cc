"""A PIN as it is said, and as recognisers write it: in figures, in words, digit by digit or not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from assistant.understand.language import Language
from assistant.understand.lattice import Lattice, exactly
from assistant.understand.normal import fold
from assistant.understand.numbers import Said
from assistant.understand.words import Word, words_of

SHORTEST: Final = 4
LONGEST: Final = 12
"""How many digits a PIN has."""
_TELLING: Final = 3
"""Digits in a sentence from which it may be a PIN that was not quite understood."""
_MOST_READINGS: Final = 4
"""Readings of one answer that are tried: "twenty three" is 23, and 203."""
_MOST_WORDS: Final = 20
_MOST_UNDER_WAY: Final = 100
_LONGEST_WORD: Final = 60
_MOST_LETTERS: Final = 1000
_HUNDRED: Final = 100


def readings(text: str, language: Language) -> tuple[str, ...]:
    """The PINs that `text` may say and say nothing else, the likeliest first; none: it says none.

    In figures, or in words, digit by digit or in larger numbers: "1 2 3 4", "1,234", "twelve thirty
    four", "mille duecento trentaquattro", "double seven".
    """
    if len(text) > _MOST_LETTERS:
        return ()
    words = [word for word in words_of(fold(text)) if word.text.isalnum() or _figures(word)]
    words = [word for word in words if word.text not in language.pin.words]
    if not words or len(words) > _MOST_WORDS:
        return ()
    found = list(dict.fromkeys(_Reader(words, language).all()))
    return tuple(pin for pin in found if SHORTEST <= len(pin) <= LONGEST)[:_MOST_READINGS]


def may_hold(text: str, language: Language) -> bool:
    """Whether `text` has so many digits in it that it may be a PIN, with what was misheard."""
    words = words_of(fold(text[:_MOST_LETTERS]))
    lattice = exactly(words)
    count, place = 0, 0
    while place < len(words) and count < _TELLING:
        steps = list(_numbers(words, lattice, place, language))
        digits, end = max(steps, key=lambda step: step[1], default=("", place + 1))
        count += len(digits)
        place = end
    return count >= _TELLING


def speaks_of_pin(text: str, language: Language) -> bool:
    """Whether `text` has a name of the PIN in it."""
    return any(word.text in language.pin.names for word in words_of(fold(text[:_MOST_LETTERS])))


class _Reader:
    """Reads words as digits in all ways, those of the fewest numbers first."""

    def __init__(self, words: Sequence[Word], language: Language) -> None:
        self._words = words
        self._lattice = exactly(words)
        self._language = language
        self._found: dict[int, tuple[tuple[str, int], ...]] = {}

    def all(self) -> Iterator[str]:
        waiting = [("", 0)]
        for _ in self._words:
            further = []
            for said, place in waiting:
                for digits, end in self._steps(place):
                    if len(said) + len(digits) > LONGEST:
                        continue
                    if end == len(self._words):
                        yield said + digits
                    else:
                        further.append((said + digits, end))
            waiting = further[:_MOST_UNDER_WAY]

    def _steps(self, place: int) -> tuple[tuple[str, int], ...]:
        if place not in self._found:
            self._found[place] = tuple(self._steps_from(place))
        return self._found[place]

    def _steps_from(self, place: int) -> Iterator[tuple[str, int]]:
        pin, word = self._language.pin, self._words[place].text
        if (times := pin.times.get(word)) and place + 1 < len(self._words):
            for digits, end in self._steps(place + 1):
                if len(digits) == 1:
                    yield times * digits, end
        yield from _numbers(self._words, self._lattice, place, self._language)
        if word in pin.digits:
            yield pin.digits[word], place + 1


def _figures(word: Word) -> str:
    """The digits of a number in figures ("1,234"); "" where it is none."""
    digits = "".join(letter for letter in word.text if letter not in ".,:-")
    return digits if digits.isascii() and digits.isdigit() else ""


def _numbers(
    words: Sequence[Word], lattice: Lattice, place: int, language: Language
) -> Iterator[tuple[str, int]]:
    """The numbers that begin at word `place`, as digits, and where they end; the longest first."""
    if digits := _figures(words[place]):
        yield digits, place + 1
        return
    found = dict.fromkeys(_joined(words, lattice, place, language))
    for value, end in sorted(found, key=lambda one: -one[1]):
        yield str(value), end


def _joined(
    words: Sequence[Word], lattice: Lattice, place: int, language: Language, most: int = 3
) -> Iterator[tuple[int, int]]:
    """Numbers that begin at word `place`, those too that are put together of `most` others.

    "One thousand" and "two hundred thirty four" are one; "nineteen hundred" is.
    """
    for value, end in _in_words(words, lattice, place, language):
        yield value, end
        if most == 1 or end == len(words) or _figures(words[end]):
            continue
        further = _joined(words, lattice, end, language, most - 1)
        if 0 < value < _HUNDRED:
            for more, last in further:
                if _HUNDRED <= more < 2 * _HUNDRED:
                    yield value * _HUNDRED + more - _HUNDRED, last
        elif (limit := _round_to(value)) > 1:
            yield from ((value + more, last) for more, last in further if 0 < more < limit)


def _in_words(
    words: Sequence[Word], lattice: Lattice, place: int, language: Language
) -> Iterator[tuple[int, int]]:
    for found in language.numbers.at(lattice, place):
        said: Said = found.value
        if said.in_words and said.value >= 0 and said.value == int(said.value):
            yield int(said.value), found.end
    text = words[place].text
    if text in language.numbers.vocabulary or len(text) > _LONGEST_WORD:
        return
    # Italian writes it as one word, and there are too many of them to have them all.
    for cut in range(1, len(text)):
        parts = [Word(text[:cut], 0, cut), Word(text[cut:], cut, len(text))]
        if not {part.text for part in parts} <= language.numbers.vocabulary:
            continue
        first, rest = (
            [f.value.value for f in language.numbers.at(exactly([part]), 0)] for part in parts
        )
        for value in first:
            for more in rest:
                if 0 < more < _round_to(value):
                    yield int(value + more), place + 1


def _round_to(value: float) -> int:
    """The power of ten, of hundreds and more, that `value` is a multiple of; 1: of none."""
    if value < _HUNDRED or not math.isfinite(value) or value != int(value):
        return 1
    digits = str(int(value))
    zeros = len(digits) - len(digits.rstrip("0"))
    return int(10**zeros) if zeros >= 2 else 1
