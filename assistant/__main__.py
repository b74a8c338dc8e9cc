"""The `assistant` command."""

from __future__ import annotations

import sys

from assistant.errors import AssistantError, ConfigError


def main() -> None:
    """Run the command line; errors that a person can act on are shown without a traceback.

    Exit status: 0 done, 1 it failed, 2 the command line or the configuration is wrong.
    """
    from assistant.cli.app import app

    try:
        app()
    except ConfigError as error:
        sys.exit(_say(error, 2))
    except AssistantError as error:
        sys.exit(_say(error, 1))


def _say(error: AssistantError, status: int) -> int:
    for line in str(error).splitlines():
        sys.stderr.write(f"assistant: {line}\n")
    return status


if __name__ == "__main__":
    main()
