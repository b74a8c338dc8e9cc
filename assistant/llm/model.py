"""What everybody means by a language model here: messages in, pieces of text out.

Two things are one: the engine on this machine (`assistant.llm.engine`), and a server elsewhere
(`assistant.llm.remote`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class Role(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a dialogue."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen. Temperature 0 is greedy: the most probable, always.

    `top_p`: only the most probable tokens that together have this share. `min_p`: only tokens at
    least this share as probable as the best. `seed`: the same choices again; None: others each
    time.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None


GREEDY = Sampling()


class Finish(StrEnum):
    """Why the text ended."""

    STOP = "stop"
    """The model ended it, its grammar was complete, or a stop text came."""
    LENGTH = "length"
    """The limit of tokens was reached."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of the text (whole characters; may be empty).

    `tokens`: how many tokens it is made of. `logprob`: the sum of the natural logarithms of the
    probabilities that the model itself gave those tokens which no grammar forced, and `chosen` how
    many those were; a server that does not tell has `chosen` 0. `finish` is set on the last piece,
    and with it `prompt`: how many tokens the prompt had, 0 where nobody tells.
    """

    text: str
    tokens: int = 1
    logprob: float = 0.0
    chosen: int = 0
    finish: Finish | None = None
    prompt: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a model.

    `schema`: the answer must be JSON of this schema, compact, its properties in the order given;
    None: free text. `limit`: the most tokens of the answer. `stop`: texts before which it ends.
    `thinking`: tokens the model may think before it answers; 0 switches thinking off. What is
    thought is not part of the answer. `patient`: asked by nobody who stands there and waits for a
    voice; other queries go before it, even in its midst.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    limit: int = 256
    sampling: Sampling = GREEDY
    stop: tuple[str, ...] = ()
    thinking: int = 0
    patient: bool = False


class LanguageModel(Protocol):
    """A language model that can be asked. Everything is to be used in one event loop."""

    @property
    def name(self) -> str:
        """Which model, for traces and logs: "mimo-7b", "MiMo-7B-RL at http://big:8000"."""
        ...

    @property
    def weak(self) -> bool:
        """Too small to be trusted with actions that it is not very sure of."""
        ...

    def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        """The answer, piece by piece as it is made. Closing the generator cancels within a step.

        Raises LlmError: prompt longer than the context, model missing, too little memory, server
        unreachable or in error.
        """
        ...

    async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        """Read `messages` ahead, so that an answer to a dialogue that begins so comes sooner.

        `keep`: what does not change for a long time (the rules and the home); it is kept on disk
        too. Yields to whoever asks for an answer meanwhile, and does nothing where it can't help.
        """
        ...

    async def close(self) -> None:
        """Let go of memory and connections."""
        ...
