"""Sources that need no sound card: files, pipes, the room that never was."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from assistant.audio.file import FileSource
from assistant.audio.noise import coloured_noise, level
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm, Samples
from assistant.audio.pipe import PipeSource
from assistant.audio.ports import AudioSource
from assistant.audio.room import RoomSource
from assistant.audio.wav import write_wav
from assistant.errors import AudioError

CHUNK = CHUNK_SAMPLES / SAMPLE_RATE


def stream(source: AudioSource) -> AsyncGenerator[AudioChunk]:
    """Its chunks, to be closed like the generator they come from."""
    chunks = source.chunks()
    assert isinstance(chunks, AsyncGenerator)
    return chunks


async def take(chunks: AsyncIterator[AudioChunk], count: int) -> list[AudioChunk]:
    return [await anext(chunks) for _ in range(count)]


def joined(chunks: list[AudioChunk]) -> Samples:
    return np.concatenate([c.samples for c in chunks])


async def test_a_file_is_heard_whole_then_silence_then_the_end(tmp_path: Path) -> None:
    sound = coloured_noise(1.01, -20).samples
    write_wav(tmp_path / "a.wav", Pcm(sound, SAMPLE_RATE))
    source = FileSource(tmp_path / "a.wav", trailing=0.5, realtime=False)
    chunks = [chunk async for chunk in source.chunks()]
    assert source.name == "a.wav"
    heard = joined(chunks)
    assert np.array_equal(heard[: len(sound)], sound)
    assert not heard[len(sound) :].any()
    assert len(heard) == pytest.approx(1.51 * SAMPLE_RATE, abs=CHUNK_SAMPLES)
    assert {len(c.samples) for c in chunks} == {CHUNK_SAMPLES}
    assert np.allclose(np.diff([c.time for c in chunks]), CHUNK)


async def test_a_file_never_runs_ahead_of_real_time(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", coloured_noise(0.3, -20))
    async for chunk in FileSource(tmp_path / "a.wav", trailing=0.0).chunks():
        assert monotonic() >= chunk.time + chunk.duration


async def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"nowhere\.wav"):
        await anext(FileSource(tmp_path / "nowhere.wav").chunks())


async def test_what_is_said_in_the_room_is_heard_over_its_noise() -> None:
    noise, said = coloured_noise(1.0, -20), coloured_noise(0.5, -10, pink=False, seed=9)
    room = RoomSource(noise, -40.0, realtime=False)
    async with aclosing(stream(room)) as chunks:
        before = joined(await take(chunks, 50))
        saying = asyncio.create_task(room.say(said))
        await asyncio.sleep(0)
        during = await take(chunks, 17)
        end = await saying
        after = joined(await take(chunks, 50))
    assert level(before) == pytest.approx(-40, abs=1)
    assert level(after) == pytest.approx(-40, abs=1)
    assert end == pytest.approx(during[0].time + 0.5)
    voice = joined(during)[: len(said.samples)].astype(float)
    assert np.corrcoef(voice, said.samples)[0, 1] > 0.99


async def test_sayings_follow_each_other_without_a_gap() -> None:
    room = RoomSource(level=-90, realtime=False)
    parts = [Pcm(np.full(700, value, np.int16), SAMPLE_RATE) for value in (5000, 9000)]
    async with aclosing(stream(room)) as chunks:
        says = [asyncio.create_task(room.say(part)) for part in parts]
        await asyncio.sleep(0)
        heard = joined(await take(chunks, 4))
        await asyncio.gather(*says)
    assert np.allclose(heard[:700], 5000, atol=20)
    assert np.allclose(heard[700:1400], 9000, atol=20)
    assert np.allclose(heard[1400:], 0, atol=20)


async def test_what_was_not_said_when_the_room_closes_is_cancelled() -> None:
    room = RoomSource(realtime=False)
    async with aclosing(stream(room)) as chunks:
        saying = asyncio.create_task(room.say(coloured_noise(5.0, -20)))
        await asyncio.sleep(0)
        await take(chunks, 2)
        room.close()
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
    with pytest.raises(asyncio.CancelledError):
        await saying
    with pytest.raises(AudioError, match="closed"):
        await room.say(coloured_noise(0.1, -20))


async def test_nothing_can_be_said_where_nobody_listens_any_more() -> None:
    room = RoomSource(realtime=False)
    async with aclosing(stream(room)) as chunks:
        await take(chunks, 1)
    with pytest.raises(AudioError, match="closed"):
        async with asyncio.timeout(20.0):
            await room.say(coloured_noise(0.1, -20))


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "audio"
    os.mkfifo(path)
    return path


async def test_one_writer_after_another_is_heard_from_the_pipe(fifo: Path) -> None:
    first = np.full(CHUNK_SAMPLES * 3, 100, np.int16)
    second = np.full(CHUNK_SAMPLES * 3, 200, np.int16)
    async with aclosing(stream(PipeSource(fifo))) as chunks:
        # Half a sample too many: the second writer's sound must not turn into noise.
        reading = asyncio.create_task(take(chunks, 3))
        await asyncio.to_thread(fifo.write_bytes, first.tobytes() + b"\xff")
        assert np.array_equal(joined(await reading), first)
        silence = joined(await take(chunks, 60))
        assert not silence.any()
        reading = asyncio.create_task(take(chunks, 6))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(fifo.write_bytes, second.tobytes())
        heard = joined(await reading)
        assert np.array_equal(heard[heard != 0][: 2 * CHUNK_SAMPLES], second[: 2 * CHUNK_SAMPLES])


async def test_a_pipe_is_slowed_down_to_real_time_and_loses_nothing(fifo: Path) -> None:
    sound = coloured_noise(1.6, -20).samples
    async with aclosing(stream(PipeSource(fifo))) as chunks:
        writing = asyncio.create_task(asyncio.to_thread(fifo.write_bytes, sound.tobytes()))
        start = monotonic()
        heard = await take(chunks, 50)
        assert monotonic() - start > 1.3
        await writing
    assert np.array_equal(joined(heard), sound)


async def test_standard_input_ends_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        os.write(write, np.full(700, 7, np.int16).tobytes())
        os.close(write)
        chunks = [chunk async for chunk in PipeSource(Path("-")).chunks()]
    assert np.array_equal(joined(chunks)[:700], np.full(700, 7))
    assert len(chunks) == 2


@pytest.mark.parametrize(
    ("name", "says"), [("missing", "mkfifo"), ("sound.wav", 'kind = "wav"'), (".", "mkfifo")]
)
async def test_what_is_no_pipe_is_refused(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "sound.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=says):
        await anext(PipeSource(tmp_path / name).chunks())
