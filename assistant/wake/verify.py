"""A second opinion on a wake word: "hey jarvis" also fires on "say jarvis"."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.audio.pcm import Samples
from assistant.stt.transcript import Recogniser
from assistant.wake.match import phrase_anywhere

_AGREED = 82.0


class Verifier:
    """Asks a recogniser whether it hears the wake word too. Thread-safe as far as that is.

    The recogniser is this object's own, since it is biased to the wake `words` and what is said
    instead of them: biased to the home's names it would not know them.
    """

    def __init__(self, recogniser: Recogniser, words: Sequence[str]) -> None:
        self._recogniser = recogniser
        # The last word of each stands there by itself as well: else "at jarvis" is heard as
        # "hey jarvis", the only thing the recogniser expects.
        lasts = (word.split()[-1] for word in words)
        recogniser.set_vocabulary([word.title() for word in dict.fromkeys((*words, *lasts))])

    def confirms(self, samples: Samples, word: str) -> bool:
        """Whether `word` is heard in `samples`: int16 mono at 16 kHz, best the 1.5 s up to the
        event's time. Blocking, about 0.15 s with Whisper tiny: use it from a worker thread.
        """
        stream = self._recogniser.stream()
        stream.accept(samples)
        match = phrase_anywhere(stream.final().text, [word])
        return match is not None and match.score >= _AGREED
