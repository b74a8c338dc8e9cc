"""`assistant run`: the daemon."""

from __future__ import annotations

import asyncio
import os
import sys

from assistant.cli.options import (
    ConfigOption,
    VerboseOption,
    log_to_journal,
    log_to_terminal,
    settings_from,
)
from assistant.paths import directories


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

    asyncio.run(serve(lambda: settings_from(config), directories()))
