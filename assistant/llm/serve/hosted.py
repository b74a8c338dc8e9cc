"""Serving from within a program that has other things to do, and its own signals: the daemon."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from assistant.llm.serve.connection import MOST, Connection


class _Hosted(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: they are the host's."""
        yield


async def serve_hosted(application: Starlette, listener: socket.socket) -> None:
    """Serve until cancelled, which breaks off the answers in progress; closes `listener`.

    The application's own beginning and end are passed over: its model is the host's.
    """
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        http=Connection,
        limit_concurrency=MOST,
        timeout_graceful_shutdown=1,
    )
    server = _Hosted(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="llm serve")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        for task in server.server_state.tasks:
            task.cancel()
        await serving
        raise
