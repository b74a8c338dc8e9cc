"""Values inside a template: those of JSON and `UNDEFINED`, each within a size."""

from __future__ import annotations

from typing import Any, Final

from assistant.errors import DiscoveryError

TEXT_LIMIT: Final = 300_000
"""Characters of one text."""
_BITS: Final = 256  # of an integer


class TemplateError(DiscoveryError):
    """A template failed, or went beyond a limit."""


class NoValueError(TemplateError):
    """The template says that this message holds no value for it (`is_defined`)."""


class Undefined:
    """What a name or member that is not there evaluates to."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = Undefined()


def weight(value: Any, limit: int) -> int:
    """What it costs to look through a value: 1 a member and 1 for each 16 characters.

    Shared parts count as often as they appear: `[a, a]` weighs twice what `a` does, so that
    doubling a list of itself ends where doubling a text does. Raises TemplateError above `limit`.
    """
    return limit - _remaining(value, limit)


def _remaining(value: Any, left: int) -> int:
    if isinstance(value, str):
        if len(value) > TEXT_LIMIT:
            raise TemplateError("a text is too long")
        left -= 1 + len(value) // 16
    elif isinstance(value, int):
        if value.bit_length() > _BITS:
            raise TemplateError("a number is too big")
        left -= 1
    elif isinstance(value, float) or value is None or value is UNDEFINED:
        left -= 1
    elif isinstance(value, dict):
        left -= 1
        for key, member in value.items():
            left = _remaining(member, _remaining(key, left))
    elif isinstance(value, list):
        left -= 1
        for member in value:
            left = _remaining(member, left)
    else:
        raise TemplateError(f"no value of type {type(value).__name__} can be used")
    if left < 0:
        raise TemplateError("the template takes too much work")
    return left


def text_of(value: Any) -> str:
    """How a value is written out: as Python and therefore Jinja does it."""
    if value is UNDEFINED:
        return ""
    if isinstance(value, list | dict) and _holds_undefined(value):
        raise TemplateError("something undefined can't be written out")
    return value if isinstance(value, str) else str(value)


def _holds_undefined(value: list[Any] | dict[Any, Any]) -> bool:
    members = value.values() if isinstance(value, dict) else value
    return any(
        m is UNDEFINED or (isinstance(m, list | dict) and _holds_undefined(m)) for m in members
    )
