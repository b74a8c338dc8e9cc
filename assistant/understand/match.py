"""One command: a sentence matched against all templates, and what the skills make of it."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeVar

from assistant.home.model import Home
from assistant.plan import SETTLED, Plan, PlanKind, Speech
from assistant.skill import Request, Skills
from assistant.understand.asked import Asked
from assistant.understand.candidates import Candidate, candidates, tell, tell_rest
from assistant.understand.compile import Grammar, compile_sentences
from assistant.understand.explain import Verdict
from assistant.understand.language import Language
from assistant.understand.lattice import Lattice, exactly, vocabulary
from assistant.understand.mood import without_politeness
from assistant.understand.names import Names, listing, names_of
from assistant.understand.normal import fold, squeeze
from assistant.understand.reading import Entry, Listing, read
from assistant.understand.sound import Alikes
from assistant.understand.words import Word, words_of

_log = logging.getLogger(__name__)

_HOMES_KEPT: Final = 32
"""Revisions of homes of which names and sounds are kept."""
MOST_CANDIDATES: Final = 60
_WITH_FREE_TEXT: Final = 0.8
"""Score of a plan that took part of the sentence as it is: it may have been something else."""
FIRST: Final = "first"
"""A slot of sentences whose handler decides before all others: "at seven" tells an hour, where
what stands before it is a command by itself, rather than how bright a lamp is to be.
"""
_PER_COST: Final = 0.05
"""What a point of a reading's cost takes from its score.

Scores are shares of plans that are right: of 1,500 spoken in noise, 98 of 100 that were read
exactly were, as many of those read loosely, and 75 of those with free text (Whisper base, 12 dB;
deploy/bench/hearing.py).
"""

T = TypeVar("T")
_Kept = OrderedDict[tuple[str, str, int], T]
"""What is made of a home in a language, by its revision; the latest asked for comes last."""


class Matcher:
    """The skills' sentences, and the homes they are about, each compiled when first met.

    `grammars` are those that have been compiled already, `names` has the names of homes.
    """

    def __init__(
        self,
        skills: Skills,
        grammars: Mapping[str, Grammar] = MappingProxyType({}),
        names: Callable[[Home, Language], Names] | None = None,
    ) -> None:
        self._skills = skills
        self._grammars: dict[str, Grammar] = dict(grammars)
        self._named = names
        self._names: _Kept[Names] = OrderedDict()
        self._alikes: _Kept[Alikes] = OrderedDict()

    def prepare(self, language: Language, home: Home) -> bool:
        """Compile sentences and names now. Returns whether any sentences were."""
        first = language.code not in self._grammars
        self.grammar(language)
        self.names(home, language)
        self.alikes(home, language)
        return first

    def exactly(self, asked: Asked, text: str) -> Plan | None:
        """The best plan that `text` makes word for word; None where no template matches.

        A handler that can't resolve its target gives way to the next candidate, but never to one
        with more free text in it: "play X on the TV in the kitchen" must not become a song title.
        """
        whole = fold(text)
        polite, start = without_politeness(whole, asked.language)
        # What sounds polite may be a part of the command: "dai la mandata".
        for folded, begin in dict.fromkeys(((polite, start), (whole, 0))):
            plan = self._exactly(asked, words_of(folded), text[begin:])
            if plan is not None:
                return plan
        return None

    def _exactly(self, asked: Asked, words: Sequence[Word], text: str) -> Plan | None:
        """The best plan that `words` make, which are places in `text`."""
        found = self.candidates(asked, exactly(words), text, self.lists(asked))
        fallback: tuple[Plan, Candidate] | None = None
        ranked = sorted(found, key=lambda c: (FIRST not in c.slots, c.rank))[:MOST_CANDIDATES]
        for place, candidate in enumerate(ranked):
            if fallback is not None and candidate.is_freer(fallback[1]):
                tell_rest(asked, text, ranked[place:], fallback[1])
                break
            plan = self.handle(asked, candidate)
            refused = FIRST in candidate.slots and plan.kind is PlanKind.REFUSE
            if plan.kind in SETTLED or refused:
                tell(asked, text, candidate, plan)
                tell_rest(asked, text, ranked[place + 1 :], candidate)
                return plan
            if plan.kind is PlanKind.UNKNOWN:
                tell(asked, text, candidate, plan, "stands for nothing here", Verdict.REJECTED)
            elif fallback is None:
                fallback = plan, candidate
                tell(asked, text, candidate, plan, "if nothing can be done", Verdict.KEPT)
            else:
                tell(asked, text, candidate, plan, "no better than before", Verdict.REJECTED)
        return fallback[0] if fallback else None

    def grammar(self, language: Language) -> Grammar:
        """The sentences of `language`, compiled once."""
        if language.code not in self._grammars:
            self._grammars[language.code] = compile_sentences(
                self._skills.skills.values(), language
            )
        return self._grammars[language.code]

    def names(self, home: Home, language: Language) -> Names:
        """The names of `home`, built once for each revision of it."""
        if self._named is not None:
            return self._named(home, language)
        return _kept(self._names, home, language, lambda: names_of(home, language))

    def alikes(self, home: Home, language: Language) -> Alikes:
        """All words that mean something in `home`, by what they sound like."""

        def make() -> Alikes:
            words = self.grammar(language).vocabulary.union(
                language.numbers.vocabulary,
                language.articles,
                language.denying,
                *(vocabulary(one.trie) for one in self.names(home, language).lists.values()),
            )
            return Alikes(
                words, language.sound, language.lookalikes, language.blur, language.confused
            )

        return _kept(self._alikes, home, language, make)

    def lists(self, asked: Asked) -> dict[str, Listing]:
        """What the home calls its things now."""
        timers = listing({squeeze(t.name): Entry(None) for t in asked.home.timers if t.name})
        return {**self.names(asked.home, asked.language).lists, "timer_name": timers}

    def candidates(
        self,
        asked: Asked,
        lattice: Lattice,
        text: str,
        lists: Mapping[str, Listing],
        limit: float = 0.0,
    ) -> list[Candidate]:
        """What the templates make of `lattice` with `lists`, for a cost up to `limit`; `text` is
        what its words are places in.
        """
        grammar, numbers = self.grammar(asked.language), asked.language.numbers
        readings = read(grammar.automaton, lattice, {**grammar.listings, **lists}, numbers, limit)
        return candidates(readings, asked, self._skills, lattice, text)

    def handle(self, asked: Asked, candidate: Candidate) -> Plan:
        """What the skill makes of `candidate`."""
        skill = candidate.skill
        request = Request(
            candidate.intent,
            candidate.slots,
            asked.utterance,
            asked.home,
            skill.options,
            self.names(asked.home, asked.language).ids,
            asked.understand,
            asked.alone,
            asked.context.recent,
            candidate.cost,
        )
        try:
            plan = skill.handlers[candidate.intent](request)
        except Exception as error:  # a skill is somebody else's code: it must not end the turn
            _log.exception("skill %s failed at %s", skill.name, candidate.intent)
            failed = Speech("core.skill_failed", {"skill": skill.name, "error": str(error)})
            return Plan(PlanKind.REFUSE, skill=skill.name, speech=failed)
        speech = plan.speech
        if speech is not None and "." not in speech.key:
            speech = replace(speech, key=f"{skill.name}.{speech.key}")
        score = plan.score * (1 - _PER_COST * candidate.cost)
        if candidate.rank.free and (candidate.cost or FIRST not in candidate.slots):
            score *= _WITH_FREE_TEXT
        # The user's own sentences do what a skill's intent does, and say whose it is.
        return replace(
            plan,
            intent=plan.intent or candidate.intent,
            skill=plan.skill or skill.name,
            speech=speech,
            score=score,
        )


def _kept(kept: _Kept[T], home: Home, language: Language, make: Callable[[], T]) -> T:
    """What `kept` has of `home`, made where it is not there."""
    key = (language.code, home.id, home.revision)
    if key not in kept:
        kept[key] = make()
        if len(kept) > _HOMES_KEPT:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]
