"""Tools, for a model that knows none."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.llm.grammar import Grammars
from assistant.llm.model import Finish
from assistant.llm.serve.tools import Call, CallReader, Tool, calling, spoken_calls
from tests.llm.bytelevel import tokenizer

from .model import ScriptedModel

TOKENS = tokenizer()
GRAMMARS = Grammars(TOKENS, TOKENS.get_vocab_size(), (TOKENS.get_vocab()["<|im_end|>"],))
LIGHT = {
    "type": "object",
    "properties": {"room": {"enum": ["hall", "kitchen"]}, "on": {"type": "boolean"}},
    "required": ["room", "on"],
}
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "light", "description": "Switch a light.", "parameters": LIGHT},
    },
    {"type": "function", "function": {"name": "time"}},
]
HI: Any = [{"role": "user", "content": "Light in the hall, please."}]
ONE = '{"tool_calls":[{"name":"light","arguments":{"room":"hall","on":true}}]}'


@pytest.fixture
def client(http: httpx2.AsyncClient) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url="http://127.0.0.1/v1", api_key="any", max_retries=0, http_client=http
    )


def in_pieces(text: str) -> list[str]:
    return [text[start : start + 3] for start in range(0, len(text), 3)]


async def ask(client: openai.AsyncOpenAI, stream: bool, **asked: Any) -> tuple[str, Any, str]:
    """What is said, the calls as (name, arguments), and the finish reason."""
    asked = {"model": "toy", "messages": HI, "tools": TOOLS, **asked}
    if not stream:
        (choice,) = (await client.chat.completions.create(**asked)).choices
        made = choice.message.tool_calls or []
        assert len({call.id for call in made}) == len(made)
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in made]
        return choice.message.content or "", calls, choice.finish_reason
    said, reason = "", ""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    async for chunk in await client.chat.completions.create(stream=True, **asked):
        (choice,) = chunk.choices
        said += choice.delta.content or ""
        reason = choice.finish_reason or reason
        for call in choice.delta.tool_calls or ():
            names[call.index] = names.get(call.index, "") + (call.function.name or "")
            arguments[call.index] = arguments.get(call.index, "") + call.function.arguments
    return said, [(names[i], json.loads(arguments[i])) for i in sorted(names)], reason


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "said", "calls", "reason"),
    [
        (ONE, "", [("light", {"room": "hall", "on": True})], "tool_calls"),
        (
            '{"tool_calls":[{"name":"time","arguments":{}},{"name":"light","arguments":{"room":"kitchen","on":false}}]}',
            "",
            [("time", {}), ("light", {"room": "kitchen", "on": False})],
            "tool_calls",
        ),
        ('{"content":"It\'s on.\\n\\u00e8 \\ud83d\\ude00"}', "It's on.\nè 😀", [], "stop"),
        ("In plain words.", "In plain words.", [], "stop"),
    ],
)  # fmt: skip
async def test_an_answer_is_words_or_calls(
    client: openai.AsyncOpenAI,
    model: ScriptedModel,
    stream: bool,
    text: str,
    said: str,
    calls: Any,
    reason: str,
) -> None:
    model.script = lambda _: in_pieces(text)
    assert await ask(client, stream) == (said, calls, reason)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "said"), [(ONE[:-9], ""), ('{"content":"It is', "It is"), ('{"con', "")]
)
async def test_what_was_cut_off_is_no_call(
    client: openai.AsyncOpenAI, model: ScriptedModel, stream: bool, text: str, said: str
) -> None:
    model.script, model.finish = lambda _: in_pieces(text), Finish.LENGTH
    assert await ask(client, stream) == (said, [], "length")


async def test_words_are_streamed_as_they_come(
    client: openai.AsyncOpenAI, model: ScriptedModel
) -> None:
    model.script = lambda _: ['{"content":"', "One", " two", '"}']
    asked: Any = {"model": "toy", "messages": HI, "tools": TOOLS, "stream": True}
    chunks = [c.choices[0].delta async for c in await client.chat.completions.create(**asked)]
    assert [delta.content for delta in chunks if delta.content] == ["One", " two"]


def names_allowed(schema: Any) -> list[str]:
    alternatives = schema.get("anyOf", [schema])
    calls = alternatives[0]["properties"]["tool_calls"]["items"]["anyOf"]
    return [call["properties"]["name"]["const"] for call in calls]


@pytest.mark.parametrize(
    ("choice", "names", "words"),
    [
        ("auto", ["light", "time"], True),
        (None, ["light", "time"], True),
        ("required", ["light", "time"], False),
        ({"type": "function", "function": {"name": "time"}}, ["time"], False),
    ],
)
async def test_the_choice_of_tools_is_in_the_schema(
    client: openai.AsyncOpenAI, model: ScriptedModel, choice: Any, names: list[str], words: bool
) -> None:
    model.script = lambda _: [ONE]
    await ask(client, False, **({"tool_choice": choice} if choice else {}))
    (query,) = model.asked
    assert query.schema
    assert names_allowed(query.schema) == names
    assert ("anyOf" in query.schema) == words
    assert '"description":"Switch a light."' in query.messages[0].content


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("stop", "text", "said", "calls"),
    [
        ("}", ONE, "", [("light", {"room": "hall", "on": True})]),
        (["content", "\n"], '{"content":"One.\\nTwo."}', "One.", []),
        (["Two", "x"], '{"content":"One. Two."}', "One. ", []),
        ("wo", "In plain words.", "In plain ", []),
        (".", '{"content":"One."}', "One", []),
    ],
)
async def test_a_stop_text_is_one_of_what_is_said(
    client: openai.AsyncOpenAI,
    model: ScriptedModel,
    stream: bool,
    stop: Any,
    text: str,
    said: str,
    calls: list[Any],
) -> None:
    """Not of the form in which a model says it."""
    model.script = lambda query: in_pieces(text.partition(query.stop[0])[0] if query.stop else text)
    reason = "tool_calls" if calls else "stop"
    assert await ask(client, stream, stop=stop) == (said, calls, reason)


async def test_without_a_choice_of_tools_there_are_none(
    client: openai.AsyncOpenAI, model: ScriptedModel
) -> None:
    assert await ask(client, False, tool_choice="none") == ("Hello there.", [], "stop")
    (query,) = model.asked
    assert query.schema is None
    assert "light" not in query.messages[0].content


async def test_one_call_at_a_time(client: openai.AsyncOpenAI, model: ScriptedModel) -> None:
    model.script = lambda _: [ONE]
    await ask(client, False, tool_choice="required", parallel_tool_calls=False)
    schema: Any = model.asked[0].schema
    assert schema["properties"]["tool_calls"]["maxItems"] == 1


async def test_tools_and_a_schema_for_what_is_said(
    client: openai.AsyncOpenAI, model: ScriptedModel
) -> None:
    model.script = lambda _: in_pieces('{"content":{"n":1}}')
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    assert await ask(client, True, response_format=form) == ('{"n":1}', [], "stop")
    schema: Any = model.asked[0].schema
    assert schema["anyOf"][1]["properties"]["content"] == {"type": "object"}


@pytest.mark.parametrize(
    ("choice", "tools"),
    [({"type": "function", "function": {"name": "oven"}}, TOOLS), ("required", [])],
)
async def test_a_choice_of_what_is_not_there_is_refused(
    client: openai.AsyncOpenAI, choice: Any, tools: Any
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(client, False, tool_choice=choice, tools=tools)
    assert caught.value.param == "tool_choice"


RECURSIVE: Any = {
    "type": "object",
    "properties": {"v": {"enum": [1, 2]}, "kids": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["v", "kids"],
}


@pytest.mark.parametrize(
    ("parameters", "right", "wrong"),
    [
        (
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/definitions/x"}},
                "required": ["a", "b"],
                "$defs": {"x": {"anyOf": [{"const": 1}, {"$ref": "#/$defs/list"}]},
                          "list": {"type": "array", "items": {"$ref": "#/$defs/x"}}},
                "definitions": {"x": {"const": "y"}},
            },
            {"a": [[1], 1], "b": "y"},
            {"a": "y", "b": 1},
        ),
        (RECURSIVE, {"v": 1, "kids": [{"v": 2, "kids": []}]}, {"v": 1, "kids": [{"v": 3}]}),
        (
            {
                "type": "object",
                "properties": {"a": {"enum": [1, 2]}, "b": {"$ref": "#/properties/a"}},
                "required": ["a", "b"],
            },
            {"a": 1, "b": 2},
            {"a": 1, "b": 3},
        ),
        # Not said to be closed: a model would go on inventing.
        (LIGHT, {"room": "hall", "on": True}, {"room": "hall", "on": True, "type": "boolean"}),
        (
            {"type": "object", "properties": {"to": LIGHT}, "required": ["to"]},
            {"to": {"room": "hall", "on": True}},
            {"to": {"room": "hall", "on": True, "off": False}},
        ),
        # Said to be open, or of parts: what the other part knows is not invented.
        ({"type": "object", "properties": {}, "additionalProperties": True}, {"x": 1}, 1),
        ({"type": "object"}, {"x": 1}, 1),
        # What no grammar can see to does not cost the tool.
        (
            {
                "type": "object",
                "properties": {
                    "rooms": {
                        "type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True
                    },
                    "at": {"type": "string", "format": "hour of the day", "not": {"const": "x"}},
                },
                "required": ["rooms", "at"],
            },
            {"rooms": ["a", "b"], "at": "7"},
            {"rooms": ["c"], "at": "7"},
        ),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"type": "object", "properties": {"b": {"const": 2}}, "required": ["b"]},
                ]
            },
            {"a": 1, "b": 2},
            {"a": 2, "b": 2},
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["one", "answer", "tool"])
def test_arguments_are_of_the_tools_schema(
    name: str, parameters: Any, right: Any, wrong: Any
) -> None:
    """Wherever its references lead, and whatever the other tools and the answer define."""
    other = {"type": "object", "$defs": {"x": {"const": "z"}}, "properties": {}}
    tools = (Tool(name, "", parameters), Tool("two", "", other), Tool("three", "", RECURSIVE))
    schema = calling(tools, "auto", answer=other)
    for arguments, fits in ((right, True), (wrong, False)):
        text = spoken_calls([Call(name, arguments)])
        matcher = GRAMMARS.compile(schema).start()
        ids = TOKENS.encode(text, add_special_tokens=False).ids
        assert all(matcher.consume(token) for token in ids) == fits, text


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1),
            st.dictionaries(st.text(), st.integers() | st.text() | st.booleans()),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 7),
)
def test_calls_are_read_as_they_were_written(calls: list[Any], size: int) -> None:
    made = tuple(Call(name, arguments) for name, arguments in calls)
    text = spoken_calls(made)
    reader = CallReader()
    said = "".join(reader.feed(text[at : at + size]) for at in range(0, len(text), size))
    assert (said, reader.end()) == ("", ("", made))


@given(st.text(), st.integers(1, 7), st.booleans())
def test_words_are_read_as_they_were_written(words: str, size: int, escaped: bool) -> None:
    text = json.dumps({"content": words}, ensure_ascii=escaped, separators=(",", ":"))
    reader = CallReader()
    said = "".join(reader.feed(text[at : at + size]) for at in range(0, len(text), size))
    rest, calls = reader.end()
    assert (said + rest, calls) == (words, ())
