"""What is taken out of the text of a server before it counts as an answer."""

from __future__ import annotations

import re
from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"
_LONE: Final = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """`text` with lone surrogates, which are no characters, replaced."""
    return _LONE.sub("\ufffd", text)


class Thoughts:
    """Takes `<think>…</think>` out of a text that comes in pieces, tags cut anywhere.

    White space after a thought goes with it. A thought that never ends takes the rest.
    """

    def __init__(self) -> None:
        self.seen = False
        """Whether there were any."""
        self.inside = False
        """Whether the text so far ends in the midst of one."""
        self._after = False
        self._held = ""

    def feed(self, text: str) -> str:
        """What of the text so far is an answer, and was not returned before."""
        self._held += text
        answer = ""
        while True:
            tag = _CLOSE if self.inside else _OPEN
            before, found, rest = self._held.partition(tag)
            if not found:
                break
            if not self.inside:
                answer += self._unspaced(before)
                self.seen = True
            self.inside, self._after = not self.inside, self.inside
            self._held = rest
        cut = _beginning(tag, self._held)
        ready, self._held = self._held[: len(self._held) - cut], self._held[-cut:] if cut else ""
        return answer if self.inside else answer + self._unspaced(ready)

    def end(self) -> str:
        """What was held back, because it could have become a tag."""
        held, self._held = self._held, ""
        return "" if self.inside else self._unspaced(held)

    def _unspaced(self, text: str) -> str:
        if not self._after:
            return text
        text = text.lstrip()
        self._after = not text
        return text


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


def _beginning(tag: str, text: str) -> int:
    """How many of the last letters of `text` are the first of `tag`."""
    most = min(len(tag) - 1, len(text))
    return next((size for size in range(most, 0, -1) if text.endswith(tag[:size])), 0)
