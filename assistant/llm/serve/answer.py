"""Answers in OpenAI's form: whole, or piece by piece as server-sent events."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from assistant.errors import AssistantError
from assistant.llm.model import Finish, Piece
from assistant.llm.serve.refusal import error_body
from assistant.llm.serve.request import Asked
from assistant.llm.serve.tools import Call, CallReader
from assistant.llm.text import StopTexts

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Header:
    """What every part of an answer carries."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))


async def whole(header: Header, asked: Asked, pieces: AsyncIterator[Piece]) -> dict[str, Any]:
    """The answer as one `chat.completion`."""
    said: list[str] = []
    calls: tuple[Call, ...] = ()
    usage = _Usage()
    finish = Finish.STOP
    async for part in _parts(asked, pieces):
        said.append(part.text)
        calls += part.calls
        usage = usage.with_(part)
        finish = part.finish or finish
    text = "".join(said)
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _reason(finish, calls),
    }
    return _object(header, "chat.completion", [choice], usage)


async def events(
    header: Header, asked: Asked, pieces: AsyncIterator[Piece]
) -> AsyncGenerator[bytes, None]:
    """The answer as events, the last of them [DONE]; an error in its midst is the last instead."""
    usage = _Usage()
    called = 0
    first: dict[str, Any] = {"role": "assistant", "content": ""}
    try:
        async for part in _parts(asked, pieces):
            usage = usage.with_(part)
            if first:
                yield _chunk(header, first)
                first = {}
            if part.text:
                yield _chunk(header, {"content": part.text})
            for call in part.calls:
                yield _chunk(header, {"tool_calls": [{"index": called, **_call(call)}]})
                called += 1
            if part.finish:
                yield _chunk(header, {}, _reason(part.finish, part.calls))
    except AssistantError as error:
        if first:
            raise
        yield _event(error_body(error))
        return
    if asked.usage:
        yield _event(_object(header, "chat.completion.chunk", [], usage))
    yield DONE


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    tokens: int
    calls: tuple[Call, ...] = ()
    finish: Finish | None = None
    prompt: int = 0


@dataclass(frozen=True, slots=True)
class _Usage:
    """Tokens so far."""

    prompt: int = 0
    answer: int = 0

    def with_(self, part: _Part) -> _Usage:
        return _Usage(self.prompt + part.prompt, self.answer + part.tokens)


async def _parts(asked: Asked, pieces: AsyncIterator[Piece]) -> AsyncGenerator[_Part, None]:
    """What is said and called, told apart; the last part has the reason why it ends."""
    finish = Finish.STOP
    if not asked.tools:
        async for piece in pieces:
            finish = piece.finish or finish
            yield _Part(piece.text, piece.tokens, prompt=piece.prompt)
        yield _Part("", 0, finish=finish)
        return
    reader, stops = CallReader(), StopTexts(asked.stop)
    async for piece in pieces:
        finish = piece.finish or finish
        text, stopped = stops.feed(reader.feed(piece.text))
        yield _Part(text, piece.tokens, prompt=piece.prompt)
        if stopped:
            yield _Part("", 0, finish=Finish.STOP)
            return
    text, calls = reader.end()
    text, stopped = stops.feed(text)
    yield _Part(text + stops.finish(), 0, calls, Finish.STOP if stopped else finish)


def _call(call: Call) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))
    return {
        "id": f"call_{secrets.token_hex(12)}",
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _reason(finish: Finish, calls: Sequence[Call]) -> str:
    return "tool_calls" if calls and finish is Finish.STOP else finish.value


def _chunk(header: Header, delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _event(_object(header, "chat.completion.chunk", [choice]))


def _object(
    header: Header, kind: str, choices: list[dict[str, Any]], usage: _Usage | None = None
) -> dict[str, Any]:
    return {
        "id": header.id,
        "object": kind,
        "created": header.created,
        "model": header.model,
        "choices": choices,
        **({"usage": _told(usage)} if usage else {}),
    }


def _told(usage: _Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.answer,
        "total_tokens": usage.prompt + usage.answer,
    }


def _event(data: dict[str, Any]) -> bytes:
    return (
        b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
    )
