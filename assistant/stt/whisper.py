"""Whisper through CTranslate2: no streaming model, so it decodes the utterance anew each time.

Biased by a prompt, a bare comma list of the home's names and verbs, which takes half of the
errors away and more (closed by a full stop, or the list is gone on with: "computer, computer").
Whisper makes up text where nobody speaks, so every reading is examined before it is believed.
Its mel window is cut from 30 s to 16 s: half the work; 10 s and less makes it loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from assistant.audio.pcm import SAMPLE_RATE, Samples
from assistant.errors import ModelError
from assistant.stt.guard import Reading, cleaned, distinct, is_noise, repeats
from assistant.stt.logmel import FRAMES_PER_SECOND, log_mel
from assistant.stt.transcript import RecognitionStream, Transcript

WINDOW_SECONDS = 16
PARTIAL_INTERVAL = 0.5

_WINDOW = WINDOW_SECONDS * SAMPLE_RATE
_CUT_WITHIN = 4 * SAMPLE_RATE
_CUT_GRAIN = SAMPLE_RATE // 5
_PROMPT_TOKENS = 200
# Narrower beams save an eighth of the work and loop on unfinished commands.
_BEAM = 5
_TOKENS_PER_SECOND = 10


class WhisperRecogniser:
    """A Whisper model in CTranslate2 form. Thread-safe; decodings queue up for its threads."""

    def __init__(self, folder: Path, language: str, *, threads: int = 2) -> None:
        """Load the model in `folder`. Raises ModelError when it can't be used for `language`."""
        self._name = f"whisper {folder.name.removeprefix('whisper-')}"
        self._language = language
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            # Without compute_type, weights stored as float16 are widened to float32.
            self._model = ctranslate2.models.Whisper(
                str(folder), device="cpu", compute_type="int8", intra_threads=threads
            )
        except Exception as error:  # both libraries raise bare exceptions
            raise ModelError(
                f"{self._name}: can't be loaded from {folder} ({error}); "
                f"check it with: assistant models verify {folder.name}"
            ) from error
        self._start = self._start_tokens()
        self._prompt: list[int] = []
        self._phrases: tuple[str, ...] = ()
        # The first decoding allocates and tunes; nobody should have to wait for it.
        self._read(np.zeros(SAMPLE_RATE, np.int16))

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
        """Seconds of new audio after which a partial is worth its cost."""
        return PARTIAL_INTERVAL

    def stream(self) -> RecognitionStream:
        """Start an utterance."""
        return _WhisperStream(self)

    def set_vocabulary(self, phrases: Sequence[str]) -> tuple[str, ...]:
        """Bias towards `phrases`, most useful first: what exceeds 200 tokens is left out.

        Returns nothing: Whisper spells out any word.
        """
        kept: list[str] = []
        tokens: list[int] = []
        end = self._encode(".")
        for phrase in dict.fromkeys(" ".join(p.split()) for p in phrases):
            piece = self._encode(f", {phrase}" if kept else f" {phrase}")
            if phrase and len(tokens) + len(piece) + len(end) <= _PROMPT_TOKENS:
                kept.append(phrase)
                tokens += piece
        self._phrases = tuple(kept)
        self._prompt = [self._token("<|startofprev|>"), *tokens, *end] if kept else []
        return ()

    def read(self, samples: Samples) -> tuple[tuple[str, ...], float]:
        """Texts heard in at most 16 s of sound, best first, and the confidence in the first.

        None at all when the sound is taken for something else than speech.
        """
        reading = self._read(samples)
        if is_noise(reading, self._phrases):
            return (), 1.0 - reading.no_speech
        return reading.texts, math.exp(reading.log_probability)

    def _read(self, samples: Samples) -> Reading:
        features = log_mel(samples, WINDOW_SECONDS * FRAMES_PER_SECOND)
        result = self._generate(features, len(samples) / SAMPLE_RATE)
        readings = [
            (cleaned(self._tokenizer.decode(ids, skip_special_tokens=True)), float(score))
            for ids, score in zip(result.sequences_ids, result.scores, strict=True)
        ]
        # A loop is the likelier the longer it is; a hypothesis without one knows better.
        readings.sort(key=lambda reading: repeats(reading[0]))
        return Reading(
            texts=distinct(text for text, _ in readings),
            log_probability=readings[0][1],
            no_speech=float(result.no_speech_prob),
        )

    def _generate(self, features: NDArray[np.float32], seconds: float) -> Any:
        prompt = [*self._prompt, *self._start]
        # Bounds the time that is lost when it loops. The library allows half of max_length for
        # what is new, and never more than the prompt leaves.
        budget = 8 + int(_TOKENS_PER_SECOND * seconds)
        results = self._model.generate(
            ctranslate2.StorageView.from_array(features[None]),
            [prompt],
            beam_size=_BEAM,
            num_hypotheses=_BEAM,
            return_scores=True,
            return_no_speech_prob=True,
            max_length=max(len(prompt) + budget, 2 * budget),
        )
        return results[0]

    def _start_tokens(self) -> list[int]:
        names = ["<|startoftranscript|>"]
        if self._model.is_multilingual:
            names += [f"<|{self._language}|>", "<|transcribe|>"]
        elif self._language != "en":
            raise ModelError(
                f"{self._name} knows English only, not {self._language!r}; "
                "set [stt] model to whisper-base (assistant models fetch whisper-base)"
            )
        names.append("<|notimestamps|>")
        return [self._token(name) for name in names]

    def _token(self, name: str) -> int:
        token = self._tokenizer.token_to_id(name)
        if token is None:
            raise ModelError(f"{self._name} has no {name} and can't be used for {self._language!r}")
        return token

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


class _WhisperStream:
    """One utterance. What exceeds 16 s is read in windows, cut where it is quietest."""

    def __init__(self, recogniser: WhisperRecogniser) -> None:
        self._recogniser = recogniser
        self._chunks: list[Samples] = []
        self._settled: list[tuple[str, float]] = []
        self._last: Transcript | None = None

    def accept(self, samples: Samples) -> None:
        if len(samples):
            self._chunks.append(samples)
            self._last = None

    def partial(self) -> Transcript:
        return replace(self.final(), final=False)

    def final(self) -> Transcript:
        if self._last is None:
            self._last = self._decode()
        return self._last

    def _decode(self) -> Transcript:
        sound = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        while len(sound) > _WINDOW:
            cut = _quietest(sound[:_WINDOW])
            texts, confidence = self._recogniser.read(sound[:cut])
            if texts:
                self._settled.append((texts[0], confidence))
            sound = sound[cut:]
        self._chunks = [sound]
        texts, confidence = self._recogniser.read(sound) if len(sound) else ((), 1.0)
        before = " ".join(text for text, _ in self._settled)
        confidences = [c for _, c in self._settled]
        if texts or not before:
            confidences.append(confidence)
        readings = [f"{before} {text}".strip() for text in texts] or [before]
        return Transcript(
            text=readings[0],
            final=True,
            confidence=min(confidences),
            alternatives=tuple(readings[1:]),
        )


def _quietest(window: Samples) -> int:
    """Where to cut: the middle of the quietest 0.2 s of the last 4 s."""
    tail = window[-_CUT_WITHIN:].astype(np.float32)
    grains = tail.reshape(-1, _CUT_GRAIN)
    energy = (grains**2).mean(axis=1)
    return len(window) - _CUT_WITHIN + int(energy.argmin()) * _CUT_GRAIN + _CUT_GRAIN // 2
