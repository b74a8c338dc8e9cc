"""Removes the assistant's own voice from what the microphone hears.

SpeexDSP's linear canceller alone: 14 to 16 dB less echo, and the talker untouched. Cancellers
that suppress what remains take the talker's words with it, and recognition suffers.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from ctypes.util import find_library

import numpy as np

from assistant.audio.delay import DelayEstimator
from assistant.audio.farend import FarEnd
from assistant.audio.pcm import SAMPLE_RATE, AudioChunk, Samples
from assistant.audio.ports import AudioSource
from assistant.errors import AudioError

_log = logging.getLogger(__name__)

FRAME = 256
"""Samples the canceller works on at a time; a chunk is a whole number of them."""

TAIL = 4096
"""Samples (256 ms) of echo that are modelled: the room's reverberation, and what is left of the
delay once it has been estimated."""

LEAD = 160
"""Samples (10 ms) by which the far end is kept ahead of its echo."""

MAX_LAG = 800
"""Samples of echo delay from which the far end is moved, at the price of learning anew."""

_SET_SAMPLING_RATE = 24  # SPEEX_ECHO_SET_SAMPLING_RATE in speex_echo.h


class SpeexEcho:
    """speex_echo_cancellation of libspeexdsp, for one stream."""

    def __init__(self) -> None:
        """Raises AudioError, naming the package, when the library is missing."""
        self._library = _load()
        self._state = self._library.speex_echo_state_init(FRAME, TAIL)
        rate = ctypes.c_int(SAMPLE_RATE)
        self._library.speex_echo_ctl(self._state, _SET_SAMPLING_RATE, ctypes.byref(rate))

    def __del__(self) -> None:
        if state := getattr(self, "_state", None):
            self._library.speex_echo_state_destroy(state)

    def cancel(self, heard: Samples, played: Samples) -> Samples:
        """`heard` without the echo of `played`; both a whole number of frames, equally long."""
        heard, played = np.ascontiguousarray(heard), np.ascontiguousarray(played)
        out = np.empty_like(heard)
        for start in range(0, len(heard), FRAME):
            offset = start * heard.itemsize
            self._library.speex_echo_cancellation(
                self._state,
                heard.ctypes.data + offset,
                played.ctypes.data + offset,
                out.ctypes.data + offset,
            )
        return out

    def reset(self) -> None:
        """Forget what was learnt of the room."""
        self._library.speex_echo_state_reset(self._state)


class EchoCanceller:
    """Cleans one source's chunks, given in order, of what `far_end` was played.

    How long the sound takes from there to here, through buffers and air, is estimated while
    it plays. Where nothing is played, chunks pass untouched.
    """

    def __init__(self, far_end: FarEnd) -> None:
        """Raises AudioError when libspeexdsp is missing."""
        self._far_end = far_end
        self._speex = SpeexEcho()
        self._estimator = DelayEstimator()
        self._delay = 0
        self._next = 0

    @property
    def delay(self) -> float:
        """Seconds by which the far end is delayed to meet its echo, as estimated so far."""
        return self._delay / SAMPLE_RATE

    def process(self, chunk: AudioChunk) -> AudioChunk:
        """`chunk` without echo. Blocking, about 0.1 ms while something is played."""
        position = self._position(chunk)
        count = len(chunk.samples)
        if not self._far_end.sounded_since(position - self._delay - TAIL):
            self._estimator.clear()
            return chunk
        lag = self._estimator.push(chunk.samples, self._far_end.between(position, count))
        if lag is not None and not 0 < lag - self._delay < MAX_LAG:
            self._delay = lag - LEAD
            self._speex.reset()
        played = self._far_end.between(position - self._delay, count)
        return AudioChunk(self._speex.cancel(chunk.samples, played), chunk.time)

    def _position(self, chunk: AudioChunk) -> int:
        """Where the chunk begins, in samples of the clock: evenly, but for real jumps."""
        position = round(chunk.time * SAMPLE_RATE)
        if abs(position - self._next) <= 2:
            position = self._next
        else:
            self._estimator.clear()
        self._next = position + len(chunk.samples)
        return position


class EchoCancelledSource:
    """`source` without the echo of what `far_end` was played.

    Without libspeexdsp everything passes through, and a warning says so once.
    """

    def __init__(self, source: AudioSource, far_end: FarEnd) -> None:
        self._source = source
        self._canceller: EchoCanceller | None = None
        try:
            self._canceller = EchoCanceller(far_end)
        except AudioError as error:
            _log.warning("%s: our own voice is not removed: %s", source.name, error)

    @property
    def name(self) -> str:
        """What logs and traces call it."""
        return self._source.name

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        """Yield the source's chunks, cleaned."""
        chunks = self._source.chunks()
        try:
            async for chunk in chunks:
                yield self._canceller.process(chunk) if self._canceller else chunk
        finally:
            # Closed with this one, not some time later: it may hold a device.
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(find_library("speexdsp") or "libspeexdsp.so.1")
    except OSError as error:
        raise AudioError(
            f"libspeexdsp can't be used ({error}); "
            "install it, on Debian with: sudo apt install libspeexdsp1"
        ) from error
    state = pointer = ctypes.c_void_p
    library.speex_echo_state_init.argtypes = [ctypes.c_int, ctypes.c_int]
    library.speex_echo_state_init.restype = state
    library.speex_echo_state_destroy.argtypes = [state]
    library.speex_echo_state_destroy.restype = None
    library.speex_echo_state_reset.argtypes = [state]
    library.speex_echo_state_reset.restype = None
    library.speex_echo_ctl.argtypes = [state, ctypes.c_int, pointer]
    library.speex_echo_ctl.restype = ctypes.c_int
    library.speex_echo_cancellation.argtypes = [state, pointer, pointer, pointer]
    library.speex_echo_cancellation.restype = None
    return library
