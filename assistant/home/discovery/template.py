"""Jinja templates from the network, rendered within bounds.

Jinja's own sandbox keeps a template from our objects, not from our processor's time and memory
(`{{ 'x' * 10**9 }}`, loops, doubling a string twenty times). So Jinja only parses here; the tree is
walked by the small interpreter below, in which there is nothing to escape to: values are those of
JSON, attributes are keys, and every value made or looked through is paid for from a budget.

What devices use is there: expressions, conditions, `set`, and Home Assistant's filters. Loops,
macros, includes, powers and the state machine are not.
"""

from __future__ import annotations

import contextlib
import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Environment, TemplateSyntaxError, nodes

from assistant.errors import DiscoveryError
from assistant.home.discovery import filters
from assistant.home.discovery.value import (
    UNDEFINED,
    NoValueError,
    TemplateError,
    text_of,
    weight,
)

SOURCE_LIMIT: Final = 4096
"""Characters of a template."""
OUTPUT_LIMIT: Final = 16384
"""Characters of what it renders."""
STEP_LIMIT: Final = 1000
"""Nodes visited in one rendering."""
WORK_LIMIT: Final = 300_000
"""Weight (see `value.weight`) of all values handled in one rendering: some 60 ms at the worst."""
INPUT_LIMIT: Final = 262144
"""Characters of a payload that a template is given."""

# Parses only: nothing of it is ever executed.
_PARSER: Final = Environment(autoescape=False)  # noqa: S701


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template. Make one with `parse`."""

    source: str
    _tree: nodes.Template

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text it makes of `variables` (values of JSON), trimmed.

        Raises NoValueError when the template says that there is no value, TemplateError when it
        fails or goes beyond a limit.
        """
        run = _Run(dict(variables))
        try:
            run.body(self._tree.body)
            return run.output().strip()
        except RecursionError:
            raise TemplateError("the template is nested too deeply") from None
        except TemplateError:
            raise
        except (ArithmeticError, ValueError, TypeError, LookupError) as error:
            raise TemplateError(f"{type(error).__name__}: {error}"[:200]) from error


def parse(source: str) -> Template:
    """Parse a template. Raises DiscoveryError when it is too long or not Jinja."""
    if len(source) > SOURCE_LIMIT:
        raise DiscoveryError(f"a template of {len(source)} characters is too long")
    try:
        return Template(source, _PARSER.parse(source))
    except TemplateSyntaxError as error:
        raise DiscoveryError(f"template: {error.message}"[:200]) from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise DiscoveryError(f"template: {type(error).__name__}") from error


def render_value(template: Template | None, payload: str) -> str:
    """A payload through a value template; `value` is the text, `value_json` what it decodes to."""
    if template is None:
        return payload
    if len(payload) > INPUT_LIMIT:
        raise TemplateError(f"a payload of {len(payload)} characters is too long for a template")
    variables: dict[str, Any] = {"value": payload}
    # Where it is not JSON there is no value_json, and a template that wants it says so.
    with contextlib.suppress(ValueError, RecursionError):
        variables["value_json"] = json.loads(payload)
    return template.render(variables)


class _Run:
    """One rendering: its variables, its output so far, the steps it may still take."""

    def __init__(self, variables: dict[str, Any]) -> None:
        self._variables = variables
        self._parts: list[str] = []
        self._length = 0
        self._steps = STEP_LIMIT
        self._work = WORK_LIMIT

    def output(self) -> str:
        return "".join(self._parts)

    def body(self, statements: list[nodes.Node]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: nodes.Node) -> None:
        self._step()
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                self._write(text_of(self._paid(self._value(part))))
        elif isinstance(node, nodes.If):
            self._if(node)
        elif isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
            self._variables[node.target.name] = self._value(node.node)
        else:
            raise TemplateError(f"{type(node).__name__.lower()} is not supported")

    def _if(self, node: nodes.If) -> None:
        for branch in (node, *node.elif_):
            if self._value(branch.test):
                self.body(branch.body)
                return
        self.body(node.else_)

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > OUTPUT_LIMIT:
            raise TemplateError("the template writes too much")
        self._parts.append(text)

    def _step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise TemplateError("the template takes too many steps")

    def _paid(self, value: Any) -> Any:
        self._work -= weight(value, self._work)
        return value

    def _value(self, node: nodes.Node) -> Any:
        self._step()
        evaluate = _EVALUATE.get(type(node))
        if evaluate is None:
            raise TemplateError(f"{type(node).__name__.lower()} is not supported")
        return evaluate(self, node)

    # One method per kind of expression; what is not here does not exist.

    def _const(self, node: nodes.Const) -> Any:
        return self._paid(node.value)

    def _template_data(self, node: nodes.TemplateData) -> Any:
        return node.data

    def _name(self, node: nodes.Name) -> Any:
        return self._variables.get(node.name, UNDEFINED)

    def _list(self, node: nodes.List | nodes.Tuple) -> Any:
        return self._paid([self._value(item) for item in node.items])

    def _dict(self, node: nodes.Dict) -> Any:
        pairs = [(self._value(p.key), self._value(p.value)) for p in node.items]
        for key, _ in pairs:
            if not isinstance(key, str | int | float | bool | None):
                raise TemplateError("a key must be a text or a number")
        return self._paid(dict(pairs))

    def _condition(self, node: nodes.CondExpr) -> Any:
        if self._value(node.test):
            return self._value(node.expr1)
        return UNDEFINED if node.expr2 is None else self._value(node.expr2)

    def _and(self, node: nodes.And) -> Any:
        return self._value(node.left) and self._value(node.right)

    def _or(self, node: nodes.Or) -> Any:
        return self._value(node.left) or self._value(node.right)

    def _not(self, node: nodes.Not) -> Any:
        return not self._value(node.node)

    def _negated(self, node: nodes.Neg) -> Any:
        return -filters.number(self._value(node.node))

    def _positive(self, node: nodes.Pos) -> Any:
        return filters.number(self._value(node.node))

    def _concat(self, node: nodes.Concat) -> Any:
        parts = [text_of(self._paid(self._value(part))) for part in node.nodes]
        return self._paid("".join(parts))

    def _add(self, node: nodes.Add) -> Any:
        left, right = self._value(node.left), self._value(node.right)
        if isinstance(left, str) and isinstance(right, str):
            return self._paid(left + right)
        if isinstance(left, list) and isinstance(right, list):
            return self._paid([*left, *right])
        return self._paid(filters.number(left) + filters.number(right))

    def _arithmetic(self, node: nodes.BinExpr) -> Any:
        # Numbers only: a text times a number is how a page becomes a gigabyte.
        left, right = (
            filters.number(self._value(node.left)),
            filters.number(self._value(node.right)),
        )
        return self._paid(_ARITHMETIC[type(node)](left, right))

    def _compare(self, node: nodes.Compare) -> Any:
        left = self._paid(self._value(node.expr))
        for operand in node.ops:
            right = self._paid(self._value(operand.expr))
            if not _COMPARE[operand.op](left, right):
                return False
            left = right
        return True

    def _getattr(self, node: nodes.Getattr) -> Any:
        return _lookup(self._value(node.node), node.attr)

    def _getitem(self, node: nodes.Getitem) -> Any:
        container = self._value(node.node)
        if isinstance(node.arg, nodes.Slice):
            if not isinstance(container, str | list):
                raise TemplateError("only texts and lists have parts")
            bounds = (node.arg.start, node.arg.stop, node.arg.step)
            found = [None if bound is None else self._value(bound) for bound in bounds]
            return self._paid(container[slice(*found)])
        return _lookup(container, self._value(node.arg))

    def _filter(self, node: nodes.Filter) -> Any:
        function = filters.FILTERS.get(node.name)
        if function is None or node.node is None:
            raise TemplateError(f"there is no filter {node.name!r}")
        return self._called(function, node, self._value(node.node))

    def _test(self, node: nodes.Test) -> Any:
        function = filters.TESTS.get(node.name)
        if function is None:
            raise TemplateError(f"there is no test {node.name!r}")
        return self._called(function, node, self._value(node.node))

    def _call(self, node: nodes.Call) -> Any:
        if isinstance(node.node, nodes.Name):
            function = filters.FUNCTIONS.get(node.node.name)
            if function is None:
                raise TemplateError(f"there is no function {node.node.name!r}")
            return self._called(function, node)
        if isinstance(node.node, nodes.Getattr):
            target = self._value(node.node.node)
            methods = filters.METHODS.get(type(target), {})
            function = methods.get(node.node.attr)
            if function is not None:
                return self._called(function, node, target)
        raise TemplateError("only functions and methods that are known here can be called")

    def _called(self, function: Callable[..., Any], node: Any, *first: Any) -> Any:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise TemplateError("* and ** are not supported")
        arguments = [self._paid(argument) for argument in first]
        arguments += [self._paid(self._value(argument)) for argument in node.args]
        keywords = {k.key: self._paid(self._value(k.value)) for k in node.kwargs}
        return self._paid(function(*arguments, **keywords))


def _lookup(container: Any, key: Any) -> Any:
    """A member by key or number; what is not there is undefined, as in Jinja."""
    if container is UNDEFINED:
        raise TemplateError("a member of something undefined")
    if isinstance(container, dict) and isinstance(key, str | int | float | bool | None):
        return container.get(key, UNDEFINED)
    if isinstance(container, str | list) and isinstance(key, int):
        return container[key] if -len(container) <= key < len(container) else UNDEFINED
    return UNDEFINED


def _among(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    if isinstance(right, dict):
        return isinstance(left, str | int | float | bool | None) and left in right
    return isinstance(right, list) and left in right


_ARITHMETIC: Final[dict[type[nodes.Node], Callable[[Any, Any], Any]]] = {
    nodes.Sub: operator.sub,
    nodes.Mul: operator.mul,
    nodes.Div: operator.truediv,
    nodes.FloorDiv: operator.floordiv,
    nodes.Mod: operator.mod,
}

_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": _among,
    "notin": lambda left, right: not _among(left, right),
}

_EVALUATE: Final[dict[type[nodes.Node], Callable[[_Run, Any], Any]]] = {
    nodes.Const: _Run._const,
    nodes.TemplateData: _Run._template_data,
    nodes.Name: _Run._name,
    nodes.List: _Run._list,
    nodes.Tuple: _Run._list,
    nodes.Dict: _Run._dict,
    nodes.CondExpr: _Run._condition,
    nodes.And: _Run._and,
    nodes.Or: _Run._or,
    nodes.Not: _Run._not,
    nodes.Neg: _Run._negated,
    nodes.Pos: _Run._positive,
    nodes.Concat: _Run._concat,
    nodes.Add: _Run._add,
    nodes.Sub: _Run._arithmetic,
    nodes.Mul: _Run._arithmetic,
    nodes.Div: _Run._arithmetic,
    nodes.FloorDiv: _Run._arithmetic,
    nodes.Mod: _Run._arithmetic,
    nodes.Compare: _Run._compare,
    nodes.Getattr: _Run._getattr,
    nodes.Getitem: _Run._getitem,
    nodes.Filter: _Run._filter,
    nodes.Test: _Run._test,
    nodes.Call: _Run._call,
}

__all__ = ["NoValueError", "Template", "TemplateError", "parse", "render_value"]
