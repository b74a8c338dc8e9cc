"""Sound files in and out, through libsndfile: WAV of every kind, and FLAC and Ogg as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from assistant.audio.pcm import SAMPLE_RATE, Pcm
from assistant.audio.resample import resample, to_int16
from assistant.errors import AudioError

MAX_SECONDS = 3600.0
"""Longest file that is read: an hour is 115 MB in memory."""

_BLOCK_FRAMES = 65_536


def read_wav(path: Path, rate: int = SAMPLE_RATE) -> Pcm:
    """The sound in `path`, mixed down to mono and resampled to `rate` Hz.

    Any rate, number of channels and sample format that libsndfile reads is converted; a file
    cut short yields what is there. Raises AudioError, naming the file and the remedy, when it
    can't be read, is no sound file, holds no sound, or lasts longer than MAX_SECONDS.
    """
    try:
        with path.open("rb") as stream, soundfile.SoundFile(stream) as file:
            own_rate = int(file.samplerate)
            blocks, frames = [], 0
            for block in file.blocks(_BLOCK_FRAMES, dtype="float32", always_2d=True):
                frames += len(block)
                if frames > MAX_SECONDS * own_rate:
                    raise AudioError(
                        f"{path}: lasts longer than {MAX_SECONDS:.0f} s; cut it into shorter files"
                    )
                blocks.append(block.mean(axis=1))
    except OSError as error:
        raise AudioError(
            f"{path}: can't be read ({error.strerror}); check the path and the file's permissions"
        ) from error
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path}: is no sound file that can be read ({error.error_string.rstrip('.')}); "
            f"convert it, for instance: ffmpeg -i {path.name} -ar 16000 -ac 1 new.wav"
        ) from error
    if not frames:
        raise AudioError(f"{path}: holds no sound; record it again")
    return resample(Pcm(to_int16(np.concatenate(blocks)), own_rate), rate)


def write_wav(path: Path, pcm: Pcm) -> None:
    """Write `pcm` to `path` as 16 bit mono WAV, replacing what is there.

    The folder must exist. Raises AudioError when the file can't be written.
    """
    try:
        with path.open("wb") as stream:
            soundfile.write(stream, pcm.samples, pcm.rate, subtype="PCM_16", format="WAV")
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(
            f"{path}: can't be written ({error}); check the folder's permissions and free space"
        ) from error
