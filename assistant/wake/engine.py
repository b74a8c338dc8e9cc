"""The contract of a wake-word engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from assistant.audio.pcm import AudioChunk


@dataclass(frozen=True, slots=True)
class WakeEvent:
    """A wake word was heard.

    `word` is the spoken phrase ("hey jarvis"), `score` its probability in 0..1, `time` the
    monotonic second at which it ended.
    """

    word: str
    score: float
    time: float


class WakeEngine(Protocol):
    """Listens to one stream; keeps state between chunks, so one per source."""

    def process(self, chunk: AudioChunk) -> WakeEvent | None:
        """Take the next chunk; blocking and short (well below the chunk's length)."""
        ...

    def reset(self) -> None:
        """Forget what was heard, as after a turn or a gap in the stream."""
        ...
