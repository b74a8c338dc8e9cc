"""The MiMo planner: what no template understands, planned by a language model.

How it is used in a turn::

    async with contextlib.aclosing(planner.plan(utterance, home, history)) as events:
        async for event in events:
            match event:
                case Acting(action): ...    # policy.check(Plan(ACT, actions=(action,))), carry out
                case Saying(text) | Asking(text): ...       # to speech, sentence by sentence
                case Confirming(plan) | Excusing(plan): ...  # word plan.speech, as of any plan

Events come as the model writes. `planned(events)` is the one Plan they amount to, for traces, and
for the reply that is made from outcomes. Closing the generator cancels the model within a step.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

from assistant.home.action import Action, Outcome
from assistant.home.model import Home
from assistant.home.vocabulary import VOCABULARY, Vocabulary
from assistant.llm.model import LanguageModel
from assistant.plan import Plan, Utterance
from assistant.understand.prompt import Exchange


@dataclass(frozen=True, slots=True)
class Acting:
    """An action to carry out now, unless the policy objects to it.

    `confidence`: the probability that the model gave to this action as it stands, out of all that
    it might have written; None where the model does not tell.
    """

    action: Action
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Saying:
    """The next piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Asking:
    """The next piece of a question back, in the model's words; any answer is a new utterance."""

    text: str


@dataclass(frozen=True, slots=True)
class Confirming:
    """Whether to carry out what the planner is not sure of: a plan of kind ASK with `confirm`.

    Comes at most once, after everything else. A yes carries out `plan.actions`.
    """

    plan: Plan


@dataclass(frozen=True, slots=True)
class Excusing:
    """Nothing more comes, and why: `plan` is of kind REFUSE, with the excuse as its speech.

    `reason` is for the log. Actions that came before it stay as they are.
    """

    plan: Plan
    reason: str


PlanEvent = Acting | Saying | Asking | Confirming | Excusing


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """How much the planner may take and dare.

    `first`: seconds until the first event, `deadline`: seconds until the last; what has not come
    by then is excused. `confidence`: what a weak model's action must reach to be carried out
    unasked. `ask_above`: devices of one utterance beyond which is asked. `never`: actions left out,
    as in the policy's settings ("unlock", "open:cover.gate"). `limit`, `thinking`: tokens.
    """

    first: float = 10.0
    deadline: float = 40.0
    confidence: float = 0.6
    ask_above: int = 25
    never: frozenset[str] = frozenset()
    limit: int = 400
    thinking: int = 0


class Planner:
    """Plans with `model`. Belongs to one event loop; one utterance at a time for each caller."""

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary = VOCABULARY,
        settings: PlannerSettings = PlannerSettings(),
    ) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self._settings = settings

    def plan(
        self, utterance: Utterance, home: Home, history: Sequence[Exchange] = ()
    ) -> AsyncGenerator[PlanEvent, None]:
        """What `utterance` amounts to, as it becomes known. Raises nothing that a model can cause.

        `history`: what was said before, the oldest first; only the last of it is used.
        """
        raise NotImplementedError

    async def prepare(self, home: Home, language: str) -> None:
        """Let the model read the rules and the home; call it when `home.revision` has changed."""
        raise NotImplementedError

    async def ahead(self, partial: Utterance, home: Home, history: Sequence[Exchange] = ()) -> None:
        """Let the model read what has been said so far, while the speaker goes on.

        Call it with the stable part of a partial transcript; cancel it at will.
        """
        raise NotImplementedError

    def word(
        self, utterance: Utterance, outcomes: Sequence[Outcome], home: Home
    ) -> AsyncGenerator[str, None]:
        """A reply from `outcomes` alone, piece by piece, in the language of `utterance`.

        Raises LlmError where the model can't, or not in time: say the template's reply then.
        """
        raise NotImplementedError


def planned(events: Iterable[PlanEvent]) -> Plan:
    """The one plan that the events of an utterance amount to."""
    raise NotImplementedError
