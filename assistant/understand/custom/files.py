"""A file of the user's own sentences: what may be in it, and what each part of it says.

hassil's format, as custom sentences of Home Assistant have it, with three keys more in an intent
or in a block of its `data`, which say what the sentences do:

`run`      a sentence that is understood already, or several, in whose place the own one is said
`actions`  actions with their devices and parameters
`say`      a reply, or several to choose from (Jinja)

An intent without them is one of ours ("lights.turn_on") or of Home Assistant's ("HassTurnOn").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from assistant.home.action import ParamValue
from assistant.home.model import DeviceType
from assistant.home.vocabulary import VOCABULARY, ActionSpec, ParamKind
from assistant.understand.custom.located import (
    Located,
    Place,
    Problem,
    SentenceFileError,
    load_located,
)

SLOT: Final = re.compile(r"\{([^{}]*)\}")
"""A slot in a text that it is put into: "play {song}"."""
_LANGUAGE: Final = re.compile(r"^[a-z]{2}$")
_MOST_SENTENCES: Final = 5_000
_FILE_KEYS: Final = frozenset({"language", "intents", "lists", "expansion_rules", "responses"})
_EFFECT_KEYS: Final = frozenset({"run", "actions", "say", "response"})
_BLOCK_KEYS: Final = _EFFECT_KEYS | {
    "sentences",
    "slots",
    "requires_context",
    "excludes_context",
    "name_domains",
    "inferred_domain",
    "expansion_rules",
    "lists",
}
_IGNORED: Final = frozenset({"metadata", "settings", "required_keywords"})
"""Keys of hassil's that change nothing of what a sentence means."""
_ACTION_KEYS: Final = frozenset({"action", "devices", "params"})
_LIST_KEYS: Final = frozenset({"values", "range", "wildcard"})
_RANGE_KEYS: Final = frozenset({"from", "to", "step", "fractions", "words", "type", "digits"})
_SAMPLE: Final = "see: assistant sentences example"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entry of `actions`. Texts may hold {slots}; `devices` are ids or names."""

    action: str
    devices: tuple[str, ...]
    params: Mapping[str, ParamValue]
    place: Place


@dataclass(frozen=True, slots=True)
class Effect:
    """What sentences do, besides what their intent does by itself."""

    run: tuple[str, ...] = ()
    actions: tuple[Wanted, ...] = ()
    say: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where each of these stands."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Where, and about what kinds of devices, sentences hold."""

    domains: frozenset[str] = frozenset()
    """Types of which {name} must be; none: any."""
    not_domains: frozenset[str] = frozenset()
    area: str | None = None
    """Name or id of the area in which they must be said; "": in any that is known."""
    area_slot: bool = False
    """That area is then the slot `area`."""


@dataclass(frozen=True, slots=True)
class Block:
    """Sentences that mean the same, and what it is."""

    intent: str
    sentences: tuple[str, ...]
    slots: Mapping[str, Any]
    effect: Effect
    needs: Needs
    rules: Mapping[str, str]
    lists: Mapping[str, Any]
    place: Place


@dataclass(frozen=True, slots=True)
class SentenceFile:
    """One file, sound as far as it can be judged by itself."""

    located: Located
    language: str
    blocks: tuple[Block, ...]
    rules: Mapping[str, str]
    lists: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """Where it was read from."""
        return self.located.path


def read_sentences(
    path: Path, language: str | None
) -> tuple[SentenceFile | None, tuple[Problem, ...]]:
    """The file at `path`, which must be in `language` if that is given, and what is wrong with it.

    With any problem there is no file: half of one would do the half of what it says.
    """
    try:
        located = load_located(path)
    except SentenceFileError as error:
        return None, (error.problem,)
    reading = _Reading(located)
    file = reading.file(language)
    return (None if reading.problems else file), tuple(reading.problems)


@dataclass(slots=True)
class _Reading:
    located: Located
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, text: str, *place: str | int) -> None:
        self.problems.append(self.located.problem(text, *place))

    def file(self, expected: str | None) -> SentenceFile:
        data = self._table(self.located.data, "the file")
        self._known(data, _FILE_KEYS | _IGNORED)
        language = self._language(data, expected)
        rules = self._rules(data, ())
        lists = self._lists(data, ())
        responses = self._responses(data)
        intents = self._table(data.get("intents"), "'intents'", "intents")
        if not intents:
            self.wrong(f"has no 'intents', so no sentences; {_SAMPLE}", "intents")
        blocks = tuple(
            block
            for name, body in intents.items()
            for block in self._intent(str(name), body, responses)
        )
        if sum(len(block.sentences) for block in blocks) > _MOST_SENTENCES:
            self.wrong(f"has more than {_MOST_SENTENCES} sentences; split it", "intents")
        return SentenceFile(self.located, language, blocks, rules, lists)

    def _language(self, data: Mapping[str, Any], expected: str | None) -> str:
        language = data.get("language", expected)
        if language is None:
            self.wrong(
                "names no language; write 'language: en' at its top, or put it into a folder en/"
            )
        elif not isinstance(language, str) or not _LANGUAGE.match(language):
            hint = " (in quotes: YAML takes no for false)" if language is False else ""
            self.wrong(f"'language' must be two letters such as en{hint}", "language")
        elif expected is not None and language != expected:
            self.wrong(
                f"says 'language: {language}' but lies in the folder {expected}/; move it to "
                f"{language}/",
                "language",
            )
        return str(language)

    def _intent(
        self, name: str, body: Any, responses: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[Block]:
        place: Place = ("intents", name)
        table = self._table(body, f"intent {name!r}", *place)
        self._known(table, _EFFECT_KEYS | _IGNORED | {"data"}, *place)
        own = responses.get(name, {})
        shared = self._effect(table, place, own)
        data = table.get("data")
        if not isinstance(data, list) or not data:
            self.wrong(
                f"intent {name!r} needs a list 'data' of blocks with sentences; {_SAMPLE}", *place
            )
            return
        for index, block in enumerate(data):
            yield self._block(name, block, (*place, "data", index), shared, own)

    def _block(
        self, intent: str, body: Any, place: Place, shared: Effect, responses: Mapping[str, Any]
    ) -> Block:
        table = self._table(body, f"a block of intent {intent!r}", *place)
        self._known(table, _BLOCK_KEYS | _IGNORED, *place)
        sentences = self._texts(table.get("sentences"), "'sentences'", *place, "sentences")
        if not sentences:
            self.wrong(f"a block of intent {intent!r} has no 'sentences'", *place)
        slots = self._table(table.get("slots"), "'slots'", *place, "slots")
        if "inferred_domain" in table:
            slots = {"domain": table["inferred_domain"], **slots}
        own = self._effect(table, place, responses)
        effect = own if own.run or own.actions or own.say else shared
        if own.say and not (own.run or own.actions):
            places = {**shared.places, **own.places}
            effect = Effect(shared.run, shared.actions, own.say, places)
        return Block(
            intent,
            sentences,
            {str(k): v for k, v in slots.items()},
            effect,
            self._needs(table, place),
            self._rules(table, place),
            self._lists(table, place),
            place,
        )

    def _effect(
        self, table: Mapping[str, Any], place: Place, responses: Mapping[str, Any]
    ) -> Effect:
        places: dict[str, Place] = {
            key: (*place, key) for key in ("run", "actions", "say") if key in table
        }
        run = self._texts(table.get("run"), "'run'", *place, "run")
        actions = tuple(self._actions(table.get("actions"), (*place, "actions")))
        say = self._texts(table.get("say"), "'say'", *place, "say")
        if run and actions:
            self.wrong("has both 'run' and 'actions'; keep one of them", *place, "run")
        if not say and "sentences" in table:
            key = table.get("response", "default")
            if (named := responses.get(str(key))) is not None:
                say = self._texts(named, f"response {key!r}", "responses")
                places["say"] = ("responses", "intents")
            elif "response" in table and " " in str(key):
                say, places["say"] = (str(key),), (*place, "response")
            elif "response" in table and responses:
                self.wrong(
                    f"there is no response {key!r} under 'responses'; name one that is there, or "
                    "write the reply as 'say'",
                    *place,
                    "response",
                )
        return Effect(run, actions, say, places)

    def _actions(self, entries: Any, place: Place) -> Iterator[Wanted]:
        if entries is None:
            return
        if not isinstance(entries, list) or not entries:
            self.wrong(
                "'actions' must be a list, each with an 'action' and its 'devices'; " + _SAMPLE,
                *place,
            )
            return
        for index, entry in enumerate(entries):
            here = (*place, index)
            table = self._table(entry, "an action", *here)
            self._known(table, _ACTION_KEYS, *here)
            name = str(table.get("action", ""))
            spec = VOCABULARY.actions.get(name)
            if spec is None:
                known = ", ".join(sorted(VOCABULARY.actions))
                self.wrong(f"there is no action {name!r}; there are: {known}", *here, "action")
                continue
            devices = self._texts(table.get("devices"), "'devices'", *here, "devices")
            if spec.types and not devices:
                self.wrong(f"action {name!r} needs 'devices': ids or names", *here)
            if devices and not spec.types:
                self.wrong(f"action {name!r} concerns no device; remove 'devices'", *here)
            params = self._table(table.get("params"), "'params'", *here, "params")
            self._check_params(spec, params, (*here, "params"))
            yield Wanted(name, devices, {str(k): v for k, v in params.items()}, here)

    def _check_params(self, spec: ActionSpec, params: Mapping[str, Any], place: Place) -> None:
        known = {param.name: param for param in spec.params}
        for name, value in params.items():
            param = known.get(str(name))
            if param is None:
                there = f"it has: {', '.join(known)}" if known else "it has none"
                self.wrong(f"{spec.name} has no parameter {name!r}; {there}", *place, str(name))
            elif not isinstance(value, str | int | float) or isinstance(value, bool) != (
                param.kind is ParamKind.FLAG and not isinstance(value, str)
            ):
                self.wrong(f"{name!r} of {spec.name} must be a {param.kind}", *place, str(name))
            elif param.kind is ParamKind.NUMBER and not _is_number(value):
                self.wrong(
                    f"{name!r} of {spec.name} must be a number, not {value!r}", *place, str(name)
                )
        for param in spec.params:
            if param.required and param.name not in params:
                self.wrong(f"{spec.name} needs 'params' with {param.name!r}", *place[:-1])

    def _needs(self, table: Mapping[str, Any], place: Place) -> Needs:
        wanted = self._table(table.get("requires_context"), "'requires_context'", *place)
        unwanted = self._table(table.get("excludes_context"), "'excludes_context'", *place)
        self._known(wanted, {"domain", "area"}, *place, "requires_context")
        self._known(unwanted, {"domain"}, *place, "excludes_context")
        area, slot = wanted.get("area"), False
        if isinstance(area, dict):
            slot = bool(area.get("slot"))
            area = area.get("value", "")
        domains = [*_listed(wanted.get("domain")), *_listed(table.get("name_domains"))]
        return Needs(
            self._domains(domains, (*place, "requires_context")),
            self._domains(_listed(unwanted.get("domain")), (*place, "excludes_context")),
            None if area is None else str(area),
            slot,
        )

    def _domains(self, names: Sequence[Any], place: Place) -> frozenset[str]:
        known = set(DeviceType)
        for name in names:
            if name not in known:
                there = ", ".join(sorted(known))
                self.wrong(f"there is no domain {name!r}; there are: {there}", *place)
        return frozenset(map(str, names))

    def _rules(self, table: Mapping[str, Any], place: Place) -> dict[str, str]:
        here = (*place, "expansion_rules")
        rules = self._table(table.get("expansion_rules"), "'expansion_rules'", *here)
        for name, body in rules.items():
            if not isinstance(body, str) or not body.strip():
                self.wrong(f"rule {name!r} must be a text", *here, str(name))
        return {str(name).lower(): str(body) for name, body in rules.items()}

    def _lists(self, table: Mapping[str, Any], place: Place) -> dict[str, Any]:
        here = (*place, "lists")
        lists = self._table(table.get("lists"), "'lists'", *here)
        for name, body in lists.items():
            at = (*here, str(name))
            entries = self._table(body, f"list {name!r}", *at)
            self._known(entries, _LIST_KEYS | _IGNORED, *at)
            if sum(key in entries for key in _LIST_KEYS) != 1:
                self.wrong(f"list {name!r} needs 'values', a 'range', or 'wildcard: true'", *at)
            if "values" in entries:
                self._values(str(name), entries["values"], (*at, "values"))
            if "range" in entries:
                self._range(str(name), entries["range"], (*at, "range"))
        return {
            str(name).lower(): _plain(body)
            for name, body in lists.items()
            if isinstance(body, dict)
        }

    def _values(self, name: str, values: Any, place: Place) -> None:
        if not isinstance(values, list) or not values:
            self.wrong(f"'values' of list {name!r} must be a list of what may be said", *place)
            return
        for index, value in enumerate(values):
            at = (*place, index)
            if isinstance(value, dict):
                self._known(value, {"in", "out", "metadata"}, *at)
                value = value.get("in")
            if isinstance(value, dict | list | None) or not str(value).strip():
                self.wrong(f"a value of list {name!r} must be a text, or have an 'in'", *at)

    def _range(self, name: str, body: Any, place: Place) -> None:
        table = self._table(body, f"'range' of list {name!r}", *place)
        self._known(table, _RANGE_KEYS, *place)
        low, high = table.get("from"), table.get("to")
        if not (isinstance(low, int | float) and isinstance(high, int | float) and low <= high):
            self.wrong(f"the range of list {name!r} needs numbers 'from' and 'to'", *place)
        if table.get("fractions") not in (None, "halves", "tenths"):
            self.wrong(f"'fractions' of list {name!r} is halves or tenths", *place, "fractions")

    def _responses(self, data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        table = self._table(data.get("responses"), "'responses'", "responses")
        self._known(table, {"intents"}, "responses")
        intents = self._table(table.get("intents"), "'intents'", "responses", "intents")
        return {
            str(name): self._table(body, f"responses of {name!r}", "responses", "intents", name)
            for name, body in intents.items()
        }

    def _texts(self, value: Any, what: str, *place: str | int) -> tuple[str, ...]:
        """A text, or a list of them."""
        texts = []
        for index, one in enumerate(_listed(value)):
            if isinstance(one, dict | list | None) or not str(one).strip():
                self.wrong(f"{what} must hold texts", *place, index)
            elif isinstance(one, bool):
                self.wrong(
                    f"{what}: put {one!s} in quotes; YAML takes it for no text", *place, index
                )
            else:
                texts.append(str(one))
        return tuple(texts)

    def _table(self, value: Any, what: str, *place: str | int) -> dict[Any, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong(f"{what} must hold keys and values; {_SAMPLE}", *place)
            return {}
        return value

    def _known(
        self, table: Mapping[Any, Any], keys: set[str] | frozenset[str], *place: str | int
    ) -> None:
        for key in table:
            if key not in keys:
                known = ", ".join(sorted(keys - _IGNORED))
                self.wrong(f"unknown key {str(key)!r}; known here: {known}", *place, str(key))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _is_number(value: str | int | float) -> bool:
    if not isinstance(value, str) or SLOT.search(value):
        return True
    try:
        float(value)
    except ValueError:
        return False
    return True


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """A list without what is hassil's alone and changes nothing."""
    made = {key: value for key, value in body.items() if key in _LIST_KEYS}
    if isinstance(numbers := made.get("range"), dict):
        made["range"] = {k: v for k, v in numbers.items() if k not in ("type", "digits")}
    return made
