"""From the text of a reply to sound, the first sentence as early as possible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable

from assistant.audio.pcm import Pcm
from assistant.audio.ports import AudioSink
from assistant.tts.normalise import Normaliser
from assistant.tts.voice import Voice


class Speaker:
    """Speaks replies with one voice into any sink."""

    def __init__(self, voice: Voice, normaliser: Normaliser) -> None:
        self.voice = voice
        self._normaliser = normaliser

    async def say(
        self,
        text: str | AsyncIterable[str],
        sink: AudioSink,
        on_sentence: Callable[[str], None] | None = None,
    ) -> None:
        """Speak `text`, whole or as it is being written; return once it was played.

        One sentence is synthesised ahead, in a worker thread, while the one before is played.
        `on_sentence` is called with each sentence just before its sound is handed to the sink:
        the first call marks the first audio. When cancelled, the sink is stopped at once.
        Raises ModelError when the voice fails, and what the sink raises.
        """
        sounds = self._sounds(text)
        ahead = asyncio.create_task(_following(sounds))
        try:
            while (following := await ahead) is not None:
                sentence, sound = following
                ahead = asyncio.create_task(_following(sounds))
                if on_sentence:
                    on_sentence(sentence)
                await sink.play(sound)
        except asyncio.CancelledError:
            sink.stop()
            raise
        finally:
            ahead.cancel()
            # Whatever became of it, the reply has ended for another reason.
            await asyncio.gather(ahead, return_exceptions=True)
            await sounds.aclose()

    async def _sounds(
        self, text: str | AsyncIterable[str]
    ) -> AsyncGenerator[tuple[str, Pcm], None]:
        async for sentence in self._sentences(text):
            if spoken := self._normaliser(sentence):
                yield sentence, await asyncio.to_thread(self.voice.synthesise, spoken)

    async def _sentences(self, text: str | AsyncIterable[str]) -> AsyncGenerator[str, None]:
        splitter = self._normaliser.splitter()
        if isinstance(text, str):
            for sentence in splitter.feed(text):
                yield sentence
        else:
            async for piece in text:
                for sentence in splitter.feed(piece):
                    yield sentence
        for sentence in splitter.finish():
            yield sentence


async def _following(sounds: AsyncGenerator[tuple[str, Pcm], None]) -> tuple[str, Pcm] | None:
    return await anext(sounds, None)
