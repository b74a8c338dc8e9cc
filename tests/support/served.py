"""An ASGI application on loopback, for tests in the same event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from assistant.llm.serve.server import listen


class _Server(uvicorn.Server):
    """Ends at once, not at its next tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.ended.wait()


@asynccontextmanager
async def served(application: ASGIApp, *, port: int = 0, **options: Any) -> AsyncIterator[str]:
    """Where `application` is served, without a slash at the end; port 0: any."""
    listener = listen("127.0.0.1", port, api_key=None)
    port = listener.getsockname()[1]
    config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=1, **options)
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        assert not running.done(), running.exception()
        await asyncio.sleep(0.005)
    try:
        yield f"{'https' if config.is_ssl else 'http'}://127.0.0.1:{port}"
    finally:
        server.ended.set()
        await running
