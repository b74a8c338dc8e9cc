"""The template path: whole sentences matched against the skills' templates, then their handlers.

hassil (Apache-2.0) does the matching: its sentence format is what people who write custom
sentences know already, and it needs no model and a few milliseconds. Only sentences that match
from the first word to the last count, so a word like "not" that no template foresees leaves the
sentence not understood rather than turned into its opposite.
"""

from __future__ import annotations

import gc
import itertools
import logging
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hassil.intents import Intents, SlotList, TextSlotList
from hassil.recognize import RecognizeResult, recognize_all

from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Speech, Utterance
from assistant.skill import Request, Skill, Skills
from assistant.understand.compile import compile_intents, warm
from assistant.understand.language import Language, load_language
from assistant.understand.mood import is_question, without_politeness
from assistant.understand.names import Names, names_of
from assistant.understand.normal import fold, squeeze

_log = logging.getLogger(__name__)

_HOMES_KEPT = 32
_MOST_CANDIDATES = 60
_LONGEST = 400
"""Letters of an utterance beyond which it is no command: 16 s of speech are about 250."""
_MOST_COMMANDS = 4
_LONGEST_BEGINNING = 6
"""Words of a command that a continuation ("and the kitchen") may leave out."""
_WITH_FREE_TEXT = 0.9
"""Score of a plan that took part of the sentence as it is: it may have been something else."""
_PLACES = ("area", "floor")
_LONGEST_PLACE = 3
"""Words of the name of a place that is not known."""
_SETTLED = frozenset({PlanKind.ACT, PlanKind.ANSWER, PlanKind.CHAT, PlanKind.NOTHING})


@dataclass(frozen=True, slots=True)
class _Candidate:
    skill: Skill
    intent: str
    slots: Mapping[str, Any]
    rank: tuple[int, int, int, int]

    @property
    def free(self) -> tuple[int, int]:
        """How many parts are free text, and how long they are together."""
        return self.rank[:2]


class TemplateUnderstanding:
    """Understands what the skills' sentences say. Built once; homes are compiled as they come.

    Raises SkillError when a skill's sentences can't be compiled (see `check`).
    """

    def __init__(self, skills: Skills) -> None:
        self._skills = skills
        self._intents: dict[str, Intents] = {}
        self._names: OrderedDict[tuple[str, str, int], Names] = OrderedDict()

    def understand(self, utterance: Utterance, home: Home, recent: tuple[str, ...] = ()) -> Plan:
        """The plan for `utterance`; of kind UNKNOWN when no sentence matches.

        Never raises for what people say, and knows only devices that are exposed.
        """
        text = utterance.text[:_LONGEST]
        if not squeeze(text) or len(utterance.text) > _LONGEST:
            return Plan(PlanKind.UNKNOWN, speech=Speech("core.not_understood", {"heard": text}))
        language = load_language(utterance.language)
        folded, start = without_politeness(fold(text), language)
        plan = self._match(utterance, text, folded, start, home, language, recent)
        if plan is None or plan.score < 1:
            plan = (
                self._joined(utterance, text[start : start + len(folded)], home, language, recent)
                or plan
            )
        if plan is not None and plan.kind is PlanKind.ACT:
            if is_question(text, folded, start, language):
                return _not_understood(text)
            return plan
        if plan is not None:
            return plan
        if language.negation.match(" ".join(folded.split())):
            return Plan(PlanKind.NOTHING, speech=Speech("core.nothing_done"))
        refusal = self._match(
            utterance, text, folded, start, home, language, recent, unknown_place=True
        )
        if refusal is not None:
            return refusal
        return _not_understood(text)

    def prepare(self, language: str, home: Home) -> None:
        """Compile the sentences of `language` and the names of `home` now, seconds' work, rather
        than at the first utterance. Raises SkillError where a sentence is malformed.
        """
        data = load_language(language)
        if first := language not in self._intents:
            warm(self.intents(data))
        self.names(home, data)
        if first:
            # What is compiled stays as long as we do. Hundreds of thousands of objects, which
            # the garbage collector would else go through now and then, 0.4 s in a turn's midst.
            gc.collect()
            gc.freeze()

    def matches(self, utterance: Utterance, home: Home) -> PlanKind:
        """The kind of plan a whole sentence of the templates makes of `utterance`, else UNKNOWN.

        Cheaper than `understand`: what is not understood is not looked into.
        """
        text = utterance.text[:_LONGEST]
        language = load_language(utterance.language)
        body, start = without_politeness(fold(text), language)
        plan = self._match(utterance, text, body, start, home, language, ())
        return PlanKind.UNKNOWN if plan is None else plan.kind

    def _joined(
        self,
        utterance: Utterance,
        text: str,
        home: Home,
        language: Language,
        recent: tuple[str, ...],
    ) -> Plan | None:
        """The plan of several commands in one sentence; None unless each part is one by itself."""
        folded = fold(text)
        joints = [m.span() for m in language.joining.finditer(folded)]
        # fold made spaces of the commas that join, and kept those within numbers.
        joints += [(i, i + 1) for i, c in enumerate(text) if c == "," and folded[i] == " "]
        ends = [(0, 0), *sorted(joints), (len(text),) * 2]
        parts = [text[a[1] : b[0]] for a, b in itertools.pairwise(ends)]
        parts = [part for part in parts if part.strip()]
        if not 2 <= len(parts) <= _MOST_COMMANDS:
            return None
        plans: list[Plan] = []
        for part in parts:
            plan = self._command(utterance, part, home, language, recent)
            if plan is None and plans and plans[0].score == 1:
                plan = self._continued(utterance, parts[0], part, plans[0], home, language, recent)
            if plan is None:
                return None
            plans.append(plan)
        actions = tuple(action for plan in plans for action in plan.actions)
        return replace(plans[0], actions=actions, speech=Speech("core.done", {"parts": plans}))

    def _command(
        self,
        utterance: Utterance,
        part: str,
        home: Home,
        language: Language,
        recent: tuple[str, ...],
    ) -> Plan | None:
        body, start = without_politeness(fold(part), language)
        plan = self._match(utterance, part, body, start, home, language, recent)
        return plan if plan is not None and plan.kind is PlanKind.ACT else None

    def _continued(
        self,
        utterance: Utterance,
        first: str,
        part: str,
        done: Plan,
        home: Home,
        language: Language,
        recent: tuple[str, ...],
    ) -> Plan | None:
        """What `part` is as a continuation: "turn off the TV | and the speaker".

        The beginning of the first command is tried before it, the longest that makes a command
        of the same action.
        """
        words = first.split()
        for length in range(min(len(words) - 1, _LONGEST_BEGINNING), 0, -1):
            said = f"{' '.join(words[:length])} {part}"
            plan = self._command(utterance, said, home, language, recent)
            if plan is None or plan.score < 1:
                continue  # "play Simon and Garfunkel" is one command
            if [a.name for a in plan.actions] == [a.name for a in done.actions]:
                return plan
        return None

    def _match(
        self,
        utterance: Utterance,
        text: str,
        folded: str,
        start: int,
        home: Home,
        language: Language,
        recent: tuple[str, ...],
        unknown_place: bool = False,
    ) -> Plan | None:
        """The best plan of all matches; with `unknown_place`, only the refusal of a strange place.

        A handler that can't resolve its target gives way to the next candidate, but never to one
        with more free text in it: "play X on the TV in the kitchen" must not become a song title.
        """
        names = self.names(home, language)
        lists: dict[str, SlotList] = {**names.lists, "timer_name": _timer_names(home)}
        if unknown_place:
            # Without the devices' names: this is about "the basement lights", and must be quick.
            lists |= {name: TextSlotList(name=name, values=[]) for name in names.lists}
            strange = _strange_places(text, folded, start, names, language)
            if not strange:
                return None
            lists |= {place: _strange_list(place, strange) for place in _PLACES}
        fallback: tuple[Plan, _Candidate] | None = None
        found = self._candidates(text, folded, start, lists, language)
        for candidate in sorted(found, key=lambda c: c.rank)[:_MOST_CANDIDATES]:
            if fallback is not None and candidate.free > fallback[1].free:
                break
            if unknown_place:
                place = next((candidate.slots[p] for p in _PLACES if p in candidate.slots), None)
                if place not in strange.values():
                    continue
                return Plan(
                    PlanKind.REFUSE,
                    intent=candidate.intent,
                    skill=candidate.skill.name,
                    speech=Speech("core.no_such_place", {"name": place}),
                )
            plan = self._handle(candidate, utterance, home, names, recent)
            if candidate.free[0]:
                plan = replace(plan, score=_WITH_FREE_TEXT)
            if plan.kind in _SETTLED:
                return plan
            if plan.kind is not PlanKind.UNKNOWN and fallback is None:
                fallback = plan, candidate
        return fallback[0] if fallback else None

    def _candidates(
        self, text: str, folded: str, start: int, lists: dict[str, SlotList], language: Language
    ) -> Iterator[_Candidate]:
        seen = set()
        intents = self.intents(language)
        said = language.respell(folded)
        for result in recognize_all(said, intents, slot_lists=lists, language=language.code):
            skill_name, _, intent = result.intent.name.partition(".")
            slots = _slots_of(result, text, folded, start)
            key = (result.intent.name, tuple(sorted((k, str(v)) for k, v in slots.items())))
            if key in seen:
                continue
            seen.add(key)
            free = [e for e in result.entities_list if e.is_wildcard]
            inexact = sum((e.metadata or {}).get("exact") is False for e in result.entities_list)
            kinds = "kind" in slots
            rank = (
                len(free),
                sum(len(e.text) for e in free),
                2 * inexact + kinds,
                -result.text_chunks_matched,
            )
            yield _Candidate(self._skills.skills[skill_name], intent, slots, rank)

    def _handle(
        self,
        candidate: _Candidate,
        utterance: Utterance,
        home: Home,
        names: Names,
        recent: tuple[str, ...],
    ) -> Plan:
        request = Request(
            candidate.intent,
            candidate.slots,
            utterance,
            home,
            candidate.skill.options,
            names.ids,
            lambda text: self.understand(replace(utterance, text=text), home, recent),
            recent,
        )
        try:
            plan = candidate.skill.handlers[candidate.intent](request)
        except Exception as error:  # a skill is somebody else's code: it must not end the turn
            _log.exception("skill %s failed at %s", candidate.skill.name, candidate.intent)
            return Plan(
                PlanKind.REFUSE,
                skill=candidate.skill.name,
                speech=Speech(
                    "core.skill_failed", {"skill": candidate.skill.name, "error": str(error)}
                ),
            )
        speech = plan.speech
        if speech is not None and "." not in speech.key:
            speech = replace(speech, key=f"{candidate.skill.name}.{speech.key}")
        return replace(plan, intent=candidate.intent, skill=candidate.skill.name, speech=speech)

    def names(self, home: Home, language: Language) -> Names:
        """The names of `home`, built once for each revision of it."""
        key = (language.code, home.id, home.revision)
        if key not in self._names:
            self._names[key] = names_of(home, language)
            if len(self._names) > _HOMES_KEPT:
                self._names.popitem(last=False)
        self._names.move_to_end(key)
        return self._names[key]

    def intents(self, language: Language) -> Intents:
        """All skills' sentences in `language`, compiled once."""
        if language.code not in self._intents:
            self._intents[language.code] = compile_intents(self._skills.skills.values(), language)
        return self._intents[language.code]


def _slots_of(result: RecognizeResult, text: str, folded: str, start: int) -> dict[str, Any]:
    slots: dict[str, Any] = {}
    for entity in result.entities_list:
        value = entity.value
        if entity.is_wildcard:
            value = _as_written(entity.text, text, folded, start)
        if isinstance(value, str) and not entity.is_wildcard:
            value = value.strip()
        slots[entity.name] = value
    return slots


def _as_written(free: str, text: str, folded: str, start: int) -> str:
    """Free text as it was spelt, with its capitals and accents.

    Looked up by its words: hassil's own spans are off behind a number that was said in words.
    """
    words = r"\W+".join(re.escape(word) for word in squeeze(free).split())
    found = re.search(rf"(?<!\w){words}(?!\w)", folded)
    if found is None:
        return free.strip()
    return text[start + found.start() : start + found.end()].strip(" .,;:!?")


def _strange_places(
    text: str, folded: str, start: int, names: Names, language: Language
) -> dict[str, str]:
    """What may be the name of a place that this home lacks, and is nothing else: as matched, and
    as written. Looked up in a list, they cost a fraction of what free text in their stead does.
    """
    known = {w for ids in names.ids.values() for name in ids for w in name.split()}
    ordinary = known | language.articles | language.dangling
    words = folded.split()
    spans = [
        words[first : first + length]
        for length in range(1, _LONGEST_PLACE + 1)
        for first in range(len(words) - length + 1)
    ]
    return {
        " ".join(span): _as_written(" ".join(span), text, folded, start)
        for span in spans
        if not ordinary & set(span)
    }


def _strange_list(name: str, strange: Mapping[str, str]) -> SlotList:
    return TextSlotList.from_tuples(
        ((said + " ", written) for said, written in strange.items()),
        allow_template=False,
        name=name,
    )


def _timer_names(home: Home) -> SlotList:
    names = {squeeze(t.name) for t in home.timers if t.name}
    return TextSlotList.from_tuples(
        ((name + " ", name) for name in names), allow_template=False, name="timer_name"
    )


def _not_understood(text: str) -> Plan:
    return Plan(PlanKind.UNKNOWN, score=0.0, speech=Speech("core.not_understood", {"heard": text}))
