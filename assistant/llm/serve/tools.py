"""Calls of functions, by a model that knows nothing of them.

The functions are told in the system message, and the answer is held to a JSON schema: either
`{"tool_calls":[{"name":…,"arguments":…},…]}` or `{"content":…}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pydantic_core import from_json

from assistant.llm.grammar import LENIENT
from assistant.llm.model import Message, Role

MOST_CALLS: Final = 16
"""In one answer."""
_TOGETHER: Final = frozenset(
    {"additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames"}
    | {"anyOf", "oneOf", "$ref", "not", "if", "dependentSchemas"}
)
"""What says more of an object's properties than `properties` does."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that may be called; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Named:
    """The one tool that must be called."""

    name: str


Choice = Literal["none", "auto", "required"] | Named


def offer(messages: tuple[Message, ...], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """`messages` with the tools told in the first one, the system's."""
    lines = [
        "You can call these functions:",
        *(
            _json({"name": t.name, "description": t.description, "parameters": t.parameters})
            for t in tools
        ),
        'To call functions, answer {"tool_calls":[{"name":"…","arguments":{…}}]}.',
        'To say something instead, answer {"content":"…"}.',
    ]
    text = "\n".join(lines)
    if messages and messages[0].role is Role.SYSTEM:
        told = f"{messages[0].content}\n\n{text}".lstrip()
        return (replace(messages[0], content=told), *messages[1:])
    return (Message(Role.SYSTEM, text), *messages)


def calling(
    tools: Sequence[Tool],
    choice: Choice,
    *,
    answer: Mapping[str, Any] | None = None,
    several: bool = True,
) -> dict[str, Any]:
    """The schema of an answer that calls `tools`, or says something where `choice` is "auto".

    `answer`: the schema of what is said; None: text. `several`: more than one call at once.
    """
    definitions: dict[str, Any] = {}
    allowed = [t for t in tools if not isinstance(choice, Named) or t.name == choice.name]
    calls = {
        "type": "array",
        "items": {"anyOf": [_call(tool, definitions) for tool in allowed]},
        "minItems": 1,
        "maxItems": MOST_CALLS if several else 1,
    }
    alternatives = [_object({"tool_calls": calls})]
    if choice == "auto":
        said = {"type": "string"} if answer is None else _hoisted(answer, "answer", definitions)
        alternatives.append(_object({"content": said}))
    schema = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
    # One tool's odd demand must not cost all tools; what is called checks its arguments anyway.
    return {**schema, **({"$defs": definitions} if definitions else {}), **LENIENT}


def spoken_calls(calls: Sequence[Call]) -> str:
    """Calls as the model itself wrote them, for the dialogue so far."""
    return _json({"tool_calls": [{"name": c.name, "arguments": c.arguments} for c in calls]})


class CallReader:
    """Reads an answer made by `calling`, as it comes."""

    def __init__(self) -> None:
        self._text = ""
        self._told = 0

    def feed(self, text: str) -> str:
        """What is said and was not returned before."""
        self._text += text
        content = self._so_far().get("content")
        if not isinstance(content, str):
            return ""
        new = content[self._told :]
        self._told = len(content)
        return new

    def end(self) -> tuple[str, tuple[Call, ...]]:
        """What is said that `feed` did not return, and the calls; one that was cut off is none."""
        try:
            answer = from_json(self._text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            # A model that heeds no schema has said it in plain words, unless it was cut short.
            return ("" if self._told or self._text.lstrip().startswith("{") else self._text), ()
        content = answer.get("content", "")
        calls = tuple(
            Call(call["name"], call["arguments"])
            for call in answer.get("tool_calls", ())
            if isinstance(call, dict) and {"name", "arguments"} <= call.keys()
        )
        return (content[self._told :] if isinstance(content, str) else _json(content)), calls

    def _so_far(self) -> Mapping[str, Any]:
        try:
            answer = from_json(self._text, allow_partial="trailing-strings")
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}


def _call(tool: Tool, definitions: dict[str, Any]) -> dict[str, Any]:
    arguments = _hoisted(_closed(tool.parameters), f"tool.{tool.name}", definitions)
    return _object({"name": {"const": tool.name}, "arguments": arguments})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _hoisted(schema: Any, owner: str, definitions: dict[str, Any]) -> Any:
    """`schema` as a part of another: where it has references, which count from the root, as one of
    its definitions.
    """
    bare = {key: value for key, value in schema.items() if key not in ("$schema", "$id")}
    redirected = _redirected(bare, f"#/$defs/{owner}")
    if redirected == bare:
        return bare
    definitions[owner] = redirected
    return {"$ref": f"#/$defs/{owner}"}


def _redirected(value: Any, root: str) -> Any:
    match value:
        case {"$ref": str(target), **rest}:
            target = root + target[1:] if target.startswith("#") else target
            return {"$ref": target, **{k: _redirected(v, root) for k, v in rest.items()}}
        case dict():
            return {key: _redirected(member, root) for key, member in value.items()}
        case list():
            return [_redirected(member, root) for member in value]
        case _:
            return value


def _closed(schema: Any) -> Any:
    """`schema` without arguments that it does not name, unless it says that there are others.

    Most tools' schemas say neither; a model would go on inventing. Parts that describe one object
    together stay as they are: each knows only some of its properties.
    """
    if not isinstance(schema, Mapping) or "allOf" in _json(schema):
        return schema
    return _without_others(schema)


def _without_others(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    named = isinstance(schema.get("properties"), Mapping)
    if named and not schema.keys().isdisjoint(_TOGETHER):
        return schema
    closed = dict(schema)
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            closed[key] = {name: _without_others(member) for name, member in value.items()}
        elif key in ("anyOf", "oneOf", "prefixItems") and isinstance(value, list):
            closed[key] = [_without_others(member) for member in value]
        elif key == "items":
            closed[key] = _without_others(value)
    return {**closed, "additionalProperties": False} if named else closed


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
