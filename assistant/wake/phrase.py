"""Any words of the user's own as wake phrase, without training: a recogniser behind the VAD."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from assistant.audio.pcm import AudioChunk
from assistant.errors import ModelError
from assistant.stt.transcript import Recogniser, Transcript
from assistant.wake.beginning import Beginning, BeginningListener
from assistant.wake.engine import WakeEvent
from assistant.wake.match import PhraseMatch, phrase_at_start
from assistant.wake.scores import Trigger

DEFAULT_THRESHOLD = 0.85


class PhraseWake:
    """Recognises the beginning of whatever is said after a silence, and compares.

    `speech` gives the speech probability of each chunk (a VAD stream of this engine's own). The
    recogniser is this engine's own too, since it is biased to the phrases. It works in one
    worker thread, on one beginning at a time, the newest one waiting; so `process` is short and
    reports a phrase some 0.2 s late. The user has to pause before the phrase or after it.
    Raises ModelError when the recogniser can't know the words.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        recogniser: Recogniser,
        speech: Callable[[AudioChunk], float],
        threshold: float | None = None,
        refractory: float = 2.0,
    ) -> None:
        # Closed with a mark: an open "dear house" in its prompt makes Whisper leave the phrase
        # out, as written down already, and begin with the words after it.
        prompt = [phrase.capitalize() + "!" for phrase in phrases]
        if missing := recogniser.set_vocabulary(prompt):
            raise ModelError(
                f"{recogniser.name} does not know the words {', '.join(missing)}: "
                "choose another phrase as words in [wake], or Whisper as engine in [stt]"
            )
        self._phrases = tuple(phrases)
        self._recogniser = recogniser
        self._speech = speech
        least = DEFAULT_THRESHOLD if threshold is None else threshold
        self._trigger = Trigger(dict.fromkeys(phrases, least), refractory)
        self._listener = BeginningListener()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="wake-phrase")
        self._job: Future[WakeEvent | None] | None = None
        self._waiting: Beginning | None = None

    def process(self, chunk: AudioChunk) -> WakeEvent | None:
        """Take the next chunk; the event's time is where the phrase ended, as well as is known."""
        self._waiting = self._listener.hear(chunk, self._speech(chunk)) or self._waiting
        event = None
        if self._job and self._job.done():
            heard, self._job = self._job.result(), None
            event = heard and self._trigger.update({heard.word: heard.score}, heard.time)
            if event:
                self._listener.skip()
                self._waiting = None
        if self._waiting and self._job is None:
            self._job = self._worker.submit(self._recognise, self._waiting)
            self._waiting = None
        return event

    @property
    def busy(self) -> bool:
        """Whether something is being recognised now."""
        return self._job is not None and not self._job.done()

    def reset(self) -> None:
        """Forget what was heard; the refractory time goes on."""
        if self._job:
            self._job.cancel()
        self._job = self._waiting = None
        self._listener.reset()

    def close(self) -> None:
        """End the worker thread, once it is done with what it is at."""
        self.reset()
        self._worker.shutdown(wait=False)

    def _recognise(self, beginning: Beginning) -> WakeEvent | None:
        stream = self._recogniser.stream()
        stream.accept(beginning.samples)
        transcript = stream.final()
        readings = (transcript.text, *transcript.alternatives)
        matches = filter(None, (phrase_at_start(text, self._phrases) for text in readings))
        match = max(matches, key=lambda match: match.score, default=None)
        if match is None:
            return None
        return WakeEvent(match.phrase, match.score / 100, _end(match, transcript, beginning))


def _end(match: PhraseMatch, transcript: Transcript, beginning: Beginning) -> float:
    """When the phrase ended: by the recogniser's word times, or by its share of the letters."""
    if len(transcript.words) >= match.last:
        return beginning.time + transcript.words[match.last - 1].end
    share = match.end / match.length
    return beginning.onset + share * (beginning.speech_end - beginning.onset)
