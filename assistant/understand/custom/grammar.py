"""The user's sentence files of one language, compiled into one grammar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hassil.expression import Expression, Group, ListReference, RuleReference, Sentence
from hassil.parse_expression import parse_sentence

from assistant.errors import SkillError
from assistant.skill import Skill
from assistant.understand.automaton import Accept, Automaton, ListKey
from assistant.understand.compile import (
    MALFORMED as SYNTAX,
)
from assistant.understand.compile import (
    Grammar,
    Scope,
    grammar_of,
    lists_of,
    rules_of,
    scope_of,
)
from assistant.understand.custom.files import Block, SentenceFile
from assistant.understand.custom.located import Place, Problem
from assistant.understand.custom.traits import Traits, bracket_fault, traits_of
from assistant.understand.language import Language
from assistant.understand.normal import fold_template
from assistant.understand.numbers import NumberRange
from assistant.understand.reading import Listing

_MALFORMED: Final = (*SYNTAX, RecursionError)
_LARGEST: Final = 5_000
"""States of the automaton that one sentence may take."""
_MOST_FORMS: Final = 2_000
"""Phrases that one value of a list may stand for."""
_PERCENT: Final = NumberRange(0, 100, 1, 1, True)
_COMMON_LISTS: Final[Mapping[str, ListKey]] = {
    "name": "any_name",
    "brightness": _PERCENT,
    "percentage": _PERCENT,
    "position": _PERCENT,
    "volume": _PERCENT,
    "volume_level": _PERCENT,
    "temperature": NumberRange(-50, 150, 1, 10, True),
}
"""Lists that Home Assistant's sentences may use without having them, and so may these."""
_COMMON_RULES: Final = {
    "name": "[<the>] {name}",
    "area": "[<the>] {area}",
    "floor": "[<the>] {floor}",
    "brightness": "{brightness} [%|percent]",
    "temperature": "{temperature} [°] [degrees]",
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A block whose sentences are sound."""

    block: Block
    file: SentenceFile
    expressions: tuple[Expression, ...]
    rules: Mapping[str, Sentence]
    lists: Mapping[str, ListKey]
    always: frozenset[str]
    """Slots that each of its sentences fills in any case, or that the block gives."""
    ever: frozenset[str]


@dataclass(frozen=True, slots=True)
class Checked:
    """What files came to together."""

    sound: Mapping[Path, Sequence[Compiled]]
    """The blocks of those files that have no faults."""
    problems: Sequence[Problem]
    listings: Mapping[str, Listing]
    """The lists that the blocks refer to."""


def grammar_for(
    blocks: Sequence[Compiled], names: Sequence[str], listings: Mapping[str, Listing]
) -> Grammar:
    """The grammar of `blocks`, each of which means the one of `names` at its place."""
    automaton = Automaton()
    for compiled, name in zip(blocks, names, strict=True):
        end = automaton.accept(Accept(name, compiled.block.slots))
        for expression in compiled.expressions:
            automaton.add(expression, compiled.rules, compiled.lists, end)
    return grammar_of(automaton, listings)


class Scoping:
    """What the files of one language may refer to: the language's, the skills', and each other's
    lists and rules.
    """

    def __init__(self, language: Language, skills: Sequence[Skill]) -> None:
        self._listings: dict[str, Listing] = {}
        base = scope_of(language, self._listings)
        rules, lists = dict(base.rules), {**_COMMON_LISTS, **base.lists}
        rules |= {k: v for k, v in rules_of(_COMMON_RULES).items() if k not in rules}
        self._skills: dict[str, Scope] = {}
        for skill in skills:
            data = skill.sentences.get(language.code)
            if data is None:
                continue
            try:
                own = Scope(
                    rules_of(data.get("expansion_rules", {})),
                    lists_of(f"{skill.name}.", data.get("lists", {}), self._listings),
                )
            except _MALFORMED:
                continue  # it has been complained of where the skill was compiled
            self._skills[skill.name] = own
            for name, key in own.lists.items():
                lists.setdefault(name, key)
        self._base = Scope(rules, lists)

    def check(self, files: Sequence[SentenceFile]) -> Checked:
        """Compile `files` together."""
        problems: list[Problem] = []
        listings = dict(self._listings)
        shared = self._base
        scopes: dict[Path, Scope] = {}
        for file in files:
            own, faults = self._own(file, file.rules, file.lists, (), listings)
            problems += faults
            if not faults:
                scopes[file.path] = own
                shared = _joined(own, shared)
        sound: dict[Path, list[Compiled]] = {}
        for file in files:
            if file.path not in scopes:
                continue
            blocks: list[Compiled] = []
            faults = []
            for block in file.blocks:
                skill = self._skills.get(block.intent.partition(".")[0], Scope({}, {}))
                scope = _joined(_joined(shared, skill), scopes[file.path])
                made, wrong = self._block(file, block, scope, listings)
                blocks.append(made)
                faults += wrong
            problems += faults
            if not faults:
                sound[file.path] = blocks
        return Checked(sound, problems, listings)

    def _own(
        self,
        file: SentenceFile,
        rules: Mapping[str, str],
        lists: Mapping[str, Any],
        place: Place,
        listings: dict[str, Listing],
    ) -> tuple[Scope, list[Problem]]:
        """A file's, or a block's, own rules and lists."""
        problems: list[Problem] = []
        known: dict[str, Sentence] = {}
        keys: dict[str, ListKey] = {}
        for name, body in rules.items():
            try:
                known |= rules_of({name: body})
            except _MALFORMED as error:
                text = f"rule <{name}>: {bracket_fault(body) or error}"
                problems.append(file.located.problem(text, *place, "expansion_rules", name))
        for name, entries in lists.items():
            if fault := _too_many(name, entries):
                problems.append(file.located.problem(fault, *place, "lists", name))
                continue
            try:
                prefix = f"{file.path}:{'/'.join(map(str, place))}:"
                keys |= lists_of(prefix, {name: entries}, listings)
            except _MALFORMED as error:
                text = f"list {{{name}}}: {error}"
                problems.append(file.located.problem(text, *place, "lists", name))
        return Scope(known, keys), problems

    def _block(
        self, file: SentenceFile, block: Block, scope: Scope, listings: dict[str, Listing]
    ) -> tuple[Compiled, list[Problem]]:
        own, problems = self._own(file, block.rules, block.lists, block.place, listings)
        scope = _joined(scope, own)
        expressions, judged = [], []
        lists = dict(scope.lists)
        for index, text in enumerate(block.sentences):
            try:
                expression = self._expression(text, scope, lists)
                traits = traits_of(expression, scope.rules, lists)
                if fault := _fault(text, traits):
                    raise SkillError(f"“{text}” {fault}")
            except SkillError as error:
                place = (*block.place, "sentences", index)
                problems.append(file.located.problem(str(error), *place))
                continue
            expressions.append(expression)
            judged.append(traits)
        given = frozenset(block.slots)
        always = given | (
            frozenset.intersection(*(t.always for t in judged)) if judged else frozenset()
        )
        ever = given.union(*(t.ever for t in judged))
        made = Compiled(block, file, tuple(expressions), scope.rules, lists, always, ever)
        return made, problems

    def _expression(self, text: str, scope: Scope, lists: dict[str, ListKey]) -> Expression:
        """The template `text`; ranges in it ("{1..10:count}") are added to `lists`."""
        if fault := bracket_fault(text):
            raise SkillError(f"“{text}”: {fault}")
        try:
            expression = parse_sentence(fold_template(text)).expression
            _check(expression, scope.rules, lists, set(), ())
        except SkillError as error:
            raise SkillError(f"“{text}”: {error}") from error
        except _MALFORMED as error:
            raise SkillError(f"“{text}” is malformed: {error}") from error
        return expression


def _check(
    expression: Expression,
    rules: Mapping[str, Sentence],
    lists: dict[str, ListKey],
    seen: set[str],
    within: tuple[str, ...],
) -> None:
    """Raise SkillError where lists or rules are missing, or rules hold themselves.

    Ranges ("{1..10:count}") are added to `lists`; `seen` are the rules that have been checked.
    """
    if isinstance(expression, ListReference):
        name = expression.list_name
        if (bounds := expression.get_inline_range()) is not None:
            lists[name] = NumberRange(*bounds, 1, True)
        elif name not in lists:
            raise SkillError(f"there is no list {{{name}}}; write it under 'lists'")
    elif isinstance(expression, RuleReference):
        name = expression.rule_name
        if name in within:
            raise SkillError(f"the rule <{name}> holds itself: {' in '.join((name, *within))}")
        if name not in rules:
            raise SkillError(f"there is no rule <{name}>; write it under 'expansion_rules'")
        if name not in seen:
            _check(rules[name].expression, rules, lists, seen, (name, *within))
            seen.add(name)
    elif isinstance(expression, Group):
        for item in expression.items:
            _check(item, rules, lists, seen, within)


def _joined(first: Scope, second: Scope) -> Scope:
    return Scope({**first.rules, **second.rules}, {**first.lists, **second.lists})


def _fault(text: str, traits: Traits) -> str:
    if not traits.anchored:
        return "may be anything that is said; give it a word of its own that must be said"
    if traits.size > _LARGEST:
        return "can be said in too many ways; split it into several sentences"
    return ""


def _too_many(name: str, body: Mapping[str, Any]) -> str:
    for value in body.get("values", ()):
        said = str(value["in"] if isinstance(value, dict) else value)
        if fault := bracket_fault(said):
            return f"list {{{name}}}: {said!r}: {fault}"
        try:
            expression = parse_sentence(fold_template(said)).expression
            forms = traits_of(expression, {}, {}).forms
        except KeyError as error:
            return f"list {{{name}}}: {said!r}: a value can't refer to {error.args[0]!r}"
        except _MALFORMED as error:
            return f"list {{{name}}}: {said!r}: {error}"
        if forms > _MOST_FORMS:
            return f"list {{{name}}}: {said!r} says more than {_MOST_FORMS} things; split it"
    return ""
