"""The program of the process in which chat templates run. See `sandbox`, which starts it.

Requests come in and answers go out, each a line of JSON. The program is run by its path and imports
nothing of ours, so that it is there quickly and has nothing at hand that is worth escaping to.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_MEMORY: Final = 256 << 20
"""Bytes of its own that the process may have; Python and Jinja take 15 MB of them."""
_OUTPUT_LIMIT: Final = 1 << 22
"""Characters of a prompt: far beyond every context."""


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal means those who ask
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the clock below ends the process
    # Not where a service is kept from it. Then time is the bound of memory too, for what is filled
    # takes time, and this process is the first to go where the memory is short.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    for line in sys.stdin.buffer:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, request.pop("seconds"))
        try:
            data = json.dumps(_answer(**request)).encode()
        except MemoryError:
            data = b'{"error": "it takes too much memory"}'
        except Exception as error:  # whatever others wrote may fail with anything
            data = json.dumps({"error": str(error) or type(error).__name__}).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(data + b"\n")
        sys.stdout.buffer.flush()


def _answer(source: str, mark: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    """What `source` makes of `variables`; without them, the names of those that it asks for."""
    template, asked = _compiled(source, mark)
    return {"asked": asked} if variables is None else {"text": _rendered(template, variables)}


@lru_cache(maxsize=4)
def _compiled(source: str, mark: str) -> tuple[Template, list[str]]:
    environment = _environment(mark)
    template = environment.from_string(source)
    return template, sorted(find_undeclared_variables(environment.parse(source)))


def _rendered(template: Template, variables: dict[str, Any]) -> str:
    parts, length = [], 0
    for part in template.generate(variables):
        parts.append(part)
        length += len(part)
        if length > _OUTPUT_LIMIT:
            raise ValueError(f"it makes more than {_OUTPUT_LIMIT} characters")
    return "".join(parts)


def _environment(mark: str) -> ImmutableSandboxedEnvironment:
    """With what Hugging Face offers to templates, and no more."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _tojson(mark)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _now
    return environment


class _Generation(Extension):
    """Hugging Face's `{% generation %}`, which marks for training what the assistant says."""

    tags = {"generation"}  # noqa: RUF012  # as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _tojson(mark: str) -> Callable[..., str]:
    """The filter, which has contents written as JSON when they are put in place of `mark`."""

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        text = json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )
        return text.replace(f"{mark}0", f"{mark}1")

    return tojson


def _raise(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


if __name__ == "__main__":
    main()
