"""Typical turns in the virtual house, for `assistant bench llm`: what is said and what answered."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiomqtt

from assistant.home.action import Action
from assistant.home.discovery.consumer import Discovery
from assistant.home.file import Overrides
from assistant.home.model import Home
from assistant.home.registry import Registry
from assistant.home.vocabulary import VOCABULARY
from assistant.llm.model import Message
from assistant.mqtt.message import Handler
from assistant.mqtt.message import Message as Publication
from assistant.plan import Utterance
from assistant.simulate.discovery import ONLINE, Topics, announcements, presence
from assistant.simulate.house import appliances, home_file
from assistant.simulate.lights import Light
from assistant.simulate.machines import Switch
from assistant.simulate.sensors import Sensor
from assistant.tts.sentences import SentenceSplitter
from assistant.understand.answer import ActionStream, Said
from assistant.understand.grounding import Mentions
from assistant.understand.handles import handles_of
from assistant.understand.language import load_language
from assistant.understand.mood import Mood, mood
from assistant.understand.prompt import system_message, turn_message
from assistant.understand.schema import answer_schema

_MORE: Final = (
    Light("Desk lamp", "Bedroom"),
    Switch("Radio", "Kitchen", device_class="outlet"),
    Sensor("Kitchen", "Kitchen", part="temperature", value=21, unit="°C"),
)
"""To make it a home of 30 devices that may be spoken about."""
_NOW: Final = 1_750_000_000.0
"""Seconds since the epoch: a time of day like any other."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An utterance in a home: the prompt, the schema of its answer, and one that is plausible.

    `partial`: the prompt before the last word was heard. `speaks`: the answer is said, not done.
    """

    name: str
    said: str
    messages: tuple[Message, ...]
    partial: tuple[Message, ...]
    schema: Mapping[str, Any]
    answer: str
    speaks: bool
    reader: Callable[[], Reader]


class Reader:
    """Reads an answer as it comes: when there is something to do, or something to say."""

    def __init__(self, stream: ActionStream) -> None:
        self._stream = stream
        self._sentences = SentenceSplitter()
        self._said = 0

    def ready(self, text: str) -> bool:
        """Whether the answer as far as `text` holds a whole action or a whole sentence."""
        found = self._stream.feed(text[self._said :])
        self._said = len(text)
        words = "".join(item.text for item in found if isinstance(item, Said))
        spoken = self._sentences.feed(words) or (self._stream.finished and words)
        return bool(spoken) or any(isinstance(item, Action) for item in found)


def virtual_home() -> Home:
    """The virtual house as discovery finds it, in the state in which its day begins."""

    async def discover() -> Home:
        registry = Registry(overrides=Overrides.model_validate(tomllib.loads(home_file())))
        wire = _Wire()
        discovery = Discovery(registry, wire)
        discovery.start()
        house = [*appliances(), *_MORE]
        topics = Topics()
        wire.say(announcements(house, topics).items())
        wire.say([(topics.bridge, ONLINE)])
        wire.say((topics.availability(one), presence(one, online=True)) for one in house)
        for appliance in house:
            registry.report(appliance.id, appliance.state())
        discovery.stop()
        return registry.home()

    return asyncio.run(discover())


def turns(home: Home) -> tuple[Turn, ...]:
    """Typical turns in the virtual house: one action, two of them, and a question."""
    return (
        _turn(
            "short",
            home,
            "Could you turn the floor lamp off?",
            '{"actions":[{"do":"turn_off","to":["light.floor_lamp"]}]}',
        ),
        _turn(
            "long",
            home,
            "It's too bright in here, close the blinds and dim the living room light to thirty",
            '{"actions":[{"do":"close","to":["cover.living_room_blinds"]},'
            '{"do":"set_brightness","to":["light.living_room_light"],"brightness":30}]}',
        ),
        _turn(
            "question",
            home,
            "How warm is it upstairs?",
            '{"say":"It is 21 and a half degrees in the bedroom. The ceiling fan there is off."}',
        ),
    )


def _turn(name: str, home: Home, said: str, answer: str) -> Turn:
    handles, language = handles_of(home), load_language("en")
    system = system_message(home, VOCABULARY, handles, "en")
    orders = mood(said, language) is Mood.ORDER

    def asked(heard: str) -> tuple[Message, ...]:
        utterance = Utterance(heard, "en", area="living_room", spoken_at=_NOW)
        mentions, form = Mentions(heard, language, home), mood(heard, language)
        message = turn_message(utterance, home, handles, mentions, (), form, now=_NOW)
        return system, message

    return Turn(
        name,
        said,
        asked(said),
        asked(said.rpartition(" ")[0]),
        answer_schema(home, VOCABULARY, handles, actions=orders),
        answer,
        not orders,
        lambda: Reader(ActionStream(home, VOCABULARY, handles, actions=orders)),
    )


class _Wire:
    """Brings discovery its messages; takes none."""

    def __init__(self) -> None:
        self._handlers: list[tuple[str, Handler]] = []

    def subscribe(self, topic_filter: str, handler: Handler, qos: int = 1) -> None:
        """See Broker."""
        self._handlers.append((topic_filter, handler))

    def unsubscribe(self, topic_filter: str, handler: Handler) -> None:
        """See Broker."""

    async def publish(
        self,
        topic: str,
        payload: str | bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry: int | None = None,
    ) -> bool:
        """See Broker."""
        return False

    def say(self, messages: Iterable[tuple[str, str]]) -> None:
        """Deliver `messages`, payloads by topic."""
        for topic, payload in messages:
            for wanted, handler in list(self._handlers):
                if aiomqtt.Topic(topic).matches(wanted):
                    handler(Publication(topic, payload.encode(), retain=True, qos=1))
