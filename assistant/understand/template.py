"""The template path: whole sentences matched against the skills' templates, then their handlers.

hassil's sentence format is what people who write custom sentences know already; the matching is
our own (`assistant.understand.automaton`), a tenth of hassil's time and able to allow for what a
recogniser mistook. Only sentences that match
from the first word to the last count, so a word like "not" that no template foresees leaves the
sentence not understood rather than turned into its opposite.
"""

from __future__ import annotations

import gc
import itertools
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Speech, Utterance
from assistant.skill import Request, Skill, Skills
from assistant.understand.compile import Grammar, compile_sentences
from assistant.understand.language import Language, load_language
from assistant.understand.lattice import Lattice, exactly
from assistant.understand.mood import is_question, without_politeness
from assistant.understand.names import Names, listing, names_of
from assistant.understand.normal import fold, squeeze
from assistant.understand.reading import Listing, Reading, read
from assistant.understand.words import Word, words_of

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
        self._grammars: dict[str, Grammar] = {}
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
        if first := language not in self._grammars:
            self.grammar(data)
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
        words = words_of(folded)
        listings: dict[str, Listing] = dict(names.lists)
        listings["timer_name"] = _timer_names(home)
        if unknown_place:
            # Without the devices' names: this is about "the basement lights", and must be quick.
            strange = _strange_places(words, names, language)
            if not strange:
                return None
            places = listing(dict.fromkeys(strange, True))
            listings = dict.fromkeys(_PLACES, places)
        fallback: tuple[Plan, _Candidate] | None = None
        lattice = exactly(words)
        found = self._candidates(lattice, text[start:], listings, language)
        for candidate in sorted(found, key=lambda c: c.rank)[:_MOST_CANDIDATES]:
            if fallback is not None and candidate.free > fallback[1].free:
                break
            if unknown_place:
                place = next((candidate.slots[p] for p in _PLACES if p in candidate.slots), None)
                if place is None:
                    continue
                heard = strange[place]
                place = text[start + heard[0].start : start + heard[-1].end]
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
        self, lattice: Lattice, text: str, listings: Mapping[str, Listing], language: Language
    ) -> Iterator[_Candidate]:
        grammar = self.grammar(language)
        everything = {**grammar.listings, **listings}
        seen = set()
        for reading in read(grammar.automaton, lattice, everything, language.numbers):
            skill_name, _, intent = reading.accept.intent.partition(".")
            slots = _slots_of(reading, lattice, text)
            key = (reading.accept.intent, tuple(sorted((k, str(v)) for k, v in slots.items())))
            if key in seen:
                continue
            seen.add(key)
            free = [slot for slot in reading.slots if slot.free]
            rank = (
                len(free),
                sum(len(str(slots[slot.name])) for slot in free),
                2 * sum(not slot.exact for slot in reading.slots) + ("kind" in slots),
                -reading.fixed,
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

    def grammar(self, language: Language) -> Grammar:
        """The sentences of `language`, compiled once."""
        if language.code not in self._grammars:
            self._grammars[language.code] = compile_sentences(
                self._skills.skills.values(), language
            )
        return self._grammars[language.code]

    def names(self, home: Home, language: Language) -> Names:
        """The names of `home`, built once for each revision of it."""
        key = (language.code, home.id, home.revision)
        if key not in self._names:
            self._names[key] = names_of(home, language)
            if len(self._names) > _HOMES_KEPT:
                self._names.popitem(last=False)
        self._names.move_to_end(key)
        return self._names[key]


def _slots_of(reading: Reading, lattice: Lattice, text: str) -> dict[str, Any]:
    """The slots of `reading`; free text as it was spelt, with its capitals and accents."""
    slots = dict(reading.accept.slots)
    for slot in reading.slots:
        value = slot.value
        if slot.free:
            first, last = lattice.words[slot.start], lattice.words[slot.end - 1]
            value = text[first.start : last.end].strip(" .,;:!?")
        slots[slot.name] = value
    return slots


def _strange_places(
    words: Sequence[Word], names: Names, language: Language
) -> dict[str, Sequence[Word]]:
    """What may be the name of a place that this home lacks, and is nothing else."""
    known = {w for ids in names.ids.values() for name in ids for w in name.split()}
    ordinary = known | language.articles | language.dangling
    spans = [
        words[first : first + length]
        for length in range(1, _LONGEST_PLACE + 1)
        for first in range(len(words) - length + 1)
    ]
    return {
        " ".join(word.text for word in span): span
        for span in spans
        if not ordinary & {word.text for word in span}
    }


def _timer_names(home: Home) -> Listing:
    return listing({squeeze(t.name): True for t in home.timers if t.name})


def _not_understood(text: str) -> Plan:
    return Plan(PlanKind.UNKNOWN, score=0.0, speech=Speech("core.not_understood", {"heard": text}))
