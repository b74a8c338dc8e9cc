"""Whether an utterance speaks of a device at all: what a model makes up has nobody named.

Words are compared loosely, for recognisers mishear. It is a check, not an understanding: which of
two lamps is meant it need not tell, only that no lamp was spoken of.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from rapidfuzz import fuzz

from assistant.home.model import Device, Home
from assistant.understand.language import Language
from assistant.understand.normal import squeeze

_ALIKE: Final = 84.0
"""Of 100, from which two words count as one: "reeding" and "reading"."""
_SHORT: Final = 4
"""Letters up to which words must be the same, but for their number: "tell" is no "telly"."""
_ANYTHING: Final = "any"


class Mentions:
    """What `text` speaks of in `home`. Built for each utterance; takes a few milliseconds.

    `recent`: ids of devices spoken of just before, which "it" may mean.
    """

    def __init__(
        self, text: str, language: Language, home: Home, recent: Collection[str] = ()
    ) -> None:
        self._language = language
        self._recent = frozenset(recent)
        self._idle = language.articles | frozenset(language.links) | language.dangling
        self._words = squeeze(text).split()
        self._known: dict[str, bool] = {}
        self._places = {
            area.id: [self._content(name) for name in (area.name, *area.aliases)]
            for area in home.areas
        }
        floors = {
            floor.id: [self._content(name) for name in (floor.name, *floor.aliases)]
            for floor in home.floors
        }
        self._floor_of = {area.id: floors.get(area.floor or "", []) for area in home.areas}
        named = [name for names in (*self._places.values(), *floors.values()) for name in names]
        self._places_named = [name for name in named if self._all(name)]
        # Devices whose whole name was said, and the words that this accounts for: that much of
        # "the sofa lamp" speaks of no other lamp.
        whole = [
            (device.id, name)
            for device in home.exposed()
            for name in self._names(device)
            if self._all(name)
        ]
        self._named = {device for device, _ in whole}
        self._accounted = {word for _, name in whole for word in name}
        # A switch that is called like its room does not account for what is said of the room.
        self._spent = {word for _, name in whole if name not in self._places_named for word in name}
        self._kinds: set[str] = set()
        self._other_kinds: set[str] = set()
        self._unspent_kinds: set[str] = set()
        self._kind_words: set[str] = set()
        for code, forms in language.kinds.items():
            for phrase in _phrases(tuple(forms.values())):
                if self._all(phrase):
                    self._kinds.add(code)
                    self._kind_words.update(phrase)
                    if not self._is_accounted(phrase):
                        self._other_kinds.add(code)
                    if not self._is_spent(phrase):
                        self._unspent_kinds.add(code)

    @property
    def anything(self) -> bool:
        """Whether it speaks of things of no particular kind ("is anything on")."""
        return _ANYTHING in self._kinds

    def weight(self, device: Device) -> int:
        """How much of `device` is spoken of; 0: nothing."""
        by_name = max(self._hits(name) for name in self._names(device))
        placed, kind = self._placed(device), self._of_kind(device, self._kinds)
        if not (by_name or placed or kind or device.id in self._recent):
            return 0
        return 1 + 3 * by_name + 2 * (placed and kind) + placed + kind

    def grounded(self, device: Device) -> bool:
        """Whether the utterance speaks of `device`: by a name, or by its kind or room.

        One of another room, or of another kind, than those spoken of is not meant, save by name.
        """
        elsewhere = bool(self._places_named) and not self._placed(device)
        if elsewhere and not any(
            place and set(place) <= set(name)
            for place in self._places_named
            for name in self._names(device)
        ):
            return False
        if device.id in self._recent or device.id in self._named:
            return True
        if any(not self._is_accounted([word]) for word in self._own_words_said(device)):
            return True
        if self._of_kind(device, self._other_kinds):
            return True
        return self._placed(device) and not self._kinds - {_ANYTHING}

    def calls(self, device: Device) -> bool:
        """Whether it calls `device` by a name, or by a word of one that tells it from others of
        its kind and room.
        """
        if device.id in self._named:
            return True
        common = self._kind_words.union(*self._places_named)
        return any(
            not (self._is_spent([word]) or self._among(word, common))
            for word in self._own_words_said(device)
        )

    def concerns(self, device: Device) -> bool:
        """Whether anything speaks of `device` that is not part of the name of another one."""
        if device.id in self._recent or self.calls(device):
            return True
        if any(self._all(name) and not self._is_spent(name) for name in self._place_names(device)):
            return True
        return self.has_kind_of(device) or any(
            not self._is_spent([word]) for word in self._own_words_said(device)
        )

    def has_kind_of(self, device: Device) -> bool:
        """Whether it speaks of things of the kind that `device` is of."""
        return self._of_kind(device, self._unspent_kinds)

    def has_any(self, text: str) -> bool:
        """Whether a word of `text` was said; True where it has none."""
        words = self._content(text)
        return not words or any(map(self._has, words))

    def _names(self, device: Device) -> list[list[str]]:
        return [self._content(name) for name in (device.name, *device.aliases)]

    def _place_names(self, device: Device) -> list[list[str]]:
        area = device.area or ""
        return self._places.get(area, []) + self._floor_of.get(area, [])

    def _placed(self, device: Device) -> bool:
        return any(self._all(name) for name in self._place_names(device))

    def _own_words_said(self, device: Device) -> Iterator[str]:
        """The words of its names that were said, but those that are its room's."""
        rooms = {word for name in self._place_names(device) for word in name}
        own = {word for name in self._names(device) for word in name if word not in rooms}
        return filter(self._has, own)

    def _is_spent(self, words: Collection[str]) -> bool:
        """Whether names account for `words`, and none of them was said once more besides."""
        return all(self._words.count(word) < 2 and self._among(word, self._spent) for word in words)

    def _is_accounted(self, words: Iterable[str]) -> bool:
        return all(self._among(word, self._accounted) for word in words)

    def _of_kind(self, device: Device, kinds: Collection[str]) -> bool:
        kind, within = device.type.value, device.device_class
        return not frozenset(kinds).isdisjoint({kind, f"{kind}.{within}", f"opening.{within}"})

    def _content(self, name: str) -> list[str]:
        words = _words_of(name)
        return [word for word in words if word not in self._idle] or list(words)

    def _hits(self, words: Iterable[str]) -> int:
        return sum(map(self._has, words))

    def _all(self, words: list[str]) -> bool:
        return bool(words) and all(map(self._has, words))

    def _has(self, word: str) -> bool:
        found = self._known.get(word)
        if found is None:
            found = self._among(word, self._words)
            self._known[word] = found
        return found

    def _among(self, word: str, words: Collection[str]) -> bool:
        """Whether `word` is one of `words`, in either number, or nearly so."""
        if word in words or not frozenset(self._language.numbers_of(word)).isdisjoint(words):
            return True
        return len(word) > _SHORT and any(
            len(other) > _SHORT and fuzz.ratio(word, other) >= _ALIKE for other in words
        )


@functools.lru_cache(maxsize=8192)
def _words_of(text: str) -> tuple[str, ...]:
    return tuple(squeeze(text).split())


@functools.cache
def _phrases(forms: tuple[str, ...]) -> tuple[list[str], ...]:
    phrases = [phrase for form in forms for phrase in form.split("|")]
    return tuple(squeeze(phrase).split() for phrase in phrases)
