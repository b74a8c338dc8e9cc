"""Answers whose words are given in advance, produced at the cost that the model's own would have.

Every pass, every mask and every draft is computed as for a real answer; then the script says which
token was chosen, and whether a guess of the MTP layer is right. So speed can be measured on a model
that nobody trained, and for an acceptance rate that is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from tokenizers import Tokenizer

from assistant.errors import LlmError
from assistant.llm.decoder import Decoder, Floats
from assistant.llm.drafting import Acceptance, Costs, Drafting
from assistant.llm.generate import generate
from assistant.llm.grammar import Grammar, Matcher
from assistant.llm.measure.speed import Measured, some_tokens
from assistant.llm.model import GREEDY
from assistant.llm.sampling import Chooser, Logits


@dataclass(frozen=True, slots=True)
class Played:
    """What had come `seconds` after the beginning: `tokens` in all, in `passes` of the trunk."""

    seconds: float
    tokens: tuple[int, ...]
    passes: int


@dataclass(frozen=True, slots=True)
class Gain:
    """Seconds a token takes without drafts and with them, and passes a token with them."""

    plain: float
    drafted: float
    passes: float


class Script:
    """The tokens of an answer, and how many of them have been taken."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens = tuple(tokens)
        self.taken = 0

    def after(self, further: int = 0) -> int:
        """The token that comes after so many more; after the end the last one again, which nobody
        takes."""
        return self.tokens[min(self.taken + further, len(self.tokens) - 1)]


class ScriptedChooser(Chooser):
    """Chooses what the script says after it has looked for the best token like any other."""

    def __init__(self, script: Script, *, counts: bool) -> None:
        super().__init__(GREEDY)
        self._script = script
        self._counts = counts

    def choose(self, logits: Logits) -> int:
        """The script's next token."""
        super().choose(logits)
        token = self._script.after()
        if self._counts:
            self._script.taken += 1
        return token


class ScriptedMatcher(Matcher):
    """A matcher that keeps the script at its own place, forced tokens and drafts included."""

    def __init__(self, matcher: Matcher, script: Script) -> None:
        vars(self).update(vars(matcher))
        self._script = script

    def consume(self, token: int) -> bool:
        """See Matcher."""
        consumed = super().consume(token)
        self._script.taken += consumed
        return consumed

    def rollback(self, tokens: int) -> None:
        """See Matcher."""
        super().rollback(tokens)
        self._script.taken -= tokens


LESS: Final = 0.9
"""How often a further guess is right, relative to the one before. An assumption: of MiMo's layer
only the first is known (90 %); of three layers trained one after the other the third is right in
over 75 % (XiaomiMiMo, "MiMo: Unlocking the Reasoning Potential of Language Model", section 2)."""


class ScriptedDrafter:
    """Drafts as the decoder does, at its cost, and is right as often as it is told at the first
    guess, and LESS at each further one.

    A wrong guess is one that the grammar would let pass: the dear kind.
    """

    def __init__(
        self, decoder: Decoder, script: Script, matcher: Matcher | None, acceptance: float
    ) -> None:
        self._decoder = decoder
        self._script = script
        self._matcher = matcher
        self._acceptance = acceptance
        self._random = np.random.default_rng(0)

    @property
    def drafts(self) -> bool:
        """Whether there is an MTP layer."""
        return self._decoder.drafts

    def draft(self, token: int, most: int) -> tuple[int, ...]:
        """The tokens that the script has after `token`, until one is another."""
        count = len(self._decoder.draft(token, most))
        guesses: list[int] = []
        agreed, consumed = True, 0
        for place in range(count):
            right = self._script.after(0 if self._matcher else place)
            agreed &= self._random.random() < self._acceptance * LESS**place
            guesses.append(right if agreed else self._another(right))
            if self._matcher is not None:
                if not self._matcher.consume(guesses[-1]):
                    break
                consumed += 1
        if self._matcher is not None:
            self._matcher.rollback(consumed)
        return tuple(guesses)

    def _another(self, right: int) -> int:
        if self._matcher is None:
            return right - 1 if right else 1
        others = np.flatnonzero(self._matcher.allowed())
        others = others[others != right]
        return int(self._random.choice(others)) if len(others) else right


def scripted(tokenizer: Tokenizer, grammar: Grammar, answer: str) -> tuple[int, ...]:
    """The tokens in which an answer (of ASCII) comes under `grammar`: forced as it forces them.

    Raises LlmError where the grammar does not allow it.
    """
    matcher = grammar.start()
    tokens: list[int] = []
    while not matcher.finished:
        coming = matcher.forced()
        if not coming:
            rest = answer[len(tokenizer.decode(tokens, skip_special_tokens=False)) :]
            if not rest:
                break
            coming = tokenizer.encode(rest, add_special_tokens=False).ids[:1]
        for token in coming:
            if not matcher.consume(token):
                said = tokenizer.decode([*tokens, token])
                raise LlmError(f"the grammar does not allow {said!r}")
            tokens.append(token)
    if (said := tokenizer.decode(tokens, skip_special_tokens=False)) != answer:
        raise LlmError(f"the grammar makes {said!r} of {answer!r}")
    return tuple(tokens)


def play(
    decoder: Decoder,
    tail: Sequence[int],
    answer: Sequence[int],
    *,
    grammar: Grammar | None,
    acceptance: float,
    costs: Costs,
    rates: Acceptance,
) -> Iterator[Played]:
    """Read `tail` after the decoder's sequence, then produce `answer`; what came by each pass.

    `acceptance`: how often the MTP layer is right. `costs` and `rates` outlive an answer, as they
    do in the engine. Raises LlmError where the answer turns out another one.
    """
    script = Script(answer)
    began = time.perf_counter()
    rows = decoder.prefill(tail)
    if rows is None:
        raise LlmError("there is nothing to answer to")
    matcher = None if grammar is None else ScriptedMatcher(grammar.start(), script)
    drafter = ScriptedDrafter(decoder, script, matcher, acceptance)
    steps = generate(
        decoder,
        rows.normed[-1],
        chooser=ScriptedChooser(script, counts=matcher is None),
        limit=len(answer),
        eos=(),
        matcher=matcher,
        drafting=Drafting(drafter, decoder.tokens, costs, rates),
        costs=costs,
    )
    given: list[int] = []
    passes = 0
    for step in steps:
        given += step.tokens
        passes += step.passes
        yield Played(time.perf_counter() - began, tuple(given), passes)
    if tuple(given) != tuple(answer):
        raise LlmError(f"the answer came out as {given} instead of {list(answer)}")


def own_answer(
    decoder: Decoder, tail: Sequence[int], eos: Sequence[int], *, tokens: int = 48
) -> list[Played]:
    """Read `tail`, and answer as the model itself would, with drafts as good as they are."""
    began = time.perf_counter()
    rows = decoder.prefill(tail)
    if rows is None:
        raise LlmError("there is nothing to answer to")
    costs = Costs()
    played: list[Played] = []
    given: list[int] = []
    passes = 0
    for step in generate(
        decoder,
        rows.normed[-1],
        chooser=Chooser(GREEDY),
        limit=tokens,
        eos=eos,
        drafting=Drafting(decoder, decoder.tokens, costs, Acceptance()),
        costs=costs,
    ):
        given += step.tokens
        passes += step.passes
        played.append(Played(time.perf_counter() - began, tuple(given), passes))
    return played


def draft_gain(decoder: Measured, acceptance: float, *, tokens: int = 48, rounds: int = 3) -> Gain:
    """What drafts of the MTP layer gain in free text, if it is right as often as `acceptance`.

    The text repeats nothing, so that look-up has no part in it. Plain decoding computes single
    rows. Both are taken in turn; medians.
    """
    vocabulary = decoder.directory.architecture.vocabulary
    prompt = some_tokens(64, vocabulary)
    text = [int(t) for t in np.random.default_rng(2).permutation(vocabulary)[:tokens]]
    costs, rates = Costs(), Acceptance()
    plain, drafted, passes = [], [], []
    for turn in range(rounds + 1):
        decoder.pair(False)
        rows = _placed(decoder, prompt)
        chooser = ScriptedChooser(Script(text), counts=True)
        steps = generate(decoder, rows, chooser=chooser, limit=tokens, eos=())
        next(steps)  # takes no pass: the prompt's own
        began = time.perf_counter()
        for _ in steps:
            pass
        plain.append((time.perf_counter() - began) / (tokens - 1))
        decoder.pair(True)
        _placed(decoder, prompt[:-1])
        played = list(
            play(
                decoder,
                prompt[-1:],
                text,
                grammar=None,
                acceptance=acceptance,
                costs=costs,
                rates=rates,
            )
        )
        if turn:  # the first one warms up, and learns what passes cost
            drafted.append((played[-1].seconds - played[0].seconds) / (tokens - 1))
            passes.append(played[-1].passes / (tokens - 1))
    return Gain(float(np.median(plain[1:])), float(np.median(drafted)), float(np.median(passes)))


def _placed(decoder: Decoder, prompt: Sequence[int]) -> Floats:
    decoder.rollback(0)
    rows = decoder.prefill(prompt)
    if rows is None:
        raise LlmError("there is nothing to answer to")
    last: Floats = rows.normed[-1]
    return last
