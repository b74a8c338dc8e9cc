"""The `assistant` command."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from assistant.errors import AssistantError, ConfigError


def main() -> None:
    """Run the command line; errors that a person can act on are shown without a traceback.

    Exit status: 0 done, 1 it failed, 2 the command line or the configuration is wrong, 130 ended
    by Ctrl-C.
    """
    status = 0
    try:
        # Loading it takes long enough for somebody to press Ctrl-C meanwhile.
        from assistant.cli.app import app

        app()
    except* AssistantError as group:
        # Tasks that end together report together: each error is said, without the grouping.
        errors = list(_single(group))
        for line in dict.fromkeys(line for e in errors for line in str(e).splitlines()):
            sys.stderr.write(f"assistant: {line}\n")
        status = 2 if any(isinstance(error, ConfigError) for error in errors) else 1
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _single(group: BaseExceptionGroup[AssistantError]) -> Iterator[AssistantError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _single(error)
        else:
            yield error


if __name__ == "__main__":
    main()
