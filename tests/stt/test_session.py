from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, Samples
from assistant.stt.session import MAX_BACKLOG, RecognitionSession
from assistant.stt.transcript import Transcript
from assistant.stt.whisper import WhisperRecogniser

from .conftest import Say, silence

SECOND = silence(1)


class Scripted:
    """A recogniser that writes down how many seconds it heard, and works only when let."""

    name = "scripted"
    language = "en"

    def __init__(self, interval: float = 0.5) -> None:
        self.partial_interval = interval
        self.free = threading.Event()
        self.free.set()
        self.at_work = threading.Event()
        self.calls: list[str] = []
        self.failure: Exception | None = None

    def stream(self) -> Stream:
        return Stream(self)

    def set_vocabulary(self, phrases: Sequence[str]) -> tuple[str, ...]:
        return ()


class Stream:
    def __init__(self, recogniser: Scripted) -> None:
        self.recogniser = recogniser
        self.samples = 0
        self.kept: Transcript | None = None

    def accept(self, samples: Samples) -> None:
        self.samples += len(samples)
        self.kept = None

    def partial(self) -> Transcript:
        return self.decode("partial", final=False)

    def final(self) -> Transcript:
        if self.kept is None:
            self.kept = self.decode("final", final=True)
        return self.kept

    def decode(self, what: str, *, final: bool) -> Transcript:
        self.recogniser.calls.append(f"{what} {self.samples / SAMPLE_RATE:g}")
        self.recogniser.at_work.set()
        assert self.recogniser.free.wait(30)
        if self.recogniser.failure is not None:
            raise self.recogniser.failure
        return Transcript(f"{self.samples / SAMPLE_RATE:g}", final=final)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 -- what is waited for happens in a thread
            await asyncio.sleep(0.001)


async def test_all_that_was_fed_is_in_the_final() -> None:
    session = RecognitionSession(Scripted())
    for _ in range(3):
        session.feed(SECOND)
    assert await session.finish() == Transcript("3", final=True)


async def test_partials_cover_what_came_meanwhile_and_never_queue_up() -> None:
    recogniser, shown = Scripted(), list[str]()
    recogniser.free.clear()
    session = RecognitionSession(recogniser, lambda t: shown.append(t.text))
    session.feed(SECOND)
    await until(recogniser.at_work.is_set)
    for _ in range(5):
        session.feed(SECOND)
    recogniser.free.set()
    await until(lambda: len(shown) == 2)
    assert shown == ["1", "6"]
    assert recogniser.calls == ["partial 1", "partial 6"]
    session.close()


async def test_partials_wait_for_enough_new_sound() -> None:
    recogniser = Scripted(interval=0.5)
    session = RecognitionSession(recogniser, lambda _: None)
    for _ in range(10):
        session.feed(silence(0.04))
    await session.finish()
    assert recogniser.calls == ["final 0.4"]


async def test_a_partial_at_work_delays_the_final_by_nothing_else() -> None:
    recogniser, shown = Scripted(), list[str]()
    recogniser.free.clear()
    session = RecognitionSession(recogniser, lambda t: shown.append(t.text))
    session.feed(SECOND)
    await until(recogniser.at_work.is_set)
    session.feed(SECOND)
    finish = asyncio.create_task(session.finish())
    await asyncio.sleep(0)
    recogniser.free.set()
    assert (await finish).text == "2"
    assert recogniser.calls == ["partial 1", "final 2"]
    assert shown == []


async def test_the_final_is_prepared_at_a_likely_end() -> None:
    recogniser, shown = Scripted(), list[Transcript]()
    session = RecognitionSession(recogniser, shown.append)
    session.feed(SECOND)
    session.likely_end()
    await until(lambda: shown and shown[-1].final)
    session.feed(SECOND)  # silence, which adds nothing
    recogniser.free.clear()  # from here on, nothing can be decoded
    assert await session.finish() == Transcript("1", final=True)
    assert recogniser.calls.count("final 1") == 1


async def test_speech_that_goes_on_drops_what_was_prepared() -> None:
    recogniser, shown = Scripted(), list[Transcript]()
    session = RecognitionSession(recogniser, shown.append)
    session.feed(SECOND)
    session.likely_end()
    await until(lambda: shown and shown[-1].final)
    session.feed(SECOND)
    session.resumed()
    session.feed(SECOND)
    await until(lambda: shown[-1].text == "3")
    assert not shown[-1].final
    session.likely_end()
    await until(lambda: shown[-1].final)
    assert (await session.finish()).text == "3"


async def test_what_goes_wrong_is_raised_by_finish() -> None:
    recogniser = Scripted()
    recogniser.failure = RuntimeError("out of memory")
    session = RecognitionSession(recogniser)
    session.feed(SECOND)
    with pytest.raises(RuntimeError, match="out of memory"):
        await session.finish()


async def test_a_closed_session_shows_nothing_and_ends_its_thread() -> None:
    recogniser, shown = Scripted(), list[Transcript]()
    recogniser.free.clear()
    session = RecognitionSession(recogniser, shown.append)
    session.feed(SECOND)
    await until(recogniser.at_work.is_set)
    session.close()
    recogniser.free.set()
    await until(lambda: not any(t.name == "recognition" for t in threading.enumerate()))
    await asyncio.sleep(0)
    assert shown == []
    with pytest.raises(asyncio.CancelledError):
        await session.finish()


async def test_whoever_waits_may_be_cancelled() -> None:
    recogniser = Scripted()
    recogniser.free.clear()
    session = RecognitionSession(recogniser)
    session.feed(SECOND)
    finish = asyncio.create_task(session.finish())
    await until(recogniser.at_work.is_set)
    finish.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finish
    recogniser.free.set()
    await until(lambda: not any(t.name == "recognition" for t in threading.enumerate()))


async def test_a_recogniser_that_hangs_costs_a_bounded_backlog(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recogniser = Scripted()
    recogniser.free.clear()
    session = RecognitionSession(recogniser, lambda _: None)
    session.feed(SECOND)
    await until(recogniser.at_work.is_set)
    with caplog.at_level(logging.WARNING):
        for _ in range(2 * MAX_BACKLOG):
            session.feed(SECOND)
    assert [r.message for r in caplog.records] == ["scripted does not keep up; sound is dropped"]
    recogniser.free.set()
    assert float((await session.finish()).text) == pytest.approx(MAX_BACKLOG, abs=2)


async def test_whisper_hears_a_command_chunk_by_chunk(tiny: WhisperRecogniser, joe: Say) -> None:
    shown: list[Transcript] = []
    session = RecognitionSession(tiny, shown.append)
    sound = np.concatenate([joe("Close the bedroom blinds."), silence(0.2)])
    chunks = [sound[start : start + CHUNK_SAMPLES] for start in range(0, len(sound), CHUNK_SAMPLES)]
    middle = 2 * len(chunks) // 3
    for chunk in chunks[:middle]:
        session.feed(chunk)
        await asyncio.sleep(0.004)
    await until(lambda: shown and "close" in shown[-1].text.lower())
    assert not shown[-1].final
    for chunk in chunks[middle:]:
        session.feed(chunk)
    session.likely_end()
    await until(lambda: shown[-1].final)
    final = await session.finish()
    assert final == shown[-1]
    assert final.text == "Close the bedroom blinds."
