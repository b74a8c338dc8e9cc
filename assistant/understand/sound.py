"""Words that sound or are spelt alike: what a recogniser may have heard instead of what was said.

A language's own rules (`sounds`, in its data) spell a word as it sounds, roughly: those that are
then the same are homophones. Others are as far apart as their letters, and their sounds, are
(Levenshtein distance with transpositions, per letter of the longer one); half as far where only
sounds differ that are often taken for one another ("disc", "desk"; the language's `blurs`).
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA, Indel

_NEAR: Final = 0.36
"""Distance beyond which two words are different words."""
_EXCHANGED: Final = 0.5
"""What a letter exchanged for another adds: it makes another word more often than one lost, or
two swapped ("moon", "room")."""
_MOST: Final = 6
"""Words that one may have been, at most; the nearest."""
_SHORT: Final = 2
"""Letters of a word that is only mistaken for those that sound the same."""
_PIECE: Final = 2
"""Letters of the shortest word that may have run into another."""
_BLURRED: Final = 4
"""Sounds of the shortest word that is mistaken for one of the same blurred sound: of shorter ones,
too many are."""
_NEARLY_JOINED: Final = 0.2
"""Distance up to which two words together are another word that was heard as two."""

JOINED: Final = 0.15
"""Cost of taking two words for one, or one for two, spelt as they are."""
_UNKNOWN, _UNKNOWN_FAR = 0.2, 1.6
_CONFUSED: Final = 0.45
"""Cost of taking a small word for another that is taken for it ("in", "and")."""
_HOMOPHONE, _HOMOPHONE_FAR = 0.35, 0.5


class Alikes:
    """The words of a language and of a home, found by what is like them.

    `sound` spells a word as it sounds (`Language.sound`), `blur` makes of that what is left of it
    in noise (`Language.blur`).

    Costs: about 0.2 for a word that nobody knows and that is nearly one of ours, 0.9 for the
    farthest that is taken; half a point and more for a word that is known itself. `others` are
    known as words, but nothing is ever heard for one of them.
    """

    def __init__(
        self,
        words: Iterable[str],
        sound: Callable[[str], str],
        others: frozenset[str] = frozenset(),
        blur: Callable[[str], str] = str,
        confused: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self._words = sorted({word for word in words if word.isalpha()})
        self._known = frozenset(self._words)
        self._real = self._known | others
        self._sound = sound
        self._confused = confused
        self._sounds = [sound(word) for word in self._words]
        self._same: dict[str, list[str]] = defaultdict(list)
        for word, heard in zip(self._words, self._sounds, strict=True):
            self._same[heard].append(word)
        self._blur = blur
        self._blurs = [blur(heard) for heard in self._sounds]
        self._blurred: dict[str, list[int]] = defaultdict(list)
        for index, heard in enumerate(self._blurs):
            if len(heard) >= _BLURRED:
                self._blurred[heard].append(index)
        self.of = functools.lru_cache(maxsize=2048)(self._of)
        self.joined = functools.lru_cache(maxsize=2048)(self._joined)

    def knows(self, word: str) -> bool:
        """Whether `word` is one of them, or a number or a sign."""
        return word in self._known or not word.isalpha()

    def holds(self, word: str) -> bool:
        """Whether `word` is one of them, or two of them run into one."""
        return self.knows(word) or any(cost == JOINED for _, cost in self.of(word))

    def _of(self, heard: str) -> Sequence[tuple[tuple[str, ...], float]]:
        """What may have been said where `heard` was heard, and what each costs, nearest first."""
        if not heard.isalpha():
            return ()
        sound = self._sound(heard)
        found: dict[tuple[str, ...], float] = {}
        known = heard in self._real
        for word in self._same.get(sound, ()):
            if word != heard:
                far = _apart(heard, word)
                cost = _HOMOPHONE + _HOMOPHONE_FAR * far if known else _cost(0.0, far)
                found[(word,)] = cost
        for word in self._confused.get(heard, ()):
            found.setdefault((word,), _CONFUSED)
        if not known:
            self._split(heard, found)
            if len(heard) > _SHORT:
                self._near(heard, sound, found)
        return sorted(found.items(), key=lambda pair: pair[1])[:_MOST]

    def _joined(self, left: str, right: str) -> Sequence[tuple[tuple[str, ...], float]]:
        """What may have been said where the words `left` and `right` were heard."""
        heard = left + right
        if heard in self._known:
            return [((heard,), JOINED)]
        if not heard.isalpha():
            return ()
        found: dict[tuple[str, ...], float] = {}
        # "Hole way" sounds as its words do, not as "holeway" would.
        for sound in {self._sound(heard), self._sound(left) + self._sound(right)}:
            same = [(word, 0.0) for word in self._same.get(sound, ())]
            if len(sound) >= _BLURRED:
                blurred = self._blurred.get(self._blur(sound), ())
                same += [(self._words[i], self._apart(sound, i)) for i in blurred]
                near = process.extract(
                    sound,
                    self._sounds,
                    scorer=OSA.normalized_distance,
                    score_cutoff=_NEARLY_JOINED,
                    limit=_MOST,
                )
                same += [(self._words[i], self._apart(sound, i)) for _, _, i in near]
            for word, far in same:
                if far <= _NEARLY_JOINED:
                    cost = JOINED + _cost(far, _apart(heard, word))
                    found[(word,)] = min(cost, found.get((word,), cost))
        return sorted(found.items(), key=lambda pair: pair[1])[:_MOST]

    def _apart(self, sound: str, index: int) -> float:
        """How far `sound` is from that of the word at `index`."""
        far = _apart(sound, self._sounds[index])
        blurred = self._blur(sound)
        return far / 2 if len(blurred) >= _BLURRED and blurred == self._blurs[index] else far

    def _split(self, heard: str, found: dict[tuple[str, ...], float]) -> None:
        for place in range(_PIECE, len(heard) - _PIECE + 1):
            pieces = heard[:place], heard[place:]
            if self._known.issuperset(pieces):
                found.setdefault(pieces, JOINED)

    def _near(self, heard: str, sound: str, found: dict[tuple[str, ...], float]) -> None:
        near = {
            index
            for said, among in ((heard, self._words), (sound, self._sounds))
            for _, _, index in process.extract(
                said,
                among,
                scorer=OSA.normalized_distance,
                score_cutoff=_NEAR,
                limit=3 * _MOST,
            )
        }
        near.update(self._blurred.get(self._blur(sound), ()))
        for index in near:
            word = self._words[index]
            letters, sounds = _apart(heard, word), self._apart(sound, index)
            if _far(sounds, letters) <= _NEAR:
                cost = _cost(sounds, letters)
                found[(word,)] = min(cost, found.get((word,), cost))


def _apart(left: str, right: str) -> float:
    """How far apart two spellings are: 0 the same, 1 and more nothing in common."""
    edits = OSA.distance(left, right)
    longer = max(len(left), len(right), 1)
    exchanged = 0 if sorted(left) == sorted(right) else Indel.distance(left, right) - edits
    return (edits + _EXCHANGED * exchanged) / longer


def _cost(sounds: float, letters: float) -> float:
    return _UNKNOWN + _UNKNOWN_FAR * _far(sounds, letters)


def _far(sounds: float, letters: float) -> float:
    """How far apart words are of which the sounds, and the letters, are that far apart."""
    nearer, farther = sorted((sounds, letters))
    return 0.8 * nearer + 0.2 * farther
