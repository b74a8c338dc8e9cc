"""The options of one entity, read with the types they must have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from assistant.errors import DiscoveryError
from assistant.home.action import Action
from assistant.home.discovery.template import NoValueError, Template, parse, render_value
from assistant.home.model import Device, DeviceType, State, StateValue
from assistant.mqtt.topics import is_topic

TOPIC_LIMIT: Final = 1024
"""Characters of a topic."""
_TEXT_LIMIT: Final = 1024
_NUMBER_LIMIT: Final = 1e12  # nothing in a home is bigger, and sums of it stay finite
_LIST_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class Command:
    """A message that makes a device do something."""

    topic: str
    payload: str
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What a payload on `topic` says of the state; raises DiscoveryError when it says nothing."""

    topic: str
    read: Callable[[str], Mapping[str, StateValue]]


Order = Callable[..., Command]
"""Makes a command of a value and further template variables."""


@dataclass(frozen=True, slots=True)
class Appliance:
    """What a component makes of its options: what it can do, say and be told.

    `commands` gets the device as it is and a checked action; it raises ActionError for one that
    the device does not take after all.
    """

    type: DeviceType
    commands: Callable[[Device, Action], tuple[Command, ...]] | None = None
    capabilities: frozenset[str] = frozenset()
    readings: tuple[Reading, ...] = ()
    state: State = field(default_factory=dict)
    unreported: frozenset[str] = frozenset()
    optimistic: bool = False
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    options: tuple[str, ...] = ()
    off_delay: float | None = None
    """Seconds after which "on" becomes "off" by itself."""
    expire_after: float | None = None
    """Seconds after which a report is too old to be told."""


class Config:
    """The options of one entity. Every method raises DiscoveryError for a wrong type."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        qos = options.get("qos", 0)
        if isinstance(qos, bool) or qos not in (0, 1, 2):
            raise DiscoveryError("qos is none of 0, 1, 2")
        self._qos = int(qos)
        self._retain = self.flag("retain")

    def has(self, key: str) -> bool:
        """Whether the option is given and not null."""
        return self._options.get(key) is not None

    def is_null(self, key: str) -> bool:
        """Whether the option is given as null, which switches some off."""
        return key in self._options and self._options[key] is None

    def text(self, key: str, default: str = "") -> str:
        """A text; numbers and truth values are taken by their Python spelling, as by the devices'
        first home."""
        value = self._options.get(key)
        if value is None:
            return default
        if isinstance(value, str | int | float) and len(text := str(value)) <= _TEXT_LIMIT:
            return text
        raise DiscoveryError(f"{key} is not a text, or too long")

    def number(self, key: str, default: float) -> float:
        """A finite number, or the text of one."""
        found = self.number_or_none(key)
        return default if found is None else found

    def number_or_none(self, key: str) -> float | None:
        """A finite number, the text of one, or None where there is none."""
        value = self._options.get(key)
        if value is None:
            return None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                found = float(value)
            except (ValueError, OverflowError):
                found = math.nan
            if abs(found) <= _NUMBER_LIMIT:
                return found
        raise DiscoveryError(f"{key} is not a number")

    def flag(self, key: str, default: bool = False) -> bool:
        """A truth value."""
        value = self._options.get(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "yes", "on", "1"):
            return True
        if str(value).lower() in ("false", "no", "off", "0"):
            return False
        raise DiscoveryError(f"{key} is neither true nor false")

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of texts, or one text alone."""
        value = self._options.get(key)
        if value is None:
            return default
        members = value if isinstance(value, list) else [value]
        if len(members) > _LIST_LIMIT or not all(
            isinstance(m, str | int | float) and len(str(m)) <= _TEXT_LIMIT for m in members
        ):
            raise DiscoveryError(f"{key} is not a list of texts")
        return tuple(str(m) for m in members)

    def objects(self, key: str) -> list[Config]:
        """A list of objects, each with options of its own."""
        value = self._options.get(key) or []
        if not isinstance(value, list) or len(value) > _LIST_LIMIT:
            raise DiscoveryError(f"{key} is not a list")
        if not all(isinstance(member, dict) for member in value):
            raise DiscoveryError(f"{key} holds something that is no object")
        return [Config(member) for member in value]

    def topic(self, key: str) -> str | None:
        """A topic without wildcards; None where the option is not given."""
        value = self._options.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > TOPIC_LIMIT or not is_topic(value):
            raise DiscoveryError(f"{key} is not a topic")
        return value

    def required_topic(self, key: str) -> str:
        """A topic that must be there."""
        topic = self.topic(key)
        if topic is None:
            raise DiscoveryError(f"{key} is missing")
        return topic

    def template(self, key: str) -> Template | None:
        """A parsed template; None where the option is not given."""
        value = self._options.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise DiscoveryError(f"{key} is not a text")
        return parse(value)

    def reading(
        self,
        topic_key: str,
        template_key: str | None,
        read: Callable[[str], Mapping[str, StateValue]],
    ) -> tuple[Reading, ...]:
        """How a state topic is read: nothing where it is not given.

        What the template renders empty is no news; so is what it says it holds nothing in.
        """
        topic = self.topic(topic_key)
        if topic is None:
            return ()
        template = self.template(template_key) if template_key else None

        def through(payload: str) -> Mapping[str, StateValue]:
            try:
                text = render_value(template, payload)
            except NoValueError:
                return {}
            return read(text) if text else {}

        return (Reading(topic, through),)

    def order(self, topic_key: str, template_key: str) -> Order | None:
        """How a command is worded; None where the topic is not given. See `required_order`."""
        return self.required_order(topic_key, template_key) if self.has(topic_key) else None

    def required_order(self, topic_key: str, template_key: str | None) -> Order:
        """How a command is worded on a topic that must be there.

        The order takes a value and further variables; without a template the value is the payload.
        """
        topic = self.required_topic(topic_key)
        template = self.template(template_key) if template_key else None

        def worded(value: str | int | float | list[str], **more: Any) -> Command:
            if template is None:
                return Command(topic, str(value), self._qos, self._retain)
            payload = template.render({"value": value, **more})
            return Command(topic, payload, self._qos, self._retain)

        return worded


def number_of(text: str) -> float:
    """The number that a payload is. Raises DiscoveryError where it is none, or beyond reason."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not abs(found) <= _NUMBER_LIMIT:
        raise DiscoveryError(f"{text[:40]!r} is not a number")
    return found


def tidy(value: float) -> int | float:
    """Without the noise of binary fractions; whole numbers as int."""
    value = round(value, 3)
    return int(value) if value == int(value) else value
