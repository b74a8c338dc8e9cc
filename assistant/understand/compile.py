"""The skills' sentences, compiled so that matching one utterance takes milliseconds.

hassil tries the branches of an alternative one after the other, and templates in lists likewise.
Here every part of a template that holds literal words alone is written out and becomes a list of
its own, which hassil looks up in a trie: the same sentences match, in a fraction of the time.
Such a part, like every value of a list, ends where a word ends.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hassil.errors import HassilError
from hassil.expression import (
    Alternative,
    Expression,
    ListReference,
    Permutation,
    RuleReference,
    Sentence,
    Sequence,
    TextChunk,
)
from hassil.intents import Intent, IntentData, Intents, RangeSlotList, SlotList, TextSlotList
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError
from hassil.recognize import is_match
from hassil.sample import sample_expression

from assistant.errors import SkillError
from assistant.home.model import DeviceType
from assistant.skill import Skill
from assistant.understand.language import Language
from assistant.understand.normal import fold_template

_log = logging.getLogger(__name__)

_MOST_VARIANTS: Final = 4000
_DEEPEST: Final = 60
_MALFORMED: Final = (
    HassilError,
    ParseError,
    ValueError,
    AssertionError,
    KeyError,
    TypeError,
    AttributeError,
)
"""What hassil raises at malformed sentences, lists and rules."""


def compile_intents(skills: Iterable[Skill], language: Language) -> Intents:
    """hassil's form of the skills' sentences in `language`; lists and rules are each skill's own.

    A skill whose sentences are malformed is logged, naming the sentence, and left out. Raises
    SkillError where the language's own data is malformed.
    """
    shared = {name: fold_template(body) for name, body in language.rules.items()}
    try:
        shared_lists = {name: word_list(name, body) for name, body in language.lists.items()}
    except _MALFORMED as error:
        raise SkillError(f"language {language.code!r}: {error}") from error
    compiled = Intents.from_dict({"language": language.code, "intents": {}})
    compiled.slot_lists.update(shared_lists | _kind_lists(language))
    for skill in skills:
        if language.code not in skill.sentences:
            continue
        try:
            compiled.intents.update(_intents_of(skill, language.code, shared))
        except SkillError as error:
            _log.error("%s; the skill is left out", error)
    return compiled


def _intents_of(skill: Skill, language: str, shared: Mapping[str, str]) -> dict[str, Intent]:
    """The intents of one skill. Raises SkillError naming the intent and what is wrong with it."""
    data = skill.sentences[language]
    where = f"skill {skill.name}, sentences/{language}.yaml"
    own = {name: fold_template(body) for name, body in data.get("expansion_rules", {}).items()}
    try:
        rules = {
            name: parse_sentence(body, keep_text=True) for name, body in {**shared, **own}.items()
        }
        lists = {name: word_list(name, body) for name, body in data.get("lists", {}).items()}
    except _MALFORMED as error:
        raise SkillError(f"{where}: {error}") from error
    free = {name for name, body in data.get("lists", {}).items() if body.get("wildcard")}
    intents = {}
    for intent, body in data["intents"].items():
        name = f"{skill.name}.{intent}"
        blocks = [
            {
                "sentences": [fold_template(sentence) for sentence in block["sentences"]],
                "slots": block.get("slots", {}),
            }
            for block in body["data"]
        ]
        described = {"language": language, "intents": {name: {"data": blocks}}}
        made = Intents.from_dict(described).intents[name]
        for block in made.data:
            block.slot_lists.update(lists)
            block.wildcard_list_names.update(free)
            _prepare(block, rules, f"{where}: intent {intent!r}")
        intents[name] = made
    return intents


def warm(intents: Intents) -> None:
    """Have hassil build the tries of all lists and spell out the numbers of all ranges, which it
    else does when one is first met.
    """
    warmed: dict[str, SlotList] = {}
    blocks = [block for intent in intents.intents.values() for block in intent.data]
    for lists in (intents.slot_lists, *(block.slot_lists for block in blocks)):
        warmed |= {_identity(made): made for made in lists.values()}
    for name in warmed:
        sentence = Sentence(expression=Sequence(items=[ListReference(list_name=name)]))
        is_match("-", sentence, slot_lists=warmed, language=intents.language)


def _identity(made: SlotList) -> str:
    # hassil keeps the words of ranges by what they range over, and tries in the lists themselves.
    if isinstance(made, RangeSlotList):
        return f"range {made.start} {made.stop} {made.step} {made.fraction_type}"
    return f"list {id(made)}"


def word_list(name: str, body: Mapping[str, Any]) -> SlotList:
    """A list of a sentence file; templates among its values are written out."""
    if "values" not in body:
        made = Intents.from_dict({"language": "", "intents": {}, "lists": {name: dict(body)}})
        return made.slot_lists[name]
    pairs: list[tuple[str, Any]] = []
    for value in body["values"]:
        said, meant = (value["in"], value.get("out")) if isinstance(value, dict) else (value, value)
        template = parse_sentence(fold_template(str(said))).expression
        forms = _variants(template, {})
        if forms is None:
            raise ValueError(f"list {name!r}: {said!r} says more than {_MOST_VARIANTS} things")
        pairs += [(form + " ", meant) for form in sorted(forms) if form]
    return TextSlotList.from_tuples(pairs, allow_template=False, name=name)


def _kind_lists(language: Language) -> dict[str, SlotList]:
    """Lists of the words for kinds of devices: `TYPE_kind` for each type, `any_kind` for all."""
    pairs: dict[str, list[tuple[str, str]]] = {f"{kind}_kind": [] for kind in DeviceType}
    pairs["any_kind"] = []
    for code, words in language.kinds.items():
        for number, mark in (("one", ""), ("many", "+")):
            for word in words[number].split("|"):
                pair = (fold_template(word) + " ", code + mark)
                pairs["any_kind"].append(pair)
                family = f"{code.partition('.')[0]}_kind"
                if family in pairs:
                    pairs[family].append(pair)
    return {
        name: TextSlotList.from_tuples(found, allow_template=False, name=name)
        for name, found in pairs.items()
        if found
    }


def _prepare(block: IntentData, rules: dict[str, Sentence], where: str) -> None:
    """Parse the sentences of `block`, work out which words each needs, and speed them up."""
    try:
        sentences = block.sentences
    except _MALFORMED as error:
        raise SkillError(f"{where}: {error}") from error
    for sentence in sentences:
        names = set(_references(sentence.expression, rules, where, sentence.text or ""))
        sentence.get_required_clauses(rules)  # kept in the sentence: looks at the words as written
        if names & block.wildcard_list_names:
            # After free text, where the next word begins is searched for: leave it as it is.
            block.expansion_rules.update(rules)
            continue
        sentence.expression = _faster(sentence.expression, rules, block.slot_lists, alone=True)


def _references(
    expression: Expression, rules: Mapping[str, Sentence], where: str, text: str, depth: int = 0
) -> Iterable[str]:
    """Names of the lists in `expression`; finds rules that are missing or contain themselves."""
    if depth > _DEEPEST:
        raise SkillError(f"{where}: {text!r}: its expansion rules contain each other")
    if isinstance(expression, ListReference):
        yield expression.list_name
    elif isinstance(expression, RuleReference):
        if expression.rule_name not in rules:
            raise SkillError(f"{where}: {text!r}: there is no rule <{expression.rule_name}>")
        rule = rules[expression.rule_name]
        yield from _references(rule.expression, rules, where, text, depth + 1)
    elif isinstance(expression, Sequence | Alternative | Permutation):
        for item in expression.items:
            yield from _references(item, rules, where, text, depth + 1)


def _faster(
    expression: Expression,
    rules: Mapping[str, Sentence],
    lists: dict[str, SlotList],
    *,
    alone: bool,
) -> Expression:
    """`expression` with its literal parts as lists.

    `alone`: it begins where a word begins, and what follows it begins a new one.
    """
    if isinstance(expression, RuleReference):
        return _faster(rules[expression.rule_name].expression, rules, lists, alone=alone)
    if isinstance(expression, Alternative):
        if alone and (literal := _as_list(expression, rules, lists)) is not None:
            return literal
        items = [_faster(item, rules, lists, alone=alone) for item in expression.items]
        return Alternative(items=items, is_optional=expression.is_optional)
    if isinstance(expression, Sequence):
        made = []
        before = [None, *expression.items[:-1]]
        after = [*expression.items[1:], None]
        for item, first, last in zip(expression.items, before, after, strict=True):
            free = (alone if first is None else _ends_word(first)) and (
                alone if last is None else _begins_word(last)
            )
            made.append(_faster(item, rules, lists, alone=free))
        return Sequence(items=made)
    return expression


def _ends_word(expression: Expression) -> bool:
    return isinstance(expression, TextChunk) and expression.text.endswith(" ")


def _begins_word(expression: Expression) -> bool:
    return isinstance(expression, TextChunk) and expression.text.startswith(" ")


def _as_list(
    expression: Alternative, rules: Mapping[str, Sentence], lists: dict[str, SlotList]
) -> Expression | None:
    """A reference to a new list of all that the literal `expression` may say; None: not literal."""
    forms = _variants(expression, rules)
    if forms is None or len(forms) < 2:
        return None
    wording = tuple(sorted(form for form in forms if form))
    name = "words " + hashlib.sha256("|".join(wording).encode()).hexdigest()[:16]
    lists[name] = _said(name, wording)
    reference = ListReference(list_name=f"{name}:@said")
    if "" not in forms:
        return reference
    return Alternative(items=[reference, TextChunk.empty()], is_optional=True)


@functools.lru_cache(maxsize=8192)
def _said(name: str, wording: tuple[str, ...]) -> SlotList:
    """A list of `wording`. The same one for all sentences that hold it: a tenth of the work."""
    return TextSlotList.from_tuples(
        ((form + " ", form) for form in wording), allow_template=False, name=name
    )


def _variants(expression: Expression, rules: Mapping[str, Sentence]) -> set[str] | None:
    """All that `expression` may say, if it holds words alone and does not say too much."""
    if not _is_literal(expression, rules) or _count(expression, rules) > _MOST_VARIANTS:
        return None
    plain = dict(rules)
    return {" ".join(form.split()) for form in sample_expression(expression, {}, plain)}


def _is_literal(expression: Expression, rules: Mapping[str, Sentence]) -> bool:
    if isinstance(expression, TextChunk):
        return True
    if isinstance(expression, RuleReference):
        return _is_literal(rules[expression.rule_name].expression, rules)
    if isinstance(expression, Sequence | Alternative):
        return all(_is_literal(item, rules) for item in expression.items)
    return False


def _count(expression: Expression, rules: Mapping[str, Sentence]) -> int:
    if isinstance(expression, RuleReference):
        return _count(rules[expression.rule_name].expression, rules)
    if isinstance(expression, Alternative):
        return sum(_count(item, rules) for item in expression.items)
    if isinstance(expression, Sequence):
        total = 1
        for item in expression.items:
            total *= _count(item, rules)
        return total
    return 1
