"""How alike what a recogniser wrote is to a wake phrase, and where the phrase ends in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_WORST_WORD = 60.0
_STRIP_SCORE = 72.0
_MIN_TAIL = 3


@dataclass(frozen=True, slots=True)
class PhraseMatch:
    """`phrase` was found with `score` (0..100) in words `first` to `last` of a text (`last` not
    included), which end at its character `end` of `length`.
    """

    phrase: str
    score: float
    first: int
    last: int
    end: int
    length: int


def similarity(words: Sequence[str], phrase: Sequence[str]) -> float:
    """0..100: as written in one ("hey jar vis"), or word by word ("hey travis": 83).

    A missing word costs much: "jarvis" for "hey jarvis" is 80.
    """
    joined = fuzz.ratio("".join(words), "".join(phrase))
    if len(words) != len(phrase):
        return joined
    each = [fuzz.ratio(word, wanted) for word, wanted in zip(words, phrase, strict=True)]
    return max(joined, sum(each) / len(each)) if min(each) >= _WORST_WORD else joined


def phrase_at_start(text: str, phrases: Sequence[str]) -> PhraseMatch | None:
    """The phrase that the beginning of `text` is most alike to; None for no text."""
    return _best(text, phrases, anywhere=False)


def phrase_anywhere(text: str, phrases: Sequence[str]) -> PhraseMatch | None:
    """The phrase that some part of `text` is most alike to; None for no text."""
    return _best(text, phrases, anywhere=True)


def strip_wake_phrase(text: str, phrases: Sequence[str]) -> str:
    """`text` without the wake phrase it begins with, or the end of one.

    The pre-roll takes part of the wake word into recognition: "Hey Jarvis, turn it on", "hey
    travis turn it on", "Jarvis. Turn it on" and "vis turn it on" all become "turn it on".
    """
    while (end := _wake_end(text, phrases)) is not None:
        text = text[end:].lstrip(" ,.;:!?…-–—")
    return text


def _wake_end(text: str, phrases: Sequence[str]) -> int | None:
    tails = [" ".join(words[n:]) for words in map(_words, phrases) for n in range(len(words))]
    match = phrase_at_start(text, tails)
    if match and match.score >= _STRIP_SCORE:
        return match.end
    first = _WORD.search(text)
    if first and len(first[0]) >= _MIN_TAIL:
        word = first[0].casefold()
        if any(tail.endswith(word) for tail in tails):
            return first.end()
    return None


def _best(text: str, phrases: Sequence[str], *, anywhere: bool) -> PhraseMatch | None:
    places = list(_WORD.finditer(text))
    words = [place[0].casefold() for place in places]
    best: PhraseMatch | None = None
    for phrase in phrases:
        wanted = _words(phrase)
        for first in range(len(words) if anywhere else min(1, len(words))):
            for count in range(max(1, len(wanted) - 1), len(wanted) + 3):
                last = first + count
                if last > len(words):
                    break
                score = similarity(words[first:last], wanted)
                if best is None or score > best.score:
                    end = places[last - 1].end()
                    best = PhraseMatch(phrase, score, first, last, end, len(text))
    return best


def _words(phrase: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(phrase)]
