"""Texts from the wire made fit to be shown, spoken, and put before a language model."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from assistant.home.file import NAME_LIMIT, clean_name

_MARKUP: Final = re.compile(r"[<>{}\[\]`|\\]+")
_JOINED: Final = re.compile(r"_+|(?<=[^\W\d_])/+(?=[^\W\d_])")
_PICTURES: Final = frozenset({"So", "Sk"})


def harmless(text: str, limit: int = NAME_LIMIT) -> str:
    """`text` without control characters, brackets and markup, cut to `limit` characters."""
    return clean_name(_MARKUP.sub(" ", text[: 8 * limit]), limit)


def sayable(name: str) -> str:
    """A name as it would be said aloud, and is recognised: "Shutter_left", "hall/lamp 💡" and the
    like without what only joins words, and without pictures.
    """
    words = _JOINED.sub(" ", harmless(name, 2 * NAME_LIMIT))
    words = "".join(c for c in words if unicodedata.category(c) not in _PICTURES or c == "°")
    return clean_name(words.replace("\ufe0f", " "))
