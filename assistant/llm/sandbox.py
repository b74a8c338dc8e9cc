"""Where chat templates run: a process of its own, whose time and memory the kernel bounds.

Jinja's sandbox keeps a template from our objects, not from the processor and the memory: loops in
loops, texts doubled and doubled again, numbers of a million digits, some of them computed already
while Jinja reads the template. No rule about the language stops all of that; the end of the process
does. It takes 20 MB, is there within a tenth of a second, and serves all templates of the program.
"""

from __future__ import annotations

import atexit
import json
import signal
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import Any, Final

from assistant.errors import LlmError, ModelError

SECONDS = 1.0
"""Of the processor's time, for one use of a template. A long dialogue takes a thousandth."""

_PROGRAM: Final = Path(__file__).with_name("sandbox_program.py")


class Sandbox:
    """The process; it is started by the first request, and by the next one after its end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        atexit.register(self.close)

    def ask(self, **request: Any) -> dict[str, Any]:
        """The program's answer (see `sandbox_program`). From any thread.

        Raises ModelError where the template takes too much, LlmError where nothing can be run.
        """
        line = json.dumps({**request, "seconds": SECONDS}).encode() + b"\n"
        with self._lock:
            process = self._running()
            answer = b""
            try:
                answer = _exchanged(process, line)
            finally:
                if not answer:  # nor may it come when the next one is awaited
                    self._end(process)
        if answer:
            found: dict[str, Any] = json.loads(answer)
            return found
        status = process.returncode
        if status == -signal.SIGPROF:
            raise ModelError(f"the model's chat template computes for more than {SECONDS} s")
        if status < 0:
            raise ModelError(
                f"the model's chat template was stopped by signal {-status}; most likely it takes "
                "too much memory"
            )
        raise LlmError(f"{_PROGRAM} ended with status {status}; its last words are in the log")

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._process is not None:
                self._end(self._process)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._end(self._process)
        if self._process is None:
            try:
                self._process = subprocess.Popen(  # noqa: S603 -- fixed arguments, no shell
                    [sys.executable, "-P", str(_PROGRAM)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            except OSError as error:
                raise LlmError(
                    f"no process for chat templates can be started: {error.strerror}"
                ) from error
        return self._process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self._process = None
        process.kill()
        process.communicate()


def _exchanged(process: subprocess.Popen[bytes], line: bytes) -> bytes:
    """The line that it answers; empty where it ends before."""
    assert process.stdin is not None  # noqa: S101 -- both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:
        return b""
    answer = process.stdout.readline()
    return answer if answer.endswith(b"\n") else b""
