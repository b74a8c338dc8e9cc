"""Trying the user's sentences: what each of them would do in a home."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    RuleReference,
    TextChunk,
)

from assistant.home.model import Home
from assistant.plan import SETTLED, Plan, PlanKind, Utterance
from assistant.understand.custom.grammar import Compiled
from assistant.understand.custom.library import Version
from assistant.understand.language import load_language
from assistant.understand.lattice import Trie
from assistant.understand.numbers import NumberRange
from assistant.understand.reading import FREE, Listing
from assistant.understand.template import TemplateUnderstanding

_MOST_TRIED: Final = 40
"""Ways to say a sentence that are tried until one does something."""
_MOST_PHRASES: Final = 400
"""Phrases of a list that are looked at."""
_FREE_TEXT: Final = "something"


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to say a sentence, and what it would do."""

    block: Compiled
    number: int
    """Which of the block's sentences it is."""
    text: str
    plan: Plan
    """Of kind UNKNOWN where the sentence does nothing in this home."""

    @property
    def line(self) -> int:
        """Where the sentence stands in its file."""
        return self.block.file.located.line(*self.block.block.place, "sentences", self.number)


def trials(version: Version, understanding: TemplateUnderstanding, home: Home) -> Iterator[Trial]:
    """Each of the sentences in force, in one way to say it that does something in `home`.

    Those that need to be said in some room are said in that with the most devices.
    """
    for block in version.blocks:
        language = block.file.language
        listings = {
            **version.grammars[language].listings,
            **understanding.names(home, load_language(language)).lists,
        }
        placed = block.block.needs.area is not None
        areas = [*([] if placed else [None]), *([_busiest(home)] if home.areas else [])]
        for number, expression in enumerate(block.expressions):
            template = block.block.sentences[number]
            best = Trial(block, number, template, Plan(PlanKind.UNKNOWN))
            texts = list(itertools.islice(_ways(expression, block, listings), _MOST_TRIED))
            for area, text in itertools.product(areas, texts):
                said = " ".join(text.split())
                plan = understanding.understand(Utterance(said, language, area), home)
                made = Trial(block, number, said, plan)
                if _rank(made) < _rank(best):
                    best = made
                if plan.kind in SETTLED:
                    break
            yield best


def _busiest(home: Home) -> str:
    """The area with the most devices."""
    counts = Counter(device.area for device in home.exposed())
    return max((area.id for area in home.areas), key=lambda area: counts[area])


def _rank(trial: Trial) -> int:
    return 0 if trial.plan.kind in SETTLED else 2 if trial.plan.kind is PlanKind.UNKNOWN else 1


def _ways(
    expression: Expression, block: Compiled, listings: Mapping[str, Listing]
) -> Iterator[str]:
    """Ways to say `expression`, without what may be left out of it, with what lists hold."""
    if isinstance(expression, TextChunk):
        yield expression.text
    elif isinstance(expression, RuleReference):
        yield from _ways(block.rules[expression.rule_name].expression, block, listings)
    elif isinstance(expression, ListReference):
        key = block.lists[expression.list_name]
        if isinstance(key, NumberRange):
            middle = (key.low + key.high) / 2
            yield str(int(middle) if key.holds(int(middle)) else key.low)
        elif key == FREE:
            yield _FREE_TEXT
        elif key in listings:
            found = itertools.islice(_phrases(listings[key].trie, ()), _MOST_PHRASES)
            yield from (phrase for _, phrase in sorted(found, key=lambda one: one[0]))
    elif isinstance(expression, Alternative):
        if expression.is_optional:
            yield " "
        else:
            for item in expression.items:
                yield from _ways(item, block, listings)
    elif isinstance(expression, Group):
        parts = [
            list(itertools.islice(_ways(item, block, listings), _MOST_TRIED))
            for item in expression.items
        ]
        # Not all combinations: those that differ in one place from the first.
        if all(parts):
            first = [part[0] for part in parts]
            yield "".join(first)
            for place, part in enumerate(parts):
                for other in part[1:]:
                    yield "".join([*first[:place], other, *first[place + 1 :]])


def _phrases(trie: Trie, before: tuple[str, ...]) -> Iterator[tuple[bool, str]]:
    """What a list holds, phrase by phrase, and whether it is another form of something."""
    if "" in trie:
        yield not any(entry.exact for entry in trie[""]), " ".join(before)
    for word, after in trie.items():
        if word:
            yield from _phrases(after, (*before, word))
