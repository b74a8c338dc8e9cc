"""One spelling for what is said and for what is written: lower case, no accents, no punctuation."""

from __future__ import annotations

import functools
import re
import unicodedata

_KEPT_BETWEEN_DIGITS = re.compile(r"(?<=\d)[.,:](?=\d)")
_LOOSE = re.compile(r"[.,;:!?¿¡\"“”„«»()…\u2600-\u27bf\ufe0f\U0001f000-\U0001faff]")
"""What is not said aloud: punctuation, and pictures."""
_APOSTROPHES = dict.fromkeys(map(ord, "’‘`´ʼ"), "'")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ELISION = re.compile(r"(?<=[a-z])'(?=[aeiouh])|(?<=[a-z])'(?![a-z\[(<{])")
"""An apostrophe that ends a word: one before a vowel ("l'ora", "c'è") or at a word's end ("po'").
One before a consonant belongs into its word ("what's", "don't")."""


@functools.lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """`text` in matching form, character for character as long as before.

    The same length means that a span found in the folded text is the span in the original, from
    which a song's title or a shopping list's item is taken with its capitals and accents.
    """
    kept = {match.start() for match in _KEPT_BETWEEN_DIGITS.finditer(text)}
    letters = []
    for place, letter in enumerate(text.translate(_APOSTROPHES)):
        if (_LOOSE.match(letter) and place not in kept) or _CONTROL.match(letter):
            letters.append(" ")
            continue
        base = unicodedata.normalize("NFD", letter)[0].lower()
        letters.append(base if len(base) == 1 else letter)
    return _ELISION.sub(" ", "".join(letters))


def squeeze(text: str) -> str:
    """`text` folded, with single spaces between its words: the key under which names are kept."""
    return " ".join(fold(text).split())


def fold_template(template: str) -> str:
    """A sentence template without accents and capitals, as the folded text will have none."""
    folded = "".join(
        unicodedata.normalize("NFD", letter)[0].lower()
        for letter in template.translate(_APOSTROPHES)
    )
    return _ELISION.sub(" ", folded)
