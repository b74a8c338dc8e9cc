"""Raw sound from another program: a FIFO, or standard input."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import numpy as np

from assistant.audio.chunker import Chunker
from assistant.audio.pacing import sleep_until
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk
from assistant.errors import AudioError

STANDARD_INPUT = Path("-")

PACE = 0.98
"""Sound is taken at most this much faster than real time: a writer with a fast clock is kept up
with, one that has a whole file to give is slowed down."""

PAUSE = 0.5
"""Seconds without data after which a writer is taken to have gone; half a sample that it left is
dropped, or the next writer's bytes would be noise."""

SILENCE = 2.0
"""Seconds of silence that are yielded then, so that what was said last comes to its end."""

_CHUNK_BYTES = 2 * CHUNK_SAMPLES


class PipeSource:
    """16 kHz mono int16, little-endian, as it is written into the FIFO `path` ("-": stdin).

    A FIFO never ends: when its writer closes it, the next one is waited for. Standard input
    ends with its end. Nothing read is dropped: a writer that is too fast has to wait.
    """

    def __init__(self, path: Path, *, name: str = "pipe") -> None:
        self._path = path
        self._name = name

    @property
    def name(self) -> str:
        """What logs and traces call it."""
        return self._name

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        """Yield what is written. Raises AudioError when `path` is no FIFO that can be read."""
        reader, transport = await _open(self._path)
        chunker = Chunker()
        odd = b""
        due = 0.0
        silent: list[AudioChunk] = []
        patience: float | None = None
        try:
            while True:
                try:
                    async with asyncio.timeout(patience):
                        data = await reader.read(_CHUNK_BYTES)
                except TimeoutError:
                    if patience == PAUSE:
                        odd = b""
                        silent = _silence(chunker)
                    chunk = silent.pop(0)
                    patience = chunk.duration if silent else None
                    yield chunk
                    continue
                if not data:
                    break
                patience = PAUSE
                data = odd + data
                odd = data[len(data) // 2 * 2 :]
                samples = np.frombuffer(data, "<i2", len(data) // 2).astype(np.int16)
                for chunk in chunker.push(samples, monotonic() - len(samples) / SAMPLE_RATE):
                    await sleep_until(due)
                    due = max(due + PACE * chunk.duration, monotonic())
                    yield chunk
            if last := chunker.finish():
                yield last
        finally:
            transport.close()


def _silence(chunker: Chunker) -> list[AudioChunk]:
    """What is left in `chunker`, and SILENCE after it."""
    count = round(SILENCE * SAMPLE_RATE)
    chunks = chunker.push(np.zeros(count, np.int16), monotonic() - PAUSE)
    chunker.clear()
    return chunks


async def _open(path: Path) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    try:
        if path == STANDARD_INPUT:
            descriptor = os.dup(sys.stdin.fileno())
        else:
            # For writing as well, though nothing is written: it does not wait for a writer
            # then, and there is no end of file when one leaves.
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise AudioError(
            f"{path}: can't be read as a pipe ({error}); make it with: mkfifo {path}"
        ) from error
    stream = os.fdopen(descriptor, "rb", buffering=0)
    mode = os.fstat(descriptor).st_mode
    if path != STANDARD_INPUT and not stat.S_ISFIFO(mode):
        stream.close()
        raise AudioError(f'{path}: is no FIFO; use kind = "wav" for a sound file')
    reader = asyncio.StreamReader(limit=4 * _CHUNK_BYTES)
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stream
        )
    except ValueError as error:  # a regular file as standard input
        stream.close()
        raise AudioError(
            "standard input is a file, not a pipe; send it with: cat FILE | assistant run"
        ) from error
    return reader, transport
