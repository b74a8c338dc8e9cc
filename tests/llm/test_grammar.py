from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from assistant.errors import LlmError, QueryError
from assistant.llm.grammar import Grammars, Matcher
from tests.llm.bytelevel import LLAMA3, LLAMA3_SPECIAL, tokenizer


def known(token: str) -> int:
    number = QWEN.token_to_id(token)
    assert number is not None
    return number


QWEN = tokenizer()
END, OTHER_END = known("<|im_end|>"), known("<|endoftext|>")
WIDTH = QWEN.get_vocab_size() + 37
GRAMMARS = Grammars(QWEN, WIDTH, (END, OTHER_END))

LAMP: dict[str, Any] = {
    "type": "object",
    "properties": {
        "do": {"enum": ["turn_on", "turn_off"]},
        "to": {"type": "array", "items": {"enum": ["light.kitchen", "light.hall"]}, "minItems": 1},
        "brightness": {"type": "integer", "minimum": 0, "maximum": 100},
        "why": {"type": "string", "maxLength": 40},
    },
    "required": ["do", "to", "brightness"],
    "additionalProperties": False,
}


def follow(matcher: Matcher, text: str, tokens: Tokenizer = QWEN) -> bool:
    """Whether `text`, cut as the tokenizer cuts it, goes through."""
    return all(map(matcher.consume, tokens.encode(text, add_special_tokens=False).ids))


def walk(matcher: Matcher, seed: int, *, most: int = 400) -> list[int]:
    """Tokens as random logits choose them, until nothing may follow; forced ones unasked."""
    dice = np.random.default_rng(seed)
    chosen: list[int] = []
    while not matcher.finished and len(chosen) < most:
        if forced := matcher.forced():
            assert all(map(matcher.consume, forced))
            chosen += forced
            continue
        logits = dice.standard_normal(WIDTH).astype(np.float32)
        matcher.mask(logits)
        best = int(np.argmax(logits))
        assert np.isfinite(logits[best])
        assert matcher.consume(best)
        if best not in (END, OTHER_END):
            chosen.append(best)
    return chosen


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('{"do":"turn_on","to":["light.hall"],"brightness":40}', True),
        ('{"do":"turn_on","to":["light.hall","light.kitchen"],"brightness":0,"why":"so"}', True),
        ('{"do": "turn_on"', False),
        ('{"to":["light.hall"],"do":"turn_on"', False),
        ('{"do":"turn_up"', False),
        ('{"do":"turn_on","to":[]', False),
        ('{"do":"turn_on","to":["light.cellar"]', False),
        ('{"do":"turn_on","to":["light.hall"],"brightness":101', False),
        ('{"do":"turn_on","to":["light.hall"],"brightness":-1', False),
        ('{\n"do":"turn_on"', False),
    ],
)
def test_only_compact_json_of_the_schema_goes_through(text: str, fits: bool) -> None:
    matcher = GRAMMARS.compile(LAMP).start()
    assert follow(matcher, text) is fits
    assert matcher.finished is fits


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_the_logits_the_text_is_of_the_schema(seed: int) -> None:
    tokens = walk(GRAMMARS.compile(LAMP).start(), seed)
    data = json.loads(QWEN.decode(tokens, skip_special_tokens=False))
    assert list(data) in (["do", "to", "brightness"], ["do", "to", "brightness", "why"])
    assert data["do"] in ("turn_on", "turn_off")
    assert data["to"]
    assert set(data["to"]) <= {"light.kitchen", "light.hall"}
    assert 0 <= data["brightness"] <= 100
    assert len(data.get("why", "")) <= 40


@pytest.mark.parametrize(
    "tokens",
    [QWEN, tokenizer(LLAMA3_SPECIAL, LLAMA3, normal=False, begin="<|begin_of_text|>")],
    ids=["qwen", "llama3"],
)
def test_forced_tokens_are_those_the_tokenizer_would_have_made(tokens: Tokenizer) -> None:
    end = tokens.get_vocab_size() - 1
    matcher = Grammars(tokens, tokens.get_vocab_size(), (end,)).compile(LAMP).start()
    text = '{"do":"turn_off","to":["light.kitchen","light.hall"],"brightness":100}'
    cut = tokens.encode(text, add_special_tokens=False).ids
    forced, place = 0, 0
    while place < len(cut):
        run = matcher.forced() or [cut[place]]
        forced += len(matcher.forced())
        assert run == cut[place : place + len(run)]
        assert all(map(matcher.consume, run))
        place += len(run)
    assert matcher.finished
    assert forced > len(cut) / 2


def test_forced_tokens_are_not_consumed_by_being_asked_for() -> None:
    matcher = GRAMMARS.compile(LAMP).start()
    assert matcher.forced() == matcher.forced() != []


def test_what_the_tokenizer_does_not_know_never_comes() -> None:
    matcher = GRAMMARS.compile({"type": "string"}).start()
    assert follow(matcher, '"')
    logits = np.full(WIDTH, 5.0, np.float32)
    matcher.mask(logits)
    allowed = np.flatnonzero(np.isfinite(logits))
    assert len(allowed) > 100
    assert allowed.max() < QWEN.get_vocab_size()
    assert not {END, OTHER_END, known("<|im_start|>")} & set(allowed.tolist())
    assert not matcher.consume(WIDTH - 1)
    assert not matcher.consume(WIDTH)
    assert not matcher.consume(-1)


def test_masking_leaves_the_allowed_logits_as_they_are() -> None:
    matcher = GRAMMARS.compile({"enum": [1, 25, 3]}).start()
    before = np.arange(WIDTH, dtype=np.float32)
    logits = before.copy()
    matcher.mask(logits)
    allowed = np.flatnonzero(np.isfinite(logits))
    assert {QWEN.decode([int(token)]) for token in allowed} == {"1", "2", "3"}
    assert (logits[allowed] == before[allowed]).all()
    assert np.isneginf(np.delete(logits, allowed)).all()
    with pytest.raises(LlmError, match="do not fit"):
        matcher.mask(np.zeros(WIDTH - 1, np.float32))


@pytest.mark.parametrize("end", [END, OTHER_END])
def test_a_whole_text_may_end_and_nothing_else(end: int) -> None:
    matcher = GRAMMARS.compile({"enum": ["a"]}).start()
    assert not matcher.consume(end)
    assert follow(matcher, '"a"')
    assert matcher.finished
    assert matcher.accepting
    assert set(np.flatnonzero(matcher.allowed())) == {END, OTHER_END}
    assert matcher.consume(end)
    assert matcher.finished
    assert not matcher.allowed().any()
    assert matcher.forced() == []
    assert not matcher.consume(end)
    matcher.rollback(2)
    assert not matcher.finished
    assert follow(matcher, '"')
    assert matcher.finished


def test_a_whole_text_that_may_go_on_is_not_finished() -> None:
    matcher = GRAMMARS.compile({"type": "integer", "minimum": 0, "maximum": 500}).start()
    assert follow(matcher, "12")
    assert matcher.accepting
    assert not matcher.finished
    assert matcher.consume(END)
    assert matcher.finished
    matcher.rollback(1)
    assert not matcher.finished
    assert follow(matcher, "3")
    assert matcher.finished


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.data())
def test_going_back_is_as_if_nothing_had_been(seed: int, data: st.DataObject) -> None:
    grammar = GRAMMARS.compile(LAMP)
    tokens = walk(grammar.start(), seed)
    matcher = grammar.start()
    back = data.draw(st.integers(0, len(tokens)))
    assert all(map(matcher.consume, tokens))
    matcher.rollback(back)
    fresh = grammar.start()
    assert all(map(fresh.consume, tokens[: len(tokens) - back]))
    assert (matcher.allowed() == fresh.allowed()).all()
    assert matcher.forced() == fresh.forced()
    assert all(map(matcher.consume, tokens[len(tokens) - back :]))
    assert matcher.finished


def test_a_refused_token_changes_nothing() -> None:
    matcher = GRAMMARS.compile(LAMP).start()
    assert follow(matcher, '{"do":"turn_o')
    before = matcher.allowed()
    assert not follow(matcher, "x")
    assert (matcher.allowed() == before).all()
    assert follow(matcher, 'n","to":')


def test_nothing_is_before_the_beginning() -> None:
    matcher = GRAMMARS.compile(LAMP).start()
    with pytest.raises(LlmError, match="beginning"):
        matcher.rollback(1)


def test_matchers_of_one_grammar_do_not_disturb_each_other() -> None:
    grammar = GRAMMARS.compile(LAMP)
    one, other = grammar.start(), grammar.start()
    assert follow(one, '{"do":"turn_on","to":["light.hall"],"brightness":7}')
    assert follow(other, '{"do":"turn_off","to":["light.kitchen"],"brightness":8}')
    assert follow(grammar.start(), '{"do":"turn_on"')


def test_a_grammar_is_kept_while_it_is_among_the_last() -> None:
    grammars = Grammars(QWEN, WIDTH, (END,))
    first = grammars.compile({"const": 0})
    assert grammars.compile({"const": 0}) is first
    for number in range(1, 40):
        grammars.compile({"const": number})
        assert grammars.compile({"const": 0}) is first
    for number in range(40, 80):
        grammars.compile({"const": number})
    assert grammars.compile({"const": 0}) is not first


def test_the_order_of_properties_tells_grammars_apart() -> None:
    def made(*names: str) -> dict[str, Any]:
        properties = {name: {"const": 1} for name in names}
        return {
            "type": "object",
            "properties": properties,
            "required": sorted(names),
            "additionalProperties": False,
        }

    assert follow(GRAMMARS.compile(made("a", "b")).start(), '{"a":1,"b":1}')
    assert follow(GRAMMARS.compile(made("b", "a")).start(), '{"b":1,"a":1}')


def test_one_of_several_is_any_of_them() -> None:
    """As of unions that a tag tells apart; that no other fits too can't be checked."""
    lamp, oven = ({"properties": {"kind": {"const": k}}, "required": ["kind"]} for k in "lo")
    matcher = GRAMMARS.compile({"oneOf": [lamp, oven]}).start()
    assert follow(matcher, '{"kind":"o"')


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    ],
)
def test_a_schema_that_proves_too_much_is_the_askers_fault(schema: dict[str, Any]) -> None:
    with pytest.raises(QueryError):
        walk(GRAMMARS.compile(schema).start(), 0)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "lamp"}, "lamp"),
        ({"type": "string", "pattern": "("}, "regex"),
        ({"$ref": "#/$defs/none"}, "none"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"enum": [{1, 2}]}, "no JSON"),
        (
            {"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]},
            "[Uu]nsatisfiable",
        ),
    ],
)
def test_a_schema_that_no_grammar_can_be_made_of(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(LlmError, match=says):
        GRAMMARS.compile(schema)


@pytest.mark.parametrize(
    ("width", "eos", "says"),
    [
        (QWEN.get_vocab_size() - 1, (END,), "do not fit"),
        (WIDTH, (), "end a text"),
        (WIDTH, (WIDTH,), "end a text"),
    ],
)
def test_a_tokenizer_that_does_not_fit(width: int, eos: tuple[int, ...], says: str) -> None:
    with pytest.raises(LlmError, match=says):
        Grammars(QWEN, width, eos)


@pytest.mark.parametrize("longest", [4, 500])
def test_padding_and_truncation_of_the_tokenizer_do_not_matter(longest: int) -> None:
    padded = Tokenizer.from_str(QWEN.to_str())
    padded.enable_padding(length=64)
    padded.enable_truncation(longest)
    matcher = Grammars(padded, WIDTH, (END,)).compile({"const": "turn on the light"}).start()
    text = QWEN.encode('"turn on the light"', add_special_tokens=False).ids
    assert matcher.forced() == text
    assert padded.truncation is not None
