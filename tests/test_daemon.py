"""The daemon as the service manager sees it: a process, its signals, its messages."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from assistant.audio.pcm import Pcm
from assistant.audio.resample import resample
from assistant.models.fetch import ensure
from assistant.simulate.home import VirtualHome
from tests.support.folders import folders_with_models
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.smollm2 import NAME, smollm2
from tests.support.voices import joe

# In real time, by ear, on whatever else the machine does: a gap of 100 ms in the sound can change a
# word. What is broken fails three times in a row.
pytestmark = [pytest.mark.flaky(reruns=2, reruns_delay=1), pytest.mark.timeout(300)]

PATIENCE = 60.0


class Service:
    """`assistant run` under a service manager of the test's own."""

    def __init__(self, place: Path, configuration: str, watchdog: float | None = None) -> None:
        self.configuration = place / "assistant.toml"
        self.configuration.write_text(configuration)
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = place / "notify"
        self._socket.bind(str(address))
        self._log = (place / "log").open("w+b")
        environment = os.environ | {"ASSISTANT_HOME": str(place), "NOTIFY_SOCKET": str(address)}
        if watchdog is not None:
            environment["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "assistant", "run", "--config", str(self.configuration)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def until(self, words: str, within: float = PATIENCE) -> None:
        """Wait until the service has said `words` to its manager."""
        self._until(words, lambda: self.said, within)

    def until_logged(self, words: str, within: float = PATIENCE) -> None:
        """Wait until the log holds `words`."""
        self._until(words, lambda: [self.log()], within)

    def until_traced(self, words: str, within: float = PATIENCE) -> None:
        """Wait until the records of turns hold `words`."""
        records = self.configuration.parent / "data" / "traces" / "turns.jsonl"
        self._until(words, lambda: [records.read_text() if records.exists() else ""], within)

    def _until(self, words: str, texts: object, within: float) -> None:
        assert callable(texts)
        end = time.monotonic() + within
        while not any(words in text for text in texts()):
            assert self.process.poll() is None, f"it ended\n{self.log()}"
            assert time.monotonic() < end, f"never said {words!r}; {self.said}\n{self.log()}"
            self._socket.settimeout(0.1)
            try:
                self.said.append(self._socket.recv(65536).decode())
            except TimeoutError:
                continue

    def log(self) -> str:
        """All that was logged so far."""
        return Path(self._log.name).read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """SIGTERM: it ends soon, whatever it is at, and with status 0."""
        self.signal(signal.SIGTERM)
        assert self.process.wait(10) == 0, self.log()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()
        self._socket.close()


@contextmanager
def service(
    place: Path, configuration: str, *, models: bool = True, watchdog: float | None = None
) -> Iterator[Service]:
    if models:
        folders_with_models(place)
    running = Service(place, configuration, watchdog)
    try:
        yield running
    finally:
        running.close()


def test_life_without_a_sound_card(tmp_path: Path) -> None:
    configuration = f"[mqtt]\nembedded_port = {free_port()}\n"
    with service(tmp_path, configuration, watchdog=3.0) as assistant:
        assistant.until("READY=1")
        assistant.until("listening on main")
        assistant.until("WATCHDOG=1")
        assistant.until("connected to the embedded broker")
        assistant.said.clear()
        assistant.signal(signal.SIGHUP)
        assistant.until("RELOADING=1\nMONOTONIC_USEC=")
        assistant.until("listening on main")
        assistant.configuration.write_text(configuration + "nonsense = 1\n")
        assistant.said.clear()
        assistant.signal(signal.SIGHUP)
        assistant.until("the old one is in force")
        assistant.until_logged("mqtt.nonsense: there is no such setting")
        assistant.until("WATCHDOG=1")
        # Well formed, but what it names is not there.
        assistant.configuration.write_text(configuration + "[home]\nfile = 'gone.toml'\n")
        assistant.signal(signal.SIGHUP)
        assistant.until_logged("gone.toml")
        assistant.until("WATCHDOG=1")
        (tmp_path / "notify").unlink()
        assistant.until_logged("the service manager can't be told")
        assistant.stop()
        assert "Traceback" not in assistant.log()


def test_it_thinks_with_a_language_model_and_lets_others_ask_it(tmp_path: Path) -> None:
    smollm2()
    port = free_port()
    configuration = (
        f"[mqtt]\nembedded_port = {free_port()}\n[llm]\nmodel = '{NAME}'\n"
        f"[llm.serve]\nenabled = true\nport = {port}\n"
    )
    with service(tmp_path, configuration, watchdog=3.0) as assistant:
        assistant.until("listening on main")
        assistant.until(f"thinking with {NAME}")
        assistant.until("WATCHDOG=1")
        address = f"http://127.0.0.1:{port}/v1"
        assert _asked(f"{address}/models")["data"][0]["id"] == NAME
        # Neither who may ask nor how long it may take is a reason to load it anew.
        assistant.configuration.write_text(
            configuration.replace("enabled = true", "enabled = false").replace(
                "[llm]", "[llm]\ndeadline = 30"
            )
        )
        assistant.said.clear()
        assistant.signal(signal.SIGHUP)
        assistant.until(f"thinking with {NAME}")
        assert assistant.log().count("loaded in") == 1
        with pytest.raises(httpx2.ConnectError):
            _asked(f"{address}/models")
        assistant.configuration.write_text(configuration.replace(NAME, "none"))
        assistant.signal(signal.SIGHUP)
        assistant.until_logged("there is no language model to serve")
        assistant.stop()
        assert "Traceback" not in assistant.log()


def _asked(address: str) -> Any:
    return httpx2.get(address, timeout=10).raise_for_status().json()


def test_a_language_model_that_is_missing_is_named_and_done_without(tmp_path: Path) -> None:
    configuration = f"[mqtt]\nembedded_port = {free_port()}\n[llm]\nmodel = 'none-such'\n"
    with service(tmp_path, configuration) as assistant:
        assistant.until("listening on main")
        assistant.until_logged("the language model none-such is not here")
        assistant.stop()


def test_a_missing_model_is_named_and_waited_for(tmp_path: Path) -> None:
    configuration = f"[mqtt]\nembedded_port = {free_port()}\n"
    with service(tmp_path, configuration, models=False) as assistant:
        assistant.until("READY=1")
        assistant.until_logged("assistant models fetch silero-vad")
        ensure("silero-vad")
        folders_with_models(tmp_path / "other")
        (tmp_path / "data" / "models").mkdir(parents=True, exist_ok=True)
        for model in (tmp_path / "other" / "data" / "models").resolve().iterdir():
            (tmp_path / "data" / "models" / model.name).symlink_to(model)
        assistant.until("listening on main", within=100)
        assistant.stop()


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ("[mqtt]\nhots = 'x'", "assistant.toml:2: mqtt.hots: there is no such setting"),
        ("[home]\nfile = 'none.toml'", "none.toml"),
        ("[[source]]\nkind = 'wav'", "needs a path"),
        ("language = 'xx'\n[mqtt]\nembedded_port = 0", "language 'xx' is not known"),
        ("[policy]\nnever = ['unlok']\n[mqtt]\nembedded_port = 0", "'unlok' names no action"),
    ],
)
def test_a_wrong_configuration_ends_it_with_2(
    tmp_path: Path, configuration: str, message: str
) -> None:
    (tmp_path / "assistant.toml").write_text(configuration)
    done = subprocess.run(
        [sys.executable, "-m", "assistant", "run", "-c", str(tmp_path / "assistant.toml")],
        env=os.environ | {"ASSISTANT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


async def test_speech_from_a_pipe_reaches_appliances_on_a_broker_that_comes_late(
    tmp_path: Path,
) -> None:
    fifo = tmp_path / "ear"
    os.mkfifo(fifo)
    broker_folder = tmp_path / "broker"
    broker_folder.mkdir()
    broker = Mosquitto(broker_folder)
    configuration = (
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        f'[[source]]\nkind = "pipe"\npath = "{fifo}"\narea = "kitchen"\noutput = "none"\n'
    )
    with service(tmp_path, configuration) as assistant:
        await asyncio.to_thread(assistant.until, "waiting for 127.0.0.1")
        await asyncio.to_thread(assistant.until, "listening on main")
        with broker:
            async with VirtualHome("127.0.0.1", broker.port) as home:
                await asyncio.to_thread(assistant.until, "connected to 127.0.0.1")
                # Its appliances, and the assistant's own two lists.
                expected = f"{len(home.appliances) + 2} devices"
                await asyncio.to_thread(assistant.until, expected)
                speech = await asyncio.to_thread(_command, "Turn on the light.")
                sound = await asyncio.create_subprocess_exec(
                    "sh", "-c", f"cat > {fifo}", stdin=asyncio.subprocess.PIPE
                )
                await sound.communicate(speech.tobytes())
                await home.wait_for("light.kitchen_light", "on", True, PATIENCE)
                assert len(home.commands) == 1
        await asyncio.to_thread(assistant.stop)
    traces = (tmp_path / "data" / "traces" / "turns.jsonl").read_text()
    assert "light.kitchen_light" in traces


def _command(text: str) -> np.ndarray:
    words = np.concatenate([joe().synthesise(part).samples for part in ("Hey Jarvis!", text)])
    samples = resample(Pcm(words, 22050), 16000).samples // 2
    quiet = np.random.default_rng(1).normal(0, 20, 16000 * 3).astype(np.int16)
    return np.concatenate([quiet[:16000], samples, quiet])
