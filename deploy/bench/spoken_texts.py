"""Sentences spoken by a Piper voice in noise, and what a Whisper model writes of them.

Kept in a file, a line an utterance, so that understanding can be tried on it again and again.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track

from assistant.audio.noise import coloured_noise, mixed
from assistant.audio.pcm import SAMPLE_RATE, Pcm
from assistant.audio.resample import resample
from assistant.home.model import Home
from assistant.models.store import path_of
from assistant.stt.whisper import WhisperRecogniser
from assistant.tts.piper import load_piper
from assistant.understand.vocabulary import bias_phrases

SPEEDS: Final = (0.8, 0.9, 1.0, 1.15, 1.3)
_NOISE_SECONDS: Final = 20.0
_NOISE_LEVEL: Final = -30.0


@dataclass(frozen=True)
class Heard:
    """One utterance: what was said, how fast, and what was written, best reading first."""

    text: str
    home: str
    area: str | None
    speed: float
    plain: tuple[str, ...]
    biased: tuple[str, ...]


def speak_and_write(
    said: Sequence[tuple[str, Home, str | None]],
    file: Path,
    *,
    voice: str,
    model: str,
    snr: float,
    console: Console,
) -> list[Heard]:
    """Each of `said` (text, home, room) at each of SPEEDS; what `file` has already is kept."""
    known = {(one.text, one.home, one.speed): one for one in read(file)}
    voices = {speed: load_piper(_onnx(path_of(voice)), speed=speed) for speed in SPEEDS}
    recogniser = WhisperRecogniser(path_of(model), "en")
    noise = coloured_noise(_NOISE_SECONDS, _NOISE_LEVEL)
    result = []
    jobs = list(itertools.product(said, SPEEDS))
    with file.open("a", encoding="utf-8") as out:
        for (text, home, area), speed in track(jobs, "speaking and writing", console=console):
            one = known.get((text, home.id, speed))
            if one is None:
                pcm = mixed(voices[speed].synthesise(_written(text)), noise, snr)
                readings = [
                    _read(recogniser, pcm, phrases) for phrases in ([], bias_phrases(home, "en"))
                ]
                one = Heard(text, home.id, area, speed, *readings)
                out.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")
                out.flush()
            result.append(one)
    return result


def read(file: Path) -> Iterator[Heard]:
    """The utterances that `file` holds."""
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        row |= {key: tuple(row[key]) for key in ("plain", "biased")}
        yield Heard(**row)


def _read(recogniser: WhisperRecogniser, pcm: Pcm, phrases: Sequence[str]) -> tuple[str, ...]:
    recogniser.set_vocabulary(phrases)
    stream = recogniser.stream()
    stream.accept(resample(pcm, SAMPLE_RATE).samples)
    final = stream.final()
    return (final.text, *final.alternatives)


def _written(text: str) -> str:
    """`text` as it is written for a voice: a sentence."""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text + "."


def _onnx(folder: Path) -> Path:
    return next(folder.glob("*.onnx")) if folder.is_dir() else folder
