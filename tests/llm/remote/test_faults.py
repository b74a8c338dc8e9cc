"""Servers that lack something, fail, or think aloud: scripted, for want of real ones that do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr
from starlette.responses import HTMLResponse, Response

from assistant.errors import ConfigError, LlmError, QueryError
from assistant.llm.model import Finish, Message, Query, Role, Sampling
from assistant.llm.remote import Patience, RemoteModel
from tests.support.mosquitto import free_port

from .asking import answer, pieces, query
from .scripted import Script, chunk, events, refusal, said, scripted

SCHEMA = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}


def takes(*allowed: str) -> Script:
    """A server that knows these parameters alone, and names the first of the others."""

    def script(asked: dict[str, Any]) -> Response:
        known = {"model", "messages", "stream", "max_tokens", "temperature", "top_p", *allowed}
        unknown = [key for key in asked if key not in known]
        form = asked.get("response_format", {}).get("type")
        if form and form not in allowed:
            unknown.append("response_format")
        if unknown:
            return refusal(f"Unrecognized request argument supplied: {unknown[0]}")
        return said('{ "on":', " true }")

    return script


@pytest.mark.parametrize(
    ("allowed", "kept", "told"),
    [
        (("response_format", "json_schema"), "response_format", False),
        (("structured_outputs", "guided_json"), "structured_outputs", False),
        (("response_format", "json_object"), "response_format", True),
        ((), "", True),
        (("logprobs", "top_logprobs"), "logprobs", True),
        (("chat_template_kwargs",), "chat_template_kwargs", True),
    ],
)
async def test_what_a_server_refuses_is_left_out_from_then_on(
    allowed: tuple[str, ...], kept: str, told: bool
) -> None:
    async with scripted(takes(*allowed)) as server:
        model = RemoteModel(server.url)
        assert await answer(model, query(schema=SCHEMA)) == '{"on":true}'
        tried = len(server.asked)
        assert await answer(model, query(schema=SCHEMA)) == '{"on":true}'
        assert len(server.asked) == tried + 1
        last = server.asked[-1]
        assert not kept or kept in last
        assert last["messages"][-1] == {"role": "user", "content": "Name a colour."}
        assert (json.dumps(SCHEMA, separators=(",", ":")) in last["messages"][0]["content"]) == told
        await model.close()


async def test_a_refusal_without_a_remedy_is_passed_on_and_changes_nothing() -> None:
    async with scripted(lambda _: refusal("the moon is in the wrong phase")) as server:
        model = RemoteModel(server.url)
        with pytest.raises(QueryError, match=r"mimo at .* the moon is in the wrong phase"):
            await answer(model, query(schema=SCHEMA))
        assert len(server.asked) < 8
        server.script = takes(
            *("response_format", "json_schema", "chat_template_kwargs", "logprobs", "top_logprobs")
        )
        assert await answer(model, query(schema=SCHEMA)) == '{"on":true}'
        assert server.asked[-1]["response_format"]["json_schema"]["schema"] == SCHEMA
        await model.close()


async def test_what_is_asked_says_all_of_the_query() -> None:
    async with scripted(lambda _: said("a")) as server:
        model = RemoteModel(server.url, model="big")
        messages = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Hi."))
        sampling = Sampling(0.7, 0.9, 0.05, seed=3)
        await answer(model, Query(messages, limit=9, sampling=sampling, stop=("x",), thinking=50))
        (asked,) = server.asked
        assert asked["model"] == "big"
        assert asked["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi."},
        ]
        assert (asked["temperature"], asked["top_p"], asked["min_p"], asked["seed"]) == (
            *(0.7, 0.9, 0.05, 3),
        )
        assert asked["max_tokens"] == 59
        assert asked["stop"] == ["x"]
        assert asked["chat_template_kwargs"] == {"enable_thinking": True}
        await model.close()


@pytest.mark.parametrize("thinking", [0, 100])
@pytest.mark.parametrize(
    "parts",
    [
        ("<think>\nHm, 2 < 3.\n</think>\n\nHello", " there."),
        ("<thi", "nk>", "H", "m</th", "ink", ">", "\n", "\n", "Hello there."),
        ("Hello", " there.", "<think>never mind", "</think>"),
        ("Hello there.<think>and so on and on",),
    ],
)
async def test_thoughts_are_never_part_of_an_answer(parts: tuple[str, ...], thinking: int) -> None:
    async with scripted(lambda _: said(*parts)) as server:
        model = RemoteModel(server.url)
        assert await answer(model, query(thinking=thinking)) == "Hello there."
        await model.close()


@pytest.mark.parametrize(
    "thought", [chunk("<think>"), chunk(reasoning_content="Hm"), chunk(reasoning="Hm")]
)
async def test_a_model_that_thinks_unasked_is_given_an_empty_thought(thought: str) -> None:
    def script(asked: dict[str, Any]) -> Response:
        if asked["messages"][-1] == {"role": "assistant", "content": "<think>\n\n</think>\n\n"}:
            assert asked["continue_final_message"]
            assert not asked["add_generation_prompt"]
            return said("Hello.")
        return events([thought, chunk("I wonder</think>"), 30.0])

    async with scripted(script) as server:
        model = RemoteModel(server.url)
        assert await answer(model, query()) == "Hello."
        assert await answer(model, query()) == "Hello."
        assert len(server.asked) == 3
        await model.close()


async def test_where_that_is_refused_the_thought_is_left_out() -> None:
    def script(asked: dict[str, Any]) -> Response:
        if asked["messages"][-1]["role"] == "assistant":
            return refusal("Assistant response prefill is incompatible with enable_thinking.")
        return said("<think>Hm", "</think>", "Hello.")

    async with scripted(script) as server:
        model = RemoteModel(server.url)
        assert await answer(model, query()) == "Hello."
        assert await answer(model, query()) == "Hello."
        assert len(server.asked) == 4
        await model.close()


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        ([30.0], ""),
        ([chunk(role="assistant", content=""), 30.0], ""),
        ([chunk("Hel"), chunk("lo"), 30.0], "Hello"),
    ],
)
async def test_patience_has_an_end(data: list[str | float], heard: str) -> None:
    async with scripted(lambda _: events(data)) as server:
        patience = Patience(connect=5.0, first=1.0, between=0.5)
        model = RemoteModel(server.url, model="mimo", patience=patience)
        text = [""]

        async def listen() -> None:
            async for piece in model.generate(query()):
                text[0] += piece.text

        with pytest.raises(LlmError, match=rf"mimo at {server.url} does not answer in time"):
            await listen()
        assert text == [heard]
        await model.close()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_weakness_is_tried_again_and_a_lasting_one_told(status: int) -> None:
    answers = [refusal("out of memory", status, type="x"), said("Hello.")]
    async with scripted(lambda _: answers.pop(0)) as server:
        model = RemoteModel(server.url)
        assert await answer(model, query()) == "Hello."
        server.script = lambda _: refusal("out of memory", status)
        with pytest.raises(LlmError, match=f"{server.url}.*(busy|out of memory)") as caught:
            await answer(model, query())
        assert not isinstance(caught.value, QueryError)
        assert len(server.asked) == 4
        await model.close()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda _: HTMLResponse("<h1>It works!</h1>"), "OpenAI-compatible"),
        (lambda _: events(["{broken"]), "OpenAI-compatible"),
        (lambda _: events(['{"choices": [7]}']), "OpenAI-compatible"),
        (lambda _: events([chunk("Hel")], done=False), "broke off"),
        (lambda _: events([chunk("Hel"), '{"error": {"message": "GPU lost"}}']), "GPU lost"),
        (lambda _: refusal("The model `mimo` does not exist.", 404), "check llm.remote.model"),
        (lambda _: refusal("x" * 5000, 500), "x{300}…"),
    ],
)
async def test_errors_name_the_server_and_a_remedy(script: Script, reason: str) -> None:
    async with scripted(script) as server:
        model = RemoteModel(server.url, retries=0)
        with pytest.raises(LlmError, match=reason) as caught:
            await answer(model, query())
        assert server.url in str(caught.value)
        await model.close()


async def test_a_server_may_change_its_model_where_none_is_named() -> None:
    """It is upgraded while we run: neither its old name nor its old ways hold for the new one."""

    def new(asked: dict[str, Any]) -> Response:
        if asked["model"] != server.model:
            return refusal(f"The model `{asked['model']}` does not exist.", 404)
        return said("Hello.")

    async with scripted(takes()) as server:
        model, named = RemoteModel(server.url), RemoteModel(server.url, model="mimo")
        for asked in (model, named):
            await answer(asked, query(schema=SCHEMA))
        server.script, server.model = new, "mimo-2"
        assert await answer(model, query(schema=SCHEMA)) == "Hello."
        assert server.asked[-1]["model"] == "mimo-2"
        assert "json_schema" in server.asked[-1]["response_format"]
        assert "mimo-2" in model.name
        with pytest.raises(LlmError, match=r"knows no mimo .*check llm\.remote\.model"):
            await answer(named, query())
        server.script = lambda _: refusal("no", 404)
        with pytest.raises(LlmError, match=r"check llm\.remote\.model"):
            await answer(model, query())
        await model.close()
        await named.close()


async def test_a_server_that_was_away_may_have_learned() -> None:
    async with scripted(takes()) as server:
        model = RemoteModel(server.url, retries=0)
        await answer(model, query(schema=SCHEMA))
        assert "response_format" not in server.asked[-1]
    with pytest.raises(LlmError, match="refuses connections"):
        await answer(model, query(schema=SCHEMA))
    port = int(server.url.rpartition(":")[2])
    async with scripted(lambda _: said("Hello."), port=port) as server:
        await answer(model, query(schema=SCHEMA))
        assert "json_schema" in server.asked[-1]["response_format"]
    await model.close()


async def test_a_server_that_knows_no_limit_is_cut_off() -> None:
    async with scripted(lambda _: said(*"abcdefghij" * 50, finish=None)) as server:
        model = RemoteModel(server.url)
        parts = await pieces(model, query(limit=20))
        assert sum(piece.tokens for piece in parts) <= 21
        assert parts[-1].finish is Finish.LENGTH
        await model.close()


async def test_nothing_meant_for_openai_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "meant-for-openai")
    async with scripted(lambda _: said("a")) as server:
        model = RemoteModel(server.url)
        await answer(model, query())
        assert "meant-for-openai" not in str(server.headers)
        keyed = RemoteModel(f"{server.url}/v1/", api_key=SecretStr("ours"))
        await answer(keyed, query())
        assert server.headers[-1]["authorization"] == "Bearer ours"
        await model.close()
        await keyed.close()


async def test_a_certificate_must_be_vouched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key, ca = (str(tmp_path / name) for name in ("chain.pem", "key.pem", "ca.pem"))
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    files = {"ssl_certfile": chain, "ssl_keyfile": key}
    async with scripted(lambda _: said("a"), **files) as server:
        with pytest.raises(LlmError, match=r"can't prove who it is.*SSL_CERT_FILE"):
            await answer(RemoteModel(server.url, retries=0), query())
        monkeypatch.setenv("SSL_CERT_FILE", ca)
        assert await answer(RemoteModel(server.url), query()) == "a"


@pytest.mark.parametrize("host", ["http://127.0.0.1:{port}", "http://no-such-machine.invalid"])
async def test_a_server_that_is_not_there_is_told_with_its_address(host: str) -> None:
    url = host.format(port=free_port())
    model = RemoteModel(url, retries=0)
    with pytest.raises(LlmError, match=rf"{url} (refuses connections|is not known by that name)"):
        await answer(model, query())
    await model.prepare(query().messages, keep=True)  # fails silently
    await model.close()


@pytest.mark.parametrize("url", ["", "big:8000", "ftp://big", "http://", "http://a:b:c"])
def test_senseless_addresses_are_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.remote\.url"):
        RemoteModel(url)
