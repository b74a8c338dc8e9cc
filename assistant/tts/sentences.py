"""Text into sentences, as it arrives: each is spoken while the next is still being made."""

from __future__ import annotations

import re
from collections.abc import Collection

LONG_FIRST = 60
"""Characters of a first sentence from which its first clause is spoken by itself."""
MIN_CLAUSE = 18
"""Fewer characters than this before a comma are no clause worth a breath of its own."""
MAX_SENTENCE = 280
"""Characters after which a text without full stops is cut at a clause or a blank."""

# A mark only ends a sentence when a blank follows ("3.5", "18.30" stay whole); the full-width
# marks of languages written without blanks always do, and so does the end of a line.
_END = re.compile(r"\n+|(?P<mark>[.!?…]+)[\"'”’»)\]]*(?=\s)|[。！？]")
_CLAUSE = re.compile(r"[,;:](?=\s)|\s[–—-](?=\s)")
_LAST_WORD = re.compile(r"\S+$")


class SentenceSplitter:
    """Cuts a stream of text into sentences.

    `abbreviations` are words written with a full stop that does not end a sentence ("Dr."),
    `closing` those that end one when a capital letter follows ("p.m.").
    """

    def __init__(self, abbreviations: Collection[str] = (), closing: Collection[str] = ()) -> None:
        self._abbreviations = {word.lower() for word in abbreviations}
        self._closing = {word.lower() for word in closing}
        self._rest = ""
        self._first = True

    def feed(self, piece: str) -> list[str]:
        """Take the next piece (a token, a line, all of it); return what is complete by now."""
        self._rest += piece
        return self._take(at_end=False)

    def finish(self) -> list[str]:
        """No more text follows: return what is left, and be ready for another."""
        sentences = self._take(at_end=True)
        self._rest, self._first = "", True
        return sentences

    def _take(self, *, at_end: bool) -> list[str]:
        sentences = []
        while (cut := self._cut(at_end=at_end)) is not None:
            sentence, self._rest = self._rest[:cut].strip(), self._rest[cut:]
            if any(character.isalnum() for character in sentence):
                sentences.append(sentence)
                self._first = False
        return sentences

    def _cut(self, *, at_end: bool) -> int | None:
        """Where the first sentence of the rest ends; None: more text must come first."""
        end = self._sentence_end(at_end=at_end)
        known = len(self._rest) if end is None else end
        if self._first and known > LONG_FIRST:
            for clause in _CLAUSE.finditer(self._rest, MIN_CLAUSE, known):
                if known - clause.end() >= MIN_CLAUSE:
                    return clause.end()
        if known > MAX_SENTENCE:
            clauses = list(_CLAUSE.finditer(self._rest, MAX_SENTENCE // 2, MAX_SENTENCE))
            blank = self._rest.rfind(" ", 1, MAX_SENTENCE)
            return clauses[-1].end() if clauses else blank if blank > 0 else MAX_SENTENCE
        if end is None and at_end and self._rest:
            return len(self._rest)
        return end

    def _sentence_end(self, *, at_end: bool) -> int | None:
        for match in _END.finditer(self._rest):
            if match["mark"] != ".":
                return match.end()
            word = _LAST_WORD.search(self._rest, 0, match.start() + 1)
            last = word[0].lower().lstrip("(\"'“‘«[") if word else ""
            follower = self._rest[match.end() :].lstrip()[:1]
            if last in self._abbreviations:
                continue
            if last in self._closing:
                if not follower and not at_end:
                    return None
                if follower and not follower.isupper():
                    continue
            # "1. Milk": the number of a list's item, not a sentence.
            if last[:-1].isdigit() and not self._rest[: match.start()].strip(" 0123456789"):
                continue
            return match.end()
        return None


def split_sentences(
    text: str, abbreviations: Collection[str] = (), closing: Collection[str] = ()
) -> list[str]:
    """All sentences of a whole text, cut as SentenceSplitter cuts them."""
    splitter = SentenceSplitter(abbreviations, closing)
    return splitter.feed(text) + splitter.finish()
