"""What was done before, done to others: "and in the hall", "the left one", "the other one"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from assistant.home.model import Device, DeviceType
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.asked import Asked
from assistant.understand.conversation import kind_words, named
from assistant.understand.normal import squeeze
from assistant.understand.target import can, is_kin, refuse, which_one

_MOST_CHOICES: Final = 5


@dataclass(frozen=True, slots=True)
class Likewise:
    """What was done before, and the ways to do it to others."""

    asked: Asked
    sentence: str
    """What was said before, in full."""
    old: Plan
    """The plan that it made."""

    def in_place(self, name: str, areas: frozenset[str]) -> Plan | None:
        """The same for all that is of the kind in `areas`, a place called `name`."""
        candidates, before = self._candidates(), self._before()
        inside = [device for device in candidates if device.area in areas]
        if inside:
            return self._done_to(inside, name)
        if not candidates or not before or any(device.area in areas for device in before):
            return None
        first = before[0]
        of_class = first.type is DeviceType.COVER and first.device_class
        kind = f"{first.type}.{first.device_class}" if of_class else str(first.type)
        return refuse("core.not_in_place", kind=kind, place=name)

    def namesake(self, name: str, areas: frozenset[str]) -> Plan | None:
        """The same for what in `areas`, a place called `name`, has the name of what was named."""
        inside = [device for device in self._candidates() if device.area in areas]
        meant = self._namesakes(inside)
        return self._done_to(meant, name) if meant else None

    def called(self, said: str) -> Plan | None:
        """The same for those of the kind that `said` tells from the others."""
        asked = self.asked
        return self._done_to_one(named(said, self._candidates(), asked.home, asked.language))

    def other(self) -> Plan | None:
        """The same for the other one: called most alike, or in the same room."""
        candidates = self._candidates()
        rooms = {device.area for device in self._before()}
        alike = self._alike_in_name(candidates) or candidates
        return self._done_to_one([d for d in alike if d.area in rooms] or alike)

    def are_kin(self, devices: Sequence[str]) -> bool:
        """Whether each of `devices` goes by one word with one of those of before."""
        home, before = self.asked.home, self._before()
        return all(any(is_kin(home.devices[i], other) for other in before) for i in devices)

    def _before(self) -> list[Device]:
        devices = self.asked.home.devices
        return [devices[i] for i in self.old.commanded if i in devices]

    def _candidates(self) -> list[Device]:
        """The devices that the action of before could be done to, of the kinds of before."""
        actions = {action.name for action in self.old.actions}
        if len(actions) != 1 or self.old.kind not in (PlanKind.ACT, PlanKind.ASK):
            return []
        (action,) = actions
        return [
            device
            for device in self.asked.home.exposed()
            if device.id not in self.old.commanded
            and can(device, action)
            and self.are_kin([device.id])
        ]

    def _namesakes(self, devices: Sequence[Device]) -> list[Device]:
        """Those of `devices` called as the one thing that was named: "the ceiling light"."""
        before, said = self._before(), f" {squeeze(self.sentence)} "
        called = {squeeze(device.name) for device in before}
        telling = set().union(*(n.split() for n in called)) - kind_words(
            before, self.asked.language
        )
        if len(before) != 1 or not telling or f" {next(iter(called))} " not in said:
            return []
        return [device for device in devices if squeeze(device.name) in called]

    def _done_to_one(self, meant: Sequence[Device]) -> Plan | None:
        """The same for `meant`; a question which, where they are several."""
        if not meant or len(meant) > _MOST_CHOICES:
            return None
        if len(meant) == 1:
            return self._done_to(meant)
        ids = tuple(device.id for device in meant)
        plan = self._done_to(meant)
        question = which_one(meant, self.asked.home)
        return replace(plan, kind=PlanKind.ASK, devices=ids, speech=question)

    def _alike_in_name(self, devices: Sequence[Device]) -> list[Device]:
        """Those of `devices` whose names are most like what was spoken of, if any are."""
        before = self._before()
        idle = self.asked.language.articles | self.asked.language.dangling
        idle |= kind_words(before, self.asked.language)
        known = {w for d in before for w in squeeze(d.name).split()} - idle
        words = {d.id: set(squeeze(d.name).split()) - idle for d in devices}
        likeness = {i: (len(known & own), -len(own)) for i, own in words.items()}
        most = max(likeness.values(), default=(0, 0))
        return [d for d in devices if most[0] and likeness[d.id] == most]

    def _done_to(self, devices: Sequence[Device], place: str = "") -> Plan:
        ids = tuple(device.id for device in devices)
        action = replace(self.old.actions[0], devices=ids)
        speech = self.old.speech
        if self.old.kind is PlanKind.ASK or speech is None:
            speech = Speech(f"{self.old.skill}.{self.old.intent}", dict(action.params))
        speech = replace(speech, values={**speech.values, "place": place})
        return replace(
            self.old,
            kind=PlanKind.ACT,
            actions=(action,),
            devices=(),
            confirm=False,
            speech=speech,
            sentence=self.sentence,
        )
