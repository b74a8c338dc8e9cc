"""Capture and playback through PortAudio, against a real sound server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.devices import sound_devices
from assistant.audio.farend import FarEnd
from assistant.audio.microphone import Microphone
from assistant.audio.noise import coloured_noise, level
from assistant.audio.pcm import SAMPLE_RATE, AudioChunk, Pcm, Samples
from assistant.audio.ports import AudioSource
from assistant.audio.speaker import Speaker
from tests.support.pulse import DEVICE, PulseServer, recorded


@pytest.fixture
def pulse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    server = PulseServer(tmp_path)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    with server:
        yield server


class Ear:
    """Collects what a source yields."""

    def __init__(self) -> None:
        self.chunks: list[AudioChunk] = []
        self._news = asyncio.Condition()

    async def hear(self, source: AudioSource) -> None:
        async for chunk in source.chunks():
            self.chunks.append(chunk)
            async with self._news:
                self._news.notify_all()

    @property
    def samples(self) -> Samples:
        return np.concatenate([c.samples for c in self.chunks] or [np.zeros(0, np.int16)])

    async def more(self, seconds: float = 0.3) -> None:
        """Wait until that much more has been heard."""
        wanted = len(self.chunks) + seconds / 0.032
        async with self._news:
            await self._news.wait_for(lambda: len(self.chunks) >= wanted)


@asynccontextmanager
async def listening(microphone: Microphone) -> AsyncIterator[Ear]:
    ear = Ear()
    task = asyncio.create_task(ear.hear(microphone))
    try:
        yield ear
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def sound(seconds: float = 1.0, seed: int = 1) -> Pcm:
    # Pink, so that the sound server's coarse resampling leaves most of it as it was.
    return coloured_noise(seconds, -20, pink=True, seed=seed)


def likeness(heard: Samples, said: Samples) -> float:
    """Highest normalised correlation of `said` with any stretch of `heard`."""
    size = 1 << (len(heard) + len(said)).bit_length()
    a, b = heard.astype(np.float64), said.astype(np.float64)
    product = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    best = int(np.argmax(product[: len(heard)]))
    stretch = a[best : best + len(b)]
    return float(product[best] / (np.linalg.norm(stretch) * np.linalg.norm(b) + 1e-9))


async def test_what_is_said_reaches_the_microphone_whole(pulse: PulseServer) -> None:
    said = sound()
    async with listening(Microphone(DEVICE)) as ear:
        await ear.more()
        await asyncio.to_thread(pulse.play_into_microphone, said)
        await ear.more()
    assert likeness(ear.samples, said.samples) > 0.9
    # The sound server corrects its clock once after the start; from then on time runs evenly.
    times = np.array([c.time for c in ear.chunks])
    assert np.all(np.diff(times) > 0)
    assert np.allclose(np.diff(times)[-10:], 0.032, atol=0.06)


async def test_what_is_played_reaches_the_speaker_with_its_tail(pulse: PulseServer) -> None:
    played = Pcm(sound(1.0).samples, 22_050)
    far_end = FarEnd()
    async with Speaker(DEVICE, far_end=far_end) as speaker:
        with pulse.record_speaker() as file:
            await speaker.play(played)
            assert not speaker.playing
            await speaker.play(Pcm(sound(0.2, seed=2).samples, SAMPLE_RATE))
    heard = recorded(file)
    assert likeness(heard, sound(0.2, seed=2).samples) > 0.9
    tail = sound(0.2, seed=2).samples[-800:]
    assert likeness(heard, tail) > 0.9


async def test_stop_falls_silent_and_frees_who_waits(pulse: PulseServer) -> None:
    async with Speaker(DEVICE) as speaker:
        with pulse.record_speaker() as file:
            playing = [asyncio.create_task(speaker.play(sound(5.0))) for _ in range(2)]
            await asyncio.sleep(1.0)
            assert speaker.playing
            speaker.stop()
            await asyncio.wait_for(asyncio.gather(*playing), 1.0)
            await speaker.play(sound(0.3, seed=3))
    heard = recorded(file)
    loud = np.count_nonzero(np.abs(heard) > 50) / SAMPLE_RATE
    assert 0.3 < loud < 3.0
    assert likeness(heard, sound(0.3, seed=3).samples) > 0.9


async def test_sounds_are_played_in_the_order_they_were_given(pulse: PulseServer) -> None:
    parts = [Pcm(sound(0.3, seed=s).samples, rate) for s, rate in ((5, 16_000), (6, 22_050))]
    async with Speaker(DEVICE) as speaker:
        with pulse.record_speaker() as file:
            await asyncio.gather(*(speaker.play(part) for part in parts))
    assert np.count_nonzero(np.abs(recorded(file)) > 50) > 0.4 * SAMPLE_RATE


async def test_the_source_survives_the_sound_card(
    pulse: PulseServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with listening(Microphone(DEVICE, name="mic")) as ear:
        await ear.more()
        pulse.kill()
        await asyncio.sleep(1.5)
        pulse.start()
        await ear.more()
        said = sound(0.5)
        await asyncio.to_thread(pulse.play_into_microphone, said)
        await ear.more()
    assert likeness(ear.samples, said.samples) > 0.9
    told = [r.getMessage() for r in caplog.records if r.getMessage().startswith("mic:")]
    assert len([t for t in told if "tried until it works" in t]) == 1
    assert told[-1] == "mic: works"


async def test_the_sink_survives_the_sound_card(pulse: PulseServer) -> None:
    async with Speaker(DEVICE) as speaker:
        await speaker.play(sound(0.2))
        lost = asyncio.create_task(speaker.play(sound(5.0)))
        await asyncio.sleep(0.5)
        pulse.kill()
        await asyncio.wait_for(lost, 4.0)
        pulse.start()
        with pulse.record_speaker() as file:
            for _ in range(3):
                await speaker.play(sound(0.3, seed=4))
    assert likeness(recorded(file), sound(0.3, seed=4).samples) > 0.9


async def test_both_come_up_when_the_sound_server_comes_late(pulse: PulseServer) -> None:
    pulse.kill()
    async with listening(Microphone(DEVICE)) as ear, Speaker(DEVICE) as speaker:
        await asyncio.sleep(1.0)
        pulse.start()
        await ear.more()
        with pulse.record_speaker() as file:
            for _ in range(3):
                await speaker.play(sound(0.3, seed=4))
    assert level(recorded(file)) > -60


async def test_devices_are_listed(pulse: PulseServer) -> None:
    devices = await sound_devices()
    assert DEVICE in [d.name for d in devices.inputs]
    assert DEVICE in [d.name for d in devices.outputs]
    assert devices.problem is None


async def test_without_devices_the_reason_is_given(
    pulse: PulseServer,
) -> None:
    pulse.kill()
    devices = await sound_devices()
    assert not devices.inputs
    assert devices.problem is not None
    assert "sound" in devices.problem
