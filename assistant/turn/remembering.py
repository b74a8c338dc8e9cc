"""Remembers what the language model resolved, once the user has let it pass.

What the model did unasked, or upon a yes where it was not sure, and what all devices confirmed, is
kept on trial for a minute. Whoever objects in that time, undoes it, or commands the same devices
otherwise was not content: it is forgotten. After that the same words do the same at once, until
somebody undoes that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from assistant.errors import AssistantError
from assistant.home.action import Outcome, Result
from assistant.home.model import Home
from assistant.home.vocabulary import Vocabulary
from assistant.plan import Plan, PlanKind, Utterance
from assistant.turn.hindsight import SKILL as HINDSIGHT
from assistant.understand.language import load_language
from assistant.understand.lesson import lesson
from assistant.understand.mood import Mood, mood
from assistant.understand.normal import squeeze
from assistant.understand.recall import Recall, Recalled
from assistant.understand.remembered import Remembered
from assistant.understand.remembered_file import RememberedFile

log = logging.getLogger(__name__)

TRIAL: Final = 60.0
"""Seconds in which the user may object."""
_UNDOING: Final = frozenset({"undo", "undone_already", "cannot_undo"})
"""What a wish to take back what was done last comes to."""


@dataclass(frozen=True, slots=True)
class _Latest:
    """What was learnt or recalled last at a source. `just_now`: nothing was said since."""

    entry: Remembered
    devices: frozenset[str]
    by_pattern: bool
    time: float
    just_now: bool = True


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the language model was not sure of: it asked whether to do `plan`."""

    utterance: Utterance
    home: Home
    plan: Plan


class Remembering:
    """What is remembered, for turns. Belongs to one event loop.

    A file that can't be used is logged once, and nothing is remembered meanwhile. `clock` gives
    seconds since the epoch.
    """

    def __init__(
        self,
        file: RememberedFile,
        vocabulary: Vocabulary,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._vocabulary = vocabulary
        self._clock = clock
        self._entries: tuple[Remembered, ...] = ()
        self._recall = Recall((), vocabulary)
        self._latest: dict[str, _Latest] = {}
        self._asked: dict[str, _Asked] = {}
        self._failing = False

    def recall(self, utterance: Utterance, home: Home) -> Recalled | None:
        """What `utterance` is remembered to mean in `home`; None: nothing certain."""
        if not self._read():
            return None
        return self._recall.find(utterance, home, self._clock())

    def ended(
        self,
        utterance: Utterance,
        home: Home,
        plan: Plan,
        outcomes: Sequence[Outcome],
        *,
        taught: bool,
        asked: bool = False,
        recalled: Recalled | None = None,
    ) -> None:
        """A turn is over. `home` is as it was before, `plan` what came of it after the policy.

        `taught`: the language model did `plan` and nothing else, unasked. `asked`: it was not sure
        of it, and asks; that is all that is asked. `recalled`: it was this.
        """
        before = self._asked.pop(utterance.source, None)
        if asked:
            self._asked[utterance.source] = _Asked(utterance, home, plan)
        if not self._read():
            return
        if before is not None and _grants(utterance, plan, before):
            utterance, home, taught = before.utterance, before.home, True
        try:
            self._note(utterance, home, plan, outcomes, taught, recalled)
        except AssistantError as error:
            self._fails(error)
            return
        self._read()  # now rather than while somebody waits for the next reply

    def _note(
        self,
        utterance: Utterance,
        home: Home,
        plan: Plan,
        outcomes: Sequence[Outcome],
        taught: bool,
        recalled: Recalled | None,
    ) -> None:
        now = self._clock()
        objected = self._objected(utterance, plan, outcomes, now)
        for entry in self._entries:
            if entry.trial_ends > now and any(_differs(entry, outcome) for outcome in outcomes):
                log.debug("number %d is forgotten: its devices were commanded otherwise", entry.id)
                self._file.forget([entry.id])
        if recalled is not None:
            self._file.note_use(recalled.entry.id, now)
            self._latest[utterance.source] = _Latest(
                recalled.entry, _devices(plan), recalled.by_pattern, now
            )
        elif taught and not objected and _all_confirmed(plan, outcomes):
            self._learn(utterance, home, plan, now)

    def _learn(self, utterance: Utterance, home: Home, plan: Plan, now: float) -> None:
        learnt = lesson(utterance, home, plan.actions, self._vocabulary)
        if learnt is None:
            return
        same = (learnt.language, learnt.said, learnt.area)
        if any(
            (entry.language, entry.said, entry.area) == same and not entry.enabled
            for entry in self._entries
        ):
            return  # the owner wants the model to be asked
        learnt = replace(learnt, learnt=now, last_used=now, trial_ends=now + TRIAL)
        learnt = replace(learnt, id=self._file.put(learnt))
        self._latest[utterance.source] = _Latest(learnt, _devices(plan), False, now)

    def _objected(
        self, utterance: Utterance, plan: Plan, outcomes: Sequence[Outcome], now: float
    ) -> bool:
        """Whether the user takes back what was done before; if so it is forgotten."""
        language = load_language(utterance.language)
        text = squeeze(utterance.text)
        objects = (
            language.objecting.match(text) is not None
            or language.correcting.match(f" {text} ") is not None
            or text in language.no
            or mood(utterance.text, language) is Mood.FORBIDDING
        )
        undone = plan.skill == HINDSIGHT and plan.intent in _UNDOING
        latest = self._latest.pop(utterance.source, None)
        if latest is None or now - latest.time > TRIAL:
            return objects or undone
        touched = {outcome.device for outcome in outcomes}
        taken_back = undone and not touched.isdisjoint(latest.devices)
        if taken_back or ((objects or undone) and latest.just_now):
            self._forget(latest)
        else:
            self._latest[utterance.source] = replace(latest, just_now=False)
        return objects or undone

    def _forget(self, latest: _Latest) -> None:
        if not latest.by_pattern:
            self._file.forget([latest.entry.id])
            return
        # It holds of what it was learnt of: of others it was too much to say.
        for entry in self._file.entries():
            if entry.id == latest.entry.id:
                self._file.change(replace(entry, pattern="", slots=()))

    def _read(self) -> bool:
        """Bring what is remembered up to date; False where the file can't be used."""
        try:
            entries = self._file.entries()
        except AssistantError as error:
            self._fails(error)
            return False
        if entries is not self._entries:
            self._entries = entries
            self._recall.know(entries)
        self._failing = False
        return True

    def _fails(self, error: AssistantError) -> None:
        if not self._failing:
            log.error("nothing is remembered: %s", error)
        self._failing = True


def _grants(utterance: Utterance, plan: Plan, asked: _Asked) -> bool:
    """Whether `utterance` was the yes to what was asked, and led to that."""
    yes = squeeze(utterance.text) in load_language(utterance.language).yes
    return yes and plan.kind is PlanKind.ACT and plan.actions == asked.plan.actions


def _devices(plan: Plan) -> frozenset[str]:
    return frozenset(device for action in plan.actions for device in action.devices)


def _all_confirmed(plan: Plan, outcomes: Sequence[Outcome]) -> bool:
    wanted = [device for action in plan.actions for device in action.devices]
    return bool(outcomes) and sorted(wanted) == sorted(
        outcome.device or "" for outcome in outcomes if outcome.result is Result.CONFIRMED
    )


def _differs(entry: Remembered, outcome: Outcome) -> bool:
    """Whether `outcome` is of something else that was done to a device of `entry`."""
    if outcome.device not in entry.devices:
        return False
    done = (outcome.action.name, dict(outcome.action.params))
    return all(
        (step.action.name, dict(step.action.params)) != done
        for step in entry.steps
        if outcome.device in step.action.devices
    )
