"""The filters, tests, functions and methods that templates may use: Jinja's and Home Assistant's.

Each takes and gives values of JSON; what goes in and comes out is weighed by the caller.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from assistant.home.discovery.regular import compile_bounded
from assistant.home.discovery.value import (
    TEXT_LIMIT,
    UNDEFINED,
    NoValueError,
    TemplateError,
    text_of,
)

_MISSING: Final = object()
_FORMAT: Final = re.compile(r"[^%]*(?:%%[^%]*)*%[-+ 0]?\d{0,2}(?:\.\d{1,2})?[dfs](?:%%|[^%])*")
_TRUE: Final = frozenset({"true", "yes", "on", "enable", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "disable", "0"})


def number(value: Any) -> int | float:
    """`value` if it is a number (true and false are 1 and 0); raises TemplateError otherwise."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    raise TemplateError(f"{text_of(value)[:40]!r} is not a number")


def to_float(value: Any, default: Any = _MISSING) -> Any:
    """A number or its text as a float; `default` where it is neither."""
    try:
        return float(value) if isinstance(value, str) else float(number(value))
    except (ValueError, TemplateError, OverflowError):
        if default is _MISSING:
            raise TemplateError(f"{text_of(value)[:40]!r} is not a number") from None
        return default


def to_int(value: Any, default: Any = _MISSING, base: int = 10) -> Any:
    """A number or its text as an integer, towards zero; `default` where it is neither."""
    try:
        if isinstance(value, str) and base != 10:
            return int(value[:64], base)
        return int(to_float(value)) if not isinstance(value, int) else int(value)
    except (ValueError, TemplateError, OverflowError):
        if default is _MISSING:
            raise TemplateError(f"{text_of(value)[:40]!r} is not an integer") from None
        return default


def to_bool(value: Any, default: Any = _MISSING) -> Any:
    """Whether a word or number means yes; `default` where it means neither."""
    word = text_of(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if default is _MISSING:
        raise TemplateError(f"{word[:40]!r} is neither true nor false")
    return default


def rounded(value: Any, precision: int = 0, method: str = "common", default: Any = _MISSING) -> Any:
    """To `precision` digits; "common" halves to even as Home Assistant does, "floor", "ceil"."""
    found = to_float(value, default)
    if not isinstance(found, float):
        return found
    digits = max(-12, min(12, int(precision)))
    scale = 10.0**digits
    if method in ("floor", "ceil"):
        found = getattr(math, method)(found * scale) / scale
    elif method == "half":
        found = round(found * 2) / 2
    else:
        found = round(found, digits)
    return int(found) if digits == 0 else found


def default_value(value: Any, fallback: Any = "", boolean: bool = False) -> Any:
    """`fallback` where the value is undefined (with `boolean`: or false)."""
    return fallback if value is UNDEFINED or (boolean and not value) else value


def is_defined(value: Any) -> Any:
    """The value; where there is none, the message is none for this template."""
    if value is UNDEFINED:
        raise NoValueError("the message holds no such value")
    return value


def iif(value: Any, if_true: Any = True, if_false: Any = False, if_none: Any = _MISSING) -> Any:
    """One of the three, by whether the value is true, false or none."""
    if value is None and if_none is not _MISSING:
        return if_none
    return if_true if value else if_false


def multiply(value: Any, amount: Any, default: Any = _MISSING) -> Any:
    """The product, of numbers or their texts."""
    found = to_float(value, default)
    return found * number(amount) if isinstance(found, float) else found


def add(value: Any, amount: Any, default: Any = _MISSING) -> Any:
    """The sum, of numbers or their texts."""
    found = to_float(value, default)
    return found + number(amount) if isinstance(found, float) else found


def to_json(value: Any, **options: Any) -> str:
    """Compact JSON."""
    if value is UNDEFINED:
        raise TemplateError("something undefined has no JSON")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=text_of)


def from_json(value: Any, default: Any = _MISSING) -> Any:
    """What JSON text decodes to."""
    try:
        return json.loads(text_of(value))
    except (ValueError, RecursionError):
        if default is _MISSING:
            raise TemplateError("not JSON") from None
        return default


def replaced(value: Any, old: Any, new: Any, count: int = -1) -> str:
    """The text with each `old` made `new`."""
    text, before, after = text_of(value), text_of(old), text_of(new)
    # How long the result will be is known before it is made.
    if text.count(before) * len(after) > TEXT_LIMIT:
        raise TemplateError("a value is too big")
    return text.replace(before, after, int(count))


def joined(value: Any, separator: str = "") -> str:
    """The members in one text."""
    members = [text_of(member) for member in _members(value)]
    if sum(map(len, members)) + len(members) * len(separator) > TEXT_LIMIT:
        raise TemplateError("a value is too big")
    return str(separator).join(members)


def formatted(value: Any, *arguments: Any) -> str:
    """Printf-style with one argument: "%.1f"."""
    pattern = text_of(value)
    if len(arguments) != 1 or not _FORMAT.fullmatch(pattern[:200]):
        raise TemplateError("only one %d, %f or %s is supported")
    argument = arguments[0]
    return pattern % (argument if isinstance(argument, int | float) else text_of(argument))


def regex_match(value: Any, find: str = "", ignorecase: bool = False) -> bool:
    """Whether the expression fits at the start."""
    pattern, text = _regex(value, find, ignorecase)
    return pattern.match(text) is not None


def regex_search(value: Any, find: str = "", ignorecase: bool = False) -> bool:
    """Whether the expression fits anywhere."""
    pattern, text = _regex(value, find, ignorecase)
    return pattern.search(text) is not None


def regex_replace(value: Any, find: str = "", replace: str = "", ignorecase: bool = False) -> str:
    r"""The text with each match replaced; `\1` is the first group."""
    pattern, text = _regex(value, find, ignorecase)
    if len(replace) > 200:
        raise TemplateError("a replacement is too long")
    return pattern.sub(replace, text)


def regex_findall(value: Any, find: str = "", ignorecase: bool = False) -> list[Any]:
    """All matches: texts, or lists where the expression has several groups."""
    pattern, text = _regex(value, find, ignorecase)
    return [list(m) if isinstance(m, tuple) else m for m in pattern.findall(text)]


def regex_findall_index(
    value: Any, find: str = "", index: int = 0, ignorecase: bool = False
) -> Any:
    """One of all matches."""
    return regex_findall(value, find, ignorecase)[index]


def _regex(value: Any, find: str, ignorecase: bool) -> tuple[re.Pattern[str], str]:
    pattern, limit = compile_bounded(text_of(find), ignore_case=bool(ignorecase))
    text = text_of(value)
    if len(text) > limit:
        raise TemplateError(f"a text of {len(text)} characters is too long for {find[:60]!r}")
    return pattern, text


def _members(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict | str):
        return list(value)
    raise TemplateError("only lists, texts and mappings have members")


def _first(value: Any) -> Any:
    members = _members(value)
    return members[0] if members else UNDEFINED


def _last(value: Any) -> Any:
    members = _members(value)
    return members[-1] if members else UNDEFINED


def _lengths(value: Any) -> int:
    return len(_members(value))


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(to_float(value))
    except TemplateError:
        return False


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        members = _members(values[0]) if len(values) == 1 else list(values)
        return choose(members)

    return function


def _split(value: str, separator: str | None = None, limit: int = -1) -> list[str]:
    return value.split(separator, limit)


def _text(transform: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: transform(text_of(value))


def _trim(value: Any, chars: str | None = None) -> str:
    return text_of(value).strip(chars)


def _keys(value: dict[Any, Any]) -> list[Any]:
    return list(value)


def _values(value: dict[Any, Any]) -> list[Any]:
    return list(value.values())


def _items(value: dict[Any, Any]) -> list[Any]:
    return [[key, member] for key, member in value.items()]


def _get(value: dict[Any, Any], key: Any, default: Any = None) -> Any:
    return value.get(key, default)


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return text_of(wanted) in value
    return wanted in _members(value)


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": lambda value: abs(number(value)),
    "add": add,
    "bitwise_and": lambda value, other: to_int(value) & to_int(other),
    "bitwise_or": lambda value, other: to_int(value) | to_int(other),
    "bool": to_bool,
    "capitalize": _text(str.capitalize),
    "contains": _contains,
    "count": _lengths,
    "d": default_value,
    "default": default_value,
    "first": _first,
    "float": to_float,
    "format": formatted,
    "from_json": from_json,
    "iif": iif,
    "int": to_int,
    "is_defined": is_defined,
    "is_number": _is_number,
    "join": joined,
    "last": _last,
    "length": _lengths,
    "list": _members,
    "lower": _text(str.lower),
    "max": _extreme(max),
    "min": _extreme(min),
    "multiply": multiply,
    "regex_findall": regex_findall,
    "regex_findall_index": regex_findall_index,
    "regex_match": regex_match,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "replace": replaced,
    "round": rounded,
    "string": text_of,
    "sum": lambda value: sum(number(member) for member in _members(value)),
    "title": _text(str.title),
    "to_json": to_json,
    "tojson": to_json,
    "trim": _trim,
    "upper": _text(str.upper),
}

TESTS: Final[Mapping[str, Callable[..., Any]]] = {
    "boolean": lambda value: isinstance(value, bool),
    "contains": _contains,
    "defined": lambda value: value is not UNDEFINED,
    "eq": lambda value, other: value == other,
    "equalto": lambda value, other: value == other,
    "even": lambda value: number(value) % 2 == 0,
    "false": lambda value: value is False,
    "float": lambda value: isinstance(value, float),
    "ge": lambda value, other: value >= other,
    "greaterthan": lambda value, other: value > other,
    "gt": lambda value, other: value > other,
    "in": lambda value, other: _contains(other, value),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "is_number": _is_number,
    "iterable": lambda value: isinstance(value, str | list | dict),
    "le": lambda value, other: value <= other,
    "lessthan": lambda value, other: value < other,
    "lower": lambda value: text_of(value).islower(),
    "lt": lambda value, other: value < other,
    "mapping": lambda value: isinstance(value, dict),
    "match": regex_match,
    "ne": lambda value, other: value != other,
    "none": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float),
    "odd": lambda value: number(value) % 2 == 1,
    "search": regex_search,
    "sequence": lambda value: isinstance(value, str | list | dict),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
    "undefined": lambda value: value is UNDEFINED,
    "upper": lambda value: text_of(value).isupper(),
}

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "bool": to_bool,
    "float": to_float,
    "iif": iif,
    "int": to_int,
    "is_number": _is_number,
    "max": _extreme(max),
    "min": _extreme(min),
}

METHODS: Final[Mapping[type, Mapping[str, Callable[..., Any]]]] = {
    str: {
        "capitalize": str.capitalize,
        "endswith": lambda value, end: value.endswith(text_of(end)),
        "lower": str.lower,
        "lstrip": str.lstrip,
        "replace": replaced,
        "rstrip": str.rstrip,
        "split": _split,
        "startswith": lambda value, start: value.startswith(text_of(start)),
        "strip": str.strip,
        "title": str.title,
        "upper": str.upper,
    },
    dict: {"get": _get, "items": _items, "keys": _keys, "values": _values},
}
