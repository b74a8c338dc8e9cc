"""What is measured is real work: scripted answers come out as scripted, at the passes they cost."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import LlmError
from assistant.llm.decoder import Runtime
from assistant.llm.directory import ModelDirectory
from assistant.llm.drafting import Acceptance, Costs
from assistant.llm.grammar import Grammar, Grammars
from assistant.llm.measure.script import Played, draft_gain, own_answer, play, scripted
from assistant.llm.measure.speed import (
    Measured,
    draft_time,
    mask_times,
    pass_times,
    prefill_time,
    prefix_restore,
    some_tokens,
)
from assistant.llm.measure.untrained import made_up_tokenizer, untrained
from assistant.llm.shapes import write_random
from assistant.llm.texts import read_tokenizer
from tests.llm.fake import build_tiny

SCHEMA = {
    "type": "object",
    "properties": {
        "do": {"enum": ["turn_on", "turn_off"]},
        "to": {"type": "array", "items": {"enum": ["light.kitchen", "light.hall"]}},
    },
    "required": ["do", "to"],
    "additionalProperties": False,
}
ANSWER = '{"do":"turn_off","to":["light.kitchen","light.hall"]}'
FREE = [int(token) for token in np.random.default_rng(5).permutation(300)[:41]]


class KnownCosts(Costs):
    """Passes cost what is assumed of them, however long they take here."""

    def passed(self, tokens: int, seconds: float) -> None:
        """Learn nothing."""

    def drafted(self, seconds: float) -> None:
        """Learn nothing."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> ModelDirectory:
    """A model with an MTP layer."""
    return build_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture
def decoder(directory: ModelDirectory) -> Measured:
    """That model, loaded."""
    return Measured(directory, Runtime(context=256))


@pytest.fixture(scope="module")
def grammar(directory: ModelDirectory) -> Grammar:
    """The grammar of SCHEMA in its tokens."""
    width = directory.architecture.vocabulary
    return Grammars(read_tokenizer(directory), width, directory.eos).compile(SCHEMA)


def played(
    decoder: Measured, answer: Any, grammar: Grammar | None, acceptance: float
) -> list[Played]:
    """The course of an answer after a prompt of eight tokens."""
    decoder.rollback(0)
    return list(
        play(
            decoder,
            some_tokens(8, 300),
            answer,
            grammar=grammar,
            acceptance=acceptance,
            costs=KnownCosts(),
            rates=Acceptance(),
        )
    )


@pytest.mark.parametrize("acceptance", [0.0, 0.5, 1.0])
def test_a_scripted_answer_comes_out_as_scripted(
    decoder: Measured, directory: ModelDirectory, grammar: Grammar, acceptance: float
) -> None:
    answer = scripted(read_tokenizer(directory), grammar, ANSWER)
    assert read_tokenizer(directory).decode(list(answer)) == ANSWER
    for tokens, rules in ((answer, grammar), (FREE, None)):
        steps = played(decoder, tokens, rules, acceptance)
        assert steps[-1].tokens == tuple(tokens)
        assert all(a.seconds < b.seconds for a, b in itertools.pairwise(steps))
        # Whatever was computed of it was computed by passes that the decoder made.
        assert list(decoder.tokens[8:]) == list(tokens[: len(decoder.tokens) - 8])


def test_guesses_that_are_right_halve_the_passes_and_more(decoder: Measured) -> None:
    always_right = played(decoder, FREE, None, 1.0)[-1].passes
    assert always_right < len(FREE) // 2
    always_wrong = played(decoder, FREE, None, 0.0)[-1].passes
    assert always_wrong == len(FREE) - 1
    assert always_right < played(decoder, FREE, None, 0.7)[-1].passes < always_wrong


def test_what_the_grammar_forces_costs_no_passes(
    decoder: Measured, directory: ModelDirectory, grammar: Grammar
) -> None:
    answer = scripted(read_tokenizer(directory), grammar, ANSWER)
    passes = played(decoder, answer, grammar, 0.0)[-1].passes
    assert passes < len(answer) / 2


@pytest.mark.parametrize("wrong", ['{"do":"open","to":[]}', ANSWER + " ", ANSWER[:-1], "no", ""])
def test_a_script_that_the_grammar_forbids_is_refused(
    directory: ModelDirectory, grammar: Grammar, wrong: str
) -> None:
    with pytest.raises(LlmError, match="grammar"):
        scripted(read_tokenizer(directory), grammar, wrong)


def test_a_restored_prefix_goes_on_as_the_computed_one(decoder: Measured) -> None:
    prefix = some_tokens(40, 300)
    decoder.prefill(prefix)
    computed = decoder.append([7]).normed.copy()
    restored = prefix_restore(decoder, prefix)
    assert (list(decoder.tokens), restored.tokens) == (prefix, 40)
    np.testing.assert_array_equal(decoder.append([7]).normed, computed)


def test_measuring_leaves_even_rows_as_they_were(decoder: Measured) -> None:
    prompt = some_tokens(9, 300)

    def rows() -> Any:
        decoder.rollback(0)
        decoder.append(prompt)
        return decoder.append([7]).normed.copy()

    before = rows()
    times = pass_times(decoder, (1, 3), prompt=8, repeat=2)
    gain = draft_gain(decoder, 1.0, tokens=20, rounds=1)
    assert set(times) == {1, 3}
    assert min(*times.values(), gain.plain, gain.drafted, draft_time(decoder, repeat=2)) > 0
    assert 0.25 <= gain.passes <= 1
    assert prefill_time(decoder, 200, repeat=1) > 0
    np.testing.assert_array_equal(rows(), before)


def test_its_own_answer_is_what_it_says_without_drafts(decoder: Measured) -> None:
    prompt = some_tokens(12, 300)
    drafted = own_answer(decoder, prompt, eos=(), tokens=30)
    decoder.rollback(0)
    rows = decoder.prefill(prompt)
    assert rows is not None
    plain: list[int] = []
    row = rows.normed[-1:]
    while len(plain) < 30:
        plain.append(int(decoder.logits(row)[0].argmax()))
        row = decoder.append(plain[-1:]).normed
    assert drafted[-1].tokens == tuple(plain)


def test_a_model_without_mtp_has_no_guesses_to_time(tmp_path: Path) -> None:
    plain = Measured(build_tiny(tmp_path, mtp=False), Runtime(context=64))
    with pytest.raises(LlmError, match="no MTP layer"):
        draft_time(plain)


def test_every_token_of_an_answer_has_its_mask(directory: ModelDirectory, grammar: Grammar) -> None:
    answer = scripted(read_tokenizer(directory), grammar, ANSWER)
    assert len(mask_times([(grammar, answer)], repeat=3)) == 3 * len(answer)


MADE_UP = made_up_tokenizer(3000, "Turn the kitchen light off, please. " + ANSWER)


def test_a_made_up_tokenizer_has_the_size_asked_for_and_ends_with_chatml() -> None:
    assert MADE_UP.get_vocab_size() == 3000
    assert MADE_UP.id_to_token(2999) == "<|im_end|>"
    assert MADE_UP.encode("Turn the kitchen light off").tokens == [
        "Turn", "Ġthe", "Ġkitchen", "Ġlight", "Ġoff",
    ]  # fmt: skip
    again = made_up_tokenizer(3000, "Turn the kitchen light off, please. " + ANSWER)
    assert again.to_str() == MADE_UP.to_str()
    assert len(set(MADE_UP.get_vocab().values())) == 3000


@given(st.text())
def test_a_made_up_tokenizer_keeps_every_text(text: str) -> None:
    tokens = MADE_UP.encode(text, add_special_tokens=False).ids
    assert MADE_UP.decode(tokens, skip_special_tokens=False) == text


def test_a_model_that_nobody_trained_runs_under_a_grammar(
    directory: ModelDirectory, tmp_path: Path
) -> None:
    write_random(tmp_path, directory.architecture, directory.quantisation)
    decoder = Measured(
        untrained(tmp_path, "shape", directory.architecture, directory.quantisation),
        Runtime(context=64),
    )
    tokenizer = made_up_tokenizer(directory.architecture.vocabulary, ANSWER)
    grammars = Grammars(tokenizer, directory.architecture.vocabulary, decoder.directory.eos)
    rules = grammars.compile(SCHEMA)
    answer = scripted(tokenizer, rules, ANSWER)
    assert played(decoder, answer, rules, 0.9)[-1].tokens == answer
