"""Holds a source that could run ahead to the speed of real time."""

from __future__ import annotations

import asyncio
from time import monotonic


async def sleep_until(time: float) -> None:
    """Wait until monotonic second `time`; yield to other tasks in any case."""
    await asyncio.sleep(max(0.0, time - monotonic()))
