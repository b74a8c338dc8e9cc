"""Sinks without a loudspeaker: WAV files, and nothing at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from assistant.audio.pcm import Pcm, Samples
from assistant.audio.resample import resample
from assistant.audio.wav import write_wav
from assistant.errors import AudioError


class WavSink:
    """Writes what is played into WAV files in `folder`, which is made when it is missing.

    Each `play` becomes a file of its own (reply-001.wav, …) until `begin` opens a named one,
    into which everything goes that is played from then on. With `realtime`, `play` takes as
    long as the sound would; `stop` then cuts the file where it was stopped.
    """

    def __init__(self, folder: Path, *, realtime: bool = True) -> None:
        self._folder = folder
        self._realtime = realtime
        self._count = 0
        self._name: str | None = None
        self._written: Pcm | None = None
        self._turn = asyncio.Lock()
        self._stopped = asyncio.Event()
        self._waiting = 0

    def begin(self, name: str) -> Path:
        """Write what is played from now on into `name`.wav; returns that file's path."""
        self._name, self._written = name, None
        return self._folder / f"{name}.wav"

    async def play(self, pcm: Pcm) -> None:
        """Write `pcm`, after what is being played already. Raises AudioError when it can't."""
        stopped = self._stopped
        self._waiting += 1
        try:
            async with self._turn:
                if stopped.is_set():
                    return
                played = pcm
                if self._realtime:
                    start = asyncio.get_running_loop().time()
                    try:
                        async with asyncio.timeout(pcm.duration):
                            await stopped.wait()
                    except TimeoutError:
                        pass
                    else:
                        seconds = asyncio.get_running_loop().time() - start
                        played = Pcm(pcm.samples[: round(seconds * pcm.rate)], pcm.rate)
                await asyncio.to_thread(self._write, played)
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """Drop what is queued and cut short what is being played."""
        self._stopped.set()
        self._stopped = asyncio.Event()

    @property
    def playing(self) -> bool:
        """Whether sound is being played or queued."""
        return self._waiting > 0

    def _write(self, pcm: Pcm) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudioError(
                f"{self._folder}: can't be made ({error.strerror}); give another folder"
            ) from error
        if self._name is None:
            self._count += 1
            write_wav(self._folder / f"reply-{self._count:03}.wav", pcm)
            return
        if self._written is None:
            self._written = pcm
        else:
            samples: tuple[Samples, Samples] = (
                self._written.samples,
                resample(pcm, self._written.rate).samples,
            )
            self._written = Pcm(np.concatenate(samples), self._written.rate)
        write_wav(self._folder / f"{self._name}.wav", self._written)


class NullSink:
    """Plays nothing, at once."""

    async def play(self, pcm: Pcm) -> None:
        """Return at once."""

    def stop(self) -> None:
        """Nothing to stop."""

    @property
    def playing(self) -> bool:
        """Never."""
        return False
