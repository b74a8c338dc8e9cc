"""Sentences and templates as words: what is matched against what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from assistant.understand.normal import fold

_WORD: Final = re.compile(
    r"(?<![\w])-\d+(?:[.,:]\d+)*|\d+(?:[.,:]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|[^\s\w]|_"
)
_JOINT: Final = re.compile(r"(?<=\w)-(?=\w)")
_SPOKEN: Final = re.compile(r"[%°/+]|-?\d|\w")


@dataclass(frozen=True, slots=True)
class Word:
    """One word, number or sign of a sentence, and where it stands there (letters from its start).

    Figures and letters are words of their own ("20°C" is three), a hyphen parts two words, and
    apostrophes are left out: recognisers write "emmas" as often as "emma's".
    """

    text: str
    start: int
    end: int


def words_of(folded: str) -> list[Word]:
    """The words of a sentence that has been folded (`assistant.understand.normal.fold`)."""
    return [
        Word(match[0].replace("'", ""), match.start(), match.end())
        for match in _WORD.finditer(_JOINT.sub(" ", folded))
        if match[0] != "'"
    ]


def spoken(name: str) -> tuple[str, ...]:
    """The words by which `name` is called aloud: without the signs that nobody pronounces."""
    return tuple(w.text for w in words_of(fold(name)) if _SPOKEN.match(w.text))


def key(name: str) -> str:
    """`name` as it is compared with others: its spoken words, with single spaces."""
    return " ".join(spoken(name))
