"""What is taken out of the text of a server before it counts as an answer."""

from __future__ import annotations

import re
from typing import Final

_LONE: Final = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """`text` with lone surrogates, which are no characters, replaced."""
    return _LONE.sub("\ufffd", text)


class Compact:
    """Takes the white space between the parts of JSON out, for JSON that comes in pieces."""

    def __init__(self) -> None:
        self._quoted = False
        self._escaped = False

    def feed(self, text: str) -> str:
        """The piece without white space outside of strings."""
        kept = []
        for letter in text:
            if self._escaped:
                self._escaped = False
            elif letter == '"':
                self._quoted = not self._quoted
            elif self._quoted:
                self._escaped = letter == "\\"
            elif letter in " \t\r\n":
                continue
            kept.append(letter)
        return "".join(kept)
