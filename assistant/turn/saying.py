"""The words of a reply on their way from whoever writes them to whoever speaks them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine

from assistant.tts.sentences import SentenceSplitter


class Words:
    """Text that is spoken while it is being written: an AsyncIterable that somebody else feeds."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self.begun: float | None = None
        """Monotonic second of the first piece; None: there is none yet."""

    def put(self, piece: str) -> None:
        """Append `piece`."""
        if self.begun is None and piece.strip():
            self.begun = time.monotonic()
        self._pieces.put_nowait(piece)

    def end(self) -> None:
        """Nothing more comes."""
        self._pieces.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (piece := await self._pieces.get()) is not None:
            yield piece


class Reply:
    """Gathers a reply's words, and hands each piece on to `speak` as it comes."""

    def __init__(self, speak: Callable[[str], None]) -> None:
        self.text = ""
        self.sentence: float | None = None
        """Monotonic second at which the first sentence was whole; None: not yet."""
        self._speak = speak
        self._splitter = SentenceSplitter()

    def piece(self, text: str) -> None:
        """Go on with `text`."""
        if not text:
            return
        if self.sentence is None and self._splitter.feed(text):
            self.sentence = time.monotonic()
        self.text += text
        self._speak(text)

    def sentences(self, text: str) -> None:
        """Add `text`, which stands by itself."""
        if text:
            self.piece(f" {text}" if self.text else text)


async def unless(interrupted: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do `work`, in one task, until it ends or `interrupted` is set; whether it came to its end.

    Raises what it raises.
    """
    doing = asyncio.create_task(work)
    stop = asyncio.create_task(interrupted.wait())
    try:
        await asyncio.wait((doing, stop), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            return False
        doing.result()
        return True
    finally:
        stop.cancel()
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)
