"""What a fragment says in the light of the sentence before it: "and the hall", "no, the left one".

A fragment stands for the sentence that it would be if it were said in full: the sentence before
it with one part exchanged for the fragment. Which part is not known, so all are tried, those
first that keep most of the sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assistant.understand.language import Language
from assistant.understand.normal import fold
from assistant.understand.words import words_of

_LONGEST_PART = 6
"""Words that a fragment may stand in for."""
_LONGEST_SENTENCE = 16


def substitutions(
    sentence: str, fragment: str, language: Language, *, append: bool = True
) -> Iterator[str]:
    """`sentence` with one part of it exchanged for `fragment`; those first that keep most of it.

    Articles at the seams are said once, and no two prepositions meet there. The first word, which
    tells what is done, stays, unless the fragment begins with it ("in ten minutes": "in five").
    `append`: at the end of the sentence the fragment is also put after it, exchanging nothing.
    """
    said, part = _texts(sentence), _texts(fragment)
    if not part or not said or len(said) > _LONGEST_SENTENCE:
        return
    bare = part
    while len(bare) > 1 and bare[0].lower() in language.articles:
        bare = bare[1:]
    linking = frozenset(language.links)
    counting = any(_is_number(word, language) for word in part)
    first = 0 if said[0].lower() == part[0].lower() else 1
    for length in range(0 if append else 1, _LONGEST_PART + 1):
        starts = range(len(said) - length, first - 1, -1) if length else [len(said)]
        for start in starts:
            before = said[:start]
            after = said[start + length :]
            if not before:
                yield " ".join([*part, *after])
                continue
            if before[-1].lower() in linking and part[0].lower() in linking:
                continue
            if counting and after and _is_number(after[0], language):
                continue  # "until ten" is not "until ten eleven"
            inner = bare if before[-1].lower() in language.articles else part
            yield " ".join([*before, *inner, *after])


def ones_in(words: Sequence[str], language: Language) -> list[int]:
    """Where in `words` a "one" stands for a thing, rather than ends a number ("twenty one")."""
    ones, numbers = language.dialogue.ones, language.numbers.vocabulary
    return [
        place
        for place, word in enumerate(words)
        if word in ones and not (place > 0 and words[place - 1] in numbers)
    ]


def _is_number(word: str, language: Language) -> bool:
    return word[0].isdigit() or word.lower() in language.numbers.vocabulary


def _texts(text: str) -> list[str]:
    return [text[word.start : word.end] for word in words_of(fold(text))]
