"""Taking what a person types, in an event loop."""

from __future__ import annotations

import asyncio
import sys

from rich.console import Console


async def typed(console: Console, prompt: str) -> str:
    """The next line, asked for with `prompt`. Raises EOFError where nothing more comes."""
    console.print(prompt, end="")
    if sys.stdin.isatty():
        # The end of the program waits for a thread that waits for a line: Ctrl-C would take effect
        # with the next Enter.
        await _readable(sys.stdin.fileno())
    return await asyncio.to_thread(input)


async def _readable(descriptor: int) -> None:
    there = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(descriptor)
