"""A sentence in which something was misheard: the command that it most likely was."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from assistant.plan import SETTLED, Plan, PlanKind
from assistant.understand.asked import Asked
from assistant.understand.candidates import Candidate, tell
from assistant.understand.caution import asked_first, may_open
from assistant.understand.explain import Verdict
from assistant.understand.language import Language
from assistant.understand.lattice import Lattice, loosely
from assistant.understand.match import MOST_CANDIDATES, Matcher
from assistant.understand.mood import is_question, without_politeness
from assistant.understand.normal import fold
from assistant.understand.sound import Alikes
from assistant.understand.target import which_one
from assistant.understand.words import Word, words_of

LOOSEST: Final = 1.7
"""What a reading that allows for mishearings may cost."""
_LOOSEST_WITH_FREE_TEXT: Final = 0.7
_LONGEST: Final = 25
"""Words of a sentence that is searched for mishearings."""
_TOO_STRANGE: Final = 0.5
"""Share of a sentence's words that are not known, above which it is about something else."""
_AS_HEARD: Final = 0.2
"""Cost of a reading that left out a hesitation or a repetition, and took all else as heard."""
_CLOSE: Final = 0.25
"""Difference of cost within which two readings are equally likely."""


def read_loosely(
    matcher: Matcher, asked: Asked, text: str, limit: float = LOOSEST, *, free: bool = True
) -> Plan | None:
    """The best plan where some words of `text` were misheard, for a cost up to `limit`; None
    where there is none, or where several are as likely and it can't be asked which.

    Its score tells how far it is from what was heard. What it would open or unlock it asks
    about first. Without `free`, no part of it is free text.
    """
    folded, start = without_politeness(fold(text), asked.language)
    words = words_of(folded)
    alikes = matcher.alikes(asked.home, asked.language)
    if reason := _why_not(words, alikes, asked.language):
        asked.reject("loose", text, reason)
        return None
    language = asked.language
    telling = functools.partial(_tells_which, language)
    lattice = _as_cut_off(loosely(words, alikes, language.hesitations, telling), language)
    lists = matcher.lists(asked)
    found = matcher.candidates(asked, lattice, text[start:], lists, limit)
    likely = _likely(matcher, asked, text, found, free=free)
    if not likely:
        asked.reject("loose", text, "no command is near enough to it")
        return None
    first, best = likely[0]
    rivals = [plan for other, plan in likely if other.rank.inexact <= first.rank.inexact]
    if best.kind is PlanKind.ACT and any(p.actions != best.actions for p in rivals):
        best = _which(best, rivals, asked)
    if best.kind is PlanKind.ACT and first.cost > _AS_HEARD and any(map(may_open, best.actions)):
        best = asked_first(best)
    if best.kind is PlanKind.ACT and is_question(text, folded, start, asked.language):
        tell(asked, text, first, best, "it is a question", Verdict.REJECTED)
        return None
    tell(asked, text, first, best, "the likeliest" if best.kind is PlanKind.ACT else "asks")
    return best


def _why_not(words: Sequence[Word], alikes: Alikes, language: Language) -> str:
    """Why nothing is guessed of `words`; "": it is."""
    unknown = sum(not alikes.holds(word.text) for word in words)
    if not 1 <= len(words) <= _LONGEST or unknown > _TOO_STRANGE * len(words):
        return f"{unknown} of {len(words)} words mean nothing here: too many, or too long"
    return "a word may be “not”, misheard" if _may_deny(words, alikes, language) else ""


def _tells_which(language: Language, words: Sequence[str], place: int) -> bool:
    """Whether the word at `place` may tell which of several things is meant: "close the right
    blinds", but neither "right, close the blinds" nor "right in my eyes".
    """
    if words[place] not in language.positions or place == 0:
        return False
    followed = set(words[place + 1 : place + 2])
    return not followed <= language.dangling or words[place - 1] in language.articles


def _as_cut_off(lattice: Lattice, language: Language) -> Lattice:
    """`lattice` without a number for the last word where that leads to one: "set the lamp to" is
    cut off, and no "two". "Set the lamp to to" may be.
    """
    texts = [word.text for word in lattice.words[-2:]]
    if texts[-1] not in language.dangling or set(texts[:-1]) & language.dangling:
        return lattice
    numbers, last = language.numbers.vocabulary, lattice.end - 1
    edges = list(lattice.edges)
    edges[last] = tuple(e for e in edges[last] if not (e.changed and e.word in numbers))
    return replace(lattice, edges=tuple(edges))


def _may_deny(words: Sequence[Word], alikes: Alikes, language: Language) -> bool:
    """Whether a word that is not known may be "not", or hold it, or hold what a question begins
    with.
    """
    unknown = [word.text for word in words if not alikes.knows(word.text)]
    first = words[0].text
    asks = first in unknown and any(
        language.asking.match(first[:place]) for place in range(2, len(first) - 2)
    )
    return asks or any(
        language.denying.intersection(said) for word in unknown for said, _ in alikes.of(word)
    )


def _likely(
    matcher: Matcher, asked: Asked, text: str, found: Sequence[Candidate], *, free: bool
) -> list[tuple[Candidate, Plan]]:
    """The candidates that come to something, as far as they are about as likely as the first."""
    likely: list[tuple[Candidate, Plan]] = []
    by_cost = sorted(found, key=lambda c: (c.cost + c.rank.free, c.rank))
    for candidate in by_cost[:MOST_CANDIDATES]:
        if likely and candidate.cost > likely[0][0].cost + _CLOSE:
            break
        if candidate.rank.free and (not free or candidate.cost > _LOOSEST_WITH_FREE_TEXT):
            tell(asked, text, candidate, None, "free text in what was misheard", Verdict.REJECTED)
            continue
        plan = matcher.handle(asked, candidate)
        if plan.kind in SETTLED or plan.kind is PlanKind.ASK:
            likely.append((candidate, plan))
            tell(asked, text, candidate, plan, "as likely as any", Verdict.KEPT)
        else:
            tell(asked, text, candidate, plan, "nothing to be done", Verdict.REJECTED)
    return likely


def _which(best: Plan, likely: Sequence[Plan], asked: Asked) -> Plan:
    """A question which of `likely` was meant, where they differ in devices alone."""
    plans = [plan for plan in likely if plan.kind is PlanKind.ACT]
    kinds = {repr([(a.name, a.params) for a in plan.actions]) for plan in plans}
    if len(kinds) != 1 or len(best.actions) != 1 or len(plans) != len(likely):
        return best
    actions = itertools.chain.from_iterable(plan.actions for plan in plans)
    ids = tuple(dict.fromkeys(i for action in actions for i in action.devices))
    action = replace(best.actions[0], devices=ids)
    question = which_one([asked.home.devices[i] for i in ids], asked.home)
    return replace(best, kind=PlanKind.ASK, actions=(action,), devices=ids, speech=question)
