"""A sound file as a source: what was recorded is heard as if it were said now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import numpy as np

from assistant.audio.chunker import Chunker
from assistant.audio.pacing import sleep_until
from assistant.audio.pcm import SAMPLE_RATE, AudioChunk
from assistant.audio.wav import read_wav


class FileSource:
    """Plays `path` once and ends.

    `trailing` seconds of silence follow the file, so that an utterance at its very end comes
    to its end. Without `realtime` chunks come as fast as they are taken, though their times
    are those of real time.
    """

    def __init__(
        self, path: Path, *, name: str = "", trailing: float = 2.0, realtime: bool = True
    ) -> None:
        self._path = path
        self._name = name or path.name
        self._trailing = trailing
        self._realtime = realtime

    @property
    def name(self) -> str:
        """What logs and traces call it."""
        return self._name

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        """Yield the file's sound, then silence. Raises AudioError when it can't be read."""
        pcm = await asyncio.to_thread(read_wav, self._path)
        silence = np.zeros(round(self._trailing * SAMPLE_RATE), np.int16)
        chunker = Chunker()
        chunks = chunker.push(np.concatenate((pcm.samples, silence)), monotonic())
        if last := chunker.finish():
            chunks.append(last)
        for chunk in chunks:
            await sleep_until(chunk.time + chunk.duration if self._realtime else 0.0)
            yield chunk
