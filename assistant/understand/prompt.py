"""What the model is told: the rules and the home, then what changes, then the utterance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """An utterance and what was replied to it. `devices`: ids of those it was about."""

    said: str
    replied: str
    devices: tuple[str, ...] = ()
