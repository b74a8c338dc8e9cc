"""openWakeWord: models of another making, 5 % of a core; an extra, and for non-commercial use."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assistant.audio.pcm import CHUNK_SAMPLES, AudioChunk
from assistant.errors import ModelError
from assistant.wake.engine import WakeEvent
from assistant.wake.scores import Trigger

DEFAULT_THRESHOLD = 0.5
_log = logging.getLogger(__name__)


class OpenWake:
    """Several words over one feature stream; scores come every 80 ms.

    Raises ModelError when the package is missing or has no model for a word.
    """

    def __init__(
        self, words: Sequence[str], threshold: float | None = None, refractory: float = 2.0
    ) -> None:
        try:
            import pyopen_wakeword as package
        except ImportError as error:
            raise ModelError(
                "openWakeWord is not installed; install it with: "
                "pip install 'pyopen-wakeword>=1.1,<2', or set engine = \"micro\" in [wake]"
            ) from error
        known = {model.value.replace("_", " "): model for model in package.Model}
        if unknown := [word for word in words if word not in known]:
            raise ModelError(
                f"openWakeWord has no model for {', '.join(unknown)}: choose from "
                f'{", ".join(known)}, or set engine = "phrase" in [wake] for words of your own'
            )
        _log.warning(
            "openWakeWord's pretrained models are licensed CC-BY-NC-SA-4.0: "
            "for non-commercial use only (the micro engine's models are free of that)"
        )
        self._features = package.OpenWakeWordFeatures.from_builtin()
        self._models = {word: package.OpenWakeWord.from_builtin(known[word]) for word in words}
        least = DEFAULT_THRESHOLD if threshold is None else threshold
        self._trigger = Trigger(dict.fromkeys(words, least), refractory)
        self._scores = dict.fromkeys(words, 0.0)
        # The windows fill themselves with 8 s of silence at the first chunk, which takes 0.5 s:
        # done here, and kept to return to at a reset.
        self._score(np.zeros(CHUNK_SAMPLES, np.int16).tobytes())
        self._fresh = [_state(part) for part in self._parts()]

    @property
    def scores(self) -> Mapping[str, float]:
        """Score of each word in the last chunk that gave one."""
        return self._scores

    def process(self, chunk: AudioChunk) -> WakeEvent | None:
        """Take the next chunk; the event's time is the end of this chunk."""
        scores = self._score(chunk.samples.tobytes())
        if not scores:
            return None
        self._scores = scores
        return self._trigger.update(scores, chunk.time + chunk.duration)

    def reset(self) -> None:
        """Forget what was heard; the refractory time goes on."""
        for part, state in zip(self._parts(), self._fresh, strict=True):
            for name, value in copy.deepcopy(state).items():
                setattr(part, name, value)
        self._scores = dict.fromkeys(self._models, 0.0)

    def _score(self, audio: bytes) -> dict[str, float]:
        best: dict[str, float] = {}
        for embedding in self._features.process_streaming(audio):
            for word, model in self._models.items():
                for score in model.process_streaming(embedding):
                    best[word] = max(best.get(word, 0.0), score)
        return best

    def _parts(self) -> list[Any]:
        return [self._features, *self._models.values()]


def _state(part: Any) -> dict[str, Any]:
    """What `part` remembers of the sound: its windows, and how much of them is new."""
    return {
        name: copy.deepcopy(value)
        for name, value in vars(part).items()
        if isinstance(value, np.ndarray) or name.startswith("new_")
    }
