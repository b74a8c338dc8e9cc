"""What a language model is told of a home and may answer in it, made once for each revision."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from assistant.home.model import Home
from assistant.home.vocabulary import Vocabulary
from assistant.llm.model import Message
from assistant.understand.handles import Handles, handles_of
from assistant.understand.prompt import fitting, system_message
from assistant.understand.schema import answer_schema

_HOMES_KEPT: Final = 4
_SCHEMAS_KEPT: Final = 16
_TURN: Final = 400
"""Tokens that an utterance, and what is told with it, take, all but seldom."""
_MORE: Final = 400
"""Tokens that it takes besides where it is told of devices, too."""
_BYTES: Final = 2.6
"""Of a token, in a system message: seldom fewer."""


class KnownHome:
    """A home at one revision, as it is told of in `language`."""

    def __init__(
        self,
        home: Home,
        language: str,
        vocabulary: Vocabulary,
        never: Collection[str],
        tokens: int,
    ) -> None:
        self.home = home
        self.language = language
        self.handles = handles_of(home)
        self.told: Collection[str] | None = fitting(
            home,
            vocabulary,
            self.handles,
            language,
            never,
            room=round(_BYTES * (tokens - _TURN)),
            more=round(_BYTES * _MORE),
        )
        """Ids of the devices that `system` tells of; None: of all."""
        self.system: Message = system_message(
            home, vocabulary, self.handles, language, never, self.told
        )
        self._vocabulary = vocabulary
        self._never = never
        self._schemas: OrderedDict[tuple[bool, int, int], Mapping[str, Any]] = OrderedDict()
        self.schema(home, self.handles, actions=True)

    def schema(self, home: Home, handles: Handles, *, actions: bool) -> Mapping[str, Any]:
        """The schema of an answer in `home`, which is this one or what is left of it by now.

        `actions`: whether it may hold any.
        """
        key = (actions, len(home.timers), home.revision)
        if key not in self._schemas:
            self._schemas[key] = answer_schema(
                home, self._vocabulary, handles, actions=actions, never=self._never
            )
            if len(self._schemas) > _SCHEMAS_KEPT:
                self._schemas.popitem(last=False)
        return self._schemas[key]


class KnownHomes:
    """The homes that a model is told of, and which of them it has read.

    `never`: actions left out, as in the policy's settings. `tokens`: those of prompts, within which
    a home is told of; one for which they are too few is told of in part.
    """

    def __init__(self, vocabulary: Vocabulary, never: Collection[str], tokens: int) -> None:
        self._vocabulary = vocabulary
        self._never = never
        self._tokens = tokens
        self._homes: OrderedDict[tuple[str, int, str], KnownHome] = OrderedDict()
        self._read: dict[tuple[str, str], KnownHome] = {}

    async def known(self, home: Home, language: str) -> KnownHome:
        """`home` as it is now, made in a thread where it has changed."""
        if (home.id, home.revision, language) not in self._homes:
            # A thousand devices take a second, in which others want to be heard.
            self._keep(await asyncio.to_thread(self._made, home, language))
        return self._current(home, language)

    def note_read(self, known: KnownHome) -> None:
        """The model has read `known`; from now on it is told of no earlier one."""
        self._read[known.home.id, known.language] = known

    def note_unread(self, known: KnownHome) -> None:
        """The model could not read `known`, and is told of it as it is all the same."""
        self._read.pop((known.home.id, known.language), None)

    def as_read(self, home: Home, language: str) -> tuple[Home, KnownHome]:
        """`home` without what the model has not read of yet, and what it was told of it."""
        read = self._read.get((home.id, language))
        if read is None:
            return home, self._current(home, language)
        if read.home.revision == home.revision:
            return home, read
        devices = {i: device for i, device in home.devices.items() if i in read.handles.of_device}
        areas = {area.id for area in home.areas}
        return replace(
            home,
            devices=devices,
            areas=tuple(area for area in read.home.areas if area.id in areas),
        ), read

    def _current(self, home: Home, language: str) -> KnownHome:
        key = (home.id, home.revision, language)
        if key not in self._homes:
            self._keep(self._made(home, language))
        self._homes.move_to_end(key)
        return self._homes[key]

    def _keep(self, known: KnownHome) -> None:
        self._homes[known.home.id, known.home.revision, known.language] = known
        if len(self._homes) > _HOMES_KEPT:
            self._homes.popitem(last=False)

    def _made(self, home: Home, language: str) -> KnownHome:
        return KnownHome(home, language, self._vocabulary, self._never, self._tokens)
