"""From tokens to text as they come: whole characters, up to a stop text, without the thoughts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tokenizers import Tokenizer

THINK: Final = "<think>"
THINK_END: Final = "</think>"

_UNFINISHED: Final = "\N{REPLACEMENT CHARACTER}"
_PENDING: Final = 32
"""Tokens that wait for the end of a character before they are taken for garbage."""
_KEPT: Final = 8
"""Of those the last ones are kept; a character has four bytes at most."""


class TextStream:
    """Text of a sequence of tokens that comes in pieces. Special tokens are not shown.

    All pieces together are what the tokenizer makes of all tokens at once. The marks of a thought
    are shown even where the tokenizer calls them special: `ThinkFilter` looks for them.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._hidden = frozenset(
            number
            for number, token in tokenizer.get_added_tokens_decoder().items()
            if token.special and token.content not in (THINK, THINK_END)
        )
        # What follows a token may depend on the one before (a space that is shown or not), and one
        # token may be a part of a character. So those shown last are decoded again with the new.
        self._window: list[int] = []
        self._known = 0  # tokens of the window that are shown
        self._shown = 0  # characters of the window's text that are shown

    def feed(self, tokens: Iterable[int]) -> str:
        """The text that `tokens` complete: whole characters only, possibly none."""
        return "".join(self._one(token) for token in tokens if token not in self._hidden)

    def finish(self) -> str:
        """What is left when no more tokens come: U+FFFD for a character that was not completed."""
        text = self._text()[self._shown :]
        self._window, self._known, self._shown = [], 0, 0
        return text

    def _one(self, token: int) -> str:
        self._window.append(token)
        text = self._text()
        if not text.endswith(_UNFINISHED):
            piece = text[self._shown :]
            self._window = self._window[self._known :]
            self._known, self._shown = len(self._window), len(self._text())
            return piece
        if len(self._window) - self._known < _PENDING:
            return ""
        # No character is that long. All but the last may go: it alone could still be completed.
        piece = text[self._shown : -1]
        self._window = self._window[-_KEPT:]
        self._known, self._shown = 0, len(self._text()) - 1
        return piece

    def _text(self) -> str:
        text: str = self._tokenizer.decode(self._window, skip_special_tokens=False)
        return text


class StopTexts:
    """Ends a stream of text before the first of some texts that is complete.

    How the stream is cut into pieces makes no difference. Empty stop texts are ignored.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self._stopped = False

    def feed(self, text: str) -> tuple[str, bool]:
        """What may be shown now, and whether a stop text came: nothing is shown from then on.

        The end of a text that may be the beginning of a stop text is held back.
        """
        if self._stopped:
            return "", True
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self._held, self._stopped = "", True
            return text[: min(found)[1]], True
        keep = _beginning(text, self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def finish(self) -> str:
        """What was held back, when no more text comes."""
        text, self._held = self._held, ""
        return text


class ThinkFilter:
    """Leaves out of a stream of text what the model thinks, `<think>` to `</think>`.

    With the thought go its marks and the white space after it; a mark that ends nothing is left out
    too. `inside`: the text begins within a thought, because the prompt has opened it.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self._inside = inside
        self._held = ""
        self._trim = inside

    @property
    def inside(self) -> bool:
        """Whether the model is thinking at the moment."""
        return self._inside

    def feed(self, text: str) -> str:
        """What of the answer may be shown now; what may be the beginning of a mark is held back."""
        text = self._held + text
        shown = []
        while True:
            marks = (THINK_END,) if self._inside else (THINK, THINK_END)
            found = [(at, mark) for mark in marks if (at := text.find(mark)) >= 0]
            if not found:
                break
            at, mark = min(found)
            if not self._inside:
                shown.append(self._trimmed(text[:at]))
            self._trim = self._trim or self._inside
            self._inside = mark == THINK
            text = text[at + len(mark) :]
        keep = _beginning(text, marks)
        self._held = text[len(text) - keep :]
        if not self._inside:
            shown.append(self._trimmed(text[: len(text) - keep]))
        return "".join(shown)

    def finish(self) -> str:
        """What was held back of the answer, when no more text comes."""
        text, self._held = self._held, ""
        return "" if self._inside else self._trimmed(text)

    def _trimmed(self, text: str) -> str:
        """An answer's text without the white space that parts it from a thought before."""
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        return text


class Thought:
    """What a model thinks, up to and with the mark that ends it. What follows is the answer's."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._stream = TextStream(tokenizer)
        self._end = ""
        self.tokens: list[int] = []

    def feed(self, tokens: Iterable[int]) -> bool:
        """Think on by `tokens`; True when the thought has ended, those after its end left out."""
        for token in tokens:
            self.tokens.append(token)
            text = self._end + self._stream.feed([token])
            if THINK_END in text:
                return True
            self._end = text[1 - len(THINK_END) :]
        return False


def _beginning(text: str, wanted: Sequence[str]) -> int:
    """How many characters at the end of `text` may be the beginning of one of `wanted`."""
    longest = min(len(text), max(map(len, wanted), default=1) - 1)
    for length in range(longest, 0, -1):
        end = text[len(text) - length :]
        if any(len(one) > length and one.startswith(end) for one in wanted):
            return length
    return 0
