"""Drafts: tokens guessed ahead, so that one pass of the trunk verifies several.

A pass costs little more for two tokens than for one, because reading the weights is what takes the
time. Two things guess: the model's own MTP layer, several times in a row where that has paid, and
look-up of what followed the last tokens when they stood in the prompt or the dialogue before
(Saxena, "Prompt Lookup Decoding", 2023). Where a grammar leaves no choice, the tokens are certain.
Which guess is worth its cost is decided by what guesses of its kind have come to, and by how long
passes take here: both are measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from assistant.llm.grammar import Matcher

LONGEST: Final = 12
"""Tokens of a draft, those that a grammar forces included."""
_GRAMS: Final = (4, 3, 2)
"""Lengths of what is looked up, the longest first: the more there is alike, the surer."""
DEPTH: Final = 3
"""Guesses of the MTP layer in a row. Each is less often right than the one before: how often, is
learned for each."""
_MTP: Final = tuple(f"mtp {place}" for place in range(1, DEPTH + 1))
_PRIOR: Final = {
    **dict(zip(_MTP, (0.8, 0.75, 0.7), strict=True)),
    "lookup 4": 0.8,
    "lookup 3": 0.6,
    "lookup 2": 0.35,
}
"""What is expected of guesses before any was made. High where it is not known: what disappoints is
soon given up, what is not tried is learned of late."""
_INERTIA: Final = 0.95
"""How much of an acceptance rate is kept at each new experience: some twenty count."""
_CURIOSITY: Final = 24
"""Drafts passed over after which one is tried all the same: the text may have changed its ways."""
_SLOPE: Final = 0.15
"""What each further token is taken to add to a pass before that has been measured."""


class Model(Protocol):
    """What drafting needs of a decoder; a benchmark has one that guesses as well as it is told."""

    @property
    def drafts(self) -> bool:
        """Whether there is an MTP layer."""
        ...

    def draft(self, token: int, most: int) -> tuple[int, ...]:
        """The tokens, 1 to `most`, that the MTP layer expects after `token`, which is about to be
        appended."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """Guessed tokens; `certain[i]` where the grammar leaves no other, given those before."""

    tokens: tuple[int, ...] = ()
    certain: tuple[bool, ...] = ()
    source: str = ""

    @property
    def guesses(self) -> int:
        """How many of the tokens are not certain."""
        return self.certain.count(False)


NOTHING: Final = Draft()


class Costs:
    """How long passes take, by their tokens: seconds, learned from those that were made."""

    def __init__(self) -> None:
        self._passes: dict[int, float] = {}
        self._draft: float | None = None

    def passed(self, tokens: int, seconds: float) -> None:
        """A pass of `tokens` took this long."""
        known = self._passes.get(tokens, seconds)
        # What other programs do makes passes longer, never shorter: forget that sooner.
        weight = 0.5 if seconds < known else 0.1
        self._passes[tokens] = known + weight * (seconds - known)

    def drafted(self, seconds: float) -> None:
        """A guess of the MTP layer took this long."""
        known = seconds if self._draft is None else self._draft
        self._draft = known + 0.1 * (seconds - known)

    def of(self, tokens: int) -> float:
        """Seconds that a pass of `tokens` is expected to take; in units of one where unknown."""
        if not self._passes:
            return 1 + _SLOPE * (tokens - 1)
        if (known := self._passes.get(tokens)) is not None:
            return known
        nearest = min(self._passes, key=lambda n: (abs(n - tokens), n))
        ratio = (1 + _SLOPE * (tokens - 1)) / (1 + _SLOPE * (nearest - 1))
        return self._passes[nearest] * ratio

    @property
    def draft(self) -> float:
        """Seconds of a guess of the MTP layer."""
        return 0.1 * self.of(1) if self._draft is None else self._draft


class Acceptance:
    """How often guesses came true, by where they come from."""

    def __init__(self) -> None:
        self._rates = dict(_PRIOR)
        self._passed_over = dict.fromkeys(_PRIOR, 0)

    def rate(self, source: str, place: int = 0) -> float:
        """Share of guesses of this source that come true, the `place` before it having done so."""
        return self._rates[_kind(source, place)]

    def learn(self, source: str, right: int, wrong: int) -> None:
        """So many guesses came true, and then so many (0 or 1) did not."""
        for place in range(right + wrong):
            kind = _kind(source, place)
            self._rates[kind] += (1 - _INERTIA) * (float(place < right) - self._rates[kind])
            self._passed_over[kind] = 0

    def pass_over(self, source: str, place: int = 0) -> bool:
        """Note that this guess seems not worth it; True when it is to be tried all the same."""
        kind = _kind(source, place)
        self._passed_over[kind] += 1
        return self._passed_over[kind] % _CURIOSITY == 0


def _kind(source: str, place: int) -> str:
    """Guesses of the MTP layer differ by their place, those of one look-up do not."""
    return _MTP[place] if source == "mtp" else source


class Lookup:
    """Where in a sequence runs of tokens stood last."""

    def __init__(self, tokens: Iterable[int] = ()) -> None:
        self._tokens: list[int] = []
        self._places: dict[tuple[int, ...], int] = {}
        self._open: list[tuple[int, ...]] = []
        self.extend(tokens)

    def extend(self, tokens: Iterable[int]) -> None:
        """Append `tokens` to the sequence."""
        for token in tokens:
            # A run is known from when something follows it.
            for gram in self._open:
                self._places[gram] = len(self._tokens)
            self._tokens.append(token)
            self._open = [
                tuple(self._tokens[-length:]) for length in _GRAMS if length <= len(self._tokens)
            ]

    def find(self, most: int) -> tuple[int, Sequence[int]]:
        """The longest run at the end that stood before, its length, and what followed it then."""
        for gram in self._open:
            if (place := self._places.get(gram)) is not None:
                return len(gram), self._tokens[place : place + most]
        return 0, ()


class Drafting:
    """Chooses what to guess for one answer. `costs` and `acceptance` outlive it."""

    def __init__(
        self, model: Model, prompt: Sequence[int], costs: Costs, acceptance: Acceptance
    ) -> None:
        self._model = model
        self._costs = costs
        self._acceptance = acceptance
        self._lookup = Lookup(prompt)

    def propose(self, pending: Sequence[int], matcher: Matcher | None, most: int) -> Draft:
        """A draft of at most `most` tokens to follow `pending`, which comes next for certain."""
        most = min(most, LONGEST)
        if most < 1:
            return NOTHING
        plain = 1 / self._costs.of(len(pending))
        length, following = self._lookup.find(most)
        looked_up = _fitted(following, f"lookup {length}", matcher, most) if length else NOTHING
        found, value = self._best(looked_up, len(pending))
        depth, guessed = 0, 0.0
        deepest = min(DEPTH, most)
        if self._model.drafts and len(pending) == 1:
            # Its guesses are not known before they are paid for: judged as single tokens.
            unknown = Draft((0,) * deepest, (False,) * deepest, "mtp")
            wanted, guessed = self._best(unknown, 1, self._costs.draft)
            depth = wanted.guesses
        if guessed and (guessed > max(value, plain) or self._overdue("mtp", guessed)):
            curious = depth < deepest and self._acceptance.pass_over("mtp", depth)
            depth += curious
            began = time.perf_counter()
            guesses = self._model.draft(pending[0], depth)
            self._costs.drafted((time.perf_counter() - began) / len(guesses))
            guess = _fitted(guesses, "mtp", matcher, most)
            return guess if curious else self._best(guess, 1)[0]
        if looked_up.tokens and (value > plain or self._overdue(looked_up.source, value)):
            return found
        return NOTHING

    def learn(self, draft: Draft, accepted: int, tokens: Sequence[int]) -> None:
        """The first `accepted` tokens of `draft` came true; the answer went on by `tokens`."""
        self._lookup.extend(tokens)
        right = draft.certain[:accepted].count(False)
        missed = accepted < len(draft.tokens) and not draft.certain[accepted]
        if draft.source:
            self._acceptance.learn(draft.source, right, int(missed))

    def _overdue(self, source: str, value: float) -> bool:
        """Whether a source that seems not worth it is to be tried all the same."""
        return value > 0 and self._acceptance.pass_over(source)

    def _best(self, draft: Draft, pending: int, cost: float = 0.0) -> tuple[Draft, float]:
        """The beginning of `draft` that makes the most tokens a second, and how many.

        `cost`: seconds that each guess is yet to take.
        """
        best, length = 0.0, 0
        chance, expected = 1.0, 1.0
        guesses = 0
        for count, certain in enumerate(draft.certain, 1):
            if not certain:
                chance *= self._acceptance.rate(draft.source, guesses)
                guesses += 1
            expected += chance
            value = expected / (self._costs.of(pending + count) + guesses * cost)
            if value > best:
                best, length = value, count
        return Draft(draft.tokens[:length], draft.certain[:length], draft.source), best


def _fitted(guess: Sequence[int], source: str, matcher: Matcher | None, most: int) -> Draft:
    """What of `guess` the grammar allows, with the tokens that it forces in between and after."""
    if matcher is None:
        return Draft(tuple(guess[:most]), (False,) * len(guess[:most]), source)
    tokens: list[int] = []
    certain: list[bool] = []
    place = 0
    while place < len(guess) and len(tokens) < most and matcher.consume(guess[place]):
        tokens.append(guess[place])
        certain.append(False)
        place += 1
        forced = [t for t in matcher.forced() if matcher.consume(t)]
        tokens += forced
        certain += [True] * len(forced)
        if list(guess[place : place + len(forced)]) != forced:
            break
        place += len(forced)
        if matcher.finished:
            break
    matcher.rollback(len(tokens))
    return Draft(tuple(tokens[:most]), tuple(certain[:most]), source)
