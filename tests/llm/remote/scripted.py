"""A server that fails in ways that a real one can't be made to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.served import served

Script = Callable[[dict[str, Any]], Response]


class Server:
    """Answers chat completions by `script`, and remembers what it was asked; lists `model`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.model = "mimo"

    async def chat(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        self.asked.append(await request.json())
        return self.script(self.asked[-1])


@asynccontextmanager
async def scripted(script: Script, **options: Any) -> AsyncIterator[Server]:
    server = Server(script)

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": server.model, "object": "model"}]})

    routes = [
        Route("/v1/chat/completions", server.chat, methods=["POST"]),
        Route("/v1/models", models),
    ]
    async with served(Starlette(routes=routes), **options) as server.url:
        yield server


def chunk(text: str | None = None, finish: str | None = None, **delta: Any) -> str:
    if text is not None:
        delta["content"] = text
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})


def said(*parts: str, finish: str | None = "stop") -> Response:
    """A whole answer, one chunk each."""
    return events([*(chunk(part) for part in parts), chunk(finish=finish)])


def events(data: Iterable[str | float], *, done: bool = True) -> Response:
    """Server-sent events of `data`; a number is a pause of so many seconds."""

    async def body() -> AsyncIterator[str]:
        for item in data:
            if isinstance(item, str):
                yield f"data: {item}\n\n"
            else:
                await asyncio.sleep(item)
        if done:
            yield "data: [DONE]\n\n"

    return StreamingResponse(body(), media_type="text/event-stream")


def refusal(message: str, status: int = 400, **fields: Any) -> Response:
    return JSONResponse({"error": {"message": message, **fields}}, status)
