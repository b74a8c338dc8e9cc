"""`assistant run`: the daemon."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.cli.options import (
    ConfigOption,
    VerboseOption,
    log_to_journal,
    log_to_terminal,
    settings_from,
)
from assistant.errors import AssistantError
from assistant.paths import directories

LOCK_FILE = "run.lock"
"""In the data folder: held by the daemon."""


def command(config: ConfigOption = None, verbose: VerboseOption = False) -> None:
    """Listen, understand and act, until stopped. This is what the service runs.

    SIGHUP reads the configuration anew; SIGTERM ends it.
    """
    settings = settings_from(config)
    level = "debug" if verbose else settings.log.level
    if sys.stderr.isatty() and "INVOCATION_ID" not in os.environ:
        log_to_terminal(verbose, level)
    else:
        log_to_journal(level)
    from assistant.daemon import serve

    with _alone(directories().data):
        asyncio.run(serve(lambda: settings_from(config), directories()))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of the data folder: two daemons would both ring its timers and both answer.

    Raises AssistantError when another holds it. The system lets go of it however this one ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK_FILE).open("w")
    except OSError as error:
        raise AssistantError(
            f"{folder}: can't be written to ({error.strerror}); see: assistant doctor"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AssistantError(
                f"assistant run is running already with {folder}; end that one first, or give "
                "this one a folder of its own with ASSISTANT_HOME"
            ) from error
        yield
