"""Which engine listens for the wake word: what the settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from assistant.audio.pcm import AudioChunk
from assistant.config import WakeSettings
from assistant.errors import ConfigError
from assistant.stt.transcript import Recogniser
from assistant.wake.engine import WakeEngine
from assistant.wake.micro import MicroWake
from assistant.wake.open import OpenWake
from assistant.wake.phrase import PhraseWake


def select_wake(
    settings: WakeSettings,
    recogniser: Callable[[], Recogniser],
    speech: Callable[[], Callable[[AudioChunk], float]],
) -> WakeEngine:
    """A new engine for one source.

    The phrase engine alone calls `recogniser` (for one of its own, which it biases) and `speech`
    (for the speech probability of a new stream's chunks). Raises ConfigError when no word is
    set, ModelError when the engine can't hear one of the words.
    """
    words = tuple(dict.fromkeys(" ".join(word.lower().split()) for word in settings.words))
    words = tuple(word for word in words if word)
    if not words:
        raise ConfigError('no wake word is set: give one as words = ["hey jarvis"] in [wake]')
    threshold, refractory = settings.threshold, settings.refractory
    match settings.engine:
        case "micro":
            return MicroWake(words, threshold, refractory)
        case "open":
            return OpenWake(words, threshold, refractory)
        case "phrase":
            return PhraseWake(words, recogniser(), speech(), threshold, refractory)
