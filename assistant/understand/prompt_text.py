"""What comes off the wire or out of a mouth, as it may stand in a prompt.

A name stands in quotes, stripped of everything a model could read as the end of its data, and
short: it stays a name whatever it says.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Final

from assistant.home.file import clean_name

_LONGEST_NAME: Final = 40
_MOST_WORDS: Final = 6
"""Words of a name; from there on it is a sentence, and is cut."""
_LONGEST_UTTERANCE: Final = 500
_LONGEST_VALUE: Final = 60
_LONGEST_NUMBER: Final = 6
"""Characters up to which a number that came as text stays as it came: it may be none."""
_MOST_ITEMS: Final = 12

# Angle brackets, bars, braces and the like: what chat templates, markup and code are made of.
_MARKUP: Final = re.compile(r"<[^<>]{0,40}>|[<>|{}\[\]\\`^~]|#{2,}|\*{2,}|_{3,}")
_SENTENCE_END: Final = re.compile(r"[.!?;:]\s")
_DECIMAL: Final = re.compile(r"-?\d{1,12}\.\d+", re.ASCII)


def spoken(text: str, limit: int = _LONGEST_UTTERANCE) -> str:
    """An utterance as it may stand in a prompt: one line, without markup, bounded."""
    return clean_name(_MARKUP.sub(" ", _compatible(text[: 2 * limit])), limit)


def plain(name: str) -> str:
    """A name off the wire without what could be read as anything but a name."""
    text = clean_name(_MARKUP.sub(" ", _compatible(name[: 8 * _LONGEST_NAME])), 2 * _LONGEST_NAME)
    if len(text.split()) > _MOST_WORDS:
        text = " ".join(_SENTENCE_END.split(text)[0].split()[:_MOST_WORDS])
    return text.replace('"', "'")[:_LONGEST_NAME].rstrip()


def quoted(name: str) -> str:
    """A name off the wire, in quotes."""
    return json.dumps(plain(name), ensure_ascii=False)


def word(text: str) -> str:
    """A value that is a text off the wire: in quotes, unless it is a single plain word."""
    bare = plain(text)
    return quoted(text) if " " in bare or not bare.isascii() else bare


def value(told: object) -> str:
    """The value of a state or a parameter. Of a number no more than anybody would say."""
    match told:
        case bool():
            return "yes" if told else "no"
        case int() | float():
            return _number(told)
        case str():
            if len(told) > _LONGEST_NUMBER and _DECIMAL.fullmatch(told):
                return _number(float(told))
            return word(told)
        case list() | tuple():
            items = [value(item) for item in told[:_MOST_ITEMS]]
            return "/".join(items) if items else "none"
    return quoted(str(told)[:_LONGEST_VALUE])


def _number(number: float) -> str:
    if not math.isfinite(number):
        return "unknown"
    if abs(number) >= 1:
        number = round(number, 2)
    return f"{number:.3g}" if abs(number) < 1 else f"{number:.15g}"


def _compatible(text: str) -> str:
    """`text` with wide and other compatible forms as the letters they stand for, and nothing
    that is not seen (zero-width, bidirectional and control characters).
    """
    seen = (c for c in text if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cn"))
    return unicodedata.normalize("NFKC", "".join(seen))
