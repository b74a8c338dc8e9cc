"""What is generated is the same however much of it was guessed ahead, to the last token."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.errors import LlmError, QueryError
from assistant.llm.decoder import Cancelled, Decoder, Runtime
from assistant.llm.directory import ModelDirectory
from assistant.llm.drafting import Acceptance, Costs, Drafting
from assistant.llm.generate import generate
from assistant.llm.grammar import Grammars
from assistant.llm.model import GREEDY, Finish, Sampling
from assistant.llm.quantisation import Quantisation
from assistant.llm.sampling import Chooser
from assistant.llm.texts import read_tokenizer
from tests.llm.fake import build_tiny

CONTEXT = 256
QUANTISATIONS = {
    "4 bits, 64": Quantisation(bits=4, block=64),
    "4 bits, 128": Quantisation(bits=4, block=128),
    "8 bits, 32": Quantisation(bits=8, block=32, head_bits=8, embedding_bits=8, mtp_input_bits=8),
    "floats": Quantisation(bits=32, head_bits=32, embedding_bits=32, mtp_input_bits=32),
}
SCHEMA = {
    "type": "object",
    "properties": {
        "do": {"enum": ["turn_on", "turn_off", "set_brightness"]},
        "to": {"type": "array", "items": {"enum": ["light.kitchen", "light.hall"]}, "maxItems": 2},
        "say": {"type": "string", "maxLength": 12},
    },
    "required": ["do", "to", "say"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module", params=QUANTISATIONS)
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of each way to store weights."""
    folder = tmp_path_factory.mktemp("model")
    return build_tiny(folder, quantisation=QUANTISATIONS[request.param], hidden=128, layers=3)


@pytest.fixture(scope="module")
def decoder(directory: ModelDirectory) -> Decoder:
    """That model, loaded."""
    return Decoder(directory, Runtime(context=CONTEXT))


@pytest.fixture(scope="module")
def grammars(directory: ModelDirectory) -> Grammars:
    """Grammars of its tokenizer."""
    width = directory.architecture.vocabulary
    return Grammars(read_tokenizer(directory), width, directory.eos)


class Oracle:
    """Guesses that are right or wrong as told: those of a random model never would be right."""

    def __init__(self, decoder: Decoder, answer: Sequence[int], right: Sequence[bool]) -> None:
        self._decoder = decoder
        self._answer = list(answer)
        self._right = itertools.cycle(right)
        self._start = len(decoder.tokens)

    drafts = True

    def draft(self, token: int, most: int) -> tuple[int, ...]:
        """What follows `token` in the known answer, or something else."""
        place = len(self._decoder.tokens) - self._start + 1
        known = [*self._answer[place : place + most], *[0] * most][:most]
        return tuple(one if next(self._right) else (one + 1) % 256 for one in known)


def _generated(
    decoder: Decoder,
    prompt: Sequence[int],
    *,
    sampling: Sampling = GREEDY,
    grammars: Grammars | None = None,
    drafting: bool = False,
    oracle: tuple[Sequence[int], Sequence[bool]] | None = None,
    limit: int = 40,
) -> tuple[list[int], Finish | None, int, float]:
    """The tokens, why they ended, the passes they took, and their logprob."""
    decoder.rollback(0)
    rows = decoder.prefill(prompt)
    assert rows is not None
    found: list[int] = []
    passes, logprob, finish = 0, 0.0, None
    costs = Costs()
    draft = None
    if oracle is not None:
        draft = Drafting(Oracle(decoder, *oracle), prompt, costs, Acceptance())
    elif drafting:
        draft = Drafting(decoder, prompt, costs, Acceptance())
    for step in generate(
        decoder,
        rows.normed[-1],
        chooser=Chooser(sampling),
        limit=limit,
        eos=decoder.directory.eos,
        matcher=grammars.compile(SCHEMA).start() if grammars else None,
        drafting=draft,
    ):
        found += step.tokens
        passes += step.passes
        logprob += step.logprob
        finish = step.finish
    return found, finish, passes, logprob


PROMPTS = st.lists(st.integers(0, 255), min_size=1, max_size=60)
SAMPLINGS = st.one_of(
    st.just(GREEDY),
    st.builds(
        Sampling,
        temperature=st.floats(0.2, 1.5),
        top_p=st.floats(0.3, 1),
        min_p=st.floats(0, 0.2),
        seed=st.integers(0, 1 << 30),
    ),
)


@given(PROMPTS, SAMPLINGS, st.booleans(), st.lists(st.booleans(), min_size=1, max_size=7))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_drafts_change_nothing(
    decoder: Decoder,
    grammars: Grammars,
    prompt: list[int],
    sampling: Sampling,
    constrained: bool,
    right: list[bool],
) -> None:
    """Not one token, greedy or by chance, with a grammar or without: MTP, look-up, or an oracle."""
    shared: dict[str, Any] = {"sampling": sampling, "grammars": grammars if constrained else None}
    plain = _generated(decoder, prompt, **shared)
    drafted = _generated(decoder, prompt, drafting=True, **shared)
    told = _generated(decoder, prompt, oracle=(plain[0], right), **shared)
    for other in (drafted, told):
        assert other[:2] == plain[:2]
        assert other[2] <= plain[2]
        assert other[3] == pytest.approx(plain[3], abs=1e-9)


def test_right_guesses_spare_passes(decoder: Decoder) -> None:
    prompt = list(range(40, 80))
    answer, _, passes, _ = _generated(decoder, prompt)
    assert passes == len(answer) - 1
    _, _, fewer, _ = _generated(decoder, prompt, oracle=(answer, [True]))
    assert fewer <= 0.7 * passes  # look-up guesses too, and less well


def test_what_the_grammar_forces_takes_no_pass_of_its_own(
    decoder: Decoder, grammars: Grammars
) -> None:
    answer, finish, passes, _ = _generated(decoder, [65, 66], grammars=grammars, limit=120)
    assert finish is Finish.STOP
    text = read_tokenizer(decoder.directory).decode(answer)
    assert text.startswith('{"do":"')
    assert text.endswith("}")
    assert passes < len(answer) / 2


def test_a_prompt_that_repeats_itself_is_looked_up(decoder: Decoder) -> None:
    """A sequence in which every run was seen before is drafted from there."""
    drafting = Drafting(_NoLayer(), [5, 6, 7, 8, 9, 10, 5, 6, 7], Costs(), Acceptance())
    draft = drafting.propose([7], None, 8)
    assert draft.tokens[:2] == (8, 9)
    assert draft.source == "lookup 3"


class _NoLayer:
    drafts = False

    def draft(self, token: int, most: int) -> tuple[int, ...]:
        raise AssertionError("there is no MTP layer")


@pytest.mark.parametrize(("accepted", "depth"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_as_many_guesses_in_a_row_as_come_true(accepted: int, depth: int) -> None:
    """And now and then one more, to see: so it goes deeper again where that begins to pay."""
    layer = _Layer()
    costs = Costs()
    for tokens in (1, 2, 3, 4):
        costs.passed(tokens, 1 + 0.3 * (tokens - 1))
    drafting = Drafting(layer, [], costs, Acceptance())
    for came_true, usual in ((accepted, depth), (3, 3), (accepted, depth)):
        for turn in range(1500):
            if turn == 1400:
                layer.asked.clear()
            draft = drafting.propose([10_000 + turn], None, 8)
            drafting.learn(draft, min(came_true, len(draft.tokens)), [])
        asked = Counter(layer.asked)
        assert asked.total() < 10 if not came_true else asked.most_common(1)[0][0] == usual
        assert usual == 3 or max(asked) > usual or not came_true


class _Layer:
    """Guesses at no cost, and knows how many were wanted."""

    drafts = True

    def __init__(self) -> None:
        self.asked: list[int] = []

    def draft(self, token: int, most: int) -> tuple[int, ...]:
        self.asked.append(most)
        return tuple(range(most))


def test_guesses_in_a_row_leave_no_trace(decoder: Decoder) -> None:
    """Whatever was guessed: the next guesses and logits are those of a decoder that guessed not."""
    tokens = list(range(30, 60))
    seen: list[list[tuple[int, bytes]]] = []
    for most in (1, 3):
        decoder.rollback(0)
        decoder.prefill(tokens[:10])
        seen.append([])
        for token in tokens[10:]:
            guesses = decoder.draft(token, most)
            assert len(guesses) == most
            logits = decoder.logits(decoder.append([token]).normed)
            seen[-1].append((guesses[0], logits.tobytes()))
    assert seen[0] == seen[1]


def test_no_guess_goes_beyond_the_context(decoder: Decoder) -> None:
    decoder.rollback(0)
    decoder.prefill([7] * (CONTEXT - 2))
    assert [len(decoder.draft(7, 5))] == [3]
    decoder.append([7, 7])


def test_guesses_that_never_come_true_are_given_up(decoder: Decoder) -> None:
    """A drafter costs time: one that is never right is hardly asked any more."""
    prompt = list(range(60))
    answer, *_ = _generated(decoder, prompt, limit=150)
    wrong = (answer, [False])
    asked = 0

    class Counting(Oracle):
        def draft(self, token: int, most: int) -> tuple[int, ...]:
            nonlocal asked
            asked += 1
            return super().draft(token, most)

    decoder.rollback(0)
    rows = decoder.prefill(prompt)
    assert rows is not None
    drafting = Drafting(Counting(decoder, *wrong), prompt, Costs(), Acceptance())
    chooser = Chooser(GREEDY)
    list(generate(decoder, rows.normed[-1], chooser=chooser, limit=150, eos=(), drafting=drafting))
    assert asked < 75


@pytest.mark.parametrize("sizes", [(1,), (2,), (3,), (7,), (5, 1, 2), (60,)])
def test_logits_do_not_depend_on_what_was_computed_beside(
    decoder: Decoder, sizes: tuple[int, ...]
) -> None:
    """To the last bit: else a guess could tip a choice between two tokens of nearly equal worth."""
    sequence = np.random.default_rng(2).integers(0, 256, 60).tolist()
    decoder.rollback(0)
    whole = decoder.logits(decoder.append(sequence).normed)
    decoder.rollback(0)
    parts = []
    rest = sequence
    for size in itertools.cycle(sizes):
        if not rest:
            break
        parts.append(decoder.logits(decoder.append(rest[:size]).normed))
        rest = rest[size:]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_sequence_goes_on_after_going_back(decoder: Decoder) -> None:
    decoder.rollback(0)
    decoder.prefill([1, 2, 3, 4, 5, 6])
    expected = decoder.append([7]).normed
    decoder.rollback(3)
    decoder.prefill([9, 9, 9, 9, 9])
    decoder.rollback(3)
    decoder.append([4, 5, 6])
    np.testing.assert_array_equal(decoder.append([7]).normed, expected)
    assert decoder.tokens == [1, 2, 3, 4, 5, 6, 7]


def test_a_snapshot_restores_the_sequence(decoder: Decoder) -> None:
    decoder.rollback(0)
    decoder.prefill(list(range(100)))
    copies = [array.copy() for array in decoder.snapshot(100)]
    expected = decoder.append([7, 8]).normed
    decoder.rollback(0)
    decoder.prefill([3] * 120)
    for array, copy in zip(decoder.snapshot(100), copies, strict=True):
        array[...] = copy
    decoder.restored(range(100))
    np.testing.assert_array_equal(decoder.append([7, 8]).normed, expected)


def test_the_context_is_a_limit_with_a_name(decoder: Decoder) -> None:
    decoder.rollback(0)
    with pytest.raises(QueryError, match=f"{CONTEXT + 1} tokens are more than the context"):
        decoder.prefill([1] * (CONTEXT + 1))
    decoder.prefill([1] * (CONTEXT - 3))
    found, finish, _, _ = _generated(decoder, [1] * (CONTEXT - 3), limit=40)
    if finish is Finish.LENGTH:
        assert len(found) == 4  # the last token needs no room: nothing follows it
    drafted = _generated(decoder, [1] * (CONTEXT - 3), limit=40, drafting=True)
    assert drafted[:2] == (found, finish)


def test_a_cancelled_pass_leaves_the_sequence_as_it_was(decoder: Decoder) -> None:
    decoder.rollback(0)
    decoder.prefill([1, 2, 3])
    decoder.cancel()
    with pytest.raises(Cancelled):
        decoder.append([4])
    decoder.resume()
    assert decoder.tokens == [1, 2, 3]
    decoder.append([4])


def test_an_answer_of_no_length(decoder: Decoder) -> None:
    assert _generated(decoder, [1, 2], limit=0)[:2] == ([], Finish.LENGTH)


def test_a_model_of_nan_is_noticed(tmp_path: Path) -> None:
    directory = build_tiny(tmp_path, quantisation=QUANTISATIONS["floats"])
    weights = directory.folder / "head.data"
    weights.write_bytes(np.full(weights.stat().st_size // 4, np.nan, "<f4").tobytes())
    broken = Decoder(directory, Runtime(context=64))
    with pytest.raises(LlmError, match="build it anew"):
        _generated(broken, [1, 2, 3])
