"""Reads an answer as it is written: each action as soon as it is complete, words as they come.

The grammar makes our own engine write only what is allowed; a server elsewhere may write anything.
So everything is checked against the home again, and nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from assistant.errors import LlmError
from assistant.home.action import Action, ParamValue
from assistant.home.model import Home, Risk
from assistant.home.vocabulary import ActionError, ActionSpec, Vocabulary, check_params
from assistant.understand.handles import Handles
from assistant.understand.offer import OF_POLICY
from assistant.understand.schema import LONGEST_SAID, MOST_ACTIONS, MOST_DEVICES

_LONGEST_ACTION: Final = 4096
_LONGEST_VALUE: Final = 400
_SPACE: Final = " \t\r\n"
_ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": " ", "f": " ", "n": "\n", "r": " ", "t": " ",
}  # fmt: skip
_LOST: Final = "\ufffd"


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of what is to be said."""

    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A piece of a question to the user."""

    text: str


Answered = Action | Said | Asked


class _At(Enum):
    START = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    TEXT = auto()
    ACTION = auto()
    AFTER_ACTION = auto()
    CLOSE = auto()
    END = auto()


class ActionStream:
    """One answer. `actions` False: those of it are errors. `never` as in `answer_schema`.

    After an LlmError nothing more can be fed; what came before it stays valid.
    """

    def __init__(
        self,
        home: Home,
        vocabulary: Vocabulary,
        handles: Handles,
        *,
        actions: bool = True,
        never: Collection[str] = (),
    ) -> None:
        self._home = home
        self._vocabulary = vocabulary
        self._handles = handles
        self._may_act = actions
        self._never = never
        self._at = _At.START
        self._held: list[str] = []
        """Characters of the key or the action that is being read."""
        self._depth = 0
        self._quoted = self._escaped = False
        self._text = _Unescaper()
        self._said = 0
        self._count = 0
        self._kind = ""

    @property
    def finished(self) -> bool:
        """Whether the answer is whole."""
        return self._at is _At.END

    @property
    def speaking(self) -> bool:
        """Whether the answer is words, all or part of which have come."""
        return self._at is _At.TEXT or (self._kind != "actions" and self._at is _At.CLOSE)

    @property
    def acting(self) -> bool:
        """Whether part of a further action has come."""
        return self._at is _At.ACTION

    def feed(self, text: str) -> list[Answered]:
        """What `text`, the next piece of the answer, completes.

        Raises LlmError where the answer is malformed, or does what the home does not offer; what
        `text` had completed before that is in the error's `answered`.
        """
        answered: list[Answered] = []
        words: list[str] = []
        try:
            for character in text:
                if self._at is _At.TEXT:
                    if character == '"' and not self._text.escaping:
                        words.append(self._text.end())
                        self._at = _At.CLOSE
                    else:
                        words.append(self._text.feed(character))
                elif (action := self._step(character)) is not None:
                    answered.append(action)
            self._said += sum(map(len, words))
            if self._said > 2 * LONGEST_SAID:
                raise LlmError("the answer of the language model is too long")
        except LlmError as error:
            raise AnswerError(str(error), answered) from error
        if said := "".join(words):
            answered.append(Said(said) if self._kind == "say" else Asked(said))
        return answered

    def _step(self, character: str) -> Action | None:
        """Go on by one character that is not part of a text."""
        if self._at is _At.ACTION:
            return self._within_action(character)
        if self._at is _At.KEY and self._held:
            self._key(character)
            return None
        if character in _SPACE:
            return None
        match self._at, character:
            case _At.START, "{":
                self._at = _At.KEY
            case _At.KEY, '"':
                self._held = ['"']
            case _At.COLON, ":":
                self._at = _At.VALUE
            case _At.VALUE, '"' if self._kind != "actions":
                self._at = _At.TEXT
            case _At.VALUE, "[" if self._kind == "actions":
                self._at = _At.AFTER_ACTION
            case _At.AFTER_ACTION, "{" if not self._count or self._held == [","]:
                self._at, self._held, self._depth = _At.ACTION, ["{"], 1
            case _At.AFTER_ACTION, "," if self._count and not self._held:
                self._held = [","]
            case _At.AFTER_ACTION, "]" if self._count and not self._held:
                self._at = _At.CLOSE
            case _At.CLOSE, "}":
                self._at = _At.END
            case _:
                raise LlmError(f"the answer of the language model is malformed at {character!r}")
        return None

    def _key(self, character: str) -> None:
        if character != '"':
            self._held.append(character)
            if len(self._held) > 20:
                raise LlmError("the answer of the language model begins with no known key")
            return
        self._kind = "".join(self._held[1:])
        self._held = []
        if self._kind not in ("actions", "say", "ask"):
            raise LlmError(f"the language model answered {self._kind!r}: not a known kind")
        if self._kind == "actions" and not self._may_act:
            raise LlmError("the language model would act on what is no command")
        self._at = _At.COLON

    def _within_action(self, character: str) -> Action | None:
        self._held.append(character)
        if len(self._held) > _LONGEST_ACTION:
            raise LlmError("an action of the language model is too long")
        if self._quoted:
            if self._escaped:
                self._escaped = False
            elif character == "\\":
                self._escaped = True
            elif character == '"':
                self._quoted = False
            return None
        self._quoted = character == '"'
        self._depth += (character in "{[") - (character in "}]")
        if self._depth:
            return None
        self._count += 1
        if self._count > MOST_ACTIONS:
            raise LlmError("the language model would do too many things at once")
        text, self._held = "".join(self._held), []
        self._at = _At.AFTER_ACTION
        return self._action(text)

    def _action(self, text: str) -> Action:
        try:
            data = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise LlmError(f"an action of the language model is malformed: {error}") from error
        name = data.pop("do", None)
        if not isinstance(name, str):
            raise LlmError("an action of the language model does not say what to do")
        try:
            spec = self._vocabulary.spec(name)
            if spec.name in self._never:
                raise ActionError("not_allowed", f"{name} is never done by voice")
            if OF_POLICY & data.keys():
                raise ActionError("not_allowed", "what was approved of is not for it to say")
            devices = self._targets(spec, data)
            params = {key: self._value(key, value) for key, value in data.items()}
            action = Action(name, devices, params)
            if not spec.types:
                check_params(spec, params)
            for device in devices:
                self._check(action, device)
        except ActionError as error:
            raise LlmError(f"the language model would do what can't be done: {error}") from error
        return action

    def _targets(self, spec: ActionSpec, data: dict[str, Any]) -> tuple[str, ...]:
        """The ids of the devices; taken out of `data`."""
        if not spec.types:
            return ()
        to = data.pop("to", None)
        if not isinstance(to, list) or not 0 < len(to) <= MOST_DEVICES:
            raise LlmError(f"{spec.name} of the language model does not say to what")
        ids = []
        for handle in to:
            device = self._handles.devices.get(handle) if isinstance(handle, str) else None
            if device is None:
                raise LlmError(f"the language model named a device that there is not: {handle!r}")
            ids.append(device)
        return tuple(dict.fromkeys(ids))

    def _value(self, name: str, value: object) -> ParamValue:
        """A parameter as the vocabulary wants it: ids for handles."""
        if isinstance(value, str):
            places = {"area": self._handles.areas, "timer": self._handles.timers}
            if name in places and value not in places[name]:
                raise LlmError(f"the language model named a {name} that there is not: {value!r}")
            if len(value) > _LONGEST_VALUE:
                raise LlmError(f"{name} of the language model is too long")
            value = places[name][value] if name in places else sayable(value)
        if not isinstance(value, bool | int | float | str):
            raise LlmError(f"{name} of the language model is neither a number nor a text")
        return value

    def _check(self, action: Action, device_id: str) -> None:
        device = self._home.devices.get(device_id)
        if device is None or not device.exposed or device.risk is Risk.FORBIDDEN:
            raise ActionError("not_allowed", f"{device_id} is not for voice")
        if f"{action.name}:{device_id}" in self._never:
            raise ActionError("not_allowed", f"{action.name} is never done to {device.name}")
        # As it was answered, then as it comes to: a value out of range must not become one within
        # it, save where the vocabulary itself says so.
        try:
            self._vocabulary.check(device, self._vocabulary.resolve(device, action))
        except ActionError as error:
            if error.reason != "unknown_state":
                raise
        check_params(self._vocabulary.spec(action.name), action.params)


class AnswerError(LlmError):
    """An answer went wrong. `answered`: what the same piece had completed before."""

    def __init__(self, message: str, answered: list[Answered]) -> None:
        super().__init__(message)
        self.answered = answered


class _Unescaper:
    """Undoes JSON's escapes as they come; what can't be shown becomes U+FFFD."""

    def __init__(self) -> None:
        self._held = ""
        self._high = 0
        """The first half of a surrogate pair."""

    @property
    def escaping(self) -> bool:
        """Whether the next character belongs to an escape."""
        return bool(self._held)

    def feed(self, character: str) -> str:
        """What `character` adds to the text. Raises LlmError for an escape that there is not."""
        if not self._held and character != "\\":
            return self.end() + sayable(character)
        self._held += character
        if len(self._held) == 1:
            return ""
        if self._held[1] != "u":
            if self._held[1] not in _ESCAPES:
                raise LlmError(f"the answer of the language model has the escape {self._held!r}")
            plain, self._held = _ESCAPES[self._held[1]], ""
            return self.end() + plain
        if len(self._held) < 6:
            return ""
        try:
            code = int(self._held[2:], 16)
        except ValueError:
            code = -1
        if code < 0 or not self._held[2:].isalnum():
            raise LlmError(f"the answer of the language model has the escape {self._held!r}")
        self._held = ""
        if 0xDC00 <= code < 0xE000 and self._high:
            pair, self._high = 0x10000 + ((self._high - 0xD800) << 10) + code - 0xDC00, 0
            return sayable(chr(pair))
        before = self.end()
        if 0xD800 <= code < 0xDC00:
            self._high = code
            return before
        return before + sayable(chr(code))

    def end(self) -> str:
        """What is left of a pair that is never completed."""
        lost, self._high = _LOST if self._high else "", 0
        return lost


def sayable(text: str) -> str:
    """`text` without what can be neither spoken nor encoded, nor shown on a terminal."""
    return "".join(
        _LOST if "\ud800" <= c <= "\udfff" else " " if _is_control(c) and c != "\n" else c
        for c in text
    )


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("something is said twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
