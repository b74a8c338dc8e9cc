"""What recognisers make of sentences: mistakes made on purpose, each kind by itself."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from assistant.understand.language import load_language

HOMOPHONES: Final[Mapping[str, Sequence[str]]] = {
    "en": (
        "for four fore", "to too two", "right write rite", "night knight", "light lite",
        "floor flaw", "close clothes", "hall haul", "door dawn", "blue blew", "red read",
        "by buy bye", "one won", "eight ate", "off of", "their there", "the a",
        "weather whether", "hour our", "blinds blines", "stairs stares", "set said", "room rum",
        "lamp lamb", "heat heed", "fan fanned", "lock lok", "side sighed", "week weak", "down town",
        "whole hole", "no know", "sun son", "see sea", "play plate", "pause paws", "volume volumes",
        "dim dimm", "kitchen kitching", "curtain curtains", "garage garbage", "study sturdy",
        "living leaving",
    ),
    "it": (
        "a ha", "ai hai", "anno hanno", "o ho", "e è", "la là", "luce luci", "letto letti",
        "tutte tutti", "accendi acendi", "spegni speni", "chiudi chiuti", "cucina cuccina",
        "soggiorno sogiorno", "tapparella taparella", "tapparelle taparelle", "abbassa abassa",
        "alza alsa", "camera camere", "bagno banio", "percento per cento", "porta porte",
        "termostato termostati", "musica musiche", "metti meti", "gradi grandi",
    ),
}  # fmt: skip
HESITATIONS: Final = {"en": ("um", "uh", "er"), "it": ("ehm", "eh", "mmm")}
_LETTERS: Final = "abcdefghilmnoprstuv"
_SHORTEST: Final = 4
"""Letters of a word that a letter is lost from."""

Mistake = Callable[[list[str], str, random.Random], list[str] | None]
"""The words of a sentence with one mistake; None where there is no place for it."""


def homophone(words: list[str], language: str, dice: random.Random) -> list[str] | None:
    """One word for another that sounds the same, or nearly."""
    groups = [set(group.split()) for group in HOMOPHONES[language]]
    places = [
        (place, other)
        for place, word in enumerate(words)
        for group in groups
        if word in group
        for other in sorted(group - {word})
    ]
    if not places:
        return None
    place, other = dice.choice(places)
    return [*words[:place], other, *words[place + 1 :]]


def letter(words: list[str], language: str, dice: random.Random) -> list[str] | None:
    """One letter lost, doubled, exchanged or swapped with the next."""
    places = [i for i, word in enumerate(words) if len(word) >= _SHORTEST and word.isalpha()]
    if not places:
        return None
    place = dice.choice(places)
    word = words[place]
    at = dice.randrange(1, len(word))
    made = dice.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + dice.choice(_LETTERS) + word[at + 1 :],
            word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :],
        )
    )
    return [*words[:place], made, *words[place + 1 :]] if made != word else None


def article(words: list[str], language: str, dice: random.Random) -> list[str] | None:
    """One article lost."""
    places = [i for i, word in enumerate(words) if word in load_language(language).articles]
    if not places:
        return None
    place = dice.choice(places)
    return words[:place] + words[place + 1 :]


def merged(words: list[str], language: str, dice: random.Random) -> list[str] | None:
    """Two words run into one."""
    places = [i for i in range(len(words) - 1) if words[i].isalpha() and words[i + 1].isalpha()]
    if not places:
        return None
    place = dice.choice(places)
    return [*words[:place], words[place] + words[place + 1], *words[place + 2 :]]


def split(words: list[str], language: str, dice: random.Random) -> list[str] | None:
    """One word torn in two."""
    places = [i for i, word in enumerate(words) if len(word) >= 6 and word.isalpha()]
    if not places:
        return None
    place = dice.choice(places)
    at = dice.randrange(3, len(words[place]) - 2)
    return [*words[:place], words[place][:at], words[place][at:], *words[place + 1 :]]


def twice(words: list[str], language: str, dice: random.Random) -> list[str] | None:
    """One word said twice."""
    place = dice.randrange(len(words))
    return [*words[: place + 1], words[place], *words[place + 1 :]]


def hesitation(words: list[str], language: str, dice: random.Random) -> list[str] | None:
    """A sound that is no word."""
    place = dice.randrange(len(words))
    return [*words[:place], dice.choice(HESITATIONS[language]), *words[place:]]


MISTAKES: Final[Mapping[str, Mistake]] = {
    "homophone": homophone,
    "one letter": letter,
    "article dropped": article,
    "words merged": merged,
    "word split": split,
    "word doubled": twice,
    "hesitation": hesitation,
}


def mistaken(kind: str, text: str, language: str, dice: random.Random) -> str | None:
    """`text` as a recogniser might write it, with one mistake of `kind`; None: none fits."""
    words = re.findall(r"[\w'%°.:,-]*[\w'%°]", text.lower())
    made = MISTAKES[kind](words, language, dice) if words else None
    return " ".join(made) if made else None
