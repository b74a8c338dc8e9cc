"""The JSON schema of an answer, made of the home: what it does not offer can't be answered.

An answer is one of these, as compact as it can be, since each token costs time::

    {"actions":[{"do":"set_brightness","to":["light.sofa"],"brightness":40}, ...]}
    {"say":"It is half past six."}
    {"ask":"Which of the two lamps?"}

Only plain JSON schema is used (const, enum, anyOf, $defs, pattern, bounds), which servers that
take a schema understand as well as our own engine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from assistant.home.model import Home
from assistant.home.vocabulary import Vocabulary
from assistant.understand.handles import Handles
from assistant.understand.offer import OneOf, Slots, Whole, offers, offers_alone

MOST_ACTIONS: Final = 8
MOST_DEVICES: Final = 40
"""Devices one action may name."""
LONGEST_SAID: Final = 400
"""Characters of a reply or a question."""

# What JSON needs no escape for: so an answer is never longer than its text. The first character
# is none of those that Python's strip takes away, for a text of nothing else is none.
_ANY: Final = '[^"\\\\\\x00-\\x1F\\x7F]'
_FIRST: Final = (
    '[^\\x00-\\x20"\\\\\\x7F-\\xA0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]'
)
_SHARED_FROM: Final = 12
"""Values from which a list of them is written once and referred to."""


def answer_schema(
    home: Home,
    vocabulary: Vocabulary,
    handles: Handles,
    *,
    actions: bool = True,
    never: Collection[str] = (),
) -> dict[str, Any]:
    """The schema of an answer in `home`; without `actions` it can only say or ask something.

    It depends on what the home consists of and on how many timers run, not on states.
    """
    definitions: dict[str, Any] = {}
    answers = [_object(say=_text(LONGEST_SAID)), _object(ask=_text(LONGEST_SAID))]
    if actions and (branches := _branches(home, vocabulary, handles, never, definitions)):
        some = {"type": "array", "items": {"anyOf": branches}}
        answers.insert(0, _object(actions={**some, "minItems": 1, "maxItems": MOST_ACTIONS}))
    schema: dict[str, Any] = {"anyOf": answers}
    return {**schema, "$defs": definitions} if definitions else schema


def reply_schema() -> dict[str, Any]:
    """The schema of an answer that says something and does nothing else."""
    return _object(say=_text(LONGEST_SAID))


def _branches(
    home: Home,
    vocabulary: Vocabulary,
    handles: Handles,
    never: Collection[str],
    definitions: dict[str, Any],
) -> list[dict[str, Any]]:
    """One schema for each action and each group of devices that take it with the same values."""
    groups: dict[tuple[str, Slots], list[str]] = {}
    for device in home.exposed():
        for spec, slots in offers(device, home, handles, vocabulary, never):
            groups.setdefault((spec.name, slots), []).append(handles.of_device[device.id])
    branches = []
    shared = _Shared(definitions)
    for (name, slots), devices in groups.items():
        to = shared.refer(
            {
                "type": "array",
                "items": {"enum": devices},
                "minItems": 1,
                "maxItems": min(len(devices), MOST_DEVICES),
            },
            tuple(devices),
        )
        branches.append(_action(name, {"to": to}, slots, shared))
    for spec, slots in offers_alone(home, handles, vocabulary, never):
        branches.append(_action(spec.name, {}, slots, shared))
    return branches


class _Shared:
    """Definitions that several places refer to."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._names: dict[object, str] = {}

    def refer(self, schema: Mapping[str, Any], key: object) -> dict[str, Any]:
        """A reference to `schema`, which `key` tells from all others."""
        name = self._names.setdefault(key, f"d{len(self._names)}")
        self._definitions[name] = schema
        return {"$ref": f"#/$defs/{name}"}


def _action(name: str, target: dict[str, Any], slots: Slots, shared: _Shared) -> dict[str, Any]:
    properties: dict[str, Any] = {"do": {"const": name}, **target}
    optional = set()
    for slot in slots:
        if not slot.required:
            optional.add(slot.name)
        match slot.takes:
            case Whole(low, high):
                value: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
            case OneOf(values):
                value = {"enum": list(values)}
                if len(values) >= _SHARED_FROM:
                    value = shared.refer(value, slot.takes)
            case _:
                value = _text(slot.takes.longest)
        properties[slot.name] = value
    return _object(optional, **properties)


def _object(optional: Collection[str] = (), /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{_FIRST}{_ANY}{{0,{longest - 1}}}$"}
