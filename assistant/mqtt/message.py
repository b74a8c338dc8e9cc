"""What arrives from the broker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One publication, as received."""

    topic: str
    payload: bytes
    retain: bool
    """True: kept by the broker and sent because we subscribed; False: published just now."""
    qos: int


Handler = Callable[[Message], None]
"""Called on the event loop, in the order of arrival. It must not block; work that takes longer
or waits belongs into a task of the handler's owner."""
