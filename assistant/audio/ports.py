"""The two ends of the sound chain, each with several implementations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from assistant.audio.pcm import AudioChunk, Pcm


class AudioSource(Protocol):
    """Something that hears: a microphone, a WAV file, a satellite."""

    @property
    def name(self) -> str:
        """What logs and traces call it."""
        ...

    def chunks(self) -> AsyncIterator[AudioChunk]:
        """Yield chunks in real time until the source ends (a microphone never does).

        A device that vanishes is waited for, not reported as the end.
        """
        ...


class AudioSink(Protocol):
    """Something that speaks: a loudspeaker, a WAV file, a satellite."""

    async def play(self, pcm: Pcm) -> None:
        """Queue `pcm` after what is queued already; return once all of it was played or stopped."""
        ...

    def stop(self) -> None:
        """Drop everything queued and fall silent within one output block."""
        ...

    @property
    def playing(self) -> bool:
        """Whether sound is being played or queued."""
        ...
