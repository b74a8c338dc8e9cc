"""What Whisper wrote, examined: it writes something even where nobody spoke."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_NO_SPEECH = 0.5

# Measured with tiny.en and base, with and without a prompt: kitchen noise, white noise, tones and
# silence read at -1.3 and below, spoken commands at -0.6 and above, single words down to -1.2.
MIN_LOG_PROBABILITY = -1.2

_TWICE = re.compile(r"(.+)[,.;!?] (.+)")
_ANNOTATION = re.compile(r"[\[(*♪][^\])*♪]*[\])*♪]")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one window was read as: texts, best first; mean log-probability of the best one's
    tokens; probability that the window holds no speech."""

    texts: tuple[str, ...]
    log_probability: float
    no_speech: float


def is_noise(reading: Reading, phrases: Sequence[str]) -> bool:
    """Whether `reading` is made up; `phrases` are those of the prompt."""
    return (
        not reading.texts
        or reading.no_speech > MAX_NO_SPEECH
        or reading.log_probability < MIN_LOG_PROBABILITY
        or repeats(reading.texts[0])
        or echoes(reading.texts[0], phrases)
    )


def cleaned(text: str) -> str:
    """Without annotations such as "[BLANK_AUDIO]", and once what stands there twice."""
    text = " ".join(_ANNOTATION.sub(" ", text).split())
    if (twice := _TWICE.fullmatch(text)) and _words(twice[1]) == _words(twice[2]):
        text = twice[1]
    return text.rstrip(" ,;")


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that differ in words, not in case or punctuation alone; in order, none empty."""
    seen: dict[tuple[str, ...], str] = {}
    for text in texts:
        seen.setdefault(tuple(_words(text)), text)
    seen.pop((), None)
    return tuple(seen.values())


def repeats(text: str) -> bool:
    """Whether a phrase comes three times in a row (a single word: four times)."""
    words = _words(text)
    for length in range(1, len(words) // 3 + 1):
        times = 3 if length > 1 else 4
        for start in range(len(words) - times * length + 1):
            phrase = words[start : start + length]
            if words[start : start + times * length] == phrase * times:
                return True
    return False


def echoes(text: str, phrases: Sequence[str]) -> bool:
    """Whether the text is but three or more neighbours of the prompt's list, read back."""
    words = _words(text)
    listed = [_words(phrase) for phrase in phrases]
    for first in range(len(listed) - 2):
        run: list[str] = []
        for count, phrase in enumerate(listed[first:], 1):
            run += phrase
            if count >= 3 and run == words:
                return True
            if len(run) >= len(words):
                break
    return False


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.lower())
