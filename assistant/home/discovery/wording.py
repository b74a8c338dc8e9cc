"""Texts from the wire made fit to be shown, spoken, and put before a language model."""

from __future__ import annotations

import re
from typing import Final

from assistant.home.file import NAME_LIMIT, clean_name

_MARKUP: Final = re.compile(r"[<>{}\[\]`|\\]+")


def harmless(text: str, limit: int = NAME_LIMIT) -> str:
    """`text` without control characters, brackets and markup, cut to `limit` characters."""
    return clean_name(_MARKUP.sub(" ", text[: 8 * limit]), limit)
