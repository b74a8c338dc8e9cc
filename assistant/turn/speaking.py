"""What one source says aloud: replies and announcements, which can be cut short."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from assistant.audio.chime import Chime, chime
from assistant.audio.ports import AudioSink
from assistant.errors import AssistantError
from assistant.tts.speech import Speaker
from assistant.turn.events import Spoke, StageDone
from assistant.turn.saying import Words
from assistant.turn.trace import Observer
from assistant.wake.guard import OwnVoiceGuard

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mouth:
    """What speaks."""

    speaker: Speaker | None
    """None: replies are not spoken."""
    sink: AudioSink
    guard: OwnVoiceGuard


class Speaking:
    """Says one thing at a time with `mouth`, for the source `name`; `clock` is monotonic."""

    def __init__(
        self, mouth: Mouth, name: str, observe: Observer, clock: Callable[[], float]
    ) -> None:
        self._mouth = mouth
        self._name = name
        self._observe = observe
        self._clock = clock
        self._speech: asyncio.Task[None] | None = None

    async def say(self, text: str | Words, turn: str | None) -> bool:
        """Speak, as part of `turn` if that is given; False when `silence` cut it short.

        Raises what the speaker raises.
        """
        self._speech = asyncio.create_task(self._speak(text, turn))
        try:
            await self._speech
        except asyncio.CancelledError:
            ourselves = asyncio.current_task()
            if ourselves is not None and ourselves.cancelling():
                self._speech.cancel()
                raise
            return False
        finally:
            self._speech = None
        return True

    def silence(self) -> None:
        """Stop whatever is being said or played."""
        if self._speech is not None:
            self._speech.cancel()
        self._mouth.sink.stop()

    async def chime(self, kind: Chime) -> None:
        """Play a chime. Nothing depends on it: where it fails that is logged."""
        try:
            await self._mouth.sink.play(chime(kind))
        except AssistantError as failure:
            log.error("%s: no chime: %s", self._name, failure)
        except Exception:
            log.exception("%s: no chime", self._name)

    async def _speak(self, text: str | Words, turn: str | None) -> None:
        if self._mouth.speaker is None:
            return
        asked = self._clock()
        first: float | None = None

        def on_sentence(sentence: str) -> None:
            nonlocal first
            self._mouth.guard.speaking(sentence)
            if first is None and turn is not None:
                first = self._clock()
                begun = text.begun if isinstance(text, Words) else None
                self._observe(Spoke(turn, self._name, first))
                self._observe(
                    StageDone(turn, self._name, first, "synthesise", begun or asked, first)
                )

        try:
            await self._mouth.speaker.say(text, self._mouth.sink, on_sentence)
        finally:
            self._mouth.guard.silent()
            if first is not None and turn is not None:
                now = self._clock()
                self._observe(StageDone(turn, self._name, now, "speak", first, now))
