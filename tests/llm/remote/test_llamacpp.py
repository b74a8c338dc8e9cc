"""A remote model at a real llama.cpp server."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from assistant.errors import LlmError, QueryError
from assistant.llm.model import Finish, Message, Query, Role, Sampling
from assistant.llm.remote import Patience, RemoteModel
from tests.support.llamacpp import GGUF, LlamaCpp

from .asking import answer, pieces, query

# The first time, the first test waits for 98 MB.
pytestmark = pytest.mark.timeout(600)

KEY = "a key of forty letters, none of them seen"
LONG = {"type": "array", "items": {"enum": ["over", "and"]}, "minItems": 300, "maxItems": 300}


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaCpp]:
    with LlamaCpp(api_key=KEY) as server:
        yield server


@pytest.fixture
async def model(server: LlamaCpp) -> AsyncIterator[RemoteModel]:
    model = RemoteModel(server.url, api_key=SecretStr(KEY))
    yield model
    await model.close()


async def test_text_comes_in_pieces_with_its_probabilities(
    model: RemoteModel, server: LlamaCpp
) -> None:
    said = await pieces(model, query("Count from one to ten.", limit=16))
    assert len(said) > 4
    assert said[-1].finish is Finish.LENGTH
    assert all(piece.finish is None for piece in said[:-1])
    assert sum(piece.tokens for piece in said) == 16
    assert sum(piece.chosen for piece in said) == 16
    assert all(piece.logprob <= 0 for piece in said)
    assert any(piece.logprob < 0 for piece in said)
    assert re.fullmatch(f".*{GGUF} at {server.url}", model.name)


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "properties": {
                "room": {"enum": ["kitchen", "hall"]},
                "percent": {"type": "integer", "minimum": 0, "maximum": 9},
                "say": {"type": "string", "minLength": 3, "maxLength": 20},
            },
            "required": ["room", "percent", "say"],
            "additionalProperties": False,
        },
        {"type": "array", "items": {"enum": ["on", "off"]}, "minItems": 2, "maxItems": 3},
        {"anyOf": [{"const": "one thing"}, {"const": "another \"thing\""}]},
    ],
)  # fmt: skip
async def test_an_answer_keeps_to_its_schema_and_is_compact(
    model: RemoteModel, schema: dict[str, Any]
) -> None:
    text = await answer(model, query("Turn something on.", schema=schema, limit=100))
    value = json.loads(text)
    assert text == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "properties" in schema:
        assert value.keys() == schema["properties"].keys()
        assert value["room"] in ("kitchen", "hall")
        assert 0 <= value["percent"] <= 9
    elif "items" in schema:
        assert set(value) <= {"on", "off"}
        assert 2 <= len(value) <= 3
    else:
        assert value in ("one thing", 'another "thing"')


async def test_a_stop_text_ends_the_answer_and_is_not_part_of_it(model: RemoteModel) -> None:
    schema = {"const": "one two three"}
    said = await pieces(model, query(schema=schema, stop=("two",)))
    assert "".join(piece.text for piece in said).strip() == '"one'
    assert said[-1].finish is Finish.STOP


async def test_greedy_and_seeded_answers_are_the_same_again(model: RemoteModel) -> None:
    greedy = query("Tell a story.", limit=12)
    assert await answer(model, greedy) == await answer(model, greedy)
    seeded = query("Tell a story.", limit=12, sampling=Sampling(1.5, 0.95, 0.01, seed=7))
    other = query("Tell a story.", limit=12, sampling=Sampling(1.5, 0.95, 0.01, seed=8))
    assert await answer(model, seeded) == await answer(model, seeded) != await answer(model, other)


async def test_closing_the_generator_stops_the_server(model: RemoteModel, server: LlamaCpp) -> None:
    before = server.metric("tokens_predicted_total")
    generator = model.generate(query(schema=LONG, limit=900))
    await anext(generator)
    await generator.aclose()
    server.wait_until_idle()
    assert server.metric("tokens_predicted_total") - before < 300
    assert await answer(model, query(limit=4))


async def test_a_prompt_read_ahead_is_not_read_again(model: RemoteModel, server: LlamaCpp) -> None:
    rules = Message(Role.SYSTEM, " ".join(f"Rule {n} is about device {n}." for n in range(25)))
    await model.prepare((rules,), keep=True)
    server.wait_until_idle()
    before = server.metric("prompt_tokens_total")
    await answer(model, Query((rules, Message(Role.USER, "Hello.")), limit=1))
    server.wait_until_idle()
    assert server.metric("prompt_tokens_total") - before < 60


async def test_what_changes_with_every_word_is_not_sent_ahead(
    model: RemoteModel, server: LlamaCpp
) -> None:
    before = server.metric("prompt_tokens_total")
    await model.prepare(query("Turn on the").messages)
    assert server.metric("prompt_tokens_total") == before


async def test_a_prompt_longer_than_the_context_is_refused(model: RemoteModel) -> None:
    with pytest.raises(QueryError, match=r"longer than its context.*larger"):
        await answer(model, query("word " * 2000))
    assert await answer(model, query(limit=4))


async def test_lone_surrogates_are_no_problem(model: RemoteModel) -> None:
    assert await answer(model, query("\ud800 Say \udfff something.", limit=4))


async def test_the_wrong_key_is_told_apart_and_no_key_is_ever_logged(
    server: LlamaCpp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = RemoteModel(server.url, api_key=SecretStr("wrong-and-secret"), model="any")
    with pytest.raises(LlmError, match=r"refuses our API key"):
        await answer(wrong, query())
    right = RemoteModel(server.url, api_key=SecretStr(KEY))
    assert await answer(right, query(limit=2))
    assert "wrong-and-secret" not in caplog.text
    assert KEY not in caplog.text
    assert KEY not in repr(vars(right))


async def test_a_server_that_freezes_is_given_up_and_taken_up_again(
    model: RemoteModel, server: LlamaCpp
) -> None:
    patience = Patience(connect=3.0, first=3.0, between=1.0)
    hasty = RemoteModel(server.url, api_key=SecretStr(KEY), patience=patience)
    assert await answer(hasty, query(limit=2))
    generator = hasty.generate(query(schema=LONG, limit=900))
    await anext(generator)
    server.freeze()
    try:
        with pytest.raises(LlmError, match="does not answer in time"):
            _ = [piece async for piece in generator]
        with pytest.raises(LlmError, match="does not answer"):
            await answer(hasty, query())
    finally:
        server.thaw()
    server.wait_until_idle()
    assert await answer(model, query(limit=2))
    await hasty.close()


async def test_a_server_that_dies_in_the_midst_of_an_answer_is_noticed() -> None:
    with LlamaCpp() as doomed:
        model = RemoteModel(doomed.url)
        generator = model.generate(query(schema=LONG, limit=900))
        await anext(generator)
        doomed.kill()
        with pytest.raises(LlmError, match=f"{doomed.url}.*(broke off|can't be reached)"):
            _ = [piece async for piece in generator]
        with pytest.raises(LlmError, match="refuses connections; start the server"):
            await answer(model, query())
