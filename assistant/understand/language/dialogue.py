"""How a language goes on with what was said before: "and the hall", "the left one"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from assistant.errors import SkillError
from assistant.understand.normal import squeeze

_KEYS: Final = frozenset(
    [
        "adding",
        "replacing",
        "trailing",
        "instead",
        "more",
        "less",
        "levels",
        "again",
        "stop",
        "anew",
        "pronouns",
        "clitics",
        "ones",
        "other",
        "there",
        "there_form",
        "all",
        "both",
        "neither",
        "ordinals",
        "tags",
        "listing",
        "placing",
        "only",
        "solely",
        "several",
        "together",
        "together_form",
        "conjunction",
        "timer",
        "timer_named",
        "frames",
    ]
)


@dataclass(frozen=True)
class DialogueWords:
    """The `dialogue` of a language's file. Phrases are folded; those to be cut off are patterns."""

    adding: re.Pattern[str]
    """Openers of a fragment that is meant besides what was said before."""
    replacing: re.Pattern[str]
    """Openers of a fragment that is meant in its stead."""
    trailing: re.Pattern[str]
    """What ends a fragment that is meant besides ("too")."""
    instead: re.Pattern[str]
    """What ends a fragment that is meant in its stead."""
    more: frozenset[str]
    less: frozenset[str]
    levels: Mapping[str, str]
    """Words of `more` and `less` that compare levels, and the way each tells: up or down."""
    again: frozenset[str]
    stop: frozenset[str]
    """Sentences that stop what has just been set going."""
    anew: re.Pattern[str]
    """Words that tell only that something was so before ("turn it on again")."""
    pronouns: re.Pattern[str]
    clitics: tuple[tuple[re.Pattern[str], str], ...]
    """Pairs that part a verb from the pronoun written on to it."""
    ones: frozenset[str]
    """Words that stand for the kind of thing that was spoken of."""
    other: frozenset[str]
    there: re.Pattern[str]
    there_form: str
    """How a place is put instead, with {name} in it."""
    all: frozenset[str]
    both: frozenset[str]
    neither: frozenset[str]
    ordinals: Mapping[str, int]
    """Place in a list of choices; -1: the last."""
    tags: frozenset[str]
    """Words of talk, which are no thing to put on a list ("and thanks")."""
    listing: re.Pattern[str]
    """Openers after which anything may be one more thing for a list."""
    placing: re.Pattern[str]
    """What a place is begun with."""
    only: frozenset[str]
    """Words before what leaves out what it is about ("only half way")."""
    solely: re.Pattern[str]
    """What begins that of several things only some were meant ("only the floor lamp")."""
    solely_last: re.Pattern[str]
    """The same at the end ("the floor lamp only")."""
    several: re.Pattern[str]
    """Pronouns for several things."""
    together: re.Pattern[str]
    """What tells of several things together ("both", "them all")."""
    together_form: str
    """The pronoun for them."""
    conjunction: str
    """What several names are joined by."""
    timer: str
    timer_named: str
    """How a timer is called, with {name} in it where it has one."""
    frames: tuple[str, ...]
    """Sentences with {said} and {name} in them, for what leaves out what it is about."""


def dialogue_words(data: Mapping[str, Any]) -> DialogueWords:
    """`data`, the `dialogue` of a language's file. Raises SkillError where keys are missing."""
    if missing := _KEYS - set(data):
        raise SkillError(f"the key dialogue lacks {', '.join(sorted(missing))}")
    return DialogueWords(
        adding=_opening(data["adding"]),
        replacing=_opening(data["replacing"]),
        trailing=_ending(data["trailing"]),
        instead=_ending(data["instead"]),
        more=_phrases(data["more"]),
        less=_phrases(data["less"]),
        levels={squeeze(word): way for word, way in data["levels"].items()},
        again=_phrases(data["again"]),
        stop=_phrases(data["stop"]),
        anew=_within(data["anew"]),
        pronouns=_within(data["pronouns"]),
        clitics=tuple((re.compile(pattern), parted) for pattern, parted in data["clitics"]),
        ones=_phrases(data["ones"]),
        other=_phrases(data["other"]),
        there=_within(data["there"]),
        there_form=data["there_form"],
        all=_phrases(data["all"]),
        both=_phrases(data["both"]),
        neither=_phrases(data["neither"]),
        ordinals={squeeze(word): place for word, place in data["ordinals"].items()},
        tags=_phrases(data["tags"]),
        listing=_opening(data["listing"]),
        placing=_opening(data["placing"]),
        only=_phrases(data["only"]),
        solely=_opening(data["solely"]),
        solely_last=_ending(data["solely"]),
        several=_within(data["several"]),
        together=_within(data["together"]),
        together_form=data["together_form"],
        conjunction=data["conjunction"],
        timer=data["timer"],
        timer_named=data["timer_named"],
        frames=tuple(data["frames"]),
    )


def _phrases(words: Iterable[str]) -> frozenset[str]:
    return frozenset(map(squeeze, words))


def _either(words: Iterable[str]) -> str:
    longest_first = sorted(_phrases(words), key=len, reverse=True)
    return "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest_first)


def _opening(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\s*(?:{_either(words)})(?=\s|$)")


def _ending(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\s(?:{_either(words)})\s*$")


def _within(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\S)(?:{_either(words)})(?!\S)")
