"""The user's own sentences before the skills'."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Final

from assistant.home.model import Home
from assistant.plan import Plan
from assistant.skill import Skills
from assistant.understand.asked import Asked
from assistant.understand.custom.library import CustomSentences, Version
from assistant.understand.explain import ignore
from assistant.understand.language import Language
from assistant.understand.loose import LOOSEST, read_loosely
from assistant.understand.match import Matcher
from assistant.understand.names import Names
from assistant.understand.normal import fold, squeeze
from assistant.understand.strangers import in_no_place, of_no_thing
from assistant.understand.words import Word, words_of

_DEEPEST: Final = 4
"""Own sentences that may stand for each other before it is taken for a circle."""
_within: ContextVar[tuple[str, ...]] = ContextVar("_within", default=())
"""The own sentences that are being understood: each stands for another, the last one for a text
that is no sentence of its own again.
"""


class OwnFirst:
    """A `Matcher` of the skills' sentences, and before it one of the user's, as they are now."""

    def __init__(self, skills: Skills, custom: CustomSentences | None = None) -> None:
        self._skills = Matcher(skills)
        self._custom = custom
        self._version: Version | None = None
        self._own: dict[str, Matcher] = {}

    def prepare(self, language: Language, home: Home) -> bool:
        """Compile sentences and names now. Returns whether any sentences were."""
        return self._skills.prepare(language, home)

    def names(self, home: Home, language: Language) -> Names:
        """The names of `home`, built once for each revision of it."""
        return self._skills.names(home, language)

    def own(self, asked: Asked, text: str) -> Plan | None:
        """What `text` is among the user's sentences; None: it is none of them.

        Within what such a sentence stands for, it is none itself: "good night" may stand for "good
        night and lock up".
        """
        return asked.once("own", text, functools.partial(self._read_own, asked))

    def _read_own(self, asked: Asked, text: str) -> Plan | None:
        matcher, within = self._matcher(asked.language), _within.get()
        said = squeeze(text)
        if matcher is None or said in within or len(within) >= _DEEPEST:
            return None
        asked = _marked(asked)
        token = _within.set((*within, said))
        try:
            for body in _politely(text, asked.language):
                if (plan := matcher.exactly(asked, body)) is not None:
                    return plan
            return None
        finally:
            _within.reset(token)

    def exactly(self, asked: Asked, text: str) -> Plan | None:
        """As `Matcher.exactly` has it."""
        skills = functools.partial(self._skills.exactly, asked)
        return self.own(asked, text) or asked.once("exactly", text, skills)

    def loosely(
        self, asked: Asked, text: str, limit: float = LOOSEST, *, free: bool = True
    ) -> Plan | None:
        """As `read_loosely` has it; the likelier of the two, else the user's."""

        def likelier(said: str) -> Plan | None:
            matcher = self._matcher(asked.language)
            own = None
            if matcher is not None:
                own = read_loosely(matcher, _marked(asked), said, limit, free=free)
            other = read_loosely(self._skills, asked, said, limit, free=free)
            if own is None or (other is not None and other.score > own.score):
                return other
            return own

        return asked.once("loosely", text, likelier, limit, free)

    def in_no_place(self, asked: Asked, text: str) -> Plan | None:
        """As `strangers.in_no_place` has it, of the skills' sentences alone."""
        return in_no_place(self._skills, asked, text)

    def of_no_thing(self, asked: Asked, text: str) -> Plan | None:
        """As `strangers.of_no_thing` has it, of the skills' sentences alone."""
        return of_no_thing(self._skills, asked, text)

    def _matcher(self, language: Language) -> Matcher | None:
        if self._custom is None or language.code not in self._custom.current.grammars:
            return None
        version = self._custom.current
        if version is not self._version:
            self._version, self._own = version, {}
        matcher = self._own.get(language.code)
        if matcher is None:
            grammar = version.grammars[language.code]
            # Words that the skills know are no mishearings of the user's.
            known = grammar.vocabulary | self._skills.grammar(language).vocabulary
            own = {language.code: replace(grammar, vocabulary=known)}
            matcher = Matcher(version.skills, own, self._skills.names)
            self._own[language.code] = matcher
        return matcher


def _marked(asked: Asked) -> Asked:
    """`asked`, so that what is noted tells that it is about the user's sentences."""
    if asked.note is ignore:
        return asked
    return replace(asked, note=lambda one: asked.note(replace(one, stage=f"own {one.stage}")))


def _politely(text: str, language: Language) -> Iterator[str]:
    """`text`, and what is left of it without more and more of the polite words around it.

    The user's sentences may begin or end with such words themselves: "let's party".
    """
    words = words_of(fold(text))
    starts = [0, *(n for n in range(1, len(words)) if _is_polite(words[:n], language.opening))]
    ends = [n for n in range(1, len(words)) if _is_polite(words[n:], language.closing, " ")]
    for start, end in itertools.product(starts, [len(words), *reversed(ends)]):
        if start < end:
            yield text[words[start].start : words[end - 1].end]


def _is_polite(words: Sequence[Word], pattern: re.Pattern[str], before: str = "") -> bool:
    said = " ".join(word.text for word in words)
    return pattern.fullmatch(f"{before}{said}" if before else f"{said} ") is not None
