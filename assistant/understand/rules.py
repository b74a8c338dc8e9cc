"""Rules of the owner's settings: an action, and the devices it is done to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from assistant.errors import ConfigError
from assistant.home.model import Device
from assistant.home.selector import Selector, selector
from assistant.home.vocabulary import Vocabulary

_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """Is about `action` ("*": any) where it is done to `devices` (None: whatever it is done to)."""

    action: str
    devices: Selector | None = None

    def fits(self, action: str, device: Device | None) -> bool:
        """Whether it is about `action` done to `device` (None: the action concerns none)."""
        if self.action not in (_ANY, action):
            return False
        return self.devices is None or (device is not None and self.devices.holds(device))


class Rules(tuple[Rule, ...]):
    """The rules of one setting."""

    __slots__ = ()

    def fit(self, action: str, device: Device | None) -> bool:
        """Whether one of them is about `action` done to `device`."""
        return any(rule.fits(action, device) for rule in self)


def rules(
    key: str, texts: Iterable[str], vocabulary: Vocabulary, *, questions: bool = False
) -> Rules:
    """The rules that setting `key` holds, of actions and, if so, `questions`.

    Raises ConfigError naming the key, what is wrong and what to write.
    """
    return Rules(_rule(key, text, vocabulary, questions) for text in texts)


def _rule(key: str, text: str, vocabulary: Vocabulary, questions: bool) -> Rule:
    action, colon, which = (part.strip() for part in text.partition(":"))
    if not (action == _ANY or action in vocabulary.actions):
        if action not in vocabulary.queries:
            names = ", ".join(sorted((*vocabulary.actions, *vocabulary.queries)))
            raise ConfigError(
                f'{key}: {text!r} names no action; write "*" for any, or one of: {names}'
            )
        if not questions:
            raise ConfigError(f"{key}: {text!r} is a question: it can be refused, under never")
    try:
        return Rule(action, selector(which) if colon else None)
    except ConfigError as error:
        raise ConfigError(f"{key}: {text!r}: {error}") from error
