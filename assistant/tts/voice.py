"""The contract of a voice."""

from __future__ import annotations

from typing import Protocol

from assistant.audio.pcm import Pcm


class Voice(Protocol):
    """A loaded voice. Blocking: use it from a worker thread."""

    @property
    def name(self) -> str:
        """Engine and model, for traces: "piper en_US-joe-medium", "espeak-ng it"."""
        ...

    @property
    def language(self) -> str:
        """The language it speaks ("en", "it")."""
        ...

    def synthesise(self, sentence: str) -> Pcm:
        """Speak one sentence of normalised text. Raises ModelError when the engine fails."""
        ...
