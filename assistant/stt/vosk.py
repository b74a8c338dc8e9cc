"""Vosk: a streaming recogniser, twice over one model.

The open one writes down anything; the limited one only what is said to this home. The limited
one is better at names and blind to the rest: without an "[unk]" in the model it forces whatever
it hears into its words, and is sure of it. So neither is believed alone: see `reconcile`.
"""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import vosk
from rapidfuzz import fuzz

from assistant.audio.pcm import SAMPLE_RATE, Samples
from assistant.errors import ModelError
from assistant.stt.transcript import RecognitionStream, Transcript, Word

UNKNOWN = "[unk]"

# Measured with the Korean model and a synthetic voice: right readings of the limited recogniser
# agree by 0.4 to 0.8 with the open one's, forced ones by up to 0.53.
_MIN_AGREEMENT = 0.55
_MIN_CONFIDENCE = 0.5
_log = logging.getLogger(__name__)


class VoskRecogniser:
    """A Vosk model. Thread-safe: streams share the model, which is only read."""

    def __init__(self, folder: Path, language: str) -> None:
        """Load the model in `folder`. Raises ModelError when it can't be."""
        self._name = f"vosk {folder.name.removeprefix('vosk-model-')}"
        self._language = language
        vosk.SetLogLevel(-1)
        try:
            self._model = vosk.Model(str(folder))
        except Exception as error:  # the library raises bare exceptions
            raise ModelError(
                f"{self._name}: can't be loaded from {folder} ({error}); "
                f"check it with: assistant models verify {folder.name}"
            ) from error
        # Only models whose graph comes in two parts can be limited while they run.
        self._limitable = any(folder.rglob("HCLr.fst"))
        self._grammar: str | None = None

    @property
    def name(self) -> str:
        """Engine and model, for traces."""
        return self._name

    @property
    def language(self) -> str:
        """The language it listens for."""
        return self._language

    @property
    def partial_interval(self) -> float:
        """0: partials cost nothing, the decoding goes on all the time."""
        return 0.0

    def stream(self) -> RecognitionStream:
        """Start an utterance."""
        limited = self._recogniser(self._grammar) if self._grammar else None
        return _VoskStream(self._recogniser(None), limited)

    def set_vocabulary(self, phrases: Sequence[str]) -> tuple[str, ...]:
        """Limit the second recogniser to `phrases` (in any order); none: do without it.

        Returns the phrases with a word that the model lacks; only the open recogniser could
        come near those.
        """
        wanted = dict.fromkeys(" ".join(_spoken(phrase)) for phrase in phrases)
        wanted.pop("", None)
        missing = tuple(p for p in phrases if not all(map(self._knows, _spoken(p))))
        lacking = {" ".join(_spoken(phrase)) for phrase in missing}
        known = [phrase for phrase in wanted if phrase not in lacking]
        if known and not self._limitable:
            _log.info("%s: this model can't be limited to a vocabulary while it runs", self._name)
            known = []
        if known and self._knows(UNKNOWN):
            known.append(UNKNOWN)
        # Vosk does not read \u escapes.
        self._grammar = json.dumps(known, ensure_ascii=False) if known else None
        return missing

    def _knows(self, word: str) -> bool:
        return bool(self._model.vosk_model_find_word(word) >= 0)

    def _recogniser(self, grammar: str | None) -> vosk.KaldiRecognizer:
        arguments = (self._model, SAMPLE_RATE) + ((grammar,) if grammar else ())
        recogniser = vosk.KaldiRecognizer(*arguments)
        recogniser.SetWords(True)
        return recogniser


class _VoskStream:
    """One utterance, decoded as it comes in.

    `final` closes a segment; what is accepted later starts another, and segments are joined,
    as Vosk itself does at longer pauses.
    """

    def __init__(self, opened: vosk.KaldiRecognizer, limited: vosk.KaldiRecognizer | None) -> None:
        self._open = _Reader(opened)
        self._limited = _Reader(limited) if limited is not None else None
        self._fresh = False
        self._final = Transcript("", final=True)

    def accept(self, samples: Samples) -> None:
        if not len(samples):
            return
        self._fresh = True
        for reader in self._readers():
            reader.accept(samples)

    def partial(self) -> Transcript:
        if not self._fresh:
            return replace(self._final, final=False)
        opened = self._open.partial()
        limited = self._limited.partial() if self._limited is not None else ""
        # Without word confidences, only agreement speaks for the limited reading.
        chosen = limited if limited and agreement(opened, limited) >= _MIN_AGREEMENT else opened
        return Transcript(" ".join(w for w in chosen.split() if w != UNKNOWN), final=False)

    def final(self) -> Transcript:
        if self._fresh:
            for reader in self._readers():
                reader.finish()
            limited = self._limited.words if self._limited is not None else ()
            self._final = reconcile(self._open.words, limited)
            self._fresh = False
        return self._final

    def _readers(self) -> Iterator[_Reader]:
        yield self._open
        if self._limited is not None:
            yield self._limited


class _Reader:
    """One Kaldi recogniser, and the words of the segments it has closed."""

    def __init__(self, recogniser: vosk.KaldiRecognizer) -> None:
        self._recogniser = recogniser
        self.words: tuple[Word, ...] = ()

    def accept(self, samples: Samples) -> None:
        data = np.ascontiguousarray(samples, np.dtype("<i2")).tobytes()
        if self._recogniser.AcceptWaveform(data):
            self._keep(self._recogniser.Result())

    def partial(self) -> str:
        running = json.loads(self._recogniser.PartialResult()).get("partial", "")
        return " ".join([*(word.text for word in self.words), *running.split()])

    def finish(self) -> None:
        self._keep(self._recogniser.FinalResult())

    def _keep(self, result: str) -> None:
        self.words += tuple(
            Word(w["word"], float(w["start"]), float(w["end"]), min(1.0, float(w["conf"])))
            for w in json.loads(result).get("result", ())
        )


def reconcile(opened: Sequence[Word], limited: Sequence[Word]) -> Transcript:
    """The final transcript from the words of the open and of the limited recogniser.

    Where the limited one admits to hear something else ("[unk]"), the open one's words of that
    time are put in. What results is taken if it sounds like the open reading, for then both
    heard the same and the limited one knows how it is spelt here; a forced match sounds
    different. The reading not taken becomes an alternative.
    """
    if not limited:
        return _transcript(opened, None)
    merged = _filled(opened, limited)
    alike = agreement(_text(opened), _text(merged))
    sure = _confidence(merged) >= _MIN_CONFIDENCE
    if merged and alike >= _MIN_AGREEMENT and sure:
        chosen = _transcript(merged, opened)
        return replace(chosen, confidence=min(chosen.confidence, max(alike, _confidence(opened))))
    return _transcript(opened, merged)


def agreement(one: str, other: str) -> float:
    """How alike two texts sound, 0..1: by letters, whatever the word boundaries.

    Syllable blocks (Korean) are taken apart, accents count less than letters.
    """
    return fuzz.ratio(_letters(one), _letters(other)) / 100


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.casefold().replace(UNKNOWN, ""))
    return "".join(character for character in plain if character.isalnum())


def _filled(opened: Sequence[Word], limited: Sequence[Word]) -> tuple[Word, ...]:
    """The limited reading with the open one's words in the place of "[unk]"."""
    merged: list[Word] = []
    for unknown, run in groupby(limited, lambda word: word.text == UNKNOWN):
        words = list(run)
        if unknown:
            start, end = words[0].start, words[-1].end
            merged += [w for w in opened if start <= (w.start + w.end) / 2 < end]
        else:
            merged += words
    return tuple(merged)


def _transcript(words: Sequence[Word], other: Sequence[Word] | None) -> Transcript:
    kept = tuple(word for word in words if word.text != UNKNOWN)
    text = _text(kept)
    alternative = _text([w for w in other or () if w.text != UNKNOWN])
    return Transcript(
        text=text,
        final=True,
        confidence=_confidence(kept),
        words=kept,
        alternatives=(alternative,) if alternative and alternative != text else (),
    )


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _confidence(words: Sequence[Word]) -> float:
    """Mean over the words' time, so that one sure short word does not carry a long wrong one."""
    length = sum(word.end - word.start for word in words)
    if length <= 0:
        return 0.0
    return sum(word.confidence * (word.end - word.start) for word in words) / length


def _spoken(phrase: str) -> list[str]:
    """Words as models list them: lower case, no punctuation but apostrophes."""
    kept = "".join(c if c.isalnum() or c in "'’" else " " for c in phrase.lower())
    return kept.replace("’", "'").split()
