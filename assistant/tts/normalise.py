"""Text made speakable: what the voices would misread is written out, what is not speech dropped.

What a language needs lies in `language/<code>.yaml`; a language without a file is spoken all the
same, with only markup, emoji and control characters taken out. Device names reach this from the
wire, so all of it is linear in the text and the text is bounded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict

from assistant.tts.sentences import SentenceSplitter

MAX_CHARACTERS = 1000
"""What exceeds this in one sentence is not spoken."""

_NUMBER = r"\d+(?:[.,]\d+)*"
_KEPT_SYMBOLS = "°"  # Unicode files it with the pictures
_DROPPED_CATEGORIES = {"So", "Sk", "Cc", "Cs", "Co", "Cn"}
_MARKUP = [
    (re.compile(r"!?\[([^\[\]\n]{0,200})\]\([^()\s]{0,500}\)"), r"\1"),
    (re.compile(r"</?[A-Za-z][^<>\n]{0,200}>"), " "),
    (re.compile(r"(?m)^\s*(?:#{1,6}|[-*•+>]|\d{1,2}[.)])\s+"), ""),
    (re.compile(r"[`*\[\]{}|\\^]|_{2,}|~{2,}"), " "),
    (re.compile(r"_"), " "),
]
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+")
_DATE = re.compile(r"(?<![\w.-])(\d{4})-(\d\d)-(\d\d)(?![\w-])")
_CLOCK = re.compile(
    r"(?<![\w:.,])([01]?\d|2[0-3]):([0-5]\d)(?![\w:]|[.,]\d)(?:\s?([AaPp])\.?[Mm]\b\.?)?"
)
_RANGE = re.compile(
    r"(?<![\w.,:-])(\d+(?:[.,:]\d+)?)\s?(?:[–—]|(?<!\s)-(?!\s))\s?(\d+(?:[.,:]\d+)?)(?![\w:-]|[.,]\d)"
)
_MINUS = re.compile(r"(?<![\w)\]°%-])[-−](?=\d)")
_DASH = re.compile(r"\s+[–—-]+\s+|[–—]")
_SLASH = re.compile(r"(?<=\w)/(?=\w)")


class Clock(BaseModel):
    """How times of day are said; {hour}, {minute} and {half} (of the day) are filled in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hours: int
    named: dict[str, str] = {}
    whole: str
    early: str
    full: str
    halves: tuple[str, str]
    introduced_by: tuple[str, ...] = ()


class Date(BaseModel):
    """How dates are said; {day}, {month} and {year} are filled in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    months: tuple[str, ...]
    days: dict[int, str] = {}
    other_days: str = "{day}"
    form: str
    form_without_year: str


class Rules(BaseModel):
    """One language's file; the comments in `language/en.yaml` explain the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decimal: str = "."
    minus: str = "-"
    range: str = "{low} – {high}"
    currency: str = "{whole} {unit} {cents}"
    link: str = ""
    clock: Clock | None = None
    date: Date | None = None
    units: dict[str, tuple[str, str]] = {}
    currencies: dict[str, tuple[str, str]] = {}
    fractions: dict[str, str] = {}
    symbols: dict[str, str] = {}
    abbreviations: dict[str, str] = {}
    closing_abbreviations: dict[str, str] = {}
    words: dict[str, str] = {}
    rewrites: dict[str, str] = {}


class Normaliser:
    """Rewrites text for one language's voices. Thread-safe."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        words = rules.abbreviations | rules.closing_abbreviations | rules.words
        self._words = words
        self._word = _one_of(words, r"(?<!\w)(?:{})(?![\w])")
        self._unit = _one_of(rules.units, rf"(?<![\w.,])({_NUMBER})\s?({{}})(?![\w²³/°])")
        self._price = _one_of(rules.currencies, rf"(?:({{}})\s?({_NUMBER})|({_NUMBER})\s?({{}}))")
        self._fraction = _one_of(rules.fractions, r"(?<![\w/.,])(?:{})(?![\w/])")
        self._symbol = _one_of(rules.symbols, r"\s*({})\s*")
        self._rewrites = [(re.compile(find), said) for find, said in rules.rewrites.items()]
        introduced = rules.clock.introduced_by if rules.clock else ()
        self._dotted = _one_of(
            dict.fromkeys(introduced, ""), r"(?i:\b(?:{})) \d{{1,2}}(\.)[0-5]\d(?!\d|\.\d)"
        )

    def __call__(self, text: str) -> str:
        """`text` as it is to be said; empty when there is nothing to say in it."""
        text = _without_markup(text[:MAX_CHARACTERS], self._rules.link)
        if self._rules.date:
            text = _DATE.sub(self._say_date, text)
        if self._dotted:
            text = self._dotted.sub(lambda m: m[0].replace(".", ":"), text)
        text = _RANGE.sub(self._say_range, text)
        text = _MINUS.sub(self._rules.minus + " ", text)
        if self._rules.clock:
            text = _CLOCK.sub(self._say_clock, text)
        if self._fraction:
            text = self._fraction.sub(lambda m: self._rules.fractions[m[0]], text)
        if self._price:
            text = self._price.sub(self._say_price, text)
        if self._unit:
            text = self._unit.sub(self._say_unit, text)
        for find, said in self._rewrites:
            text = find.sub(said, text)
        text = self._localise_decimals(text)
        if self._word:
            text = self._word.sub(self._say_word, text)
        if self._symbol:
            text = self._symbol.sub(lambda m: f" {self._rules.symbols[m[1]]} ", text)
        text = _SLASH.sub(" ", _DASH.sub(", ", text))
        text = re.sub(r"\s+([,.;:!?])", r"\1", " ".join(text.split()))
        return text if any(character.isalnum() for character in text) else ""

    def splitter(self) -> SentenceSplitter:
        """A sentence splitter that knows this language's abbreviations."""
        return SentenceSplitter(self._rules.abbreviations, self._rules.closing_abbreviations)

    def _say_date(self, match: re.Match[str]) -> str:
        rules = self._rules.date
        year, month, day = match[1], int(match[2]), int(match[3])
        if rules is None or not (1 <= month <= len(rules.months) and 1 <= day <= 31):
            return match[0]
        said = rules.days.get(day, rules.other_days.format(day=day))
        return rules.form.format(day=said, month=rules.months[month - 1], year=year)

    def _say_range(self, match: re.Match[str]) -> str:
        low, high = (float(re.sub("[,:]", ".", side)) for side in match.groups())
        # "555-1234" with falling numbers is a name or a score.
        return self._rules.range.format(low=match[1], high=match[2]) if low < high else match[0]

    def _say_clock(self, match: re.Match[str]) -> str:
        rules = self._rules.clock
        if rules is None:
            return match[0]
        hour, minute, given = int(match[1]), int(match[2]), match[3]
        if given and hour > 12:
            given = None
        if given:
            hour = hour % 12 + (12 if given in "pP" else 0)
        if named := rules.named.get(f"{hour:02}:{minute:02}"):
            return named
        form = rules.whole if not minute else rules.early if minute < 10 else rules.full
        return form.format(
            hour=hour if rules.hours == 24 else (hour + 11) % 12 + 1,
            minute=minute,
            half=rules.halves[hour >= 12],
        )

    def _say_price(self, match: re.Match[str]) -> str:
        symbol, number = (match[1], match[2]) if match[1] else (match[4], match[3])
        one, many = self._rules.currencies[symbol]
        if number == "1":
            return one
        if parts := re.fullmatch(r"(.*)[.,](\d\d)", number):
            if parts[2] == "00":
                return f"{parts[1]} {many}"
            return self._rules.currency.format(whole=parts[1], unit=many, cents=parts[2])
        return f"{number} {many}"

    def _say_unit(self, match: re.Match[str]) -> str:
        one, many = self._rules.units[match[2]]
        return one if match[1] == "1" else f"{match[1]} {many}"

    def _say_word(self, match: re.Match[str]) -> str:
        said = self._words[match[0]]
        ends = match[0] in self._rules.closing_abbreviations and match.end() == len(match.string)
        return said + "." if ends else said

    def _localise_decimals(self, text: str) -> str:
        """Programs write "21.5" everywhere; "1.250" stays what the language takes it for."""
        if self._rules.decimal == ".":
            return text
        return re.sub(
            r"(?<![\w.,])(\d+)\.(\d{1,2}|\d{4,})(?![\w.,]*\d)", rf"\1{self._rules.decimal}\2", text
        )


def load_normaliser(language: str) -> Normaliser:
    """The normaliser for `language` ("en"); a plain one where the language has no file."""
    file = resources.files("assistant.tts") / "language" / f"{language}.yaml"
    if not re.fullmatch("[a-z]{2,3}", language) or not file.is_file():
        return Normaliser(Rules())
    return Normaliser(Rules.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))))


def _one_of(table: Mapping[str, object], pattern: str) -> re.Pattern[str] | None:
    """`pattern` with {} standing for any key of `table`, the longest first; None if empty."""
    if not table:
        return None
    keys = "|".join(re.escape(key) for key in sorted(table, key=len, reverse=True))
    return re.compile(pattern.replace("{}", keys).replace("{{", "{").replace("}}", "}"))


def _without_markup(text: str, link: str) -> str:
    text = unicodedata.normalize("NFC", text)
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    text = _ADDRESS.sub(link, text)
    return "".join(map(_speakable, text))


def _speakable(character: str) -> str:
    if character in _KEPT_SYMBOLS:
        return character
    category = unicodedata.category(character)
    # Joiners and variation selectors stand inside words and emoji.
    if category == "Cf" or character in "\ufe0e\ufe0f":
        return ""
    return " " if category in _DROPPED_CATEGORIES else character
