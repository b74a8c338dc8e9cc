"""Commands about places and things that this home lacks: "heat the ballroom", "close the skylight".

A sentence is read as if what nobody knows in it were called so. Then it is a command, and it can be
said what is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from assistant.home.model import DeviceType
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.asked import Asked
from assistant.understand.candidates import Candidate
from assistant.understand.explain import Considered
from assistant.understand.language import Language
from assistant.understand.lattice import exactly
from assistant.understand.match import MOST_CANDIDATES, Matcher
from assistant.understand.mood import opens_as_order, without_politeness
from assistant.understand.names import Names, listing
from assistant.understand.normal import fold
from assistant.understand.reading import Entry, Listing
from assistant.understand.words import Word, spoken, words_of

_LONGEST: Final = 3
"""Words of the name of a place or a thing that is not known."""
_PLACES: Final = ("area", "floor")
_TANGIBLE: Final = (
    DeviceType.LIGHT,
    DeviceType.SWITCH,
    DeviceType.FAN,
    DeviceType.COVER,
    DeviceType.VALVE,
    DeviceType.LOCK,
    DeviceType.CLIMATE,
    DeviceType.MEDIA_PLAYER,
    DeviceType.VACUUM,
)
"""What one can say of that there is none. "Tell me a story" is not about a sensor of that name."""


def in_no_place(matcher: Matcher, asked: Asked, text: str) -> Plan | None:
    """The refusal of a command for a place that this home lacks; None where it is none."""
    # Without the devices' names: this is about "the basement lights".
    found = _about_stranger(matcher, asked, text, _PLACES, {})
    if found is None:
        return None
    candidate, called = found
    speech = Speech("core.no_such_place", {"name": called})
    plan = Plan(PlanKind.REFUSE, candidate.intent, candidate.skill.name, speech=speech)
    asked.note(Considered("unknown place", text, plan, candidate.slots))
    return plan


def of_no_thing(matcher: Matcher, asked: Asked, text: str) -> Plan | None:
    """What to say of a thing that this home lacks, as a plan of kind UNKNOWN: a language model may
    know what is meant. None where `text` speaks of none.
    """
    body, _ = without_politeness(fold(text), asked.language)
    if not opens_as_order(body, asked.language) and body.split()[0] not in asked.language.articles:
        return None  # "shut up" and "carry on" are about no thing
    names = matcher.names(asked.home, asked.language)
    kinds = [f"{kind}_name" for kind in _TANGIBLE]
    places = {place: names.lists[place] for place in _PLACES}
    found = _about_stranger(matcher, asked, text, kinds, places)
    if found is None:
        return None
    candidate, called = found
    speech = Speech("core.no_such_thing", {"name": called, "heard": text})
    plan = Plan(PlanKind.UNKNOWN, score=0.0, speech=speech)
    asked.note(Considered("unknown thing", text, plan, candidate.slots))
    return plan


def _about_stranger(
    matcher: Matcher,
    asked: Asked,
    text: str,
    strangers: Iterable[str],
    lists: Mapping[str, Listing],
) -> tuple[Candidate, str] | None:
    """The likeliest reading of `text` where the lists `strangers` hold what nothing here is
    called, beside `lists`; and what it is called.
    """
    folded, start = without_politeness(fold(text), asked.language)
    words = words_of(folded)
    strange = _strange_names(words, matcher.names(asked.home, asked.language), asked.language)
    if not strange:
        return None
    held = listing(dict.fromkeys(strange, Entry(None)))
    lists = {**lists, **dict.fromkeys(strangers, held)}
    found = matcher.candidates(asked, exactly(words), text[start:], lists)
    for candidate in sorted(found, key=lambda c: c.rank)[:MOST_CANDIDATES]:
        named = next(
            (v for v in candidate.slots.values() if isinstance(v, str) and v in strange), None
        )
        if named is not None and not candidate.rank.free:
            heard = strange[named]
            return candidate, text[start + heard[0].start : start + heard[-1].end]
    return None


def _strange_names(
    words: Sequence[Word], names: Names, language: Language
) -> dict[str, Sequence[Word]]:
    """What may be the name of a place or a thing that this home lacks, and is nothing else."""
    verbs = {word for verb in language.verbs for word in spoken(verb)}
    idle = language.articles | language.dangling | verbs
    strange = [not (word.text in names.words or word.text in idle) for word in words]
    spans = [
        words[first : first + length]
        for length in range(1, _LONGEST + 1)
        for first in range(len(words) - length + 1)
        if all(strange[first : first + length])
    ]
    return {" ".join(word.text for word in span): span for span in spans}
