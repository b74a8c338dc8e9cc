"""A first model that fails, and a second that answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence

import pytest

from assistant.errors import LlmError, QueryError
from assistant.llm.fallback import FallbackModel
from assistant.llm.model import Finish, Message, Piece, Query

from .asking import answer, query


class Model:
    """Says its name, after the failure it is told to have, or before."""

    def __init__(self, name: str, *, weak: bool = False) -> None:
        self.name = name
        self.weak = weak
        self.failure: LlmError | None = None
        self.breaks_off = False
        self.asked = 0
        self.prepared: list[bool] = []
        self.closed = False
        self.generator_closed = False

    async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        self.asked += 1
        try:
            if self.failure and not self.breaks_off:
                raise self.failure
            yield Piece(self.name)
            if self.failure:
                raise self.failure
            yield Piece("!", finish=Finish.STOP)
        finally:
            self.generator_closed = True

    async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        self.prepared.append(keep)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def big() -> Model:
    return Model("big")


@pytest.fixture
def hub() -> Model:
    return Model("hub", weak=True)


async def test_the_first_answers_while_it_can(big: Model, hub: Model) -> None:
    model = FallbackModel(big, hub)
    assert await answer(model, query()) == "big!"
    assert (model.name, model.weak, hub.asked) == ("big", False, 0)


async def test_the_second_answers_until_the_first_is_back(
    big: Model, hub: Model, caplog: pytest.LogCaptureFixture
) -> None:
    model = FallbackModel(big, hub, pause=0.0)
    big.failure = LlmError("big refuses connections")
    for _ in range(3):
        assert await answer(model, query()) == "hub!"
    assert big.asked == 3
    big.failure = None
    for _ in range(3):
        assert await answer(model, query()) == "big!"
    messages = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert messages == ["hub answers from now on: big refuses connections", "big answers again"]


async def test_a_first_that_failed_is_left_alone_for_a_while(big: Model, hub: Model) -> None:
    model = FallbackModel(big, hub, pause=3600.0)
    big.failure = LlmError("down")
    assert await answer(model, query()) == "hub!"
    big.failure = None
    assert await answer(model, query()) == "hub!"
    assert big.asked == 1
    assert (model.name, model.weak) == ("hub", True)


async def test_a_query_that_is_refused_does_not_bring_the_first_down(
    big: Model, hub: Model
) -> None:
    model = FallbackModel(big, hub, pause=3600.0)
    big.failure = QueryError("too long")
    assert await answer(model, query()) == "hub!"
    big.failure = None
    assert await answer(model, query()) == "big!"


async def test_after_its_first_piece_a_failure_is_told(big: Model, hub: Model) -> None:
    model = FallbackModel(big, hub)
    big.failure, big.breaks_off = LlmError("broke off"), True
    generator = model.generate(query())
    assert (await anext(generator)).text == "big"
    with pytest.raises(LlmError, match="broke off"):
        await anext(generator)
    assert hub.asked == 0
    assert await answer(model, query()) == "hub!"


async def test_a_weak_answer_is_known_as_such_while_it_lasts(big: Model, hub: Model) -> None:
    model = FallbackModel(big, hub, pause=0.0)
    big.failure = LlmError("down")
    generator = model.generate(query())
    await anext(generator)
    assert model.weak
    await generator.aclose()
    assert hub.generator_closed
    assert not model.weak


async def test_when_both_fail_the_second_has_the_word(big: Model, hub: Model) -> None:
    big.failure, hub.failure = LlmError("down"), LlmError("no memory")
    with pytest.raises(LlmError, match="no memory"):
        await answer(FallbackModel(big, hub), query())


async def test_what_is_kept_is_prepared_in_both_and_both_are_closed(big: Model, hub: Model) -> None:
    model = FallbackModel(big, hub, pause=3600.0)
    await model.prepare(query().messages, keep=True)
    await model.prepare(query().messages)
    assert (big.prepared, hub.prepared) == ([True, False], [True])
    big.failure = LlmError("down")
    await answer(model, query())
    await model.prepare(query().messages)
    assert (big.prepared, hub.prepared) == ([True, False], [True, False])
    await model.close()
    assert big.closed
    assert hub.closed
