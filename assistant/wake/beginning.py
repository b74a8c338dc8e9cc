"""Cuts the beginnings out of what is said: where a wake phrase of any kind would have to be."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from assistant.audio.pcm import AudioChunk, Samples

_SPEECH = 0.5
_LEAD_CHUNKS = 10
"""Chunks (0.3 s) before the VAD's onset that are kept: it hears the first sound late."""
_MIN_SPEECH = 0.25
_LOOKS = (1.0, 1.7, 3.0)
_PAUSE = 0.25
_END = 0.5


@dataclass(frozen=True, slots=True)
class Beginning:
    """What has been said since a silence: `samples` begin at monotonic second `time`; the speech
    in them goes from `onset` to `speech_end`.
    """

    samples: Samples
    time: float
    onset: float
    speech_end: float


class BeginningListener:
    """Follows one stream and says when the beginning of an utterance is worth looking at.

    That is at each pause of 0.25 s, and after 1, 1.7 and 3 s of speech. Later there is no more
    beginning, until 0.5 s of silence have passed. Keeps at most 3.3 s of sound.
    """

    def __init__(self) -> None:
        self._lead: deque[AudioChunk] = deque(maxlen=_LEAD_CHUNKS)
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._lead.clear()
        self._chunks: list[AudioChunk] = []
        self._onset: float | None = None
        self._speech_end = 0.0
        self._spoken = 0.0
        self._looked_until = 0.0
        self._looks = list(_LOOKS)

    def skip(self) -> None:
        """The rest of this utterance is of no interest."""
        self._looks.clear()
        self._chunks.clear()

    def hear(self, chunk: AudioChunk, probability: float) -> Beginning | None:
        """Take the next chunk and its speech probability; return what to look at now, if any."""
        end = chunk.time + chunk.duration
        self._lead.append(chunk)
        if probability >= _SPEECH:
            if self._onset is None:
                self._onset = chunk.time
                self._chunks = list(self._lead)[:-1]
            self._speech_end = end
            self._spoken += chunk.duration
        if self._onset is None:
            return None
        silence = end - self._speech_end
        if silence >= _END:
            self.reset()
            return None
        if not self._looks:
            return None
        self._chunks.append(chunk)
        late = end - self._onset >= self._looks[0]
        paused = silence >= _PAUSE and self._speech_end > self._looked_until
        if not (late or paused) or self._spoken < _MIN_SPEECH:
            return None
        beginning = self._taken(self._onset)
        while self._looks and end - self._onset >= self._looks[0]:
            self._looks.pop(0)
        if not self._looks:
            self._chunks.clear()
        return beginning

    def _taken(self, onset: float) -> Beginning:
        self._looked_until = self._speech_end
        samples = np.concatenate([chunk.samples for chunk in self._chunks])
        return Beginning(samples, self._chunks[0].time, onset, self._speech_end)
