"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.logging import RichHandler

from assistant.config import CONFIG_NAME, Settings, load_settings
from assistant.paths import directories

SYSTEM_CONFIG = Path("/etc/mimo-voice") / CONFIG_NAME

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="ASSISTANT_CONFIG",
        help="Configuration file. Default: assistant.toml in your configuration folder, else "
        "/etc/mimo-voice/assistant.toml, else the defaults.",
        show_default=False,
    ),
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show what goes on inside (log level debug).")
]
LanguageOption = Annotated[
    str | None,
    typer.Option("--language", "-l", help="Language, such as en or it. Default: the configured."),
]


def config_path(given: Path | None) -> Path | None:
    """The configuration file in force; None where there is none and the defaults hold."""
    if given is not None:
        return given
    own = directories().config / CONFIG_NAME
    if own.is_file():
        return own
    # The service's configuration may hold passwords and is not for everybody's eyes.
    return SYSTEM_CONFIG if os.access(SYSTEM_CONFIG, os.R_OK) else None


def settings_from(config: Path | None, language: str | None = None) -> Settings:
    """The settings for this command, with the language of the command line if it names one."""
    settings = load_settings(config_path(config))
    return settings.model_copy(update={"language": language}) if language else settings


def log_to_terminal(verbose: bool, level: str = "warning") -> None:
    """Log to standard error for somebody who watches."""
    from rich.console import Console

    handler = RichHandler(console=Console(stderr=True), show_path=False, rich_tracebacks=True)
    logging.basicConfig(
        level="DEBUG" if verbose else level.upper(), format="%(message)s", handlers=[handler]
    )
    _quieten()


def log_to_journal(level: str) -> None:
    """Log one line an event to standard error, as a service manager collects it."""
    # Through a handle of its own: while PortAudio looks for devices, it turns standard error to
    # nowhere, and with it whatever anybody else has to say.
    journal = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1, encoding="utf-8")
    logging.basicConfig(
        level=level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=journal
    )
    _quieten()


def _quieten() -> None:
    # These narrate every packet; what matters of them is logged by our own modules.
    for name in ("amqtt", "transitions", "aiomqtt", "hassil", "asyncio", "websockets", "piper"):
        logging.getLogger(name).setLevel(logging.ERROR)
