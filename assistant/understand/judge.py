"""Which actions of a language model are carried out unasked: those that were spoken of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from assistant.home.action import Action
from assistant.home.model import Home
from assistant.home.vocabulary import Vocabulary
from assistant.understand.grounding import Mentions

_SAID_BY_USER: Final = frozenset({"item", "query", "message", "command", "name"})
"""What a weak model makes up: a list's item, a song."""
_TAKES_EFFECT: Final = frozenset({"message", "command"})
"""What is understood as a command later on, and what all rooms hear."""


class Judge:
    """Whether an action is carried out unasked. One for each utterance: it counts devices.

    `ask_above`: devices of the utterance beyond which is asked. `sure`: what the confidence in an
    action of a weak model must reach; None: the model is none.
    """

    def __init__(
        self,
        mentions: Mentions,
        home: Home,
        vocabulary: Vocabulary,
        *,
        ask_above: int,
        sure: float | None,
    ) -> None:
        self._mentions = mentions
        self._home = home
        self._vocabulary = vocabulary
        self._ask_above = ask_above
        self._sure = sure
        self._commanded: set[str] = set()

    def lets(self, action: Action, confidence: float | None) -> bool:
        """Whether `action` may go now; it counts as gone then."""
        if not all(map(self._is_meant, action.devices)):
            return False
        if not self._is_said(action, _TAKES_EFFECT if self._sure is None else _SAID_BY_USER):
            return False
        if self._sure is not None and not self._is_sure(action, confidence, self._sure):
            return False
        commanded = self._commanded | set(action.devices)
        if len(commanded) > self._ask_above:
            return False
        self._commanded = commanded
        return True

    def worth_asking(self, action: Action) -> Action | None:
        """The part of `action` to ask about: of a weak model's guess only what was spoken of."""
        if self._sure is None or not action.devices:
            return action
        meant = tuple(filter(self._is_meant, action.devices))
        return replace(action, devices=meant) if meant else None

    def _is_meant(self, device_id: str) -> bool:
        return self._mentions.grounded(self._home.devices[device_id])

    def _is_sure(self, action: Action, confidence: float | None, sure: float) -> bool:
        if confidence is None or confidence < sure:
            return False
        if action.devices:
            return True
        spec = self._vocabulary.spec(action.name)
        return self._mentions.has_any(f"{spec.name.replace('_', ' ')} {spec.description}")

    def _is_said(self, action: Action, names: Collection[str]) -> bool:
        """Whether something of the words in these parameters was spoken: else they are made up."""
        return all(self._mentions.has_any(str(v)) for k, v in action.params.items() if k in names)
