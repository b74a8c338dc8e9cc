"""The endpoint as the official client uses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from assistant.errors import LlmError
from assistant.llm.model import Finish, Message, Query, Role, Sampling

from .model import ScriptedModel

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi."}]


async def test_models_lists_the_one(client: openai.AsyncOpenAI) -> None:
    models = await client.models.list()
    assert [entry.id for entry in models.data] == ["toy"]
    assert (await client.models.retrieve("toy")).id == "toy"
    with pytest.raises(openai.NotFoundError, match="toy"):
        await client.models.retrieve("gpt-9")


async def test_the_models_name_stays_while_another_answers_for_it(
    client: openai.AsyncOpenAI, model: ScriptedModel
) -> None:
    model.name = "another"
    assert [entry.id for entry in (await client.models.list()).data] == ["toy"]
    assert (await client.chat.completions.create(model="toy", messages=HI)).model == "toy"


async def test_a_whole_answer(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="toy", messages=HI)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "Hello there.")
    assert (choice.finish_reason, answer.model, answer.object) == ("stop", "toy", "chat.completion")
    assert answer.usage
    assert answer.usage.completion_tokens == 2


@pytest.mark.parametrize("usage", [False, True])
async def test_an_answer_in_pieces(client: openai.AsyncOpenAI, usage: bool) -> None:
    stream = await client.chat.completions.create(
        model="toy", messages=HI, stream=True, stream_options={"include_usage": usage}
    )
    chunks = [chunk async for chunk in stream]
    assert len({chunk.id for chunk in chunks}) == 1
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert choices[0].delta.role == "assistant"
    assert [choice.delta.content for choice in choices if choice.delta.content] == [
        *("Hello", " there.")
    ]
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [2] * usage


async def test_pieces_arrive_as_they_are_made(
    client: openai.AsyncOpenAI, model: ScriptedModel
) -> None:
    def script(_: Query) -> Iterator[str]:
        yield "Hello"
        model.pause.clear()
        yield " there."

    model.script = script
    stream = await client.chat.completions.create(model="toy", messages=HI, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content == "Hello":
            break
    assert model.pieces == 1
    model.pause.set()
    assert " there." in [chunk.choices[0].delta.content async for chunk in stream]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            {},
            {"limit": 1024, "sampling": Sampling(0.6), "stop": (), "thinking": 0, "schema": None,
             "patient": True},
        ),
        ({"max_tokens": 7}, {"limit": 7}),
        ({"max_tokens": 10**9}, {"limit": 32768}),
        ({"top_p": 0}, {"sampling": Sampling(0.6, 1e-6)}),
        ({"max_completion_tokens": 8}, {"limit": 8}),
        ({"temperature": 0}, {"sampling": Sampling(0.0)}),
        (
            {"temperature": 1.5, "top_p": 0.9, "seed": 3, "extra_body": {"min_p": 0.1}},
            {"sampling": Sampling(1.5, 0.9, 0.1, 3)},
        ),
        ({"seed": -1}, {"sampling": Sampling(0.6, seed=2**63 - 1)}),
        ({"stop": "x"}, {"stop": ("x",)}),
        ({"stop": ["x", "y"]}, {"stop": ("x", "y")}),
        ({"response_format": {"type": "text"}}, {"schema": None}),
        ({"response_format": {"type": "json_object"}}, {"schema": {"type": "object"}}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {"type": "array"}},
                }
            },
            {"schema": {"type": "array"}},
        ),
        ({"reasoning_effort": "none"}, {"thinking": 0}),
        ({"reasoning_effort": "low"}, {"thinking": 256}),
        (
            {"extra_body": {"chat_template_kwargs": {"enable_thinking": True}}},
            {"thinking": 1024},
        ),
        ({"n": 1, "logprobs": False, "frequency_penalty": 0, "user": "me"}, {"stop": ()}),
    ],
)  # fmt: skip
async def test_what_is_asked_reaches_the_model(
    client: openai.AsyncOpenAI,
    model: ScriptedModel,
    asked: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    await client.chat.completions.create(model="toy", messages=HI, **asked)
    (query,) = model.asked
    assert {field: getattr(query, field) for field in expected} == expected
    assert query.messages == (Message(Role.USER, "Hi."),)


async def test_all_kinds_of_messages_are_read(
    client: openai.AsyncOpenAI, model: ScriptedModel
) -> None:
    parts = [{"type": "text", "text": "Is it"}, {"type": "text", "text": "dark?"}]
    function = {"name": "light", "arguments": '{"room": "hall"}'}
    call = {"id": "1", "type": "function", "function": function}
    messages: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "name": "Ann", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "off"},
    ]
    await client.chat.completions.create(model="toy", messages=messages)
    assert model.asked[0].messages == (
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.USER, "Is it\ndark?"),
        Message(
            Role.ASSISTANT, '{"tool_calls":[{"name":"light","arguments":{"room":"hall"}}]}'
        ),
        Message(Role.TOOL, "off"),
    )  # fmt: skip


async def test_a_limit_that_was_reached_is_told(
    client: openai.AsyncOpenAI, model: ScriptedModel
) -> None:
    model.finish = Finish.LENGTH
    answer = await client.chat.completions.create(model="toy", messages=HI, max_tokens=2)
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_fails_is_an_error_of_the_server(
    client: openai.AsyncOpenAI, model: ScriptedModel, stream: bool
) -> None:
    model.script = lambda _: (LlmError("too little memory; close something"),)
    with pytest.raises(openai.InternalServerError, match="close something") as caught:
        await client.chat.completions.create(model="toy", messages=HI, stream=stream)
    assert caught.value.status_code == 503
    model.script = lambda _: ("Hello",)
    assert await client.chat.completions.create(model="toy", messages=HI)


async def test_a_failure_in_the_midst_of_an_answer_reaches_the_client(
    client: openai.AsyncOpenAI, model: ScriptedModel
) -> None:
    model.script = lambda _: ("Hello", LlmError("too little memory"))
    stream = await client.chat.completions.create(model="toy", messages=HI, stream=True)
    heard: list[str | None] = []

    async def listen() -> None:
        async for chunk in stream:
            heard.append(chunk.choices[0].delta.content)  # noqa: PERF401  # kept when it fails

    with pytest.raises(openai.APIError, match="too little memory"):
        await listen()
    assert "Hello" in heard


async def test_a_bug_of_ours_is_told_without_its_details(
    client: openai.AsyncOpenAI, model: ScriptedModel
) -> None:
    model.script = lambda _: (RuntimeError("a secret path"),)
    with pytest.raises(openai.InternalServerError, match="see its log") as caught:
        await client.chat.completions.create(model="toy", messages=HI)
    assert "secret" not in str(caught.value)
