"""From scores to events: what every engine that scores words has in common."""

from __future__ import annotations

from collections.abc import Mapping

from assistant.wake.engine import WakeEvent


class Trigger:
    """Turns the scores of several words into events, one for each time a word is said.

    `thresholds` maps word to score. After an event nothing is heard for `refractory` seconds:
    a model's score stays high for some time after the word.
    """

    def __init__(self, thresholds: Mapping[str, float], refractory: float) -> None:
        self._thresholds = dict(thresholds)
        self._refractory = refractory
        self._deaf_until = float("-inf")

    def update(self, scores: Mapping[str, float], time: float) -> WakeEvent | None:
        """The word that is furthest above its threshold at `time` (monotonic seconds), if any."""
        if time < self._deaf_until:
            return None
        margin, word = max((scores[word] - self._thresholds[word], word) for word in scores)
        if margin < 0:
            return None
        self._deaf_until = time + self._refractory
        return WakeEvent(word, scores[word], time)
