"""Regular expressions from the network, kept from running away.

Python's engine backtracks and can't be stopped. So what a pattern may cost is estimated before it
runs, from its choices, and the text it may see is as long as that allows.
"""

from __future__ import annotations

import math
import re
from typing import Final

from assistant.errors import DiscoveryError

_PATTERN_LIMIT: Final = 200
_TEXT_LIMIT: Final = 1000
_WAYS: Final = 1_000_000  # ways to try that are affordable: some 20 ms
_TOKEN: Final = re.compile(
    r"""\\.                          # escaped
      | \[\^?\]?(?:\\.|[^\]\\])*\]   # class
      | \((?:\?(?:P<\w+>|:|[aimsx]+\))?)?
      | (?:[*+?]|\{\d*,?\d*\})[?+]?  # quantifier, lazy or possessive
      | .""",
    re.VERBOSE | re.DOTALL,
)


def compile_bounded(pattern: str, *, ignore_case: bool = False) -> tuple[re.Pattern[str], int]:
    """The compiled pattern, and how many characters of text it may be run on.

    Raises DiscoveryError for a pattern that is wrong, too long, or may take exponential time
    (quantified groups, back references, look-around).
    """
    if len(pattern) > _PATTERN_LIMIT:
        raise DiscoveryError(f"a regular expression of {len(pattern)} characters is too long")
    repeats, choices, after_group = 0, 0, False
    for part in _TOKEN.findall(pattern):
        if part.startswith("\\") and part[1:].isdigit():
            raise DiscoveryError("back references are not supported in a regular expression")
        if part == "(?":
            raise DiscoveryError("look-around is not supported in a regular expression")
        if part[0] in "*+{" or (part[0] == "?" and not after_group):
            if after_group:
                raise DiscoveryError("a repeated group is not supported in a regular expression")
            repeats += part[0] != "?"
            choices += part[0] == "?"
        elif part in ("|", "?"):
            choices += 1
        after_group = part == ")"
    # Each repeat may end anywhere, the match may start anywhere, each choice doubles that.
    exponent = repeats + 1
    ways = _WAYS * math.factorial(exponent) / 2**choices
    limit = min(_TEXT_LIMIT, int(ways ** (1 / exponent))) if ways >= 1 else 0
    if limit < 16:
        raise DiscoveryError("a regular expression has too many choices")
    try:
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0), limit
    except (re.error, OverflowError, RecursionError) as error:
        raise DiscoveryError(f"a regular expression is wrong: {error}") from error
