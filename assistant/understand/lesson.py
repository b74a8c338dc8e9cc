"""What is to be learnt of an utterance that a language model has resolved, if anything is.

Nothing is, where its words mean something else on another occasion: they refer to what was said
before, to the time, or to how things stand; or the model chose among things by what it knew besides
the words. Where it is the room that made the difference, the room is learnt along with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from assistant.home.action import Action
from assistant.home.model import Home
from assistant.home.vocabulary import Vocabulary
from assistant.plan import Utterance
from assistant.understand.grounding import Mentions
from assistant.understand.language import Language, load_language
from assistant.understand.remembered import (
    Bearers,
    Remembered,
    Slot,
    Span,
    Step,
    about,
    is_harmless,
    is_order,
    sentence,
)
from assistant.understand.words import Word

_MOST_SLOTS: Final = 4
_FEWEST_OWN: Final = 2
"""Words that a pattern has of its own: "{name}" alone would say too much."""


def lesson(
    utterance: Utterance, home: Home, actions: Sequence[Action], vocabulary: Vocabulary
) -> Remembered | None:
    """What to remember of `utterance`, which came to `actions`; None: nothing.

    `home` as it was when it was said. Costs some milliseconds.
    """
    language = load_language(utterance.language)
    words = sentence(utterance.text, language)
    devices = [home.devices.get(i) for action in actions for i in action.devices]
    if not (words and actions and is_order(utterance.text, language)):
        return None
    if not all(action.devices for action in actions):
        return None
    for action in actions:
        for device_id in action.devices:
            device = home.devices.get(device_id)
            if device is None or not is_harmless(action, device, vocabulary):
                return None
    bearers = Bearers(home, language)
    named = bearers.named(words)
    # A name is none of the words it is made of: the night light does not speak of the night.
    own = ["·" if name else word.text for word, name in zip(words, named, strict=True)]
    if language.depending.search(" ".join(own)):
        return None
    if not set(own) - {"·"} - language.articles - frozenset(language.links):
        return None  # a bare name: what it is to do, the model saw from how things stand
    mentions = Mentions(utterance.text, language, home)
    if not all(device is not None and mentions.grounded(device) for device in devices):
        return None
    steps = tuple(
        Step(action, tuple(sorted({home.devices[i].type.value for i in action.devices})))
        for action in actions
    )
    spans = _longest(bearers.spans(words))
    area = None
    if not _is_fixed(steps, spans, bearers.floors(words), home):
        if utterance.area is None:
            return None
        area = utterance.area
    pattern, slots = _generalised(words, spans, steps, home, language, vocabulary)
    if bearers.floors(words) and any(slot.kind != "number" for slot in slots):
        pattern, slots = "", ()
    return Remembered(
        utterance.language,
        " ".join(word.text for word in words),
        steps,
        area,
        pattern,
        slots,
        about(utterance.text, language, home),
    )


def whole_area(step: Step, area: str, home: Home, vocabulary: Vocabulary) -> tuple[str, ...]:
    """All devices of `area` that are of the step's types and can do what it does."""
    return tuple(
        device.id
        for device in home.exposed()
        if device.area == area
        and device.type.value in step.types
        and is_harmless(step.action, device, vocabulary)
    )


def _longest(spans: Sequence[Span]) -> list[Span]:
    """`spans` without those that begin within a longer one: a name may hold another."""
    chosen: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        if all(span.end <= other.start or other.end <= span.start for other in chosen):
            chosen.append(span)
    return sorted(chosen, key=lambda span: span.start)


def _is_fixed(
    steps: tuple[Step, ...], spans: Sequence[Span], floors: frozenset[str], home: Home
) -> bool:
    """Whether the words alone tell where the devices are: by their names, or their place's."""
    names = {span.value for span in spans if span.kind == "name"}
    areas = {span.value for span in spans if span.kind == "area"}
    areas |= home.areas_on(floors)
    ids = {device for step in steps for device in step.action.devices}
    return all(i in names or home.devices[i].area in areas for i in ids)


def _generalised(
    words: Sequence[Word],
    spans: Sequence[Span],
    steps: tuple[Step, ...],
    home: Home,
    language: Language,
    vocabulary: Vocabulary,
) -> tuple[str, tuple[Slot, ...]]:
    """The pattern of a sentence, and what its slots stand for; ("", ()): it has none."""
    ids = {device for step in steps for device in step.action.devices}
    names = [span for span in spans if span.kind == "name"]
    areas = [span for span in spans if span.kind == "area"]
    taken: list[tuple[Span, Slot]] = []
    if names:
        # Each device commanded is named once, and nothing else is: else the words say more of
        # them than their names.
        if areas or Counter(span.value for span in names) != Counter(ids):
            return "", ()
        taken += [
            (span, Slot("name", span.value, home.devices[str(span.value)].type.value))
            for span in names
        ]
    elif areas:
        (first, *more) = areas
        area = str(first.value)
        for step in steps:
            if more or set(step.action.devices) != set(whole_area(step, area, home, vocabulary)):
                return "", ()
        taken.append((first, Slot("area", area)))
    taken += [(span, Slot("number", span.value)) for span in _numbers(spans, steps)]
    taken.sort(key=lambda pair: pair[0].start)
    pattern = _pattern(words, [span for span, _ in taken], language)
    own = {word for word in pattern.split() if word[0] != "{"}
    own -= language.articles | frozenset(language.links)
    if not 0 < len(taken) <= _MOST_SLOTS or len(own) < _FEWEST_OWN:
        return "", ()
    return pattern, tuple(slot for _, slot in taken)


def _numbers(spans: Sequence[Span], steps: tuple[Step, ...]) -> list[Span]:
    """The numbers that were set as they were said, each said once."""
    set_to = {
        value
        for step in steps
        for value in step.action.params.values()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    numbers = [span for span in spans if span.kind == "number"]
    times = Counter(span.value for span in numbers)
    return [span for span in numbers if span.value in set_to and times[span.value] == 1]


def _pattern(words: Sequence[Word], spans: Sequence[Span], language: Language) -> str:
    """`words` with `spans` as slots. An article before a name goes: it may be another next time."""
    begins = {span.start: span for span in spans}
    parts: list[str] = []
    place = 0
    while place < len(words):
        span = begins.get(place)
        if span is None:
            parts.append(words[place].text)
            place += 1
            continue
        while span.kind != "number" and parts and parts[-1] in language.articles:
            parts.pop()
        parts.append(f"{{{span.kind}}}")
        place = span.end
    return " ".join(parts)
