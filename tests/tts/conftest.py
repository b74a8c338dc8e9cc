"""A real voice, and a sink that notes what it is given."""

from __future__ import annotations

import asyncio

import pytest

from assistant.audio.pcm import Pcm
from assistant.tts.piper import Piper
from tests.support import voices


@pytest.fixture(scope="session")
def joe() -> Piper:
    return voices.joe()


class NotingSink:
    """Plays in as long as `pace` times the sound's length; knows what was played and stopped."""

    def __init__(self, pace: float = 0.0) -> None:
        self.played: list[Pcm] = []
        self.stops = 0
        self._pace = pace
        self._now = 0

    async def play(self, pcm: Pcm) -> None:
        self._now += 1
        try:
            await asyncio.sleep(pcm.duration * self._pace)
            self.played.append(pcm)
        finally:
            self._now -= 1

    def stop(self) -> None:
        self.stops += 1

    @property
    def playing(self) -> bool:
        return self._now > 0
