"""The words of a reply: made from what came of it, never from what was hoped.

Wordings are the skills' and live in their `replies/LANGUAGE.yaml`. A key is `SKILL.KEY`. Wordings
are Jinja in a sandbox; beside Jinja's own they have these filters: `number` (20.0 -> 20),
`duration` (seconds -> "1 hour and 5 minutes"),
`listed` ("a, b and c"), `either` ("a, b or c"), `capitalise` (the first letter alone), `agree`
(`'acceso' | agree(name)`: in the gender and number of a name, or of several), `phrase` (values
worded by a further key: `when | phrase('at')`), `within` (a place: "in Kitchen", "upstairs") and,
looked up as further keys, `word`
(`word_CODE`), `one` (`one_KIND`) and `verb` (`verb_ACTION`).
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from assistant.home.action import Outcome, Result
from assistant.home.model import Device, DeviceType, Home
from assistant.home.vocabulary import VOCABULARY, ActionError
from assistant.plan import Plan, Speech
from assistant.skill import Skills
from assistant.understand.language import load_language
from assistant.understand.target import labels_of

_log = logging.getLogger(__name__)

_FALLBACK: Final = "en"
_STATELESS: Final = frozenset({DeviceType.SCENE, DeviceType.SCRIPT})
_MOST_NAMED: Final = 6
"""Names read out one by one before a list becomes tedious and is cut."""


class Replies:
    """Words what is to be said, in the user's language.

    `choose` picks one of several wordings of a reply; tests give one that is not random.
    """

    def __init__(
        self, skills: Skills, choose: Callable[[Sequence[str]], str] = random.choice
    ) -> None:
        self._skills = skills
        self._choose = choose
        self._environments: dict[tuple[str, str], ImmutableSandboxedEnvironment] = {}

    def word(self, speech: Speech, language: str) -> str:
        """`speech` in words; where a skill has none, or none that can be used, that this is so."""
        said = self._worded(speech, language)
        if said is None:
            said = self._worded(Speech("core.wordless"), language)
        return said or ""

    def from_outcomes(
        self, plan: Plan, outcomes: Iterable[Outcome], home: Home, language: str
    ) -> str:
        """What came of `plan`: what was done, then what was only sent, then what failed and why."""
        parts: Sequence[Plan] = plan.speech.values.get("parts", ()) if plan.speech else ()
        if parts:
            shares = _shared_out(parts, list(outcomes))
            told = [
                self.from_outcomes(part, share, home, language)
                for part, share in zip(parts, shares, strict=True)
                if share
            ]
            return " ".join(told) or self.word(Speech("core.not_allowed"), language)
        done, sent = [], []
        failed: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            if outcome.result is Result.CONFIRMED or _shows_nothing(outcome, home):
                done.append(outcome)
            elif outcome.result is Result.SENT:
                sent.append(outcome)
            else:
                failed.setdefault(outcome.reason or "error", []).append(outcome)
        said = []
        if done:
            speech = plan.speech or Speech("core.done")
            values = {**speech.values, **_common_params(done)}
            values |= self._target(plan, done, home, language)
            words = self._worded(replace(speech, values=values), language)
            said.append(self.word(Speech("core.done"), language) if words is None else words)
        if sent:
            values = self._target(plan, sent, home, language)
            said.append(self.word(Speech("core.sent", values), language))
        for reason, group in failed.items():
            values = self._target(plan, group, home, language)
            if not values["names"] and group[0].detail:
                speech = Speech("core.failed_action", {"detail": group[0].detail})
            else:
                known = self._find("core", f"failed_{reason}", language) is not None
                speech = Speech(f"core.failed_{reason if known else 'error'}", values)
            said.append(self.word(speech, language))
        return " ".join(said) or self.word(Speech("core.done"), language)

    def target(
        self, devices: Sequence[Device], home: Home, language: str, place: str = ""
    ) -> dict[str, Any]:
        """Values telling of `devices`: `target` (a phrase), `names`, `count`, `kind`, `place`."""
        types = {d.type.value for d in devices}
        areas = {d.area for d in devices}
        if not place and len(areas) == 1 and (area := home.area(next(iter(areas)))):
            place = area.name
        values: dict[str, Any] = {
            "names": list(labels_of(devices, home)),
            "count": len(devices),
            "kind": types.pop() if len(types) == 1 else "",
            "place": place,
        }
        phrase = self._find("core", "target", language)
        values["target"] = self._render(phrase or "", "core", language, values) if devices else ""
        return values

    def _worded(self, speech: Speech, language: str) -> str | None:
        """`speech` in words; None, and a line in the log, where that can't be."""
        skill, _, key = speech.key.partition(".")
        wording = self._choose(speech.wordings) if speech.wordings else None
        wording = wording or self._find(skill, key, language)
        if wording is None:
            _log.warning("no wording for reply %s in %r", speech.key, language)
            return None
        try:
            return self._render(wording, skill, language, speech.values)
        except Exception as error:  # a skill is somebody else's code: it must not end the turn
            _log.error("reply %s in %r can't be worded: %s", speech.key, language, error)
            return None

    def _target(
        self, plan: Plan, outcomes: Sequence[Outcome], home: Home, language: str
    ) -> dict[str, Any]:
        ids = dict.fromkeys(o.device for o in outcomes if o.device is not None)
        devices = [home.devices[i] for i in ids if i in home.devices]
        place = str(plan.speech.values.get("place", "")) if plan.speech else ""
        return self.target(devices, home, language, place)

    def _find(self, skill: str, key: str, language: str) -> str | None:
        for owner in (skill, "core"):
            for spoken in (language, _FALLBACK):
                found = self._skills.skills.get(owner)
                if found is not None and (wordings := found.replies.get(spoken, {}).get(key)):
                    return self._choose(wordings)
        return None

    def _render(self, wording: str, skill: str, language: str, values: Mapping[str, Any]) -> str:
        if (skill, language) not in self._environments:
            self._environments[skill, language] = self._environment_for(skill, language)
        text = self._environments[skill, language].from_string(wording).render(values)
        return " ".join(text.split())

    def _duration(
        self, seconds: object, language: str, join: Callable[[Sequence[object]], str]
    ) -> str:
        words = []
        for unit, n in _parts_of(float(str(seconds))).items():
            wording = self._find("core", f"duration_{unit}", language) or f"{n} {unit}"
            words.append(self._render(wording, "core", language, {"n": n}))
        return join(words)

    def _environment_for(self, skill: str, language: str) -> ImmutableSandboxedEnvironment:
        def looked_up(prefix: str) -> Callable[[object], str]:
            def look_up(code: object) -> str:
                plain = str(code).replace(".", "_")
                families = (
                    plain,
                    str(code).partition(".")[2] or plain,
                    str(code).partition(".")[0],
                )
                for form in families:
                    if found := self._find(skill, f"{prefix}_{form}", language):
                        return found
                return families[1].replace("_", " ")

            return look_up

        def joined(word: str) -> Callable[[Sequence[object]], str]:
            def join(items: Sequence[object]) -> str:
                names = [str(item) for item in items]
                more = self._find("core", "more", language)
                if more and len(names) > _MOST_NAMED:
                    rest = {"n": len(names) - _MOST_NAMED + 1}
                    names = [
                        *names[: _MOST_NAMED - 1],
                        self._render(more, "core", language, rest),
                    ]
                conjunction = self._find("core", word, language) or ","
                return f" {conjunction} ".join(
                    [", ".join(names[:-1]), names[-1]] if names[1:] else names
                )

            return join

        def agreeing(text: object, names: str | Sequence[str]) -> str:
            return load_language(language).agree(
                str(text), [names] if isinstance(names, str) else names
            )

        environment = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined)
        environment.filters |= {
            "number": spoken_number,
            "listed": joined("and"),
            "either": joined("or"),
            "capitalise": lambda text: str(text)[:1].upper() + str(text)[1:],
            "duration": lambda seconds: self._duration(seconds, language, joined("and")),
            "agree": agreeing,
            "phrase": lambda values, key: self._render(
                self._find(skill, key, language) or "", skill, language, values
            ),
            "within": lambda place: self._render(
                self._find("core", "within", language) or "", "core", language, {"place": place}
            ),
            "word": looked_up("word"),
            "one": looked_up("one"),
            "verb": looked_up("verb"),
        }
        return environment


def _parts_of(seconds: float) -> dict[str, int]:
    whole = max(0, round(seconds))
    parts = {"hours": whole // 3600, "minutes": whole % 3600 // 60, "seconds": whole % 60}
    return {unit: n for unit, n in parts.items() if n} or {"seconds": 0}


def spoken_number(value: object) -> str:
    """Numbers without a needless fraction: 20.0 -> "20", "7.50" -> "7.5"; other text as it is."""
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _shared_out(parts: Sequence[Plan], outcomes: list[Outcome]) -> list[list[Outcome]]:
    """Which of `outcomes`, which are in the order of the actions, belong to which part."""
    shares: list[list[Outcome]] = []
    for part in parts:
        devices = Counter(device for action in part.actions for device in action.devices)
        names = {action.name for action in part.actions if not action.devices}
        share = []
        while outcomes and (
            devices[outcomes[0].device] > 0
            if outcomes[0].device is not None
            else outcomes[0].action.name in names
        ):
            share.append(outcomes.pop(0))
            devices[share[-1].device or ""] -= 1
        shares.append(share)
    return shares


def _shows_nothing(outcome: Outcome, home: Home) -> bool:
    """Whether the action leaves no trace in any state, so that "sent" is all there ever is."""
    device = home.devices.get(outcome.device or "")
    if outcome.result is not Result.SENT or device is None:
        return False
    if not device.reports_state and device.type not in _STATELESS:
        return False
    try:
        return not VOCABULARY.effect(device, outcome.action)
    except ActionError:
        return False


def _common_params(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Parameters that all outcomes share: what was really set, where a relative amount was said."""
    shared = dict(outcomes[0].action.params)
    for outcome in outcomes[1:]:
        shared = {k: v for k, v in shared.items() if outcome.action.params.get(k) == v}
    return shared
