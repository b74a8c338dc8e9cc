"""Small talk with a weak model: a question, a short answer, and nothing about the home.

A model too small for the rules and the home parrots what it was asked when it is told of them, and
answers tolerably when it is not. It is not to be believed about what it can do: only questions are
put to it so.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from assistant.llm.model import Finish, Message, Query, Role
from assistant.llm.timed import Timed
from assistant.plan import Exchange, Utterance
from assistant.understand.answer import sayable
from assistant.understand.plan_events import PlanEvent, Saying, excuse
from assistant.understand.prompt_text import spoken

_LIMIT: Final = 80
"""Tokens of an answer."""
_MOST_SENTENCES: Final = 2
_MOST_EXCHANGES: Final = 1
_END: Final = re.compile(r"[.!?…][\"'”’»)]*\s+|\n+")
_LANGUAGES: Final = {"it": " in Italian"}


async def chat(
    utterance: Utterance, history: Sequence[Exchange], model: Timed
) -> AsyncGenerator[PlanEvent, None]:
    """Answer `utterance`, sentence by sentence. Raises LlmError where the model can't, and
    TimeoutError where it is late."""
    query = Query(_messages(utterance, history), limit=_LIMIT)
    sentences, came = _Sentences(), False
    async with contextlib.aclosing(model.pieces(query, lambda: came)) as pieces:
        async for piece in pieces:
            said = sentences.feed(piece.text)
            if piece.finish is not None:
                said += sentences.end(cut=piece.finish is Finish.LENGTH)
            if said:
                came = True
                yield Saying(said)
            if sentences.finished:
                break
    if not came:
        yield excuse("core.not_understood", "the model said nothing", utterance)


def _messages(utterance: Utterance, history: Sequence[Exchange]) -> tuple[Message, ...]:
    """The dialogue of which the answer to `utterance` is the next."""
    told = _LANGUAGES.get(utterance.language, "")
    rule = f"You are a voice assistant. Answer{told} in one or two short sentences."
    messages = [Message(Role.SYSTEM, rule)]
    for exchange in history[-_MOST_EXCHANGES:]:
        messages.append(Message(Role.USER, spoken(exchange.said)))
        messages.append(Message(Role.ASSISTANT, spoken(exchange.replied)))
    return (*messages, Message(Role.USER, spoken(utterance.text)))


class _Sentences:
    """Passes whole sentences on, the first few, and none twice: small models ramble."""

    def __init__(self) -> None:
        self._rest = ""
        self._said: list[str] = []
        self.finished = False
        """Enough has been said."""

    def feed(self, text: str) -> str:
        """What `text` completes."""
        self._rest += sayable(text)
        whole = ""
        while not self.finished and (end := _END.search(self._rest)) is not None:
            sentence, self._rest = self._rest[: end.end()].strip(), self._rest[end.end() :]
            whole += self._take(sentence)
        return whole

    def end(self, *, cut: bool) -> str:
        """What is left; an unfinished sentence (`cut`) only where there is nothing else."""
        if self.finished or (cut and self._said):
            return ""
        return self._take(self._rest.strip())

    def _take(self, sentence: str) -> str:
        if sentence in self._said:
            self.finished = True
        if self.finished or not sentence:
            return ""
        self._said.append(sentence)
        self.finished = len(self._said) == _MOST_SENTENCES
        return sentence if len(self._said) == 1 else f" {sentence}"
