"""espeak-ng: a plain voice for a hundred languages, as a program of the system's."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from dataclasses import dataclass

import numpy as np

from assistant.audio.pcm import Pcm, Samples
from assistant.errors import ModelError

_WORDS_PER_MINUTE = 165
_TIMEOUT = 10.0
_INSTALL = "install it (Debian: apt-get install espeak-ng)"


@dataclass(frozen=True, slots=True)
class Espeak:
    """One of its voices; each sentence is a process of some 20 ms. Thread-safe.

    `speed` 1.25 speaks a quarter faster; `volume` is the peak of each sentence in 0..1.
    """

    language: str
    program: str
    speed: float = 1.0
    volume: float = 0.9

    @property
    def name(self) -> str:
        """Engine and voice, for traces."""
        return f"espeak-ng {self.language}"

    def synthesise(self, sentence: str) -> Pcm:
        """Speak one sentence of normalised text (empty text: no samples)."""
        pace = str(round(_WORDS_PER_MINUTE * self.speed))
        # The text goes in by standard input: on the command line it could pass for an option.
        arguments = ["-v", self.language, "-s", pace, "-b", "1", "--stdin", "--stdout"]
        sound = _run(self.program, arguments, sentence)
        try:
            # Written to a pipe, the header states no true length: read what there is.
            with wave.open(io.BytesIO(sound)) as reader:
                rate = reader.getframerate()
                samples: Samples = np.frombuffer(reader.readframes(len(sound)), np.int16)
        except (wave.Error, EOFError) as error:
            if not sentence.strip():
                return Pcm(np.zeros(0, np.int16), 22_050)
            raise ModelError(f"{self.name} gave no sound for {sentence[:40]!r}") from error
        peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
        scaled = samples * (self.volume * 32767 / peak) if peak else samples
        return Pcm(scaled.astype(np.int16), rate)


def load_espeak(language: str, *, speed: float = 1.0, volume: float = 0.9) -> Espeak:
    """The voice for `language` ("it"). Raises ModelError when there is no such program or voice."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise ModelError(f"espeak-ng is not on this system; {_INSTALL}")
    voices = _run(program, [f"--voices={language}"], "").decode(errors="replace")
    if len(voices.splitlines()) < 2:  # the first line is the table's head
        raise ModelError(
            f"espeak-ng has no voice for {language!r}; `espeak-ng --voices` lists what it has"
        )
    return Espeak(language, program, speed, volume)


def _run(program: str, arguments: list[str], text: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and no word of the text in the arguments
            [program, *arguments],
            input=text.encode(),
            capture_output=True,
            timeout=_TIMEOUT,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        problem = error.stderr.decode(errors="replace").strip()
        raise ModelError(f"{program} failed ({problem}); reinstall it or {_INSTALL}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelError(f"{program} can't be run ({error}); reinstall it") from error
    return done.stdout
