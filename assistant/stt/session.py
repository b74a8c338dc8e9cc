"""One utterance between the event loop, which must not wait, and a recogniser, which blocks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import numpy as np

from assistant.audio.pcm import SAMPLE_RATE, Samples
from assistant.stt.transcript import Recogniser, Transcript

MAX_BACKLOG = 60
"""Seconds of sound kept for a recogniser that does not keep up; what comes after is dropped."""

_log = logging.getLogger(__name__)


class RecognitionSession:
    """Recognises one utterance in a worker thread of its own.

    ::

        session = RecognitionSession(recogniser, show)
        session.feed(samples)       # for every chunk heard
        session.likely_end()        # silence has begun: prepare the final
        session.resumed()           # it was but a pause
        transcript = await session.finish()     # or close(), to abandon it

    `on_partial` is called on the event loop with partial transcripts whose text is new: each
    after at least `recogniser.partial_interval` of new sound, never two at work, none after
    `finish`. What is heard while the recogniser is busy is taken together the next time.

    After `likely_end` the final is computed at once and given to `on_partial` as well (its
    `final` is True): it tells how long the silence need be. Sound fed since is held back, as
    silence that adds nothing, so that `finish` returns without delay. `resumed` must be called
    when speech goes on: what was held back is recognised and the prepared final forgotten.

    To be made and used in the event loop's thread. Nothing but `finish` waits.
    """

    def __init__(
        self, recogniser: Recogniser, on_partial: Callable[[Transcript], None] | None = None
    ) -> None:
        self._recogniser = recogniser
        self._on_partial = on_partial
        self._loop = asyncio.get_running_loop()
        self._result: asyncio.Future[Transcript] = self._loop.create_future()
        # Everything below is shared with the worker, under this condition.
        self._changed = threading.Condition()
        self._pending: list[Samples] = []
        self._held: list[Samples] = []
        self._backlog = 0
        self._holding = False
        self._finishing = False
        self._closed = False
        # The worker's own: whether the stream has the final of all it accepted.
        self._prepared = False
        threading.Thread(target=self._work, name="recognition").start()

    def close(self) -> None:
        """Abandon the utterance. A decoding at work can't be interrupted; nobody hears of it."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._result.cancel()

    def feed(self, samples: Samples) -> None:
        """Append int16 mono samples at 16 kHz."""
        with self._changed:
            if self._backlog > MAX_BACKLOG * SAMPLE_RATE:
                return
            self._backlog += len(samples)
            if self._backlog > MAX_BACKLOG * SAMPLE_RATE:
                _log.warning("%s does not keep up; sound is dropped", self._recogniser.name)
            (self._held if self._holding else self._pending).append(samples)
            self._changed.notify()

    def likely_end(self) -> None:
        """The speaker seems to have finished: prepare the final transcript."""
        with self._changed:
            self._holding = True
            self._changed.notify()

    def resumed(self) -> None:
        """The speaker goes on after all."""
        with self._changed:
            self._holding = False
            self._pending += self._held
            self._held = []
            self._changed.notify()

    async def finish(self) -> Transcript:
        """The final transcript of all that was fed, less what was held back.

        Raises what the recogniser raised. Cancelling it closes the session.
        """
        with self._changed:
            self._finishing = True
            self._changed.notify()
        try:
            return await self._result
        except asyncio.CancelledError:
            self.close()
            raise

    def _work(self) -> None:
        try:
            transcript = self._recognise()
        except Exception as error:  # it belongs to whoever waits for the result
            self._tell(self._fail, error)
        else:
            if transcript is not None:
                self._tell(self._succeed, transcript)

    def _recognise(self) -> Transcript | None:
        """The worker's life: accept what came, then answer what is most urgent."""
        stream = self._recogniser.stream()
        interval = self._recogniser.partial_interval * SAMPLE_RATE
        since_partial = 0
        last = ""
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                if self._closed:
                    return None
                chunks, self._pending = self._pending, []
                finishing, holding = self._finishing, self._holding
                self._backlog = sum(map(len, self._held))
            if chunks:
                sound = np.concatenate(chunks)
                stream.accept(sound)
                since_partial += len(sound)
                self._prepared = False
            if finishing:
                return stream.final()
            if holding:
                prepared = stream.final()  # which the stream keeps until more is accepted
                self._prepared = True
                self._tell(self._show, prepared)
            elif self._on_partial is not None and since_partial >= max(1, interval):
                since_partial = 0
                partial = stream.partial()
                if partial.text != last:
                    last = partial.text
                    self._tell(self._show, partial)

    def _has_work(self) -> bool:
        to_prepare = self._holding and not self._prepared
        return bool(self._closed or self._finishing or self._pending or to_prepare)

    def _tell(self, call: Callable[..., None], value: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, value)
        except RuntimeError:
            # Not the value itself: it may be what was said.
            _log.debug("the event loop is closed; nobody wants a %s", type(value).__name__)

    def _show(self, partial: Transcript) -> None:
        if self._on_partial is not None and not (self._finishing or self._closed):
            self._on_partial(partial)

    def _succeed(self, transcript: Transcript) -> None:
        if not self._result.done():
            self._result.set_result(transcript)

    def _fail(self, error: Exception) -> None:
        if self._result.done():
            _log.error("%s failed in an utterance already closed: %s", self._recogniser.name, error)
        else:
            self._result.set_exception(error)
