"""Requests that are not answered, and how that is said."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from assistant.errors import ConfigError, LlmError, QueryError
from assistant.llm.serve.app import LARGEST, application
from assistant.llm.serve.connection import Connection
from assistant.llm.serve.refusal import RefusalError
from assistant.llm.serve.request import read
from assistant.llm.serve.server import listen
from tests.support.served import served

from .model import ScriptedModel

BROKEN_CALL = {"function": {"name": "a", "arguments": "["}}
HI = [{"role": "user", "content": "Hi."}]


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "user", "content": " \n"}]}, 400, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, 400, "messages"),
        ({"messages": [{"role": "king", "content": "Hi."}]}, 400, "messages.0.role"),
        ({"messages": HI * 513}, 400, "messages"),
        ({"messages": None}, 400, "messages"),
        ({"model": "gpt-9"}, 404, "model"),
        ({"n": 2}, 400, "n"),
        ({"logprobs": True}, 400, "logprobs"),
        ({"top_logprobs": 3}, 400, "top_logprobs"),
        ({"presence_penalty": 0.5}, 400, "presence_penalty"),
        ({"logit_bias": {"7": 1}}, 400, "logit_bias"),
        ({"temperature": -1}, 400, "temperature"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"top_p": -0.1}, 400, "top_p"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"response_format": {"type": "xml"}}, 400, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, 400, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, 400, "tools.0.function"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages.0"),
        ({"messages": [{"role": "assistant", "tool_calls": [BROKEN_CALL]}]}, 400, "messages"),
    ],
)
async def test_what_is_wrong_is_named(
    http: httpx2.AsyncClient,
    model: ScriptedModel,
    change: dict[str, Any],
    status: int,
    param: str,
) -> None:
    body = {"model": "toy", "messages": HI, **change}
    response = await http.post("/v1/chat/completions", json=body)
    assert response.status_code == status
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert error["param"].startswith(param)
    assert not model.asked


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}',
        b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
async def test_what_is_no_json_is_refused(
    http: httpx2.AsyncClient, model: ScriptedModel, data: bytes
) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    response = await http.post("/v1/chat/completions", content=data, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["message"]
    assert not model.asked


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    *("model", "messages", "stream", "stream_options", "max_tokens", "temperature", "top_p"),
    *("seed", "stop", "response_format", "tools", "tool_choice", "reasoning_effort", "n"),
    *("logprobs", "chat_template_kwargs"),
]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_no_json_is_more_than_refused(fields: dict[str, Any]) -> None:
    for body in (fields, {"messages": HI, **fields}):
        with suppress(RefusalError):
            assert read(json.dumps(body).encode(), "toy").query.messages


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/chat/completions", {"content-type": "text/plain"}, 415),
        ("POST", "/v1/chat/completions", {}, 415),
        ("GET", "/v1/chat/completions", {}, 405),
        ("POST", "/v1/embeddings", {"content-type": "application/json"}, 404),
        ("GET", "/", {}, 404),
    ],
)
async def test_other_requests_are_refused_in_the_same_form(
    http: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    response = await http.request(method, path, headers=headers, content=b"{}")
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_a_request_that_is_too_large_is_not_read_to_its_end(
    url: str, model: ScriptedModel
) -> None:
    async with httpx2.AsyncClient(base_url=url) as http:
        body = {"messages": [{"role": "user", "content": "x" * LARGEST}]}
        response = await http.post("/v1/chat/completions", json=body)
    assert response.status_code == 413
    assert not model.asked


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_longer_than_the_context_is_the_clients_error(
    client: openai.AsyncOpenAI, model: ScriptedModel, stream: bool
) -> None:
    model.script = lambda _: (QueryError("the prompt has 9 tokens, the context holds 8"),)
    messages: Any = HI
    with pytest.raises(openai.BadRequestError, match="holds 8"):
        await client.chat.completions.create(model="toy", messages=messages, stream=stream)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Basic the-key"}, 401),
        ({"authorization": "Bearer the-këy"}, 401),
        ({"authorization": "Bearer the-key"}, 200),
        ({"authorization": "bearer  the-key"}, 200),
    ],
)
async def test_a_key_must_be_the_right_one(
    model: ScriptedModel, header: dict[str, str], status: int
) -> None:
    headers = [(k.encode(), v.encode()) for k, v in header.items()]
    async with (
        served(application(model, api_key=SecretStr("the-key"))) as url,
        httpx2.AsyncClient(base_url=url, headers=headers) as http,
    ):
        listed = await http.get("/v1/models")
        asked = await http.post("/v1/chat/completions", json={"messages": HI})
        assert (listed.status_code, asked.status_code) == (status, status)
        assert (await http.get("/health")).json() == {"status": "ok"}
    assert bool(model.asked) == (status == 200)


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8151", True),
        ("localhost:8151", True),
        ("LOCALHOST", True),
        ("[::1]:8151", True),
        ("evil.example", False),
        ("evil.example:8151", False),
        ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False),
        ("192.0.2.1", False),
        ("", False),
        ("[", False),
    ],
)
async def test_without_a_key_this_machine_must_be_called_by_a_name_of_its_own(
    model: ScriptedModel, host: str, taken: bool
) -> None:
    """A page in a browser that has had its own name lead here must not use the model."""
    for api_key in (None, SecretStr("key")):
        transport = httpx2.ASGITransport(app=application(model, api_key=api_key))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            headers = {"Host": host, "Authorization": "Bearer key"}
            for answer in (
                await http.get("/v1/models", headers=headers),
                await http.post("/v1/chat/completions", headers=headers, json={"messages": HI}),
            ):
                assert answer.status_code == (200 if taken or api_key else 403), answer.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_hangs_up_ends_the_work(
    url: str, model: ScriptedModel, stream: bool, begun: bool
) -> None:
    model.script = lambda _: ["word"] * 1_000_000
    if not begun:
        model.pause.clear()
    async with httpx2.AsyncClient(base_url=url) as http:
        body = {"messages": HI, "stream": stream}
        asking = asyncio.create_task(http.post("/v1/chat/completions", json=body))
        await model.until(lambda: model.pieces > 3 if begun else model.at_work > 0)
        asking.cancel()
        await asyncio.wait([asking])
    await model.until(lambda: not model.at_work)
    assert model.pieces < 1_000_000


async def test_more_than_can_wait_are_turned_away(model: ScriptedModel) -> None:
    model.pause.clear()
    async with (
        served(application(model, most_at_once=2)) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        messages: Any = HI

        async def ask() -> Any:
            return await client.chat.completions.create(model="toy", messages=messages)

        waiting = [asyncio.create_task(ask()) for _ in range(2)]
        await model.until(lambda: model.at_work == 2)
        with pytest.raises(openai.RateLimitError, match="try again"):
            await ask()
        model.pause.set()
        for answer in await asyncio.gather(*waiting):
            assert answer.choices[0].message.content == "Hello there."
        assert await ask()


async def test_the_model_is_closed_with_the_server(model: ScriptedModel) -> None:
    async with served(application(model)):
        assert not model.closed
    assert model.closed


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "hub.local"])
def test_beyond_this_machine_a_key_is_needed(host: str) -> None:
    with pytest.raises(ConfigError, match="--api-key-file"):
        listen(host, 0, api_key=None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_this_machine_none_is_needed(host: str) -> None:
    # A machine may be without IPv6, and then that is what is wrong.
    without = suppress(LlmError) if host == "::1" else nullcontext()
    with without, listen(host, 0, api_key=None) as listener:
        assert listener.getsockname()[1]


def test_a_port_that_is_taken_is_told() -> None:
    with listen("127.0.0.1", 0, api_key=None) as first:
        port = first.getsockname()[1]
        with pytest.raises(LlmError, match=f"127.0.0.1:{port}.*choose another port"):
            listen("127.0.0.1", port, api_key=None)
    with listen("0.0.0.0", 0, api_key=SecretStr("key")):
        pass


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
async def test_what_is_no_text_is_refused_by_its_name(http: httpx2.AsyncClient, kind: str) -> None:
    parts = [{"type": "text", "text": "What is that?"}, {"type": kind, kind: {"url": "data:"}}]
    body = {"model": "toy", "messages": [{"role": "user", "content": parts}]}
    response = await http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert kind in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\n",
    ],
    ids=["silent", "begun", "begun after another"],
)
async def test_connections_that_ask_nothing_are_closed(
    model: ScriptedModel, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "patience", 0.1)
    async with served(application(model), http=Connection) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(begun)
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()


async def test_an_answer_may_take_its_time(
    model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "patience", 0.02)
    model.pause.clear()
    async with (
        served(application(model), http=Connection) as url,
        httpx2.AsyncClient(base_url=url) as http,
    ):
        asking = asyncio.create_task(http.post("/v1/chat/completions", json={"messages": HI}))
        await model.until(lambda: model.at_work == 1)
        await asyncio.sleep(0.2)
        model.pause.set()
        assert (await asking).status_code == 200
