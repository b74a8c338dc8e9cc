"""The engine as those who ask it meet it, on a tiny random model and on SmolLM2."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import shutil
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import LlmError, QueryError
from assistant.llm import memory, sandbox
from assistant.llm.decoder import Decoder, Rows, Runtime
from assistant.llm.directory import ModelDirectory
from assistant.llm.engine import Engine, EngineSettings
from assistant.llm.model import Finish, Message, Piece, Query, Role, Sampling
from assistant.llm.quantisation import Quantisation
from assistant.llm.texts import read_tokenizer
from assistant.llm.worker import Worker
from tests.llm.fake import build_tiny
from tests.support.smollm2 import smollm2

RULES = Message(Role.SYSTEM, "You answer questions about a home with many lamps. " * 6)
WEATHER = Message(Role.USER, "Is it going to rain?")
CHATTY = Sampling(temperature=1.0, seed=7)
"""A random model goes on with it, and says something else at each word."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelDirectory:
    """A random model with an MTP layer."""
    folder = tmp_path_factory.mktemp("tiny")
    return build_tiny(folder, context=2048, quantisation=Quantisation(block=32))


@pytest.fixture
async def engine(tiny: ModelDirectory, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine on it that keeps prefixes."""
    engine = Engine(tiny, EngineSettings(Runtime(context=2048), prefixes=tmp_path / "prefixes"))
    yield engine
    await engine.close()


async def _pieces(engine: Engine, *messages: Message, **query: Any) -> list[Piece]:
    return [piece async for piece in engine.generate(Query(messages, **query))]


async def _text(engine: Engine, *messages: Message, **query: Any) -> str:
    return "".join(piece.text for piece in await _pieces(engine, *messages, **query))


def _decoder(engine: Engine) -> Decoder:
    decoder = engine._worker.decoder
    assert decoder is not None
    return decoder


def _passes(engine: Engine) -> int:
    return _decoder(engine).passes


def _sequence(engine: Engine) -> Sequence[int]:
    return _decoder(engine).tokens


async def test_an_answer_comes_piece_by_piece(engine: Engine) -> None:
    pieces = await _pieces(engine, RULES, WEATHER, limit=30, sampling=CHATTY)
    assert pieces[-1].finish is Finish.LENGTH
    assert all(piece.finish is None for piece in pieces[:-1])
    assert sum(piece.tokens for piece in pieces) == 30
    assert all(piece.logprob < 0 for piece in pieces if piece.chosen)
    again = await _text(engine, RULES, WEATHER, limit=30, sampling=CHATTY)
    assert again == "".join(piece.text for piece in pieces)


async def test_a_schema_is_obeyed(engine: Engine) -> None:
    schema = {
        "type": "object",
        "properties": {"lamp": {"enum": ["kitchen", "hall"]}, "on": {"type": "boolean"}},
        "required": ["lamp", "on"],
        "additionalProperties": False,
    }
    for seed in range(5):
        text = await _text(
            engine, WEATHER, schema=schema, sampling=Sampling(temperature=2.0, seed=seed)
        )
        answer = json.loads(text)
        assert answer["lamp"] in ("kitchen", "hall")
        assert isinstance(answer["on"], bool)


async def test_stop_texts_end_the_answer(engine: Engine) -> None:
    whole = await _text(engine, WEATHER, limit=40, sampling=CHATTY)
    stop = whole[10:13]
    pieces = await _pieces(engine, WEATHER, limit=40, sampling=CHATTY, stop=(stop,))
    assert "".join(p.text for p in pieces) == whole[: whole.index(stop)]
    assert pieces[-1].finish is Finish.STOP


@pytest.mark.parametrize("drafting", [True, False])
async def test_an_answer_does_not_depend_on_what_was_asked_before(
    tiny: ModelDirectory, tmp_path: Path, drafting: bool
) -> None:
    """What is reused of earlier prompts is what would have been computed."""
    runtime = Runtime(context=2048, drafting=drafting)
    engine = Engine(tiny, EngineSettings(runtime, prefixes=tmp_path))
    questions = [Message(Role.USER, text) for text in ("Is it late?", "Is it late now?", "Why?")]
    fresh = []
    for question in questions:
        other = Engine(tiny, EngineSettings(runtime))
        fresh.append(await _text(other, RULES, question, limit=20, sampling=CHATTY))
        await other.close()
    await engine.prepare([RULES], keep=True)
    for _ in range(2):
        for question, expected in zip(questions, fresh, strict=True):
            await _text(engine, question, limit=3)  # something else takes the place
            await engine.prepare([RULES, Message(Role.USER, "Is it")])
            found = await _text(engine, RULES, question, limit=20, sampling=CHATTY)
            assert found == expected
    await engine.close()


async def test_a_kept_prefix_is_computed_once(
    engine: Engine, tiny: ModelDirectory, tmp_path: Path
) -> None:
    await engine.prepare([RULES], keep=True)
    once = _passes(engine)
    assert once > 1
    await engine.prepare([RULES], keep=True)
    assert _passes(engine) == once
    await _text(engine, WEATHER, limit=2)
    before = _passes(engine)
    await _text(engine, RULES, WEATHER, limit=1)
    assert _passes(engine) == before + 1  # restored: only the question is read
    await engine.close()

    later = Engine(tiny, EngineSettings(Runtime(context=2048), prefixes=tmp_path / "prefixes"))
    await later.prepare([RULES], keep=True)
    assert _passes(later) == 0  # read from the disk
    await later.close()


async def test_a_damaged_prefix_is_computed_anew(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.prepare([RULES], keep=True)
    expected = await _text(engine, RULES, WEATHER, limit=10, sampling=CHATTY)
    (file,) = (tmp_path / "prefixes").glob("*.kv")
    content = bytearray(file.read_bytes())
    content[-5000] ^= 255
    file.write_bytes(content)
    await _text(engine, WEATHER, limit=2)
    assert await _text(engine, RULES, WEATHER, limit=10, sampling=CHATTY) == expected
    assert "damaged" in caplog.text
    await _text(engine, WEATHER, limit=2)
    await engine.prepare([RULES], keep=True)
    assert await _text(engine, RULES, WEATHER, limit=10, sampling=CHATTY) == expected


async def test_whoever_asks_goes_before_what_is_read_ahead() -> None:
    """A question in the midst of a long reading is answered first; the reading goes on after."""
    engine = Engine(smollm2(), EngineSettings(Runtime(context=2048)))
    await engine.load()
    long = Message(Role.SYSTEM, "The lamp in the hall is one of many lamps. " * 50)
    reading = asyncio.create_task(engine.prepare([long], keep=True))
    while not _passes(engine):  # noqa: ASYNC110  # the engine tells nobody
        await asyncio.sleep(0.005)
    assert not reading.done()
    await _text(engine, WEATHER, limit=3)
    assert not reading.done()
    await reading
    read = _passes(engine)
    await _text(engine, long, WEATHER, limit=1)
    assert _passes(engine) == read + 1
    await engine.close()


async def test_closing_an_answer_cancels_it(engine: Engine) -> None:
    await engine.load()
    answer = engine.generate(Query((WEATHER,), limit=1500, sampling=CHATTY))
    await anext(answer)
    await answer.aclose()
    passes = _passes(engine)
    await asyncio.sleep(0.1)
    assert _passes(engine) == passes < 1500
    assert await _text(engine, WEATHER, limit=3, sampling=CHATTY)


async def test_questions_wait_for_each_other(engine: Engine) -> None:
    questions = [Message(Role.USER, f"Question {n}") for n in range(4)]
    alone = [await _text(engine, q, limit=12, sampling=CHATTY) for q in questions]
    together = await asyncio.gather(
        *(_text(engine, q, limit=12, sampling=CHATTY) for q in questions)
    )
    assert list(together) == alone


async def test_a_task_cancelled_while_it_waits_leaves_the_others(engine: Engine) -> None:
    first = asyncio.create_task(_text(engine, WEATHER, limit=200, sampling=CHATTY))
    second = asyncio.create_task(_text(engine, RULES, limit=200, sampling=CHATTY))
    await asyncio.sleep(0.05)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert await first
    assert await _text(engine, WEATHER, limit=3, sampling=CHATTY)


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ((), LlmError),
        ((Message(Role.USER, "word " * 5000),), QueryError),
    ],
)
async def test_what_can_not_be_answered_is_said(
    engine: Engine, messages: tuple[Message, ...], error: type[LlmError]
) -> None:
    with pytest.raises(error):
        await _text(engine, *messages)
    assert await _text(engine, WEATHER, limit=3, sampling=CHATTY)


@pytest.mark.parametrize("content", ["", " ", "\ud800", "a\udfffb", "\0", "🙂" * 50, "<|im_end|>"])
async def test_any_text_can_be_said_to_it(engine: Engine, content: str) -> None:
    assert await _text(engine, Message(Role.USER, content), limit=5, sampling=CHATTY) is not None


async def test_thinking_is_bounded_and_not_shown(engine: Engine) -> None:
    """A random model never ends a thought by itself."""
    await _text(engine, WEATHER, limit=10, sampling=CHATTY)
    without = len(_sequence(engine))
    text = await _text(engine, WEATHER, limit=10, thinking=25, sampling=CHATTY)
    assert "<think>" not in text
    assert "</think>" not in text
    # The empty thought of before had as many marks and line ends, but nothing in between.
    assert without + 25 - 3 <= len(_sequence(engine)) <= without + 25 + 3


async def test_an_unused_model_is_let_go(
    tiny: ModelDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine = Engine(tiny, EngineSettings(Runtime(context=512), idle=0.2))
    first = await _text(engine, WEATHER, limit=5, sampling=CHATTY)
    assert engine.loaded
    await _let_go(engine)
    assert await _text(engine, WEATHER, limit=5, sampling=CHATTY) == first
    await engine.close()


async def test_it_refuses_rather_than_fill_the_memory(
    tiny: ModelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    engine = Engine(tiny, EngineSettings(Runtime(context=512)))
    with pytest.raises(LlmError, match="free"):
        await _text(engine, WEATHER)
    monkeypatch.undo()
    assert await _text(engine, WEATHER, limit=3, sampling=CHATTY)
    await engine.close()


async def test_what_is_not_loaded_is_not_demanded(
    tiny: ModelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, least = (memory.demand(tiny, 512, drafting=drafting) for drafting in (True, False))
    monkeypatch.setattr(memory, "available", lambda: (most + least) // 2 + memory._SPARE)
    for drafting in (True, False):
        engine = Engine(tiny, EngineSettings(Runtime(context=512, drafting=drafting)))
        with pytest.raises(LlmError, match="free") if drafting else nullcontext():
            await engine.load()
        await engine.close()


@pytest.mark.parametrize("file", ["trunk.onnx", "head.onnx", "tokenizer.json"])
async def test_damaged_files_are_named(tmp_path: Path, file: str) -> None:
    directory = build_tiny(tmp_path)
    (directory.folder / file).write_bytes(b"\0" * 100)
    engine = Engine(directory, EngineSettings())
    with pytest.raises(LlmError, match=f"{file}.*anew"):
        await _text(engine, WEATHER)
    await engine.close()


async def test_a_template_that_never_ends_is_refused_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was changed after it was built: the build would not have taken it."""
    monkeypatch.setattr(sandbox, "SECONDS", 0.1)
    directory = build_tiny(tmp_path)
    path = directory.folder / "chat_template.jinja"
    endless = "{% for i in range(9999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    path.write_text(endless.ljust(path.stat().st_size))
    engine = Engine(directory, EngineSettings())
    with pytest.raises(LlmError, match=r"jinja: .* more than 0\.1 s; build another"):
        await engine.load()
    await engine.close()


async def test_an_unknown_provider_is_refused(tiny: ModelDirectory) -> None:
    runtime = Runtime(providers=("NoSuchProvider",))
    engine = Engine(tiny, EngineSettings(runtime))
    with pytest.raises(LlmError, match="CPUExecutionProvider"):
        await engine.load()
    await engine.close()


async def test_closed_is_closed(engine: Engine) -> None:
    await _text(engine, WEATHER, limit=2)
    await engine.close()
    with pytest.raises(LlmError, match="shut down"):
        await _text(engine, WEATHER)


async def test_smollm2_answers() -> None:
    """A real model: what it says is language, and right. Let go, it leaves its memory to others."""
    engine = Engine(smollm2(), EngineSettings(Runtime(context=1024), idle=0.2))
    question = Message(Role.USER, "What is the capital of France? Answer with one word.")
    assert "Paris" in await _text(engine, question, limit=20)
    assert engine.weak
    taken = _memory()
    await _let_go(engine)
    deadline = time.monotonic() + 30
    while _memory() > taken - 100_000:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await engine.close()


def _memory() -> int:
    """Kilobytes that this process has of its own."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1])


async def _let_go(engine: Engine) -> None:
    deadline = time.monotonic() + 30
    while engine.loaded:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def _begun() -> None:
    """Let tasks that were just created run until they wait for the worker."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_answer_given_up_while_the_model_loads_is_not_begun(engine: Engine) -> None:
    answer = asyncio.create_task(_text(engine, RULES, WEATHER, limit=1000, sampling=CHATTY))
    await _begun()
    answer.cancel()
    await asyncio.gather(answer, return_exceptions=True)
    assert answer.cancelled()
    assert engine.loaded
    assert _passes(engine) == 0
    assert await _text(engine, WEATHER, limit=3, sampling=CHATTY)


async def test_closing_while_the_model_loads_ends_what_waits_for_it(engine: Engine) -> None:
    answer = asyncio.create_task(_text(engine, RULES, WEATHER, limit=1000, sampling=CHATTY))
    reading = asyncio.create_task(engine.prepare([RULES], keep=True))
    await _begun()
    await engine.close()
    for task in (answer, reading):
        with pytest.raises(LlmError):
            await task
    assert not engine.loaded


async def test_whoever_asks_while_the_model_loads_goes_before_what_is_read_ahead(
    engine: Engine,
) -> None:
    long = Message(Role.SYSTEM, "The lamp in the hall. " * 60)
    reading = asyncio.create_task(engine.prepare([long], keep=True))
    await _begun()
    await _text(engine, WEATHER, limit=1, sampling=CHATTY)
    assert not reading.done()
    await reading
    read = _passes(engine)
    await _text(engine, long, WEATHER, limit=1, sampling=CHATTY)
    assert _passes(engine) == read + 1


@pytest.mark.parametrize("free", [1 << 40, 1 << 20])
def test_what_is_read_ahead_is_copied_only_where_there_is_memory_for_it(
    tiny: ModelDirectory, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    """When it has to wait: where there is none, it is read again from its beginning."""
    worker = Worker(tiny, Runtime(context=2048), None)
    reading = worker.prompt([RULES], keep=True)
    assert worker.read(reading, keep=True)
    assert worker.decoder is not None
    monkeypatch.setattr(memory, "available", lambda: free)
    worker.decoder.cancel()
    reading.tokens += [1, 2, 3]
    assert not worker.read(reading, keep=True)
    assert (reading.copy is not None) == (free == 1 << 40)
    worker.close()


async def test_whoever_dawdles_over_an_answer_keeps_nobody_waiting(engine: Engine) -> None:
    slow = engine.generate(Query((WEATHER,), limit=5, sampling=CHATTY))
    first = await anext(slow)
    async with asyncio.timeout(20):
        assert await _text(engine, RULES, limit=3, sampling=CHATTY)
        await engine.prepare([RULES], keep=True)
    rest = [piece async for piece in slow]
    assert sum(piece.tokens for piece in [first, *rest]) == 5


async def test_an_answer_given_up_twice_is_given_up(engine: Engine) -> None:
    """As when its time is over and the house is shut down in the same moment."""
    await engine.load()
    answer = asyncio.create_task(_text(engine, WEATHER, limit=1500, sampling=CHATTY))
    await _begun()
    answer.cancel()
    await asyncio.sleep(0)
    answer.cancel()
    await asyncio.gather(answer, return_exceptions=True)
    assert await _text(engine, WEATHER, limit=3, sampling=CHATTY)
    assert _passes(engine) < 500


async def test_between_a_thought_and_its_answer_is_an_empty_line(engine: Engine) -> None:
    """Also after a thought that ended by itself: so it was in training, whatever the grammar."""
    tokenizer = read_tokenizer(engine.directory)
    by_itself = []
    for seed in (1, 13, 40):
        chance = Sampling(temperature=1.0, seed=seed)
        await _text(engine, WEATHER, limit=20, thinking=150, sampling=chance, schema=_LAMP)
        text = tokenizer.decode(_sequence(engine), skip_special_tokens=False)
        _, _, thought = text.rpartition("<think>")
        thought, end, answer = thought.partition("</think>")
        assert end
        assert answer.startswith('\n\n{"lamp"')
        by_itself.append(not thought.endswith("\n"))
    assert set(by_itself) == {False, True}


@pytest.mark.parametrize(("limit", "least"), [(20, 20), (4096, 80)])
async def test_a_thought_leaves_room_for_the_answer(
    tiny: ModelDirectory, limit: int, least: int
) -> None:
    engine = Engine(tiny, EngineSettings(Runtime(context=256)))
    chance = Sampling(temperature=1.0, seed=3)  # with which neither ends by itself
    pieces = await _pieces(engine, WEATHER, limit=limit, thinking=4096, sampling=chance)
    assert sum(piece.tokens for piece in pieces) >= least
    assert len(_sequence(engine)) > 256 - 100
    await engine.close()


async def test_a_model_that_was_built_anew_is_read_anew(tmp_path: Path) -> None:
    """Nothing of what the old one computed is taken for the new one's."""
    settings = EngineSettings(Runtime(context=512), idle=0.05, prefixes=tmp_path / "prefixes")
    old = build_tiny(tmp_path / "model", quantisation=Quantisation(block=32))
    engine = Engine(old, settings)
    await engine.prepare([RULES], keep=True)
    before = await _text(engine, RULES, WEATHER, limit=10, sampling=CHATTY)
    await _let_go(engine)
    shutil.rmtree(tmp_path / "model")
    new = build_tiny(tmp_path / "model", seed=1, quantisation=Quantisation(block=32))
    fresh = Engine(new, EngineSettings(Runtime(context=512)))
    expected = await _text(fresh, RULES, WEATHER, limit=10, sampling=CHATTY)
    assert expected != before
    assert await _text(engine, RULES, WEATHER, limit=10, sampling=CHATTY) == expected
    await engine.prepare([RULES], keep=True)
    assert await _text(engine, RULES, WEATHER, limit=10, sampling=CHATTY) == expected
    await engine.close()
    await fresh.close()


_LAMP = {
    "type": "object",
    "properties": {"lamp": {"type": "string", "maxLength": 300}},
    "required": ["lamp"],
}


@pytest.mark.parametrize(
    "asked",
    [
        {"sampling": CHATTY},
        {"sampling": Sampling()},
        {"sampling": CHATTY, "schema": _LAMP},
        {"sampling": CHATTY, "thinking": 100},
    ],
    ids=["sampled", "greedy", "schema", "thinking"],
)
async def test_who_is_patient_waits_even_in_the_midst_of_an_answer(
    engine: Engine, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then goes on as if nobody had come between."""
    alone = await _text(engine, RULES, WEATHER, limit=300, **asked)
    loop, passes = asyncio.get_running_loop(), itertools.count(1)
    midst, others = asyncio.Event(), threading.Semaphore(0)

    def append(decoder: Decoder, tokens: Sequence[int]) -> Rows:
        """Each third pass of the patient answer, known by its length, waits for others to ask."""
        rows = real(decoder, tokens)
        if len(decoder.tokens) > 100 and next(passes) % 3 == 0:
            loop.call_soon_threadsafe(midst.set)
            assert others.acquire(timeout=30)
        return rows

    real = Decoder.append
    monkeypatch.setattr(Decoder, "append", append)
    patient = asyncio.create_task(_text(engine, RULES, WEATHER, limit=300, patient=True, **asked))
    for _ in range(5):
        async with asyncio.timeout(20):
            await midst.wait()
        midst.clear()
        pressing = asyncio.create_task(_text(engine, WEATHER, limit=2, sampling=CHATTY))
        await _begun()
        others.release()
        assert await pressing
        assert not patient.done()
    others.release(300)
    assert await patient == alone


async def test_patient_ones_can_be_given_up_while_they_wait(engine: Engine) -> None:
    await engine.load()
    asked = Query((RULES,), _LAMP, limit=500, sampling=CHATTY, patient=True)
    patient = engine.generate(asked)
    await anext(patient)
    pressing = asyncio.create_task(_text(engine, WEATHER, limit=100, sampling=CHATTY))
    await _begun()
    await patient.aclose()
    assert not pressing.done()
    assert await pressing
    waiting = asyncio.create_task(_text(engine, RULES, limit=500, sampling=CHATTY, patient=True))
    await _begun()
    await engine.close()
    with pytest.raises(LlmError):
        await waiting
