"""What chunks go through: cutting, resampling, the pre-roll."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.audio.chunker import Chunker
from assistant.audio.noise import coloured_noise
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm
from assistant.audio.resample import StreamResampler, resample
from assistant.audio.ring import PreRoll

CHUNK = CHUNK_SAMPLES / SAMPLE_RATE


def test_blocks_of_any_length_become_chunks_that_join() -> None:
    sound = coloured_noise(1.47, -20).samples
    chunker, chunks, position = Chunker(), [], 0
    for length in [1, 7, 511, 512, 513, 3000, 160] * 5:
        block = sound[position : position + length]
        # The clock jitters, as callbacks do.
        chunks += chunker.push(block, 100 + position / SAMPLE_RATE + 0.02 * (length % 2))
        position += length
    last = chunker.finish()
    assert last is not None
    chunks.append(last)
    assert all(len(c.samples) == CHUNK_SAMPLES for c in chunks)
    assert np.allclose(np.diff([c.time for c in chunks]), CHUNK)
    joined = np.concatenate([c.samples for c in chunks])
    assert np.array_equal(joined[: len(sound)], sound)
    assert not joined[len(sound) :].any()
    assert chunker.finish() is None


def test_after_a_gap_the_clock_is_believed() -> None:
    chunker = Chunker()
    block = np.zeros(CHUNK_SAMPLES, np.int16)
    first, second = *chunker.push(block, 10.0), *chunker.push(block, 20.0)
    assert (first.time, second.time) == (10.0, 20.0)


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44_100, 16_000), (16_000, 48_000), (8, 8)])
def test_a_stream_is_resampled_as_the_whole_would_be(from_rate: int, to_rate: int) -> None:
    sound = coloured_noise(1.0, -20).samples
    stream = StreamResampler(from_rate, to_rate)
    parts, given = [], 0
    for start in range(0, len(sound), 441):
        assert stream.lag == pytest.approx(start / from_rate - given / to_rate)
        parts.append(stream.process(sound[start : start + 441]))
        given += len(parts[-1])
    streamed = np.concatenate([*parts, stream.finish()]).astype(int)
    whole = resample(Pcm(sound, from_rate), to_rate).samples.astype(int)
    assert len(streamed) == pytest.approx(len(whole), abs=2)
    count = min(len(streamed), len(whole))
    assert np.max(np.abs(streamed[:count] - whole[:count])) < 40


def test_the_pre_roll_is_the_newest_and_leaves_no_gap() -> None:
    ring = PreRoll(1.6)
    chunks = [AudioChunk(np.full(CHUNK_SAMPLES, n, np.int16), n * CHUNK) for n in range(200)]
    for chunk in chunks:
        ring.push(chunk)
    assert ring.since(0.0) == tuple(chunks[-50:])
    middle = 180 * CHUNK + 0.01
    kept = ring.since(middle)
    assert kept == tuple(chunks[180:])
    assert kept[0].time <= middle
    ring.clear()
    assert ring.since(0.0) == ()


def test_a_pre_roll_of_no_length_keeps_the_chunk_of_the_detection() -> None:
    ring = PreRoll(0.0)
    chunk = AudioChunk(np.zeros(CHUNK_SAMPLES, np.int16), 1.0)
    ring.push(chunk)
    assert ring.since(0.0) == (chunk,)
