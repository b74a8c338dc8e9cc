"""What a client asks: OpenAI's request, bounded and checked, as a query.

What is unknown is ignored, as servers do; what is known and can't be had is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.llm.model import Message, Query, Role, Sampling
from assistant.llm.serve.refusal import RefusalError
from assistant.llm.serve.tools import Call, Choice, Named, Tool, calling, offer, spoken_calls

LIMIT: Final = 1024
"""Tokens of an answer where the client names no limit."""
MOST: Final = 32768
"""Tokens of an answer, whatever limit the client names."""
TEMPERATURE: Final = 0.6
"""Where the client names none: what MiMo's makers recommend."""
_LEAST_TOP_P: Final = 1e-6
"""Instead of 0, which clients write for "the best token alone"."""
_THINKING: Final = {"none": 0, "minimal": 0, "low": 256, "medium": 1024, "high": 4096}


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Part(_Read):
    type: str
    text: str | None = None


class _CalledFunction(_Read):
    name: str
    arguments: str = "{}"


class _Called(_Read):
    function: _CalledFunction


class _Message(_Read):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Called] | None = None


class _Function(_Read):
    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Tool(_Read):
    type: Literal["function"]
    function: _Function


class _Named(_Read):
    type: Literal["function"]
    function: _CalledFunction


class _Schema(_Read):
    schema_: dict[str, Any] = Field(alias="schema")


class _Format(_Read):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _Schema | None = None


class _StreamOptions(_Read):
    include_usage: bool = False


class _TemplateArguments(_Read):
    enable_thinking: bool = False


class _Request(_Read):
    model: str | None = None
    messages: list[_Message] = Field(min_length=1, max_length=512)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    response_format: _Format | None = None
    tools: Annotated[list[_Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | _Named | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    chat_template_kwargs: _TemplateArguments | None = None
    # What can't be had is refused, not ignored: the client would take the answer for another.
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    top_logprobs: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, and in which form its answer is wanted.

    `tools`: it is to be read as theirs; what is said in it ends before a text of `stop`.
    """

    query: Query
    stream: bool
    usage: bool
    tools: bool
    stop: tuple[str, ...] = ()


def read(data: bytes, model: str) -> Asked:
    """What `data`, a request's JSON, asks of the model called `model`.

    Raises RefusalError for anything that is wrong with it.
    """
    try:
        request = _Request.model_validate_json(data)
    except ValidationError as error:
        raise _invalid(error) from error
    if request.model not in (None, "", model):
        raise no_such_model(request.model, model)
    messages = tuple(_message(message, i) for i, message in enumerate(request.messages))
    if not any(message.content.strip() for message in messages):
        raise RefusalError("all messages are empty; say something", param="messages")
    schema = _schema(request.response_format)
    tools = _tools(request)
    choice = _choice(request, tools)
    offered = bool(tools) and choice != "none"
    if offered:
        messages = offer(messages, tools)
        schema = calling(
            tools, choice, answer=schema, several=request.parallel_tool_calls is not False
        )
    stops = (request.stop,) if isinstance(request.stop, str) else request.stop or ()
    stop = tuple(text for text in stops if text)
    limit = min(request.max_completion_tokens or request.max_tokens or LIMIT, MOST)
    temperature = TEMPERATURE if request.temperature is None else request.temperature
    seed = None if request.seed is None else request.seed % 2**63
    top_p = 1.0 if request.top_p is None else max(request.top_p, _LEAST_TOP_P)
    sampling = Sampling(temperature, top_p, request.min_p or 0.0, seed)
    return Asked(
        Query(
            messages,
            schema=schema,
            limit=limit,
            sampling=sampling,
            stop=() if offered else stop,
            thinking=_thinking(request),
            patient=True,
        ),
        stream=bool(request.stream),
        usage=request.stream_options is not None and request.stream_options.include_usage,
        tools=offered,
        stop=stop if offered else (),
    )


def no_such_model(asked: str, there: str) -> RefusalError:
    """The refusal of a model that is not the one that is `there`."""
    return RefusalError(
        f"there is no model {asked!r} here, only {there!r}",
        status=404,
        param="model",
        code="model_not_found",
    )


def _message(message: _Message, place: int) -> Message:
    role = Role.SYSTEM if message.role == "developer" else Role(message.role)
    if isinstance(message.content, list):
        content = "\n".join(_text(part, place) for part in message.content)
    else:
        content = message.content or ""
    if message.tool_calls:
        calls = [Call(c.function.name, _object(c.function.arguments)) for c in message.tool_calls]
        content = spoken_calls(calls)
    return Message(role, content)


def _text(part: _Part, place: int) -> str:
    if part.type != "text" or part.text is None:
        raise RefusalError(
            f"this model reads text alone, and no {part.type!r}; send parts of type 'text'",
            param=f"messages.{place}.content",
        )
    return part.text


def _object(arguments: str) -> dict[str, Any]:
    try:
        read = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise RefusalError("the arguments of a tool call are no JSON object", param="messages")
    return read


def _schema(wanted: _Format | None) -> dict[str, Any] | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "object"}
    if wanted.json_schema is None:
        raise RefusalError("json_schema is missing", param="response_format")
    return wanted.json_schema.schema_


def _tools(request: _Request) -> tuple[Tool, ...]:
    return tuple(
        Tool(f.name, f.description or "", f.parameters or {"type": "object", "properties": {}})
        for f in (tool.function for tool in request.tools or ())
    )


def _choice(request: _Request, tools: tuple[Tool, ...]) -> Choice:
    choice = request.tool_choice
    if isinstance(choice, _Named):
        if choice.function.name not in {tool.name for tool in tools}:
            raise RefusalError(f"there is no tool {choice.function.name!r}", param="tool_choice")
        return Named(choice.function.name)
    if choice == "required" and not tools:
        raise RefusalError("a tool is required, but there is none", param="tool_choice")
    return choice or "auto"


def _thinking(request: _Request) -> int:
    if request.reasoning_effort is not None:
        return _THINKING[request.reasoning_effort]
    switched_on = request.chat_template_kwargs and request.chat_template_kwargs.enable_thinking
    return _THINKING["medium"] if switched_on else 0


def _invalid(error: ValidationError) -> RefusalError:
    # Of what may be one thing or another, the one that fits furthest is meant.
    problem = max(
        error.errors(include_url=False, include_context=False), key=lambda found: len(found["loc"])
    )
    place = ".".join(str(part) for part in problem["loc"] if not _is_type(part))
    return RefusalError(
        f"{place}: {problem['msg']}" if place else f"the request is wrong: {problem['msg']}",
        param=place or None,
    )


def _is_type(part: int | str) -> bool:
    """Whether a part of a place is no field, but pydantic's name for one of several types."""
    return isinstance(part, str) and (part in ("str", "_Named") or "[" in part)
