"""What a language model once made of an utterance, kept so that it need not be asked again.

An entry has the utterance as it was said and what was done. Where words of it are the names of the
devices commanded, of their area, or numbers that were set, it has a pattern besides, with slots in
their place, which says the same of others. What may be remembered at all is narrow: actions that
do no harm, on devices that the utterance itself speaks of, in words that mean the same tomorrow.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal

from assistant.home import hazard
from assistant.home.action import Action
from assistant.home.model import Device, DeviceType, Home, Risk
from assistant.home.vocabulary import VOCABULARY, ActionError, ParamKind, Vocabulary
from assistant.understand.grounding import Mentions
from assistant.understand.language import Language
from assistant.understand.lattice import exactly
from assistant.understand.mood import Mood, mood, without_politeness
from assistant.understand.normal import fold
from assistant.understand.words import Word, spoken, words_of

LONGEST: Final = 200
"""Letters of an utterance beyond which it is not remembered: nobody says it twice."""
_OPENING: Final = frozenset({DeviceType.COVER, DeviceType.LOCK})

SlotKind = Literal["name", "area", "number"]
SLOT: Final = re.compile(r"\{(name|area|number)\}")


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a pattern. `value`: what was said in its place when it was learnt.

    That is the id of a device (of type `type`), the id of an area, or a number.
    """

    kind: SlotKind
    value: str | float
    type: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One action, and the types of the devices it was for."""

    action: Action
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remembered:
    """One utterance, and what it does. Times in seconds since the epoch."""

    language: str
    said: str
    """Its words as `sentence` gives them, with single spaces."""
    steps: tuple[Step, ...]
    area: str | None = None
    """Id of the area in which alone it means this; None: it means it everywhere."""
    pattern: str = ""
    """Its words with slots ("{name} annoys me"); "": it says nothing of others."""
    slots: tuple[Slot, ...] = ()
    """What the slots of the pattern stand for, in order."""
    about: str = ""
    """Which devices the utterance spoke of (`about`); "": the owner has written it."""
    id: int = 0
    learnt: float = 0.0
    trial_ends: float = 0.0
    """Until then it is not acted on, since the user may still object."""
    used: int = 0
    last_used: float = 0.0
    enabled: bool = True

    @property
    def devices(self) -> frozenset[str]:
        """The devices it commands as it was said."""
        return frozenset(device for step in self.steps for device in step.action.devices)


@dataclass(frozen=True, slots=True)
class Span:
    """Words `start` to `end` of a sentence that may stand in a slot."""

    start: int
    end: int
    kind: SlotKind
    value: str | float


def sentence(text: str, language: Language) -> tuple[Word, ...]:
    """The words of `text` that mean something: no politeness around them, no punctuation."""
    body, _ = without_politeness(fold(text), language)
    return tuple(word for word in words_of(body) if spoken(word.text))


def said(text: str, language: Language) -> str:
    """`text` as it is compared with others."""
    return " ".join(word.text for word in sentence(text, language))


def is_order(text: str, language: Language) -> bool:
    """Whether `text` may lead to an action: it is short, asks nothing and forbids nothing."""
    return len(text) <= LONGEST and mood(text, language) is Mood.ORDER


class Bearers:
    """Who bears which name in a home, of what may be spoken of. Built for a revision of the home.

    Names are those that were given, with or without an article: no other forms, no mishearings.
    """

    def __init__(self, home: Home, language: Language) -> None:
        self._language = language
        self._devices: dict[tuple[str, ...], set[str]] = {}
        self._areas: dict[tuple[str, ...], set[str]] = {}
        self._floors: dict[tuple[str, ...], set[str]] = {}
        for device in home.exposed():
            self._put(self._devices, device.id, device.name, *device.aliases)
        for area in home.areas:
            self._put(self._areas, area.id, area.name, *area.aliases)
        for floor in home.floors:
            self._put(self._floors, floor.id, floor.name, *floor.aliases)
        everything = (*self._devices, *self._areas, *self._floors)
        self._longest = max(map(len, everything), default=0)

    def spans(self, words: tuple[Word, ...]) -> list[Span]:
        """All that may stand in a slot, numbers included; only what has one bearer may."""
        found = []
        for start in range(len(words)):
            for end in range(start + 1, min(start + self._longest, len(words)) + 1):
                texts = tuple(word.text for word in words[start:end])
                devices, areas = self._devices.get(texts, ()), self._areas.get(texts, ())
                if len(devices) + len(areas) == 1 and texts not in self._floors:
                    kind: SlotKind = "name" if devices else "area"
                    found.append(Span(start, end, kind, *devices, *areas))
        lattice = exactly(words)
        for start in range(len(words)):
            numbers = self._language.numbers.at(lattice, start)
            found += [Span(start, n.end, "number", n.value.value) for n in numbers]
        return found

    def named(self, words: tuple[Word, ...]) -> list[bool]:
        """Of each word, whether it belongs to the name of anything."""
        within = [False] * len(words)
        for start in range(len(words)):
            for end in range(start + 1, min(start + self._longest, len(words)) + 1):
                texts = tuple(word.text for word in words[start:end])
                if texts in self._devices or texts in self._areas or texts in self._floors:
                    within[start:end] = [True] * (end - start)
        return within

    def floors(self, words: tuple[Word, ...]) -> frozenset[str]:
        """Ids of the floors that are spoken of."""
        texts = f" {' '.join(word.text for word in words)} "
        return frozenset(
            floor
            for name, floors in self._floors.items()
            if f" {' '.join(name)} " in texts
            for floor in floors
        )

    def _put(self, names: dict[tuple[str, ...], set[str]], bearer: str, *called: str) -> None:
        for name in called:
            words = spoken(name)
            while words:
                names.setdefault(words, set()).add(bearer)
                if words[0] not in self._language.articles or len(words) == 1:
                    break
                words = words[1:]


def about(text: str, language: Language, home: Home) -> str:
    """Which devices `text` speaks of, in short: another value once it speaks of others.

    A lamp that is new, renamed or moved may change what was meant. Costs milliseconds.
    """
    mentions = Mentions(text, language, home)
    spoken_of = sorted(
        repr((device.id, device.name, device.aliases, device.area))
        for device in home.exposed()
        if mentions.grounded(device)
    )
    return hashlib.sha256("\n".join(spoken_of).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def is_harmless(action: Action, device: Device, vocabulary: Vocabulary) -> bool:
    """Whether `device` can take `action`, and may do so on the strength of a memory.

    Nothing that opens, unlocks or starts what may do harm, whatever the owner's risk classes
    allow; and nothing in free words, which are other words the next time.
    """
    spec = vocabulary.actions.get(action.name)
    if spec is None or not spec.fits(device) or not device.exposed:
        return False
    if device.type is DeviceType.VALVE or device.type in spec.risky:
        return False
    # A relative amount may come to opening.
    if device.type in _OPENING and spec.resolve is not None:
        return False
    if spec.starts and hazard.is_hazardous(device):
        return False
    if vocabulary.risk(device, action) is not Risk.SAFE:
        return False
    texts = [param.name for param in spec.params if param.kind is ParamKind.TEXT]
    if any(name in action.params and action.params[name] not in device.options for name in texts):
        return False
    try:
        vocabulary.check(device, action)
    except ActionError:
        return False
    return True


def does(steps: tuple[Step, ...], vocabulary: Vocabulary = VOCABULARY) -> str:
    """What `steps` do, for the owner to read."""
    told = []
    for step in steps:
        spec = vocabulary.actions.get(step.action.name)
        what = spec.description if spec is not None else step.action.name
        whom = ", ".join(step.action.devices)
        params = ", ".join(f"{name} {value}" for name, value in step.action.params.items())
        told.append(f"{what} {whom}{f': {params}' if params else ''}")
    return "; ".join(told)
