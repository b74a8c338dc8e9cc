"""Second thoughts within a sentence: "turn on the, no, turn off the lamp"."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from assistant.understand.ellipsis import substitutions
from assistant.understand.language import Language
from assistant.understand.normal import fold

_MOST: int = 40


def corrected(text: str, language: Language) -> Iterator[str]:
    """What `text` says once what was taken back is left out, the likeliest first.

    Nothing where it takes nothing back. What follows the last correction is either all that is
    meant, or stands for one part of what precedes it.
    """
    folded = fold(text)
    marks = [m.span() for m in language.correcting.finditer(folded)]
    if not marks:
        return
    start, end = marks[-1]
    before, after = text[:start].strip(" ,"), text[end:].strip(" ,")
    if not after:
        return
    yield after
    if before:
        yield from itertools.islice(substitutions(before, after, language), _MOST)
