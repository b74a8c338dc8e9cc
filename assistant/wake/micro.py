"""microWakeWord through pymicro-wakeword: small streaming models, 0.2 % of a core, Apache-2.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

from assistant.audio.pcm import AudioChunk
from assistant.errors import ModelError
from assistant.wake.engine import WakeEvent
from assistant.wake.scores import Trigger

MICRO_WORDS = tuple(model.value.replace("_", " ") for model in Model)
"""The words there are models for."""


class MicroWake:
    """Several words over one feature stream; a word's score is its mean over the last 5 steps.

    `threshold` replaces the cutoff each model was tuned to.
    Raises ModelError for a word without a model.
    """

    def __init__(
        self, words: Sequence[str], threshold: float | None = None, refractory: float = 2.0
    ) -> None:
        self._features = MicroWakeWordFeatures()
        self._models = {word: _load(word) for word in words}
        self._trigger = Trigger(
            {
                word: model.probability_cutoff if threshold is None else threshold
                for word, model in self._models.items()
            },
            refractory,
        )
        self._scores = dict.fromkeys(self._models, 0.0)

    @property
    def scores(self) -> Mapping[str, float]:
        """Highest score of each word in the last chunk."""
        return self._scores

    def process(self, chunk: AudioChunk) -> WakeEvent | None:
        """Take the next chunk; the event's time is the end of this chunk."""
        best = dict.fromkeys(self._models, 0.0)
        for frame in self._features.process_streaming(chunk.samples.tobytes()):
            for word, model in self._models.items():
                best[word] = max(best[word], model.process_streaming_prob(frame) or 0.0)
        self._scores = best
        return self._trigger.update(best, chunk.time + chunk.duration)

    def reset(self) -> None:
        """Forget what was heard; the refractory time goes on."""
        self._features.reset()
        for model in self._models.values():
            model.reset()
        self._scores = dict.fromkeys(self._models, 0.0)


def _load(word: str) -> MicroWakeWord:
    try:
        return MicroWakeWord.from_builtin(Model(word.replace(" ", "_")))
    except ValueError as error:
        raise ModelError(
            f"microWakeWord has no model for {word!r}: choose from {', '.join(MICRO_WORDS)}, "
            'or set engine = "phrase" in [wake] for words of your own'
        ) from error
