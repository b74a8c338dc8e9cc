"""Tasks that come to an end when they are told to, and so do those who tell them."""

from __future__ import annotations

import asyncio


async def end(task: asyncio.Task[object]) -> None:
    """Cancel `task` and return once it has ended. Raises what it raised, if not CancelledError.

    Whoever is cancelled meanwhile hears of it. `await task` with its CancelledError suppressed
    can't tell whose cancellation that is, and who swallows his own goes on for ever.
    """
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()
