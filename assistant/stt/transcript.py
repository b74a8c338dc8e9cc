"""What a recogniser writes down, and the contract it does so by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from assistant.audio.pcm import Samples


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its place in the utterance (seconds from its first sample)."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, as far as is known.

    `confidence` is 0..1 (1.0 where the engine has none); `alternatives` are further readings,
    best first, without this one; an empty `text` means that nothing was said.
    """

    text: str
    final: bool
    confidence: float = 1.0
    words: tuple[Word, ...] = ()
    alternatives: tuple[str, ...] = ()


class RecognitionStream(Protocol):
    """One utterance being recognised. Every call blocks: use it from a worker thread."""

    def accept(self, samples: Samples) -> None:
        """Append int16 mono samples at 16 kHz. Cheap for Whisper, does the work for Vosk."""
        ...

    def partial(self) -> Transcript:
        """What has been said so far (final=False)."""
        ...

    def final(self) -> Transcript:
        """What was said in all that was accepted (final=True).

        May be called before the end is certain; more samples may follow and `final` be asked
        again. Calling it twice without new samples costs nothing.
        """
        ...


class Recogniser(Protocol):
    """A loaded model. Thread-safe; makes any number of streams, one per utterance."""

    @property
    def name(self) -> str:
        """Engine and model, for traces: "vosk small-en", "whisper tiny.en"."""
        ...

    @property
    def language(self) -> str:
        """The language it listens for ("en", "it")."""
        ...

    @property
    def partial_interval(self) -> float:
        """Seconds of new audio after which a partial is worth its cost (0 = always)."""
        ...

    def stream(self) -> RecognitionStream:
        """Start an utterance."""
        ...

    def set_vocabulary(self, phrases: Sequence[str]) -> tuple[str, ...]:
        """Bias towards these names and words, from the next stream on.

        Returns those the model can't recognise because its own vocabulary lacks them.
        """
        ...
