"""What understanding knows of each language, as data: a folder of YAML files a language.

The files of a folder together hold, all of it in the plain spelling people use:

`politeness`   openers and closers that change nothing ("could you", "please")
`negation`     beginnings of sentences that forbid or deny, so nothing is to be done
`denying`      the words that turn an order into its opposite, by themselves
`asking`       beginnings of questions, with their accents; what begins so is never carried out
`governing`    words of questions by which a verb further on may be a part of them ("did you close
               the garage and lock the door"): after one nothing is taken for an order
`articles`     words a name may be said with or without
`plural`       pairs of regular expression and replacement that turn one number into the other
`numbers`      `points`: words between a number and its decimals; `halves`: what adds one half;
               `minus`: what precedes negative ones; `also`: further words for whole numbers
`sounds`       pairs of regular expression and replacement that, one after the other, spell a folded
               word roughly as it sounds; capitals are sounds that no letter stands for
`confused`     groups of small words that recognisers take for one another
`blurs`        groups of sounds, as `sounds` spells them, that are often taken for one another
`gender`       pairs of regular expression and form: the first that fits a folded name tells its
               form for `agreement` ("f": "Luce Cucina"); none fits: words stay as they are
`agreement`    form -> pair of regular expression and replacement that put a word into it
               ("acceso" -> "accesa")
`several`      form -> the form of several things of this form; "": of different ones
`links`        words a name's parts may be joined with or without ("luce della cucina")
`dangling`     words no complete sentence ends with
`fillers`      words in the answer to "which one?" that tell nothing ("the one")
`yes`, `no`    whole answers to a question of ours
`verbs`        words people begin commands with, for the recogniser's bias
`owned`        regular expressions for places that are somebody's: the group is a name by itself
               ("Emma's room" is also "Emma's")
`floor_forms`  other ways to say a floor's name, with {name} in them
`kind_forms`   other ways to say the name of a device that lacks a word for what it is, with {name}
               and {kind} in them
`sorts`        words for kinds of devices, of which those of one sort are not said of another: no
               radiator is an air conditioner
`positions`    words in names that tell where of several alike a thing is -> the word that
               `position_forms` have it by
`position_forms`  other ways to say such a name, with {name}, which is the rest, and {position}
`excepting`    words before what is excepted from all the commands of a sentence ("except")
`sparing`      how one says what is to stay as it is while all else changes: `clauses`, patterns of
               whole clauses, with the group `what`; `others`, pairs of pattern and replacement that
               put what speaks of all else ("the other blinds") as all there is, with {kind} for the
               word for it; `form`, a command with an exception, with {order} and {what}
`fronting`     first words of what may be said before a command instead of after it ("in")
`joining`      words between two commands in one sentence
`correcting`   words by which a speaker takes back what was said before them
`noises`       what is no word, in patterns, and is left out before all else ("um")
`contractions` pairs of regular expression and replacement that write out what is said short ("the
               sun's" -> "the sun is"), where a sentence means nothing as it stands
`hesitations`  words that say nothing, wherever they stand ("um")
`lookalikes`   words that are in no command but are like one that is, each a hassil alternative
               ("(open|clos)ed"): what was heard so was said so
`dialogue`     how one goes on with what was said before; see `dialogue.DialogueWords`
`depending`    patterns of words that mean something else at another time, place or point of a
               dialogue: a sentence with one is not remembered
`objecting`    patterns of what people begin with who take back what was just done
`pin`          how a PIN is said, beside numbers: what it is called (`names`), `words` around it
               that tell nothing, `digits` for which other words are said or misheard, `times` that
               the next digit stands for
`kinds`        kinds of devices: code -> {one, many}, each a hassil alternative
`lists`        hassil lists every skill may use
`rules`        hassil expansion rules every skill may use
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from hassil.parse_expression import parse_sentence
from hassil.sample import sample_expression

from assistant.errors import SkillError
from assistant.understand.language.dialogue import DialogueWords, dialogue_words
from assistant.understand.normal import fold, squeeze
from assistant.understand.numbers import NumberWords

_KEYS = frozenset(
    [
        "politeness",
        "negation",
        "denying",
        "asking",
        "governing",
        "articles",
        "plural",
        "numbers",
        "sounds",
        "blurs",
        "confused",
        "gender",
        "agreement",
        "several",
        "links",
        "dangling",
        "fillers",
        "yes",
        "no",
        "verbs",
        "owned",
        "floor_forms",
        "kind_forms",
        "sorts",
        "positions",
        "position_forms",
        "excepting",
        "sparing",
        "fronting",
        "joining",
        "correcting",
        "noises",
        "contractions",
        "hesitations",
        "lookalikes",
        "depending",
        "objecting",
        "dialogue",
        "pin",
        "kinds",
        "lists",
        "rules",
    ]
)


@dataclass(frozen=True)
class PinWords:
    """How a PIN is said in a language, beside its numbers."""

    names: Sequence[str]
    words: Sequence[str]
    digits: Mapping[str, str]
    times: Mapping[str, int]


@dataclass(frozen=True)
class SparingWords:
    """How it is said in a language what stays as it is. Patterns are for folded text."""

    clauses: tuple[re.Pattern[str], ...]
    others: tuple[tuple[re.Pattern[str], str], ...]
    form: str

    def what(self, clause: str) -> str:
        """What `clause` says is to stay as it is, as it was spelt; "": it says nothing so."""
        body = clause.strip(" .!?,;")
        for pattern in self.clauses:
            if match := pattern.fullmatch(fold(body)):
                return body[match.start("what") : match.end("what")]
        return ""

    def form_of(self, others: re.Match[str]) -> str:
        """What is said instead of `others`, which one of the patterns found."""
        return next(form for pattern, form in self.others if pattern is others.re)


@dataclass(frozen=True)
class Language:
    """One language's data, checked, with its patterns compiled."""

    code: str
    opening: re.Pattern[str]
    """Politeness at the beginning of a folded sentence."""
    closing: re.Pattern[str]
    negation: re.Pattern[str]
    denying: frozenset[str]
    asking: re.Pattern[str]
    """The beginning of a question, in lower case, with its accents."""
    governing: frozenset[str]
    articles: frozenset[str]
    plural: tuple[tuple[re.Pattern[str], str], ...]
    numbers: NumberWords
    sounds: tuple[tuple[re.Pattern[str], str], ...]
    blurs: Mapping[int, str]
    """For str.translate: each sound -> the first of its group."""
    confused: Mapping[str, tuple[str, ...]]
    """Small words, and what they are taken for."""
    gender: tuple[tuple[re.Pattern[str], str], ...]
    agreement: Mapping[str, tuple[re.Pattern[str], str]]
    several: Mapping[str, str]
    links: tuple[str, ...]
    dangling: frozenset[str]
    fillers: frozenset[str]
    yes: frozenset[str]
    no: frozenset[str]
    verbs: tuple[str, ...]
    owned: tuple[re.Pattern[str], ...]
    floor_forms: tuple[str, ...]
    kind_forms: tuple[str, ...]
    sorts: tuple[frozenset[str], ...]
    positions: Mapping[str, str]
    position_forms: tuple[str, ...]
    excepting: re.Pattern[str]
    sparing: SparingWords
    fronting: frozenset[str]
    joining: re.Pattern[str]
    joints: frozenset[str]
    """The words of `joining`, with their accents."""
    correcting: re.Pattern[str]
    noises: re.Pattern[str]
    contractions: tuple[tuple[re.Pattern[str], str], ...]
    hesitations: frozenset[str]
    lookalikes: frozenset[str]
    depending: re.Pattern[str]
    """In a sentence without apostrophes, as `assistant.understand.words` has it."""
    objecting: re.Pattern[str]
    """The beginning of a squeezed sentence."""
    dialogue: DialogueWords
    pin: PinWords
    kinds: Mapping[str, Mapping[str, str]]
    lists: Mapping[str, Any]
    rules: Mapping[str, str]

    def numbers_of(self, name: str) -> tuple[str, ...]:
        """`name` with its last word in the other number: "smart curtain" -> "smart curtains"."""
        return tuple(
            changed
            for pattern, replacement in self.plural
            if (changed := pattern.sub(replacement, name)) != name
        )

    def written_out(self, text: str) -> str:
        """`text` without contractions."""
        for short, full in self.contractions:
            text = short.sub(full, text)
        return text

    def sound(self, word: str) -> str:
        """A folded word roughly as it sounds: homophones are the same."""
        for pattern, sound in self.sounds:
            word = pattern.sub(sound, word)
        return word

    def blur(self, sound: str) -> str:
        """What is left of a `sound` where one is taken for another like it."""
        return sound.translate(self.blurs)

    def agree(self, word: str, names: Sequence[str]) -> str:
        """`word` in the gender and number of `names`, as far as their spelling tells them."""
        forms = [self._form(name) for name in names]
        form = forms[0] if forms else ""
        if len(forms) > 1:
            together = {self.several.get(form, "") for form in forms}
            form = together.pop() if len(together) == 1 else ""
            form = form or self.several.get("", "")
        if form not in self.agreement:
            return word
        ending, other = self.agreement[form]
        return ending.sub(other, word)

    def _form(self, name: str) -> str:
        folded = squeeze(name)
        return next((form for pattern, form in self.gender if pattern.match(folded)), "")


def languages() -> tuple[str, ...]:
    """Codes of the languages there is data for."""
    found = resources.files(__package__).iterdir()
    return tuple(sorted(f.name for f in found if f.is_dir() and not f.name.startswith("_")))


@functools.cache
def load_language(code: str) -> Language:
    """The data of language `code`. Raises SkillError where there is none or it is malformed."""
    if code not in languages():
        known = ", ".join(languages())
        raise SkillError(f"language {code!r} is not known; there are: {known}")
    return read_language(code, resources.files(__package__) / code)


def read_language(code: str, folder: Traversable) -> Language:
    """The language that the YAML files in `folder` describe together.

    `code` is that of its numbers (CLDR's). Raises SkillError naming the file or key at fault.
    """
    data: dict[str, Any] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".yaml"):
            continue
        try:
            part = yaml.safe_load(file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise SkillError(f"{file}: is not valid YAML: {error}") from error
        if not isinstance(part, dict):
            raise SkillError(f"{file}: must hold keys and values")
        if twice := set(part) & set(data):
            raise SkillError(f"{file}: {sorted(twice)[0]!r} is in another file already")
        data |= part
    if missing := _KEYS - set(data):
        raise SkillError(f"{folder}: lacks {', '.join(sorted(missing))}")
    if unknown := set(data) - _KEYS:
        raise SkillError(f"{folder}: nothing is called {sorted(map(str, unknown))[0]!r}")
    return Language(
        code=code,
        opening=re.compile(rf"(?:(?:{_either(data['politeness']['opening'])})\s+)+"),
        closing=re.compile(rf"(?:\s+(?:{_either(data['politeness']['closing'])}))+\s*$"),
        negation=re.compile(rf"(?:.*\s)?(?:{'|'.join(data['negation'])})(?:\s|$)"),
        denying=frozenset(data["denying"]),
        asking=re.compile(rf"(?:{'|'.join(data['asking'])})(?!\w)"),
        governing=frozenset(map(squeeze, data["governing"])),
        articles=frozenset(data["articles"]),
        plural=tuple((re.compile(pattern), other) for pattern, other in data["plural"]),
        numbers=NumberWords(code, **data["numbers"]),
        confused=_taken_for(data["confused"]),
        sounds=tuple((re.compile(pattern), sound) for pattern, sound in data["sounds"]),
        blurs={ord(sound): group[0] for group in data["blurs"] for sound in group},
        gender=tuple((re.compile(pattern), form) for pattern, form in data["gender"]),
        agreement={
            form: (re.compile(pattern), other)
            for form, (pattern, other) in data["agreement"].items()
        },
        several=data["several"],
        links=tuple(data["links"]),
        dangling=frozenset(data["dangling"]),
        fillers=frozenset(data["fillers"]),
        yes=frozenset(map(squeeze, data["yes"])),
        no=frozenset(map(squeeze, data["no"])),
        verbs=tuple(data["verbs"]),
        owned=tuple(map(re.compile, data["owned"])),
        floor_forms=tuple(data["floor_forms"]),
        kind_forms=tuple(data["kind_forms"]),
        sorts=tuple(frozenset(map(squeeze, words.split("|"))) for words in data["sorts"]),
        positions=data["positions"],
        position_forms=tuple(data["position_forms"]),
        excepting=re.compile(rf"\s+(?:{_either(data['excepting'])})(?=\s)"),
        sparing=SparingWords(
            clauses=tuple(map(re.compile, data["sparing"]["clauses"])),
            others=tuple((re.compile(said), form) for said, form in data["sparing"]["others"]),
            form=data["sparing"]["form"],
        ),
        fronting=frozenset(map(squeeze, data["fronting"])),
        joining=re.compile(rf"\s+(?:{_either(data['joining'])})\s+"),
        joints=frozenset(data["joining"]),
        correcting=re.compile(rf"\s(?:{_either(data['correcting'])})(?=\s)"),
        contractions=tuple((re.compile(short), full) for short, full in data["contractions"]),
        noises=re.compile(
            rf"(?<![\w'])(?:{'|'.join(data['noises'])})(?![\w'])[,.]*", re.IGNORECASE
        ),
        hesitations=frozenset(data["hesitations"]),
        lookalikes=frozenset(form for word in data["lookalikes"] for form in _forms(word)),
        depending=re.compile(rf"\b(?:{'|'.join(data['depending'])})\b"),
        objecting=re.compile(rf"(?:{'|'.join(data['objecting'])})(?!\w)"),
        dialogue=dialogue_words(data["dialogue"]),
        pin=PinWords(**data["pin"]),
        kinds=data["kinds"],
        lists=data["lists"],
        rules=data["rules"],
    )


def _taken_for(groups: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """For each word of `groups`, the others of all that it is in."""
    others: dict[str, dict[str, None]] = {}
    for group in groups:
        for word in group:
            others.setdefault(word, {}).update(dict.fromkeys(w for w in group if w != word))
    return {word: tuple(those) for word, those in others.items()}


def _forms(template: str) -> set[str]:
    """Every word that a template of one word stands for, folded."""
    return set(map(squeeze, sample_expression(parse_sentence(template).expression)))


def _either(phrases: list[str]) -> str:
    longest_first = sorted(map(squeeze, phrases), key=len, reverse=True)
    return "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in longest_first)
