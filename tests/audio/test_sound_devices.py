"""Capture and playback through PortAudio, against a real sound server."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from assistant.audio.devices import sound_devices
from assistant.audio.echo import EchoCancelledSource
from assistant.audio.farend import FarEnd
from assistant.audio.microphone import Microphone
from assistant.audio.noise import coloured_noise, level
from assistant.audio.pcm import SAMPLE_RATE, AudioChunk, Pcm, Samples
from assistant.audio.portaudio import load_sounddevice
from assistant.audio.ports import AudioSource
from assistant.audio.resample import resample
from assistant.audio.speaker import Speaker
from tests.support.pulse import DEVICE, PulseServer, recorded

# In real time, by ear, on whatever else the machine does: a gap of 100 ms in the sound can change a
# word. What is broken fails three times in a row.
pytestmark = pytest.mark.flaky(reruns=2, reruns_delay=1)

FRAME = SAMPLE_RATE // 10


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
async def listening(microphone: AudioSource) -> AsyncIterator[Ear]:
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


def place(heard: Samples, said: Samples) -> int:
    """Where in `heard` the stretch begins that is most like `said`."""
    size = 1 << (len(heard) + len(said)).bit_length()
    spectrum = np.fft.rfft(heard.astype(np.float64), size)
    product = np.fft.irfft(spectrum * np.conj(np.fft.rfft(said.astype(np.float64), size)), size)
    return int(np.argmax(product[: len(heard)]))


def found(heard: Samples, said: Samples) -> list[bool]:
    """For each tenth of a second of `said`, whether it is to be found in `heard`."""
    frames = said[: len(said) // FRAME * FRAME].reshape(-1, FRAME)
    return [_likeness(heard, frame) > 0.85 for frame in frames]


def share(heard: Samples, said: Samples) -> float:
    """Share of `said` found in `heard`. On a busy machine a sound server drops a little."""
    return float(np.mean(found(heard, said)))


def _likeness(heard: Samples, said: Samples) -> float:
    """Normalised correlation of `said` with the stretch of `heard` that is most like it."""
    start = place(heard, said)
    stretch = heard[start : start + len(said)].astype(np.float64)
    product = stretch @ said[: len(stretch)].astype(np.float64)
    return float(product / (np.linalg.norm(stretch) * np.linalg.norm(said) + 1e-9))


async def test_what_is_said_reaches_the_microphone_whole(pulse: PulseServer) -> None:
    said = sound()
    async with listening(Microphone(DEVICE)) as ear:
        await ear.more()
        await asyncio.to_thread(pulse.play_into_microphone, said)
        await ear.more()
    assert share(ear.samples, said.samples) > 0.5
    # The sound server corrects its clock once after the start; from then on time runs evenly.
    times = np.array([c.time for c in ear.chunks])
    assert np.all(np.diff(times) > 0)
    assert np.allclose(np.diff(times)[-10:], 0.032, atol=0.06)


async def test_what_is_played_reaches_the_speaker_in_order_and_with_its_tail(
    pulse: PulseServer,
) -> None:
    first, second = sound(2.0, seed=1), sound(0.4, seed=2)
    far_end = FarEnd()
    async with Speaker(DEVICE, far_end=far_end) as speaker:
        with pulse.record_speaker() as file:
            # The first has further to go to the device's rate, and must still be the first.
            await asyncio.gather(speaker.play(resample(first, 48_000)), speaker.play(second))
            ended = monotonic()
            assert not speaker.playing
    heard = recorded(file)
    assert share(heard, first.samples) > 0.5
    assert found(heard, second.samples)[-1], "the tail"
    assert place(heard, second.samples) > place(heard, first.samples)
    # Echo cancellation is told the same, on the clock.
    position = round((ended - 2.9) * SAMPLE_RATE)
    told = far_end.between(position, 3 * SAMPLE_RATE)
    assert share(told, np.concatenate((first.samples, second.samples))) > 0.5


async def test_stop_falls_silent_and_frees_who_waits(pulse: PulseServer) -> None:
    async with Speaker(DEVICE) as speaker:
        with pulse.record_speaker() as file:
            playing = [asyncio.create_task(speaker.play(sound(5.0))) for _ in range(2)]
            await asyncio.sleep(1.0)
            assert speaker.playing
            speaker.stop()
            async with asyncio.timeout(3.0):
                await asyncio.gather(*playing)
            await speaker.play(sound(1.0, seed=3))
    heard = recorded(file)
    loud = np.count_nonzero(np.abs(heard) > 50) / SAMPLE_RATE
    assert 0.8 < loud < 4.0
    assert share(heard, sound(1.0, seed=3).samples) > 0.5


async def test_both_wait_for_the_sound_card_and_survive_its_loss(
    pulse: PulseServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said, replied = sound(1.0, seed=5), sound(1.0, seed=6)
    pulse.kill()
    async with listening(Microphone(DEVICE, name="mic")) as ear, Speaker(DEVICE) as speaker:
        await asyncio.sleep(0.3)
        pulse.start()
        await ear.more()
        await speaker.play(sound(0.1))
        lost = asyncio.create_task(speaker.play(sound(5.0)))
        await asyncio.sleep(0.3)
        pulse.kill()
        async with asyncio.timeout(10.0):
            await lost
        await asyncio.sleep(1.0)
        pulse.start()
        await ear.more()
        await asyncio.to_thread(pulse.play_into_microphone, said)
        with pulse.record_speaker() as file:
            await speaker.play(replied)
        await ear.more()
    assert share(ear.samples, said.samples) > 0.5
    assert share(recorded(file), replied.samples) > 0.5
    told = [r.getMessage() for r in caplog.records if r.getMessage().startswith("mic:")]
    assert [message == "mic: works" for message in told] == [False, True, False, True]


async def test_a_new_device_is_found_while_another_is_in_use(
    pulse: PulseServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        listening(Microphone(DEVICE, name="old")) as old,
        listening(Microphone("hall", name="new")) as new,
    ):
        await old.more()
        (tmp_path / ".asoundrc").write_text("pcm.hall { type pulse }")
        # What a sound server does that starts: it tells that there may be something new.
        (tmp_path / "pulse").mkdir(exist_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "pulse/native"))
            await new.more()
            await old.more()
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("new:"), "the pause of the other is no failure"


async def test_a_card_that_only_knows_44_khz_stereo(
    pulse: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only(_device: object, channels: int, *_: object, samplerate: int) -> None:
        if (channels, samplerate) != (2, 44_100):
            raise sounddevice.PortAudioError("not with this card")

    sounddevice = load_sounddevice()
    monkeypatch.setattr(sounddevice, "check_input_settings", only)
    monkeypatch.setattr(sounddevice, "check_output_settings", only)
    pulse.hear_the_speaker()
    played = sound(1.0)
    async with listening(Microphone(DEVICE)) as ear, Speaker(DEVICE) as speaker:
        await ear.more()
        await speaker.play(played)
        await ear.more()
    assert share(ear.samples, played.samples) > 0.5
    assert np.allclose(np.diff([c.time for c in ear.chunks])[-10:], 0.032, atol=0.06)


@pytest.mark.slow
async def test_our_own_voice_is_removed_between_real_devices(
    pulse: PulseServer, reply: Pcm
) -> None:
    pulse.hear_the_speaker()
    far_end = FarEnd()
    microphone = Microphone(DEVICE)
    cleaned = EchoCancelledSource(Microphone(DEVICE), far_end)
    async with (
        listening(microphone) as raw,
        listening(cleaned) as clean,
        Speaker(DEVICE, far_end=far_end) as speaker,
    ):
        await clean.more()
        await speaker.play(reply)  # here it learns
        heard, left = len(raw.chunks), len(clean.chunks)
        await speaker.play(reply)
    before = level(np.concatenate([c.samples for c in raw.chunks[heard:]]))
    after = level(np.concatenate([c.samples for c in clean.chunks[left:]]))
    assert before - after > 10


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


async def test_without_portaudio_the_package_is_named_and_the_source_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "sounddevice.py"
    broken.write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    async with listening(Microphone(name="mic")):
        await asyncio.sleep(1.2)  # two attempts
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == 1
    assert "libportaudio2" in told[0]
    devices = await sound_devices()
    assert "libportaudio2" in str(devices.problem)
