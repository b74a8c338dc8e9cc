"""Ending a task, from outside and in the midst of it."""

from __future__ import annotations

import asyncio

import pytest

from assistant.tasks import end


async def _slow_to_end(free: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await free.wait()


async def test_it_returns_once_the_task_has_ended() -> None:
    free = asyncio.Event()
    task = asyncio.create_task(_slow_to_end(free))
    await asyncio.sleep(0)
    ending = asyncio.create_task(end(task))
    await asyncio.sleep(0.01)
    assert not ending.done()
    free.set()
    await ending
    assert task.cancelled()


async def test_who_is_cancelled_while_waiting_hears_of_it() -> None:
    free = asyncio.Event()
    task = asyncio.create_task(_slow_to_end(free))
    await asyncio.sleep(0)
    ending = asyncio.create_task(end(task))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    free.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_raises_what_the_task_died_of() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="broken"):
        await end(task)
