"""What the things of a home are called towards a language model.

Ids come off the wire too, and may be long, or full of what a model reads as something else. A
handle is short, plain and the model's alone: the device's own id where that will do, else one made
of its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from assistant.home.file import slug
from assistant.home.model import Home

_PLAIN: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)?")
_LONGEST: Final = 40
_ADDRESS: Final = re.compile(r"[0-9a-f]{8}|\d{5}")
"""A serial number or a radio's address: many tokens, and nothing to be understood by."""


@dataclass(frozen=True, slots=True)
class Handles:
    """Handles of the exposed devices, the areas and the timers, by id and back."""

    devices: Mapping[str, str]
    """Handle to id."""
    areas: Mapping[str, str]
    timers: Mapping[str, str]
    of_device: Mapping[str, str]
    """Id to handle."""
    of_area: Mapping[str, str]


def handles_of(home: Home) -> Handles:
    """The handles of `home`: those of devices and areas stay while its revision does."""
    devices = _named((d.id, f"{d.type}.{slug(d.name)}") for d in home.exposed())
    areas = _named((a.id, slug(a.name)) for a in home.areas)
    return Handles(
        MappingProxyType(devices),
        MappingProxyType(areas),
        timers_of(home),
        MappingProxyType({i: handle for handle, i in devices.items()}),
        MappingProxyType({i: handle for handle, i in areas.items()}),
    )


def timers_of(home: Home) -> Mapping[str, str]:
    """The handles of the timers, which come and go without a new revision."""
    return MappingProxyType({str(n): timer.id for n, timer in enumerate(home.timers, 1)})


def _named(things: Iterable[tuple[str, str]]) -> dict[str, str]:
    taken: dict[str, str] = {}
    pending = []
    for own, made in things:
        if _PLAIN.fullmatch(own) and len(own) <= _LONGEST and not _ADDRESS.search(own):
            taken[own] = own
        else:
            pending.append((own, made[:_LONGEST].rstrip("_.")))
    for own, made in pending:
        handle, number = made, 2
        while handle in taken:
            handle, number = f"{made}_{number}", number + 1
        taken[handle] = own
    return taken
