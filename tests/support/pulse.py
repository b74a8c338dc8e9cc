"""Sound without a sound card: a PulseAudio server of the test's own, with two null sinks.

What is played into one (the feed) is heard by every capture stream; what the assistant plays
goes to the other (the speaker), whose monitor can be recorded. Its sockets and settings lie in
a folder of the test; a sound server of the user's is not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from assistant.audio.pcm import SAMPLE_RATE, Pcm, Samples
from assistant.audio.wav import write_wav

PACKAGES = "pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"
DEVICE = "pulse"
"""The sound device to open; in `environment` the default one leads there, too."""

_MODULES = (
    "module-null-sink sink_name=speaker rate=48000",
    "module-null-sink sink_name=feed rate=48000",
    "module-remap-source source_name=microphone master=feed.monitor",
)


class PulseServer:
    """Starts on entry, is gone after exit; may be killed and started again in between.

    `environment` must be in force (os.environ) before sounddevice first looks for devices, or
    be followed by a new look.
    """

    def __init__(self, folder: Path) -> None:
        for program in ("pulseaudio", "pactl", "paplay", "parec"):
            if shutil.which(program) is None:
                raise RuntimeError(f"{program} is missing: sudo apt install {PACKAGES}")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PULSE_SERVER": f"unix:{folder}/native",
        }

    def __enter__(self) -> PulseServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._folder.chmod(0o700)  # PulseAudio wants its folder for itself
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
        command += ["--use-pid-file=no", "--disable-shm=yes", "--realtime=no"]
        command += ["--high-priority=no", "--log-target=stderr"]
        socket = f"module-native-protocol-unix socket={self._folder}/native auth-anonymous=1"
        for module in (socket, *_MODULES):
            command += ["-L", module]
        log = (self._folder / "pulseaudio.log").open("ab")
        with log:
            self._process = subprocess.Popen(command, env=self._env(), stderr=log)
        for _ in range(100):
            if self._control("info", check=False).returncode == 0:
                break
            time.sleep(0.05)
        else:
            raise RuntimeError((self._folder / "pulseaudio.log").read_text())
        self._control("set-default-sink", "speaker")
        self._control("set-default-source", "microphone")

    def kill(self) -> None:
        """End the server at once, as if the sound card were pulled out."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            (self._folder / "native").unlink(missing_ok=True)

    def hear_the_speaker(self) -> None:
        """Let capture streams opened from now on hear the speaker instead of the feed."""
        self._control("set-default-source", "speaker.monitor")

    def play_into_microphone(self, pcm: Pcm) -> None:
        """Play `pcm` into the feed; returns when it has been played."""
        file = self._folder / "feed.wav"
        write_wav(file, pcm)
        command = ["paplay", "--device=feed", "--latency-msec=100", str(file)]
        subprocess.run(command, env=self._env(), check=True, timeout=60)

    @contextmanager
    def record_speaker(self) -> Iterator[Path]:
        """Record the speaker, as raw 16 kHz int16 mono, for as long as the block lasts.

        The file yielded holds the recording after the block: read it with `recorded`.
        """
        file = self._folder / f"speaker-{time.monotonic_ns()}.raw"
        command = ["parec", "--device=speaker.monitor", f"--rate={SAMPLE_RATE}", "--channels=1"]
        command += ["--format=s16le", "--latency-msec=200"]
        with file.open("wb") as sink:
            recorder = subprocess.Popen(command, env=self._env(), stdout=sink)
            try:
                while not file.stat().st_size and recorder.poll() is None:
                    time.sleep(0.02)
                yield file
                time.sleep(0.5)  # what is still on its way
            finally:
                recorder.terminate()
                recorder.wait()

    def _control(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["pactl", *words], env=self._env(), check=check, capture_output=True, timeout=20
        )

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


def recorded(file: Path) -> Samples:
    """The samples of a recording made by `record_speaker`."""
    return np.fromfile(file, np.int16)
