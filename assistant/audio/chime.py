"""Short tones that tell what the assistant is doing where words would be too long."""

from __future__ import annotations

from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from assistant.audio.pcm import Pcm
from assistant.audio.resample import to_int16

RATE = 22_050
"""Hz; the rate of most Piper voices, so that chime and speech need no resampling to meet."""

_PEAK = 0.25  # quieter than speech
_PARTIALS = ((1.0, 1.0), (2.0, 0.25), (3.0, 0.08))
_ATTACK, _DECAY = 0.008, 0.09


class Chime(Enum):
    """What a chime says; the notes in Hz, and the seconds from one to the next."""

    LISTENING = ((659.26, 880.0), 0.09)
    """Speak now: two notes, rising."""
    DONE = ((880.0, 659.26), 0.09)
    """It is done, or: I no longer listen. Two notes, falling."""
    ERROR = ((329.63, 261.63), 0.14)
    """Something failed: two low notes, falling."""
    WAITING = ((587.33, 587.33), 0.2)
    """Still at work: the same note twice."""

    @property
    def notes(self) -> tuple[float, ...]:
        """Frequencies in Hz."""
        notes: tuple[float, ...] = self.value[0]
        return notes

    @property
    def step(self) -> float:
        """Seconds between the beginnings of two notes."""
        return float(self.value[1])


@cache
def chime(kind: Chime) -> Pcm:
    """The sound of `kind`, at RATE, less than half a second long."""
    step = round(kind.step * RATE)
    ring = round(0.25 * RATE)
    sound = np.zeros(step * (len(kind.notes) - 1) + ring)
    for number, frequency in enumerate(kind.notes):
        sound[number * step : number * step + ring] += _note(frequency, ring)
    return Pcm(to_int16(sound * (_PEAK / np.max(np.abs(sound)))), RATE)


def _note(frequency: float, count: int) -> NDArray[np.float64]:
    """A struck bar: a few harmonics that die away, without a click at either end."""
    time = np.arange(count) / RATE
    wave = np.zeros(count)
    for multiple, strength in _PARTIALS:
        wave += strength * np.sin(2 * np.pi * frequency * multiple * time)
    envelope = np.minimum(time / _ATTACK, 1.0) * np.exp(-time / _DECAY)
    note: NDArray[np.float64] = wave * envelope * np.minimum((time[-1] - time) / 0.02, 1.0)
    return note
