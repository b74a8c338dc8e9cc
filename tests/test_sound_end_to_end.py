"""The daemon with a real microphone and a real loudspeaker, as PulseAudio provides them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.noise import active_level
from assistant.audio.pcm import SAMPLE_RATE, Pcm
from assistant.audio.resample import resample
from assistant.simulate.home import VirtualHome
from tests.audio.test_sound_devices import share
from tests.support.mosquitto import Mosquitto
from tests.support.pulse import PulseServer, recorded
from tests.support.voices import joe, joes_file
from tests.test_daemon import PATIENCE, service

# In real time, by ear, on whatever else the machine does: a gap of 100 ms in the sound can change a
# word. What is broken fails three times in a row.
pytestmark = [pytest.mark.flaky(reruns=2, reruns_delay=1), pytest.mark.timeout(300)]


async def test_a_command_into_the_microphone_is_obeyed_and_answered_from_the_loudspeaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("pulse", "broker", "home"):
        (tmp_path / folder).mkdir()
    sound = PulseServer(tmp_path / "pulse")
    for name, value in sound.environment.items():
        monkeypatch.setenv(name, value)
    broker = Mosquitto(tmp_path / "broker")
    configuration = (
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        '[[source]]\ndevice = "pulse"\noutput = "pulse"\narea = "kitchen"\n'
        f'[tts]\nvoice = "{joes_file(tmp_path / "joe")}"\n'
    )
    with sound, broker:
        async with VirtualHome("127.0.0.1", broker.port) as home:
            with service(tmp_path / "home", configuration) as assistant:
                await asyncio.to_thread(assistant.until, f"{len(home.appliances) + 2} devices")
                await asyncio.to_thread(assistant.until, "listening on main")
                with sound.record_speaker() as reply:
                    await asyncio.to_thread(sound.play_into_microphone, _spoken_command())
                    await home.wait_for("light.kitchen_light", "on", True, PATIENCE)
                    await asyncio.to_thread(assistant.until_traced, "Turned on the Kitchen light.")
                await asyncio.to_thread(assistant.stop)
    said = resample(joe().synthesise("Turned on the Kitchen light."), SAMPLE_RATE)
    assert share(recorded(reply), said.samples) > 0.5


def _spoken_command() -> Pcm:
    name, words = joe().synthesise("Hey Jarvis!"), joe().synthesise("Turn on the kitchen light.")
    # The stream that PulseAudio opens for it needs a moment; a room is not silent either.
    quiet = np.random.default_rng(2).normal(0, 15, 2 * name.rate).astype(np.int16)
    pcm = Pcm(np.concatenate([quiet, name.samples, words.samples, quiet]), name.rate)
    assert active_level(pcm) > -40
    return pcm
