"""A language model that says what it is told to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from assistant.llm.model import Finish, Message, Piece, Query

Script = Callable[[Query], Iterable[str | BaseException]]


class ScriptedModel:
    """Says the script's texts, one piece each; raises its exceptions.

    `pause` holds it back before each piece while it is clear. `at_work` is how many answers are
    being made.
    """

    def __init__(self, script: Script = lambda _: ("Hello", " there.")) -> None:
        self.name = "toy"
        self.weak = True
        self.script = script
        self.asked: list[Query] = []
        self.at_work = 0
        self.pieces = 0
        self.closed = False
        self.pause = asyncio.Event()
        self.pause.set()
        self.finish = Finish.STOP

    async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        self.asked.append(query)
        self.at_work += 1
        try:
            for text in self.script(query):
                await asyncio.sleep(0)  # a model at work lets others in too
                await self.pause.wait()
                if isinstance(text, BaseException):
                    raise text
                self.pieces += 1
                yield Piece(text)
            yield Piece("", tokens=0, finish=self.finish)
        finally:
            self.at_work -= 1

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the model's work brings about."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110  # it has no event to wait for
                await asyncio.sleep(0.005)

    async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        """Nothing to prepare."""

    async def close(self) -> None:
        self.closed = True
