"""Many who ask one engine at once, give up, dawdle, let it go: nobody notices the others."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from assistant.llm.decoder import Runtime
from assistant.llm.engine import Engine, EngineSettings
from assistant.llm.model import Message, Query, Role, Sampling
from assistant.llm.quantisation import Quantisation
from tests.llm.fake import build_tiny

SECONDS = 8
QUERIES = 12
SCHEMA = {
    "type": "object",
    "properties": {"lamp": {"type": "string", "maxLength": 300}},
    "required": ["lamp"],
}


def _query(n: int) -> Query:
    home = f"Home {n % 3} " + "lamp in the hall. " * (10 * (n % 3) + 5)
    return Query(
        (Message(Role.SYSTEM, home), Message(Role.USER, f"Question {n}")),
        schema=SCHEMA if n % 4 == 1 else None,
        limit=20 + n % 50,
        sampling=Sampling(temperature=1.0, seed=n) if n % 2 else Sampling(),
        stop=("e",) if n % 7 == 3 else (),
        thinking=30 if n % 5 == 2 else 0,
        patient=n % 3 == 0,
    )


async def _answer(engine: Engine, query: Query) -> str:
    return "".join([piece.text async for piece in engine.generate(query)])


@pytest.mark.slow
@pytest.mark.parametrize("idle", [0.0, 0.02], ids=["kept", "let go"])
async def test_nobody_notices_the_others(tmp_path: Path, idle: float) -> None:
    tiny = build_tiny(tmp_path, context=1024, quantisation=Quantisation(block=32))
    alone = Engine(tiny, EngineSettings(Runtime(context=1024)))
    expected = [await _answer(alone, _query(n)) for n in range(QUERIES)]
    await alone.close()
    settings = EngineSettings(
        Runtime(context=1024), idle=idle, prefixes=tmp_path / "prefixes", prefix_limit=8 << 20
    )
    engine = Engine(tiny, settings)
    dice = random.Random(0)
    end = time.monotonic() + SECONDS

    async def given_up(task: asyncio.Task[object]) -> None:
        await asyncio.sleep(dice.random() * 0.05)
        task.cancel()
        if dice.random() < 0.3:
            await asyncio.sleep(0)
            task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert not isinstance(result, Exception), result

    async def somebody() -> None:
        while time.monotonic() < end:
            n = dice.randrange(QUERIES)
            query = _query(n)
            reading = engine.prepare(query.messages[:1], keep=dice.random() < 0.6)
            match dice.choice(("ask", "ask", "give up", "close", "read", "read half", "rest")):
                case "ask":
                    assert await _answer(engine, query) == expected[n]
                case "give up":
                    await given_up(asyncio.create_task(_answer(engine, query)))
                case "close":
                    said = ""
                    async with aclosing(engine.generate(query)) as pieces:
                        async for piece in pieces:
                            said += piece.text
                            if dice.random() < 0.1:
                                break
                    assert expected[n].startswith(said)
                case "read":
                    await reading
                case "read half":
                    await given_up(asyncio.create_task(reading))
                case "rest":
                    await asyncio.sleep(dice.random() * 0.2)
            reading.close()

    await asyncio.gather(*(somebody() for _ in range(6)))
    async with asyncio.timeout(20):
        assert await _answer(engine, _query(1)) == expected[1]
    await engine.close()
