"""Text from a decoder, token by token: chosen, forced by a grammar, or guessed and verified.

Greedy output is the same with drafts and without, token by token, because a guess counts only
where it is what would have been chosen. Sampled output keeps its distribution for the same reason:
each token is drawn from the model's own probabilities, and a guess is kept where the draw hits it
(Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", for drafts that are
certain of themselves).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from assistant.llm.decoder import Decoder, Floats
from assistant.llm.drafting import NOTHING, Costs, Draft, Drafting
from assistant.llm.grammar import Matcher
from assistant.llm.model import Finish
from assistant.llm.sampling import Chooser


@dataclass(frozen=True, slots=True)
class Step:
    """What one pass came to. Tokens in order, the end-of-text token left out.

    `chosen` of them were free to choose, with `logprob` the sum of the logarithms of the
    probabilities that the model gave them; the others were forced. `passes`: how many passes of
    the trunk it took.
    """

    tokens: tuple[int, ...]
    logprob: float
    chosen: int
    passes: int
    finish: Finish | None = None


def generate(
    decoder: Decoder,
    normed: Floats,
    *,
    chooser: Chooser,
    limit: int,
    eos: Collection[int],
    matcher: Matcher | None = None,
    drafting: Drafting | None = None,
    costs: Costs | None = None,
) -> Iterator[Step]:
    """The tokens that follow the decoder's sequence, until `eos`, the grammar's end, or `limit`.

    `normed`: the row float32 [hidden] of the sequence's last token. The decoder's sequence holds
    all tokens but the last of each step, and forced ones, when that step is given. Raises what the
    decoder raises; LlmError where the grammar and the model can't go on together.
    """
    answer = _Answer(chooser, matcher, frozenset(eos), limit)
    rows = normed[None]
    draft = NOTHING
    passes = 0
    while True:
        base = len(decoder.tokens) - len(draft.tokens)
        accepted = answer.verify(decoder, rows, draft)
        decoder.rollback(base + accepted)
        answer.force()
        pending = answer.pending
        room = decoder.context - len(decoder.tokens) - len(pending)
        if answer.finish is None and room < 0:
            answer.finish = Finish.LENGTH
        step = answer.step(passes)
        if drafting is not None:
            drafting.learn(draft, accepted, step.tokens)
        yield step
        if answer.finish is not None:
            return
        draft = NOTHING
        if drafting is not None:
            draft = drafting.propose(pending, matcher, min(room, answer.left))
        began = time.perf_counter()
        rows = decoder.append([*pending, *draft.tokens]).normed[len(pending) - 1 :]
        if costs is not None:
            costs.passed(len(pending) + len(draft.tokens), time.perf_counter() - began)
        passes = 1


class _Answer:
    """The answer so far, and what the next step will tell of it."""

    def __init__(
        self, chooser: Chooser, matcher: Matcher | None, eos: frozenset[int], limit: int
    ) -> None:
        self._chooser = chooser
        self._matcher = matcher
        self._eos = eos
        self.left = limit
        """Tokens that may still come."""
        self.finish: Finish | None = Finish.LENGTH if limit < 1 else None
        self.pending: list[int] = []
        """Tokens given that the decoder has not read yet."""
        self._tokens: list[int] = []
        self._logprob = 0.0
        self._chosen = 0

    def verify(self, decoder: Decoder, rows: Floats, draft: Draft) -> int:
        """Choose after each row while the choices are those of `draft`; how many of those were."""
        asked = [i for i in range(len(rows)) if i == len(draft.tokens) or not draft.certain[i]]
        logits = dict(zip(asked, decoder.logits(rows[asked]), strict=True))
        for place in range(len(rows)):
            if self.finish is not None:
                return place
            guess = draft.tokens[place] if place < len(draft.tokens) else None
            if place in logits:
                token = self._choose(logits[place])
                if token in self._eos:
                    self.finish, self.pending = Finish.STOP, []
                    return place
            else:
                token = draft.tokens[place]
            self._take(token)
            if token != guess:
                self.pending = [token]
                return place
        raise AssertionError("the last row has no guess to be right")

    def force(self) -> None:
        """Take the tokens that the grammar leaves no choice about."""
        while self._matcher is not None and self.finish is None:
            forced = self._matcher.forced()
            if not forced:
                return
            for token in forced:
                if token in self._eos:
                    self.finish = Finish.STOP
                if self.finish is not None:
                    return
                self._take(token)
                self.pending.append(token)

    def step(self, passes: int) -> Step:
        """What has come since the last step."""
        step = Step(tuple(self._tokens), self._logprob, self._chosen, passes, self.finish)
        self._tokens, self._logprob, self._chosen = [], 0.0, 0
        return step

    def _choose(self, logits: Floats) -> int:
        allowed = logits
        if self._matcher is not None:
            allowed = logits.copy()
            self._matcher.mask(allowed)
        token = self._chooser.choose(allowed)
        if token not in self._eos:
            self._logprob += self._chooser.logprob(logits, token)
            self._chosen += 1
        return token

    def _take(self, token: int) -> None:
        if self._matcher is not None:
            self._matcher.consume(token)
        self._tokens.append(token)
        self.left -= 1
        if self._matcher is not None and self._matcher.finished:
            self.finish = Finish.STOP
        elif self.left <= 0:
            self.finish = Finish.LENGTH
