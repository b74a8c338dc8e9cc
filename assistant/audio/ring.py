"""The pre-roll: the last seconds of a source, so that nothing said after a wake word is lost."""

from __future__ import annotations

from collections import deque

from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk


class PreRoll:
    """Keeps the newest `seconds` of chunks; older ones are dropped.

    Push every chunk of the source, then ask for those `since` a time: with the chunks that
    follow they make one stream without a gap.
    """

    def __init__(self, seconds: float) -> None:
        chunk_seconds = CHUNK_SAMPLES / SAMPLE_RATE
        self._chunks: deque[AudioChunk] = deque(maxlen=max(1, round(seconds / chunk_seconds)))

    def push(self, chunk: AudioChunk) -> None:
        """Keep `chunk`, dropping the oldest when full."""
        self._chunks.append(chunk)

    def since(self, time: float) -> tuple[AudioChunk, ...]:
        """The chunks kept that hold anything heard after monotonic second `time`, in order."""
        return tuple(c for c in self._chunks if c.time + c.duration > time)

    def clear(self) -> None:
        """Forget everything, as after a gap in the stream."""
        self._chunks.clear()
