"""Our own voice in a synthetic room, removed; somebody else's, kept."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.audio import echo
from assistant.audio.echo import EchoCancelledSource, EchoCanceller
from assistant.audio.farend import FarEnd
from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm, Samples

START = 1000.0
"""Monotonic second at which the room is entered."""

BLOCK = 441
"""Samples in a block of the loudspeaker, which plays at 44.1 kHz."""


def echo_of(far: Samples, delay: float, seed: int = 1) -> NDArray[np.float64]:
    """`far` as a room gives it back: `delay` seconds later, 10 dB softer, with 0.25 s of echo."""
    count = round(0.25 * SAMPLE_RATE)
    response = 0.1 * np.random.default_rng(seed).standard_normal(count)
    response *= 10 ** (-3 * np.arange(count) / count)
    response[0] = 1.0
    heard = 0.3 * np.convolve(far.astype(np.float64), response)
    shift = round(delay * SAMPLE_RATE)
    return np.concatenate((np.zeros(max(shift, 0)), heard[max(-shift, 0) :]))[: len(far)]


def cleaned(far: Samples, heard: NDArray[np.float64]) -> tuple[Samples, EchoCanceller]:
    """What is left of `heard` while `far` is played, its clock jittering by 2 ms."""
    far_end = FarEnd()
    canceller = EchoCanceller(far_end)
    random = np.random.default_rng(2)
    noise = 5 * random.standard_normal(len(heard))
    microphone = np.clip(heard + noise, -32768, 32767).astype(np.int16)
    out, played = [], 0
    for start in range(0, len(microphone) - CHUNK_SAMPLES + 1, CHUNK_SAMPLES):
        while played < min(start + 2000, len(far)):
            time = START + played / SAMPLE_RATE + random.uniform(-0.002, 0.002)
            far_end.played(far[played : played + 160], SAMPLE_RATE, time)
            played += 160
        chunk = AudioChunk(microphone[start : start + CHUNK_SAMPLES], START + start / SAMPLE_RATE)
        out.append(canceller.process(chunk).samples)
    return np.concatenate(out), canceller


def power(samples: NDArray[np.float64] | Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(samples.astype(np.float64))) + 1e-9))


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.12, 0.4, -0.05])
def test_the_echo_is_removed_whatever_the_delay(reply: Pcm, delay: float) -> None:
    echo_heard = echo_of(reply.samples, delay)
    out, canceller = cleaned(reply.samples, echo_heard)
    late = slice(5 * SAMPLE_RATE, len(out))
    assert power(echo_heard[late]) - power(out[late]) > 10
    assert -0.02 < delay - canceller.delay < 0.06


@pytest.mark.parametrize("louder", [6.0, 0.0, -6.0])
def test_who_talks_over_the_assistant_is_understood(
    reply: Pcm, command: Pcm, louder: float
) -> None:
    echo_heard = echo_of(reply.samples, 0.08)
    start = 6 * SAMPLE_RATE
    talk = command.samples[: len(reply.samples) - start]
    gain = 10 ** ((power(echo_heard) + louder - power(talk)) / 20)
    near = np.zeros(len(echo_heard))
    near[start : start + len(talk)] = gain * talk
    out, _ = cleaned(reply.samples, echo_heard + near)
    during = slice(start, min(start + len(talk), len(out)))
    left = out[during] - near[during]
    assert power(near[during]) - power(left) > 8, "the talker stands out of what is left"


def test_where_nothing_is_played_nothing_is_touched(command: Pcm) -> None:
    out, _ = cleaned(np.zeros(len(command.samples), np.int16), command.samples.astype(float))
    again, _ = cleaned(np.zeros(len(command.samples), np.int16), command.samples.astype(float))
    assert np.array_equal(out, again)
    assert power(out - command.samples[: len(out)].astype(float)) < 20, "but for the noise"


def test_the_far_end_is_kept_by_the_clock_at_any_rate(reply: Pcm) -> None:
    far_end = FarEnd()
    random = np.random.default_rng(4)
    time = np.arange(44_100) / 44_100
    tone = (8000 * np.sin(2 * np.pi * 300 * time)).astype(np.int16)
    for start in range(0, len(tone), BLOCK):
        jitter = random.uniform(-0.01, 0.01)
        far_end.played(tone[start : start + BLOCK], 44_100, 50 + start / 44_100 + jitter)
    kept = far_end.between(round(50.2 * SAMPLE_RATE), SAMPLE_RATE // 2).astype(float)
    spectrum = np.abs(np.fft.rfft(kept))
    assert np.argmax(spectrum) * 2 == 300
    assert spectrum[150] ** 2 > 0.99 * np.sum(spectrum**2), "no jumps in the tone"
    assert not far_end.between(round(45 * SAMPLE_RATE), 100).any()
    assert not far_end.between(round(60 * SAMPLE_RATE), 100).any()
    assert far_end.sounded_since(round(50.5 * SAMPLE_RATE))
    assert not far_end.sounded_since(round(51.5 * SAMPLE_RATE))


class Microphone:
    name = "mic"

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        for number in range(5):
            yield AudioChunk(np.full(CHUNK_SAMPLES, number, np.int16), float(number))


async def test_without_the_library_sound_passes_and_a_warning_names_the_package(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(echo, "find_library", lambda _: "libnowhere.so.9")
    source = EchoCancelledSource(Microphone(), FarEnd())
    heard = [chunk.samples[0] async for chunk in source.chunks()]
    assert heard == [0, 1, 2, 3, 4]
    assert [r.getMessage() for r in caplog.records if "libspeexdsp1" in r.getMessage()]
    assert len(caplog.records) == 1
