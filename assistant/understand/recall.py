"""Finds what an utterance was remembered as, as long as it still means that in this home."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from assistant.home.action import Action, ParamValue
from assistant.home.model import Home
from assistant.home.vocabulary import Vocabulary
from assistant.plan import Utterance
from assistant.understand.language import Language, load_language
from assistant.understand.lesson import whole_area
from assistant.understand.numbers import as_number
from assistant.understand.remembered import (
    SLOT,
    Bearers,
    Remembered,
    Span,
    about,
    is_harmless,
    is_order,
    sentence,
)
from assistant.understand.words import Word

_SURE: Final = 1.0
_SURE_OF_ANOTHER: Final = 0.9
"""Score of a pattern that was learnt of another device, area or number."""

_MOST_KNOWN: Final = 500


@dataclass(frozen=True, slots=True)
class Recalled:
    """What an utterance is remembered to mean. `by_pattern`: it was learnt of something else."""

    entry: Remembered
    actions: tuple[Action, ...]
    by_pattern: bool = False

    @property
    def score(self) -> float:
        """How sure it is."""
        return _SURE_OF_ANOTHER if self.by_pattern else _SURE


class Recall:
    """Looks up `entries`."""

    def __init__(self, entries: Iterable[Remembered], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._whole: dict[tuple[str, str], list[Remembered]]
        self._patterns: dict[str, list[_Pattern]]
        self._bearers: dict[tuple[str, int, str], Bearers] = {}
        self._about: dict[tuple[str, int, str, str], str] = {}
        self.know(entries)

    def know(self, entries: Iterable[Remembered]) -> None:
        """Look up these from now on. Takes a few milliseconds for hundreds."""
        self._whole, self._patterns = defaultdict(list), defaultdict(list)
        for entry in entries:
            self._whole[entry.language, entry.said].append(entry)
            if entry.pattern:
                self._patterns[entry.language].append(_Pattern(entry))

    def find(self, utterance: Utterance, home: Home, now: float) -> Recalled | None:
        """What `utterance` means, at second `now` since the epoch; None: that is not known.

        It is not, where a device is gone, hidden or can no longer do it, where the words speak of
        other devices than they did, while it is on trial, or where two memories disagree.
        """
        language = load_language(utterance.language)
        if not is_order(utterance.text, language):
            return None
        words = sentence(utterance.text, language)
        same = self._whole.get((language.code, " ".join(word.text for word in words)), ())
        same = [entry for entry in same if entry.area in (None, utterance.area)]
        if same:
            # What the owner has switched off, or what may be taken back yet, is not to be had
            # by way of a pattern either.
            entry = max(same, key=lambda entry: entry.area is not None)
            if not _is_valid(entry, now) or not self._still(entry, utterance, language, home):
                return None
            return Recalled(entry, tuple(step.action for step in entry.steps))
        return self._by_pattern(utterance, words, language, home, now)

    def _by_pattern(
        self,
        utterance: Utterance,
        words: tuple[Word, ...],
        language: Language,
        home: Home,
        now: float,
    ) -> Recalled | None:
        texts = frozenset(word.text for word in words)
        fitting = [
            pattern
            for pattern in self._patterns.get(language.code, ())
            if pattern.own <= texts
            and pattern.entry.area in (None, utterance.area)
            and _is_valid(pattern.entry, now)
        ]
        if not fitting:
            return None
        begins: dict[int, list[Span]] = defaultdict(list)
        for span in self._bearers_of(home, language).spans(words):
            begins[span.start].append(span)
            start = span.start
            while span.kind != "number" and start and words[start - 1].text in language.articles:
                start -= 1
                begins[start].append(replace(span, start=start))
        found: list[Recalled] = []
        for pattern in fitting:
            for spans in _fits(pattern.parts, words, begins):
                actions = self._filled(pattern.entry, spans, home)
                if actions and self._speaks_of_same(pattern.entry, utterance, language, home):
                    found.append(Recalled(pattern.entry, actions, by_pattern=True))
        if not found or any(other.actions != found[0].actions for other in found):
            return None
        return found[0]

    def _still(
        self, entry: Remembered, utterance: Utterance, language: Language, home: Home
    ) -> bool:
        """Whether `entry` still holds as it was said."""
        actions = [step.action for step in entry.steps]
        if not self._possible(actions, home):
            return False
        return self._about_same(entry, utterance, language, home)

    def _speaks_of_same(
        self, entry: Remembered, utterance: Utterance, language: Language, home: Home
    ) -> bool:
        """Whether the devices that a pattern does not name are those it was learnt of."""
        if any(slot.kind != "number" for slot in entry.slots):
            return True
        return self._about_same(entry, utterance, language, home)

    def _about_same(
        self, entry: Remembered, utterance: Utterance, language: Language, home: Home
    ) -> bool:
        if not entry.about:
            return True
        known = (home.id, home.revision, language.code, utterance.text)
        if known not in self._about:
            if len(self._about) > _MOST_KNOWN:
                self._about.clear()
            self._about[known] = about(utterance.text, language, home)
        return entry.about == self._about[known]

    def _possible(self, actions: Iterable[Action], home: Home) -> bool:
        for action in actions:
            for device_id in action.devices:
                device = home.devices.get(device_id)
                if device is None or not is_harmless(action, device, self._vocabulary):
                    return False
        return True

    def _filled(
        self, entry: Remembered, spans: Sequence[Span], home: Home
    ) -> tuple[Action, ...] | None:
        """What `entry` does with `spans` in its slots; None: they can't do it."""
        devices: dict[str, str] = {}
        numbers: dict[float, float] = {}
        area: str | None = None
        for slot, span in zip(entry.slots, spans, strict=True):
            if slot.kind == "area":
                area = str(span.value)
            elif slot.kind == "number":
                numbers[float(slot.value)] = float(span.value)
            else:
                device = home.devices.get(str(span.value))
                if device is None or device.type.value != slot.type:
                    return None
                devices[str(slot.value)] = device.id
        if len(set(devices.values())) < len(devices):
            return None
        actions = []
        for step in entry.steps:
            params = _with_numbers(step.action.params, numbers)
            action = replace(step.action, params=params)
            if area is not None:
                there = whole_area(replace(step, action=action), area, home, self._vocabulary)
            else:
                there = tuple(devices.get(i, i) for i in action.devices)
            if not there:
                return None
            actions.append(replace(action, devices=there))
        return tuple(actions) if self._possible(actions, home) else None

    def _bearers_of(self, home: Home, language: Language) -> Bearers:
        known = (home.id, home.revision, language.code)
        if known not in self._bearers:
            self._bearers = {k: v for k, v in self._bearers.items() if k[1] == home.revision}
            self._bearers[known] = Bearers(home, language)
        return self._bearers[known]


class _Pattern:
    """The pattern of an entry, taken apart."""

    def __init__(self, entry: Remembered) -> None:
        self.entry = entry
        self.parts = tuple(entry.pattern.split())
        self.own = frozenset(part for part in self.parts if not SLOT.fullmatch(part))


def _is_valid(entry: Remembered, now: float) -> bool:
    return entry.enabled and now >= entry.trial_ends


def _with_numbers(
    params: Mapping[str, ParamValue], numbers: Mapping[float, float]
) -> dict[str, ParamValue]:
    changed = dict(params)
    for name, value in params.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            changed[name] = as_number(numbers.get(float(value), value))
    return changed


def _fits(
    parts: Sequence[str], words: Sequence[Word], begins: Mapping[int, Sequence[Span]]
) -> Iterator[tuple[Span, ...]]:
    """Every way in which `parts` are all of `words`: what stands in the slots."""
    waiting: list[tuple[int, int, tuple[Span, ...]]] = [(0, 0, ())]
    while waiting:
        part, word, spans = waiting.pop()
        if part == len(parts):
            if word == len(words):
                yield spans
            continue
        if slot := SLOT.fullmatch(parts[part]):
            waiting += [
                (part + 1, span.end, (*spans, span))
                for span in begins.get(word, ())
                if span.kind == slot[1]
            ]
        elif word < len(words) and words[word].text == parts[part]:
            waiting.append((part + 1, word + 1, spans))
