"""The endpoint with a real model: SmolLM2 in our engine, asked by the official client, by our own,
and served by the command.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
from pydantic import SecretStr

from assistant.errors import QueryError
from assistant.llm.decoder import Runtime
from assistant.llm.directory import ModelDirectory
from assistant.llm.engine import Engine, EngineSettings
from assistant.llm.model import Finish, Message, Query, Role
from assistant.llm.remote import RemoteModel
from assistant.llm.serve.app import application
from tests.support.served import served
from tests.support.smollm2 import smollm2

CONTEXT = 1024
HI: Any = [{"role": "user", "content": "What is the capital of France?"}]
ROOM = {
    "type": "object",
    "properties": {
        "room": {"enum": ["hall", "kitchen"]},
        "percent": {"type": "integer", "minimum": 0, "maximum": 100},
    },
    "required": ["room", "percent"],
    "additionalProperties": False,
}
WRONG = {"name": "x", "schema": {"type": "wrong"}}
LOST = {"name": "x", "parameters": {"$ref": "#/nowhere"}}
TOOLS: Any = [
    {"type": "function", "function": {"name": "dim", "parameters": ROOM}},
    {"type": "function", "function": {"name": "time"}},
]


@pytest.fixture(scope="module")
def directory() -> ModelDirectory:
    return smollm2()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(directory: ModelDirectory) -> AsyncIterator[Engine]:
    engine = Engine(directory, EngineSettings(Runtime(context=CONTEXT, threads=1)))
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(engine: Engine) -> AsyncIterator[str]:
    async with served(application(engine), lifespan="off") as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def remote(url: str) -> AsyncIterator[RemoteModel]:
    model = RemoteModel(url)
    yield model
    await model.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_question_is_answered_the_same_whole_and_in_pieces(
    client: openai.AsyncOpenAI, engine: Engine
) -> None:
    asked: Any = {"model": "smollm2", "messages": HI, "temperature": 0, "max_tokens": 24}
    whole = await client.chat.completions.create(**asked)
    text = whole.choices[0].message.content
    direct = Query((Message(Role.USER, HI[0]["content"]),), limit=24)
    assert text == "".join([piece.text async for piece in engine.generate(direct)])
    assert len(text.split()) > 4
    assert whole.usage.completion_tokens <= 24
    assert 10 < whole.usage.prompt_tokens < 100
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    chunks = [c async for c in await client.chat.completions.create(stream=True, **asked)]
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == text
    assert len(chunks) > 4


async def test_a_schema_is_kept_to(client: openai.AsyncOpenAI) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "room", "schema": ROOM}}
    answer = await client.chat.completions.create(
        model="smollm2", messages=HI, response_format=form, temperature=1.5, seed=1
    )
    value = json.loads(answer.choices[0].message.content or "")
    assert value["room"] in ("hall", "kitchen")
    assert 0 <= value["percent"] <= 100


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_are_called(client: openai.AsyncOpenAI, stream: bool) -> None:
    named: Any = {"type": "function", "function": {"name": "dim"}}
    asked: Any = {"model": "smollm2", "messages": HI, "tools": TOOLS, "tool_choice": named}
    asked |= {"parallel_tool_calls": False, "stream": stream}
    answer: Any = await client.chat.completions.create(**asked)
    if stream:
        choices = [chunk.choices[0] async for chunk in answer]
        (call,) = [call for choice in choices for call in choice.delta.tool_calls or ()]
        reason = choices[-1].finish_reason
    else:
        (call,) = answer.choices[0].message.tool_calls
        reason = answer.choices[0].finish_reason
    assert reason == "tool_calls"
    assert call.function.name == "dim"
    arguments = json.loads(call.function.arguments)
    assert arguments["room"] in ("hall", "kitchen")
    assert 0 <= arguments["percent"] <= 100


async def test_with_tools_at_hand_it_may_speak_or_call(client: openai.AsyncOpenAI) -> None:
    for seed in range(3):
        answer = await client.chat.completions.create(
            model="smollm2", messages=HI, tools=TOOLS, seed=seed, max_tokens=64
        )
        message: Any = answer.choices[0].message
        for call in message.tool_calls or ():
            assert call.function.name in ("dim", "time")
            json.loads(call.function.arguments)
        assert not (message.content and message.tool_calls)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "word " * 2 * CONTEXT}]},
        {"response_format": {"type": "json_schema", "json_schema": WRONG}},
        {"tools": [{"type": "function", "function": LOST}]},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_can_not_be_answered_is_the_clients_error(
    client: openai.AsyncOpenAI, change: dict[str, Any], stream: bool
) -> None:
    asked: Any = {"model": "smollm2", "messages": HI, "stream": stream, **change}
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(**asked)
    assert await client.chat.completions.create(model="smollm2", messages=HI, max_tokens=1)


HI_MESSAGES = (Message(Role.USER, "Hi."),)
QUERIES = [
    Query((Message(Role.USER, "What is the capital of France?"),), limit=16),
    Query((Message(Role.USER, "Dim the kitchen."),), schema=ROOM, limit=40),
    Query((Message(Role.SYSTEM, "Count."), Message(Role.USER, "1 2 3"),), limit=20, stop=("7",)),
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
async def test_our_own_remote_hears_what_the_engine_says(
    engine: Engine, remote: RemoteModel, query: Query
) -> None:
    direct = [piece async for piece in engine.generate(query)]
    heard = [piece async for piece in remote.generate(query)]
    assert "".join(p.text for p in heard) == "".join(p.text for p in direct) != ""
    assert heard[-1].finish == direct[-1].finish
    assert remote.name.startswith("smollm2 at http://127.0.0.1:")


async def test_a_remote_that_closes_its_generator_stops_the_engine(remote: RemoteModel) -> None:
    endless = {"type": "array", "items": {"enum": ["over"]}, "minItems": 300}
    for _ in range(3):
        generator = remote.generate(Query(HI_MESSAGES, schema=endless, limit=900))
        await anext(generator)
        await generator.aclose()
    async for piece in remote.generate(Query(HI_MESSAGES, limit=1)):
        assert piece.finish in (None, Finish.LENGTH)


async def test_a_remote_is_told_of_a_prompt_that_is_too_long(remote: RemoteModel) -> None:
    with pytest.raises(QueryError, match=r"longer than its context .*1024"):
        _ = [p async for p in remote.generate(Query((Message(Role.USER, "word " * 2000),)))]


async def test_the_command_serves_with_a_key_until_it_is_stopped(
    directory: ModelDirectory, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("a-key-from-a-file\n", encoding="utf-8")
    command = [
        *(sys.executable, "-m", "assistant", "llm", "serve", "--port", "0"),
        *("--model", str(directory.folder), "--api-key-file", str(key)),
    ]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "ASSISTANT_HOME": str(tmp_path)},
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        found = re.search(r"smollm2 is ready at (http://127\.0\.0\.1:\d+)/v1", line)
        assert found, line
        model = RemoteModel(found[1], api_key=SecretStr("a-key-from-a-file"))
        assert [p async for p in model.generate(Query(HI_MESSAGES, limit=3))]
        await model.close()
        process.send_signal(signal.SIGINT)
        assert await process.wait() in (0, 130)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_command_needs_a_key_beyond_this_machine(directory: ModelDirectory) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "assistant", "llm", "serve", "--host", "0.0.0.0"),
        *("--model", str(directory.folder)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"--api-key-file" in errors
