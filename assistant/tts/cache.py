"""Replies said often are synthesised once: "Done." then starts without delay."""

from __future__ import annotations

import threading
from collections import OrderedDict

from assistant.audio.pcm import Pcm
from assistant.tts.voice import Voice


class CachedVoice:
    """A voice that remembers what it said last, up to `max_bytes` of samples (least used first
    out). Thread-safe as far as `voice` is.
    """

    def __init__(self, voice: Voice, max_bytes: int = 8_000_000) -> None:
        self._voice = voice
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: OrderedDict[str, Pcm] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The voice's own name."""
        return self._voice.name

    @property
    def language(self) -> str:
        """The voice's own language."""
        return self._voice.language

    def synthesise(self, sentence: str) -> Pcm:
        """From memory where possible, else by the voice (raises what that raises)."""
        with self._lock:
            if (known := self._known.get(sentence)) is not None:
                self._known.move_to_end(sentence)
                return known
        sound = self._voice.synthesise(sentence)
        with self._lock:
            if sentence not in self._known and sound.samples.nbytes <= self._max_bytes:
                self._known[sentence] = sound
                self._bytes += sound.samples.nbytes
            while self._bytes > self._max_bytes:
                _, dropped = self._known.popitem(last=False)
                self._bytes -= dropped.samples.nbytes
        return sound
