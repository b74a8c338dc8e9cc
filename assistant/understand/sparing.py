"""What is to stay as it is while all else changes: "leave the hall light on, turn off the others".

That is a command with an exception, and is read as one: "turn off all the lights except the hall
light". What "the others" are tells the thing that is spared.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from assistant.home.model import Device, DeviceType
from assistant.understand.commands import MOST_COMMANDS, Part, parts_of
from assistant.understand.ellipsis import substitutions
from assistant.understand.language import Language
from assistant.understand.normal import fold
from assistant.understand.target import WINDOW_COVERS

_MOST_WORDS: Final = 12
"""Words of what is spared."""
_MOST_SUBSTITUTIONS: Final = 12


@dataclass(frozen=True, slots=True)
class Spared:
    """A sentence taken apart into what stays as it is and the commands for all else."""

    what: str
    before: str
    order: str
    """The part that speaks of what else there is, or the last: the exception belongs to it."""
    after: str
    others: re.Match[str] | None
    """Where in `order` all else is spoken of ("the other blinds"); None: it is not."""


def spared(text: str, language: Language) -> Iterator[Spared]:
    """The ways in which `text` spares something, first or last; none where it does not."""
    parts = parts_of(text, language)
    if not 2 <= len(parts) <= MOST_COMMANDS:
        return
    for count in range(1, len(parts)):
        for clause, rest in (
            (parts[:count], parts[count:]),
            (parts[-count:], parts[:-count]),
        ):
            what = language.sparing.what(text[clause[0].start : clause[-1].end])
            if what and len(what.split()) <= _MOST_WORDS:
                yield _spared(text, what, rest, language)


def _spared(text: str, what: str, rest: Sequence[Part], language: Language) -> Spared:
    found = ((part, _others(part.text, language)) for part in rest)
    part, others = next(((p, o) for p, o in found if o is not None), (rest[-1], None))
    start, end = rest[0].start, rest[-1].end
    return Spared(what, text[start : part.start], part.text, text[part.end : end], others)


def _others(order: str, language: Language) -> re.Match[str] | None:
    found = (pattern.search(fold(order)) for pattern, _ in language.sparing.others)
    return next(filter(None, found), None)


def in_full(one: Spared, devices: Sequence[Device], language: Language) -> Iterator[str]:
    """The sentences that may say `one` with an exception; `devices` are what is spared."""
    for order in _orders(one, devices, language):
        excepted = language.sparing.form.format(order=order, what=one.what)
        yield f"{one.before} {excepted} {one.after}".strip()


def of_it_alone(one: Spared, language: Language) -> Iterator[str]:
    """The sentences that may order of what is spared what is ordered of all else."""
    if one.others is None:
        yield from itertools.islice(
            substitutions(one.order, one.what, language, append=False), _MOST_SUBSTITUTIONS
        )
        return
    start, end = one.others.span()
    rest = one.order[end:]
    if language.sparing.form_of(one.others).endswith(" "):  # what follows is their kind
        yield f"{one.order[:start]}{one.what} {' '.join(rest.split()[1:])}"
    yield f"{one.order[:start]}{one.what}{rest}"


def _orders(one: Spared, devices: Sequence[Device], language: Language) -> Iterator[str]:
    """The command for all that there is, be it spared or not."""
    if one.others is None:
        yield one.order
        return
    form = language.sparing.form_of(one.others)
    start, end = one.others.span()
    for kind in _kinds(devices, language) if "{kind}" in form else [""]:
        yield f"{one.order[:start]}{form.format(kind=kind)}{one.order[end:]}"


def _kinds(devices: Sequence[Device], language: Language) -> Iterator[str]:
    """What several things like `devices` are called, where one word does for them all; that for
    their class first.
    """
    if len({device.type for device in devices}) != 1:
        return
    kind, classes = devices[0].type, {device.device_class for device in devices}
    codes = [f"{kind}.{devices[0].device_class}"] if len(classes) == 1 else []
    if kind is not DeviceType.COVER:
        codes.append(str(kind))
    elif all((one or "") in WINDOW_COVERS for one in classes):
        codes.append("cover.blind")  # they go by each other's names
    for code in dict.fromkeys(codes):
        if words := language.kinds.get(code):
            yield words["many"].split("|")[0]
