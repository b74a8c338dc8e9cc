"""An ASGI application on loopback, for tests in the same event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from assistant.llm.serve.server import listen


@asynccontextmanager
async def served(application: ASGIApp, **options: Any) -> AsyncIterator[str]:
    """Where `application` is served, without a slash at the end."""
    listener = listen("127.0.0.1", 0, api_key=None)
    port = listener.getsockname()[1]
    config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=1, **options)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        assert not running.done(), running.exception()
        await asyncio.sleep(0.005)
    try:
        yield f"{'https' if config.is_ssl else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
