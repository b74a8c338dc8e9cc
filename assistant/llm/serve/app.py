"""The routes: models, chat completions, health."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Final, cast
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from assistant.errors import AssistantError
from assistant.llm.model import LanguageModel, Piece
from assistant.llm.serve.answer import Header, events, whole
from assistant.llm.serve.refusal import RefusalError, error_response
from assistant.llm.serve.request import Asked, no_such_model, read
from assistant.llm.serve.server import is_loopback

MOST_AT_ONCE: Final = 8
"""Requests that are answered or wait to be; the model takes them one after the other."""
LARGEST: Final = 1 << 20
"""Bytes of a request."""
_PATIENCE: Final = 30.0
"""Seconds a client may take to send its request, and to take each part of its answer."""

_log = logging.getLogger(__name__)


def application(
    model: LanguageModel,
    *,
    api_key: SecretStr | None = None,
    most_at_once: int = MOST_AT_ONCE,
) -> Starlette:
    """`model` as an OpenAI-compatible server; closed when the application ends.

    `api_key`: what clients must show, None: nothing.
    """
    started = int(time.time())
    name = model.name  # what clients were told holds, also while another model answers instead
    gate = _Gate(most_at_once)

    async def models(request: Request) -> Response:
        _check_key(request, api_key)
        entry = {"id": name, "object": "model", "created": started, "owned_by": "mimo-voice"}
        match request.path_params.get("model"):
            case None:
                return JSONResponse({"object": "list", "data": [entry]})
            case asked if asked == name:
                return JSONResponse(entry)
            case asked:
                raise no_such_model(asked, name)

    async def chat(request: Request) -> Response:
        _check_key(request, api_key)
        asked = read(await _body(request), name)
        return _WhileConnected(lambda: model.generate(asked.query), Header(name), asked, gate)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await model.close()

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/models/{model:path}", models),
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/health", health),
        ],
        exception_handlers={AssistantError: _refused, HTTPException: _not_routed, 500: _failed},
        lifespan=life,
    )


class _Gate:
    """Lets in so many at once, and refuses the rest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0

    def __enter__(self) -> None:
        if self._inside >= self._most:
            raise RefusalError(
                f"{self._inside} requests are waiting already; try again later", status=429
            )
        self._inside += 1

    def __exit__(self, *_: object) -> None:
        self._inside -= 1


class _WhileConnected(Response):
    """Has the model answer as long as somebody is there to hear it.

    It is asked within the response, not before: so one task owns its generator from the first
    piece to the last, and is cancelled the moment the client hangs up.
    """

    def __init__(
        self,
        ask: Callable[[], AsyncGenerator[Piece, None]],
        header: Header,
        asked: Asked,
        gate: _Gate,
    ) -> None:
        super().__init__()
        self._ask = ask
        self._header = header
        self._asked = asked
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.create_task(self._respond(scope, receive, send))
        gone = asyncio.create_task(_hung_up(receive))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.wait((work, gone))
        if not work.cancelled():
            work.result()

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._gate:
                async with aclosing(self._ask()) as pieces:
                    if self._asked.stream:
                        await _stream(events(self._header, self._asked, pieces), send)
                        return
                    answer = JSONResponse(await whole(self._header, self._asked, pieces))
        except AssistantError as error:
            _log.info("a request was not answered: %s", error)
            answer = error_response(error)
        except _SlowError:
            _log.info("a client took nothing of its answer for %.0f s; it gets no more", _PATIENCE)
            return
        await answer(scope, receive, send)


async def _stream(parts: AsyncGenerator[bytes, None], send: Send) -> None:
    """Send `parts`; what fails before the first of them can still have a status of its own."""
    async with aclosing(parts):
        part = await anext(parts)
        head = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await _send(part, send)
        async for part in parts:
            await _send(part, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _SlowError(Exception):
    """The client takes nothing: the model would wait for it for ever."""


async def _send(part: bytes, send: Send) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except TimeoutError:
        raise _SlowError from None


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _check_key(request: Request, api_key: SecretStr | None) -> None:
    if api_key is None:
        _check_host(request.headers.get("host", ""))
        return
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    shown = key.strip().encode() if kind.lower() == "bearer" else b""
    if not hmac.compare_digest(shown, api_key.get_secret_value().encode()):
        raise RefusalError(
            "the API key is missing or wrong; send it as: Authorization: Bearer KEY",
            status=401,
            code="invalid_api_key",
        )


def _check_host(header: str) -> None:
    """Without a key only who calls this machine by a name of its own is answered.

    A page in a browser may have its own name lead here, and ask then what it likes.
    """
    try:
        host = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host) or "@" in header:
        raise RefusalError(
            f"without an API key this answers at 127.0.0.1 and localhost alone, not at {header!r}; "
            "set llm.serve.api_key_file to have other names answered",
            status=403,
        )


async def _body(request: Request) -> bytes:
    """The request's JSON. Only what says it is JSON: no page in a browser may send that unasked."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusalError("send JSON, with Content-Type: application/json", status=415)
    data = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for block in request.stream():
                data += block
                if len(data) > LARGEST:
                    raise RefusalError(f"requests may have {LARGEST} bytes at most", status=413)
    except TimeoutError:
        raise RefusalError("the request did not arrive in time", status=408) from None
    return bytes(data)


async def _refused(_: Request, error: Exception) -> Response:
    return error_response(cast(AssistantError, error))


async def _not_routed(request: Request, error: Exception) -> Response:
    error = cast(HTTPException, error)
    what = f"{request.method} {request.url.path}"
    response = error_response(
        RefusalError(f"there is no {what} here: {error.detail}", status=error.status_code)
    )
    response.headers.update(error.headers or {})
    return response


async def _failed(_: Request, __: Exception) -> Response:
    return error_response(RefusalError("the server failed; see its log", status=500))
