"""The skills' sentences, compiled into one automaton and the lists it refers to."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hassil.errors import HassilError
from hassil.expression import (
    Expression,
    Group,
    ListReference,
    RuleReference,
    Sentence,
)
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError
from hassil.sample import sample_expression

from assistant.errors import SkillError
from assistant.home.model import DeviceType
from assistant.skill import Skill
from assistant.understand.automaton import Accept, Automaton, ListKey
from assistant.understand.language import Language
from assistant.understand.lattice import Trie, put, vocabulary
from assistant.understand.names import NAME_LISTS
from assistant.understand.normal import fold_template
from assistant.understand.numbers import NumberRange
from assistant.understand.reading import FREE, Entry, Listing
from assistant.understand.words import spoken

_log = logging.getLogger(__name__)

_MOST_VALUES: Final = 20_000
"""Phrases that one value of a list may stand for."""
_PARTS: Final = {None: 1, "halves": 2, "tenths": 10}
MALFORMED: Final = (
    HassilError,
    ParseError,
    ValueError,
    AssertionError,
    KeyError,
    TypeError,
    AttributeError,
)
"""What hassil raises at malformed sentences, lists and rules."""


@dataclass(frozen=True)
class Grammar:
    """All sentences of one language, and the lists in them that no home changes."""

    automaton: Automaton
    listings: Mapping[str, Listing]
    vocabulary: frozenset[str]
    """Every word that a sentence or a list of it holds."""
    problems: tuple[SkillError, ...] = ()
    """Why skills were left out."""


@dataclass(frozen=True)
class Scope:
    """What the sentences of one file may refer to: rules, and what the automaton knows lists by."""

    rules: Mapping[str, Sentence]
    lists: Mapping[str, ListKey]
    referred: dict[str, frozenset[str]] = field(default_factory=dict)
    """Names of the lists in each rule, as far as they have been looked for."""


def compile_sentences(skills: Iterable[Skill], language: Language) -> Grammar:
    """The skills' sentences in `language`; lists and rules are each skill's own, or the language's.

    A skill whose sentences are malformed is logged, naming the sentence, and left out. Raises
    SkillError where the language's own data is malformed.
    """
    problems: list[SkillError] = []
    listings: dict[str, Listing] = {}
    scope = scope_of(language, listings)
    automaton = Automaton()
    with _nothing_collected():
        for skill in skills:
            if language.code not in skill.sentences:
                continue
            try:
                _add(automaton, skill, language.code, scope, listings)
            except SkillError as error:
                _log.error("%s; the skill is left out", error)
                problems.append(error)
        return replace(grammar_of(automaton, listings), problems=tuple(problems))


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """Without garbage collection: of what a grammar is made of nothing is garbage, and looking
    through it again and again takes twice the time that making it does.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def grammar_of(automaton: Automaton, listings: Mapping[str, Listing]) -> Grammar:
    """The grammar of an automaton to which nothing is added any more, and its lists."""
    automaton.complete()
    words = automaton.vocabulary.union(*(vocabulary(one.trie) for one in listings.values()))
    return Grammar(automaton, listings, words)


def scope_of(language: Language, listings: dict[str, Listing]) -> Scope:
    """What every sentence of `language` may refer to; its lists are added to `listings`.

    Raises SkillError where the language's own data is malformed.
    """
    try:
        rules = rules_of(language.rules)
        lists = lists_of("", language.lists, listings) | {name: name for name in NAME_LISTS}
    except MALFORMED as error:
        raise SkillError(f"language {language.code!r}: {error}") from error
    for name, kinds in _kind_lists(language).items():
        listings[name] = kinds
        lists[name] = name
    return Scope(rules, lists)


def _add(
    automaton: Automaton,
    skill: Skill,
    language: str,
    shared: Scope,
    listings: dict[str, Listing],
) -> None:
    """Add the sentences of one skill. Raises SkillError naming the intent and what is wrong."""
    data = skill.sentences[language]
    where = f"skill {skill.name}, sentences/{language}.yaml"
    try:
        rules = {**shared.rules, **rules_of(data.get("expansion_rules", {}))}
        lists = {**shared.lists, **lists_of(f"{skill.name}.", data.get("lists", {}), listings)}
    except MALFORMED as error:
        raise SkillError(f"{where}: {error}") from error
    scope = Scope(rules, lists)
    blocks = []
    for intent, body in data["intents"].items():
        for block in body["data"]:
            sentences = [
                parsed(text, scope, f"{where}: intent {intent!r}") for text in block["sentences"]
            ]
            blocks.append((Accept(f"{skill.name}.{intent}", block.get("slots", {})), sentences))
    # All of a skill or none: a half of it would understand the half of what it says it does.
    for accept, sentences in blocks:
        end = automaton.accept(accept)
        for expression in sentences:
            try:
                automaton.add(expression, rules, lists, end)
            except ValueError as error:
                raise SkillError(f"{where}: intent {accept.intent!r}: {error}") from error


def parsed(text: str, scope: Scope, where: str) -> Expression:
    """The sentence template `text`. Raises SkillError, beginning with `where`, at what is wrong."""
    try:
        expression = parse_sentence(fold_template(text), keep_text=True).expression
    except MALFORMED as error:
        raise SkillError(f"{where}: {text!r}: {error}") from error
    for name in _references(expression, scope, f"{where}: {text!r}"):
        if name not in scope.lists:
            raise SkillError(f"{where}: {text!r}: there is no list {{{name}}}")
    return expression


def _references(
    expression: Expression, scope: Scope, where: str, within: tuple[str, ...] = ()
) -> frozenset[str]:
    """Names of the lists in `expression`; finds rules that are missing or contain themselves."""
    if isinstance(expression, ListReference):
        return frozenset({expression.list_name})
    if isinstance(expression, Group):
        return frozenset[str]().union(
            *(_references(item, scope, where, within) for item in expression.items)
        )
    if not isinstance(expression, RuleReference):
        return frozenset()
    name = expression.rule_name
    if name in within:
        raise SkillError(f"{where}: its expansion rules contain each other")
    if name not in scope.rules:
        raise SkillError(f"{where}: there is no rule <{name}>")
    if name not in scope.referred:
        body = scope.rules[name].expression
        scope.referred[name] = _references(body, scope, where, (*within, name))
    return scope.referred[name]


def rules_of(bodies: Mapping[str, str]) -> dict[str, Sentence]:
    """Expansion rules, parsed. Raises one of MALFORMED."""
    return {
        name: parse_sentence(fold_template(body), keep_text=True) for name, body in bodies.items()
    }


def lists_of(
    prefix: str, bodies: Mapping[str, Mapping[str, Any]], listings: dict[str, Listing]
) -> dict[str, ListKey]:
    """What the automaton knows the lists by; those of phrases are added to `listings`.

    Raises one of MALFORMED.
    """
    keys: dict[str, ListKey] = {}
    for name, body in bodies.items():
        if body.get("wildcard"):
            keys[name] = FREE
        elif "range" in body:
            keys[name] = _range(**body["range"])
        else:
            keys[name] = key = f"{prefix}{name}"
            listings[key] = phrases(name, body["values"])
    return keys


def _range(**body: Any) -> NumberRange:
    low, high = body.pop("from"), body.pop("to")
    parts = _PARTS[body.pop("fractions", None)]
    step, words, clock = body.pop("step", 1), body.pop("words", True), body.pop("clock", False)
    made = NumberRange(low, high, step, parts, words, clock)
    if body:
        raise ValueError(f"a range has no {sorted(body)[0]!r}")
    if low > high:
        raise ValueError(f"a range from {low} to {high} is empty")
    return made


def phrases(name: str, values: Iterable[Any]) -> Listing:
    """A list of a sentence file: phrases, or templates of them (`in`) and what they mean (`out`).

    Raises ValueError where one stands for too many.
    """
    trie: Trie = {}
    for value in values:
        said, meant = (value["in"], value.get("out")) if isinstance(value, dict) else (value, value)
        template = parse_sentence(fold_template(str(said))).expression
        for count, form in enumerate(sorted(set(sample_expression(template, {}, {})))):
            if count > _MOST_VALUES:
                raise ValueError(f"list {name!r}: {said!r} says more than {_MOST_VALUES} things")
            if words := spoken(form):
                put(trie, words, Entry(meant))
    return Listing(_without_repeats(trie))


def _without_repeats(trie: Trie) -> Trie:
    """`trie` with each meaning once at each place, however many phrases lead there."""
    if "" in trie:
        trie[""] = [one for i, one in enumerate(trie[""]) if one not in trie[""][:i]]
    for word, after in trie.items():
        if word:
            _without_repeats(after)
    return trie


def _kind_lists(language: Language) -> dict[str, Listing]:
    """Lists of the words for kinds of devices: `TYPE_kind` for each type, `any_kind` for all."""
    tries: dict[str, Trie] = {f"{kind}_kind": {} for kind in DeviceType}
    tries["any_kind"] = {}
    for code, words in language.kinds.items():
        for number, mark in (("one", ""), ("many", "+")):
            for word in words[number].split("|"):
                entry, path = Entry(code + mark), spoken(word)
                put(tries["any_kind"], path, entry)
                family = f"{code.partition('.')[0]}_kind"
                if family in tries:
                    put(tries[family], path, entry)
    return {name: Listing(_without_repeats(trie)) for name, trie in tries.items()}
