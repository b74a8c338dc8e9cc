"""What is said first, or next to the verb, and belongs at the end: "in the kitchen turn on the
lights", "turn on in the kitchen the lights".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from assistant.understand.language import Language
from assistant.understand.mood import without_politeness
from assistant.understand.normal import fold
from assistant.understand.words import words_of

_LONGEST: Final = 9
"""Words that may be said first."""
_SHORTEST_REST: Final = 2


def put_last(text: str, language: Language) -> Iterator[str]:
    """`text` with its first words said last, the fewest first.

    Nothing unless it begins with a word that can't begin a command (the language's `fronting`).
    """
    folded, start = without_politeness(fold(text), language)
    words = words_of(folded)
    if not words or words[0].text not in language.fronting:
        return
    body = text[start:]
    for count in range(1, min(_LONGEST, len(words) - _SHORTEST_REST) + 1):
        first = body[: words[count - 1].end].strip(" ,")
        rest = body[words[count].start : words[-1].end]
        yield f"{rest} {first}"


def put_after_object(text: str, language: Language) -> Iterator[str]:
    """`text` with what follows its verb said last, the fewest words first.

    Nothing unless that begins with a word that can't begin a command.
    """
    folded, start = without_politeness(fold(text), language)
    words = words_of(folded)
    if len(words) < 2:
        return
    body = text[start:]
    for said in put_last(body[words[1].start : words[-1].end], language):
        yield f"{body[words[0].start : words[0].end]} {said}"
