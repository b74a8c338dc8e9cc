"""A real Mosquitto on loopback that tests may start, kill and restart.

with Mosquitto(tmp_path) as broker:
    settings = broker.settings()
    broker.restart()
"""

from __future__ import annotations

import getpass
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from assistant.config import MqttSettings

_PATIENCE = 30.0


def free_port() -> int:
    """A port of loopback that nothing listens on just now.

    Below those that the system gives to outgoing connections: one that tries to reach a broker that
    is down may be given the broker's own port, and then it has reached itself.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def executable(name: str = "mosquitto") -> str:
    """Where Debian's package put it; an assertion fails when it is not installed."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed; these tests need it: apt-get install mosquitto"
    return found


class Mosquitto:
    """One broker with its own folder and a port that stays the same over restarts. Like any
    Mosquitto it loses on `kill` what was retained since it last wrote its file: see `save`."""

    def __init__(
        self, folder: Path, *lines: str, anonymous: bool = True, listener: str = ""
    ) -> None:
        """`lines` are added to the configuration; `listener` holds those that must follow it."""
        self.port = free_port()
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "mosquitto.log"
        configuration = [
            f"listener {self.port} 127.0.0.1",
            *([listener] if listener else []),
            f"allow_anonymous {str(anonymous).lower()}",
            f"user {getpass.getuser()}",  # root would become one who can't read the folder
            "persistence true",
            f"persistence_location {folder}/",
            *lines,
        ]
        (folder / "mosquitto.conf").write_text("\n".join(configuration) + "\n")

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._process is not None

    def settings(self, **changes: Any) -> MqttSettings:
        """Settings that lead to this broker."""
        return MqttSettings(**{"host": "127.0.0.1", "port": self.port, **changes})

    def start(self) -> None:
        """Start, and return once it accepts connections."""
        assert self._process is None, "already running"
        command: Sequence[str] = (executable(), "-c", str(self.folder / "mosquitto.conf"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE
        while not self._accepts():
            assert self._process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.01)

    def stop(self) -> None:
        """Let it end properly; nothing happens when it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    def save(self) -> None:
        """Have it write its retained messages to disk, and wait until it has."""
        assert self._process is not None
        database = self.folder / "mosquitto.db"
        before = database.stat().st_mtime_ns if database.exists() else 0
        self._process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + _PATIENCE
        while not database.exists() or database.stat().st_mtime_ns == before:
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.01)

    def freeze(self) -> None:
        """Stop it answering, with its connections left open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def output(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def _accepts(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        if how is not signal.SIGKILL:
            self._process.send_signal(signal.SIGCONT)  # a frozen one would not hear it
        self._process.wait(_PATIENCE)
        self._process = None
