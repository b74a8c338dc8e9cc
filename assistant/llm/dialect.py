"""How servers that call themselves OpenAI-compatible want to be asked.

They agree on messages, `max_tokens`, `stop` and streaming; on little else. We ask for everything,
and leave out what a server refuses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from assistant.llm.cleaning import whole
from assistant.llm.model import Message, Query, Role

_EMPTY_THOUGHT: Final = "<think>\n\n</think>\n\n"


class Shape(IntEnum):
    """How an answer is held to a schema, the surest first."""

    JSON_SCHEMA = 0
    """OpenAI's `response_format`, which vLLM, llama.cpp and Ollama have too."""
    GUIDED = 1
    """vLLM's own: `structured_outputs`, before 0.12 `guided_json`."""
    JSON_OBJECT = 2
    """Some JSON; the schema is told in the prompt."""
    TOLD = 3
    """The prompt alone."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is asked of a server; what it refused before is left out."""

    shape: Shape = Shape.JSON_SCHEMA
    logprobs: bool = True
    min_p: bool = True
    switch: bool = True
    """Thinking is switched by an argument of the chat template, as of Qwen3."""
    prefill: bool | None = None
    """Thinking is prevented by beginning the answer with an empty thought, for templates that know
    no switch, as MiMo's. None: not tried yet; False: the server does not take that."""


def body(query: Query, dialect: Dialect) -> dict[str, Any]:
    """The JSON of the request, the model's name left out."""
    told = query.schema if dialect.shape >= Shape.JSON_OBJECT else None
    asked: dict[str, Any] = {
        "messages": [_message(m) for m in _telling(query.messages, told)],
        "stream": True,
        "max_tokens": query.limit + query.thinking,
        "temperature": query.sampling.temperature,
        "top_p": query.sampling.top_p,
    }
    if query.stop:
        asked["stop"] = list(query.stop)
    if query.sampling.seed is not None:
        asked["seed"] = query.sampling.seed
    if query.sampling.min_p and dialect.min_p:
        asked["min_p"] = query.sampling.min_p
    if dialect.logprobs:
        asked |= {"logprobs": True, "top_logprobs": 1}
    if dialect.switch:
        asked["chat_template_kwargs"] = {"enable_thinking": query.thinking > 0}
    if dialect.prefill and not query.thinking:
        asked["messages"].append({"role": "assistant", "content": _EMPTY_THOUGHT})
        asked |= {"add_generation_prompt": False, "continue_final_message": True}
    return asked | (_shape(query, dialect.shape) if query.schema is not None else {})


def simpler(dialect: Dialect, query: Query, complaint: str) -> Dialect | None:
    """What to ask instead after a refusal with these words; None when nothing is left to leave out.

    What the words name goes first, then the schema's shape, then everything that is optional.
    """
    words = complaint.lower()
    if dialect.logprobs and "logprob" in words:
        return replace(dialect, logprobs=False)
    if dialect.min_p and "min_p" in words:
        return replace(dialect, min_p=False)
    if dialect.prefill and not query.thinking:
        return replace(dialect, prefill=False)
    if dialect.switch and ("chat_template_kwargs" in words or "enable_thinking" in words):
        return replace(dialect, switch=False)
    if query.schema is not None and dialect.shape < Shape.TOLD:
        return replace(dialect, shape=Shape(dialect.shape + 1))
    if dialect.logprobs or dialect.min_p or dialect.switch:
        return replace(dialect, logprobs=False, min_p=False, switch=False)
    return None


def _shape(query: Query, shape: Shape) -> dict[str, Any]:
    schema = query.schema
    match shape:
        case Shape.JSON_SCHEMA:
            named = {"name": "answer", "strict": True, "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case Shape.GUIDED:
            return {"structured_outputs": {"json": schema}, "guided_json": schema}
        case Shape.JSON_OBJECT:
            return {"response_format": {"type": "json_object"}}
        case Shape.TOLD:
            return {}


def _telling(messages: tuple[Message, ...], schema: Any) -> tuple[Message, ...]:
    if schema is None:
        return messages
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    rule = f"Answer with JSON of this schema, and with nothing else: {text}"
    if messages and messages[0].role is Role.SYSTEM:
        first = replace(messages[0], content=f"{messages[0].content}\n\n{rule}")
        return (first, *messages[1:])
    return (Message(Role.SYSTEM, rule), *messages)


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role.value, "content": whole(message.content)}
