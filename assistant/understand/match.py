"""One command: a sentence matched against all templates, and what the skills make of it."""

from __future__ import annotations

import itertools
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from assistant.home.action import Action
from assistant.home.model import DeviceType, Home
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request, Skill, Skills
from assistant.understand.asked import Asked
from assistant.understand.compile import Grammar, compile_sentences
from assistant.understand.explain import Considered, Verdict, ignore
from assistant.understand.language import Language
from assistant.understand.lattice import Lattice, exactly, loosely, vocabulary
from assistant.understand.mood import is_question, without_politeness
from assistant.understand.names import Names, listing, names_of
from assistant.understand.normal import fold, squeeze
from assistant.understand.reading import Entry, Listing, Reading, read
from assistant.understand.sound import Alikes
from assistant.understand.target import FURTHER_EXCEPTIONS
from assistant.understand.words import Word, words_of

_log = logging.getLogger(__name__)

_HOMES_KEPT: Final = 32
_MOST_CANDIDATES: Final = 60
_WITH_FREE_TEXT: Final = 0.8
"""Score of a plan that took part of the sentence as it is: it may have been something else."""
_RANKS: Final = (
    "more free text",
    "longer free text",
    "names that are said less exactly",
    "not about what was spoken of",
    "fewer words of its own",
    "more things are excepted",
)
"""What it is by which each part of a candidate's rank puts it behind another."""
_PLACES: Final = ("area", "floor")
_TANGIBLE: Final = (
    DeviceType.LIGHT,
    DeviceType.SWITCH,
    DeviceType.FAN,
    DeviceType.COVER,
    DeviceType.VALVE,
    DeviceType.LOCK,
    DeviceType.CLIMATE,
    DeviceType.MEDIA_PLAYER,
    DeviceType.VACUUM,
)
"""What one can say of that there is none. "Tell me a story" is not about a sensor of that name."""
FIRST: Final = "first"
"""A slot of sentences whose handler decides before all others: "at seven" tells an hour, where
what stands before it is a command by itself, rather than how bright a lamp is to be.
"""
_LONGEST_STRANGER: Final = 3
"""Words of the name of a place or a thing that is not known."""
SETTLED: Final = frozenset({PlanKind.ACT, PlanKind.ANSWER, PlanKind.CHAT, PlanKind.NOTHING})

LOOSEST: Final = 1.7
"""What a reading that allows for mishearings may cost."""
_LOOSEST_WITH_FREE_TEXT: Final = 0.7
_LONGEST_LOOSE: Final = 25
"""Words of a sentence that is searched for mishearings."""
_TOO_STRANGE: Final = 0.5
"""Share of a sentence's words that are not known, above which it is about something else."""
_PER_COST: Final = 0.05
"""What a point of a reading's cost takes from its score.

Scores are shares of plans that are right: of 1,500 spoken in noise, 98 of 100 that were read
exactly were, as many of those read loosely, and 75 of those with free text (Whisper base, 12 dB;
deploy/bench/hearing.py).
"""
_AS_HEARD: Final = 0.2
"""Cost of a reading that left out a hesitation or a repetition, and took all else as heard."""
_CLOSE: Final = 0.25
"""Difference of cost within which two readings are equally likely."""
OPENING: Final = frozenset({"unlock", "open", "set_position"})
"""Actions that a sentence read loosely does not do unasked."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    skill: Skill
    intent: str
    slots: Mapping[str, Any]
    rank: tuple[int, int, int, int, int, int]
    cost: float
    fixed: int
    changes: tuple[tuple[str, str], ...] = ()
    """What was heard, and what it was taken for."""

    @property
    def free(self) -> tuple[int, int]:
        """How many parts are free text, and how long they are together."""
        return self.rank[:2]

    @property
    def inexact(self) -> int:
        """How far what is named is from what it is called."""
        return self.rank[2]


class Matcher:
    """The skills' sentences, and the homes they are about, each compiled when first met.

    `grammars` are those that have been compiled already, `names` has the names of homes.
    """

    def __init__(
        self,
        skills: Skills,
        grammars: Mapping[str, Grammar] = MappingProxyType({}),
        names: Callable[[Home, Language], Names] | None = None,
    ) -> None:
        self._skills = skills
        self._grammars: dict[str, Grammar] = dict(grammars)
        self._named = names
        self._names: OrderedDict[tuple[str, str, int], Names] = OrderedDict()
        self._alikes: OrderedDict[tuple[str, str, int], Alikes] = OrderedDict()

    def prepare(self, language: Language, home: Home) -> bool:
        """Compile sentences and names now. Returns whether any sentences were."""
        first = language.code not in self._grammars
        self.grammar(language)
        self.names(home, language)
        self.alikes(home, language)
        return first

    def exactly(self, asked: Asked, text: str) -> Plan | None:
        """The best plan that `text` makes word for word; None where no template matches.

        A handler that can't resolve its target gives way to the next candidate, but never to one
        with more free text in it: "play X on the TV in the kitchen" must not become a song title.
        """
        whole = fold(text)
        polite, start = without_politeness(whole, asked.language)
        # What sounds polite may be a part of the command: "dai la mandata".
        for folded, begin in dict.fromkeys(((polite, start), (whole, 0))):
            plan = self._exactly(asked, words_of(folded), text[begin:])
            if plan is not None:
                return plan
        return None

    def _exactly(self, asked: Asked, words: Sequence[Word], text: str) -> Plan | None:
        """The best plan that `words` make, which are places in `text`."""
        names = self.names(asked.home, asked.language)
        found = self._candidates(asked, exactly(words), text, _with_timers(names, asked.home))
        fallback: tuple[Plan, _Candidate] | None = None
        ranked = sorted(found, key=lambda c: (FIRST not in c.slots, c.rank))[:_MOST_CANDIDATES]
        for place, candidate in enumerate(ranked):
            if fallback is not None and candidate.free > fallback[1].free:
                _tell_rest(asked, text, ranked[place:], fallback[1])
                break
            plan = self._handle(asked, candidate, names)
            refused = FIRST in candidate.slots and plan.kind is PlanKind.REFUSE
            if plan.kind in SETTLED or refused:
                _tell(asked, text, candidate, plan)
                _tell_rest(asked, text, ranked[place + 1 :], candidate)
                return plan
            if plan.kind is PlanKind.UNKNOWN:
                _tell(asked, text, candidate, plan, "stands for nothing here", Verdict.REJECTED)
            elif fallback is None:
                fallback = plan, candidate
                _tell(asked, text, candidate, plan, "if nothing can be done", Verdict.KEPT)
            else:
                _tell(asked, text, candidate, plan, "no better than before", Verdict.REJECTED)
        return fallback[0] if fallback else None

    def in_no_place(self, asked: Asked, text: str) -> Plan | None:
        """The refusal of a command for a place that this home lacks; None where it is none."""
        # Without the devices' names: this is about "the basement lights".
        found = self._of_strangers(asked, text, _PLACES, {})
        if found is None:
            return None
        candidate, called = found
        speech = Speech("core.no_such_place", {"name": called})
        plan = Plan(PlanKind.REFUSE, candidate.intent, candidate.skill.name, speech=speech)
        asked.note(Considered("unknown place", text, plan, candidate.slots))
        return plan

    def of_no_thing(self, asked: Asked, text: str) -> Plan | None:
        """What to say of a thing that this home lacks ("close the skylight"), as a plan of kind
        UNKNOWN: a language model may know what is meant. None where `text` speaks of none.
        """
        names = self.names(asked.home, asked.language)
        kinds = [f"{kind}_name" for kind in _TANGIBLE]
        places = {place: names.lists[place] for place in _PLACES}
        found = self._of_strangers(asked, text, kinds, places)
        if found is None:
            return None
        candidate, called = found
        speech = Speech("core.no_such_thing", {"name": called, "heard": text})
        plan = Plan(PlanKind.UNKNOWN, score=0.0, speech=speech)
        asked.note(Considered("unknown thing", text, plan, candidate.slots))
        return plan

    def _of_strangers(
        self,
        asked: Asked,
        text: str,
        strangers: Iterable[str],
        lists: Mapping[str, Listing],
    ) -> tuple[_Candidate, str] | None:
        """The likeliest reading of `text` where the lists `strangers` hold what nothing here is
        called, beside `lists`; and what it is called.
        """
        folded, start = without_politeness(fold(text), asked.language)
        words = words_of(folded)
        strange = _strange_names(words, self.names(asked.home, asked.language), asked.language)
        if not strange:
            return None
        held = listing(dict.fromkeys(strange, Entry(None)))
        lists = {**lists, **dict.fromkeys(strangers, held)}
        found = self._candidates(asked, exactly(words), text[start:], lists)
        for candidate in sorted(found, key=lambda c: c.rank)[:_MOST_CANDIDATES]:
            named = next(
                (v for v in candidate.slots.values() if isinstance(v, str) and v in strange), None
            )
            if named is not None and not candidate.free[0]:
                heard = strange[named]
                return candidate, text[start + heard[0].start : start + heard[-1].end]
        return None

    def loosely(
        self, asked: Asked, text: str, limit: float = LOOSEST, *, free: bool = True
    ) -> Plan | None:
        """The best plan where some words of `text` were misheard, for a cost up to `limit`; None
        where there is none, or where several are as likely and it can't be asked which.

        Its score tells how far it is from what was heard. What it would open or unlock it asks
        about first. Without `free`, no part of it is free text.
        """
        folded, start = without_politeness(fold(text), asked.language)
        words = words_of(folded)
        language = asked.language
        alikes = self.alikes(asked.home, language)
        unknown = sum(not alikes.holds(word.text) for word in words)
        if not 1 <= len(words) <= _LONGEST_LOOSE or unknown > _TOO_STRANGE * len(words):
            reason = f"{unknown} of {len(words)} words mean nothing here: too many, or too long"
            asked.note(Considered("loose", text, None, {}, reason, Verdict.REJECTED))
            return None
        if _may_deny(words, alikes, language):
            reason = "a word may be “not”, misheard"
            asked.note(Considered("loose", text, None, {}, reason, Verdict.REJECTED))
            return None
        lattice = loosely(words, alikes, language.hesitations)
        names = self.names(asked.home, language)
        lists = _with_timers(names, asked.home)
        found = self._candidates(asked, lattice, text[start:], lists, limit)
        likely: list[tuple[_Candidate, Plan]] = []
        by_cost = sorted(found, key=lambda c: (c.cost + c.free[0], c.rank))
        for candidate in by_cost[:_MOST_CANDIDATES]:
            if likely and candidate.cost > likely[0][0].cost + _CLOSE:
                break
            if candidate.free[0] and (not free or candidate.cost > _LOOSEST_WITH_FREE_TEXT):
                reason = "free text in what was misheard"
                _tell(asked, text, candidate, None, reason, Verdict.REJECTED)
                continue
            plan = self._handle(asked, candidate, names)
            if plan.kind in SETTLED or plan.kind is PlanKind.ASK:
                likely.append((candidate, plan))
                _tell(asked, text, candidate, plan, "as likely as any", Verdict.KEPT)
            else:
                _tell(asked, text, candidate, plan, "nothing to be done", Verdict.REJECTED)
        if not likely:
            reason = "no command is near enough to it"
            asked.note(Considered("loose", text, None, {}, reason, Verdict.REJECTED))
            return None
        first, best = likely[0]
        cost = first.cost
        rivals = [plan for other, plan in likely if other.inexact <= first.inexact]
        if best.kind is PlanKind.ACT and any(p.actions != best.actions for p in rivals):
            best = _which(best, rivals, asked)
        if best.kind is PlanKind.ACT and cost > _AS_HEARD and _opens(best.actions):
            action = best.actions[0]
            speech = Speech("core.confirm", {"action": action.name, "devices": action.devices})
            best = replace(best, kind=PlanKind.ASK, confirm=True, speech=speech)
        if best.kind is PlanKind.ACT and is_question(text, folded, start, language):
            reason = "it is a question"
            _tell(asked, text, first, best, reason, Verdict.REJECTED)
            return None
        _tell(asked, text, first, best, "the likeliest" if best.kind is PlanKind.ACT else "asks")
        return best

    def grammar(self, language: Language) -> Grammar:
        """The sentences of `language`, compiled once."""
        if language.code not in self._grammars:
            self._grammars[language.code] = compile_sentences(
                self._skills.skills.values(), language
            )
        return self._grammars[language.code]

    def names(self, home: Home, language: Language) -> Names:
        """The names of `home`, built once for each revision of it."""
        if self._named is not None:
            return self._named(home, language)
        key = (language.code, home.id, home.revision)
        if key not in self._names:
            self._names[key] = names_of(home, language)
            if len(self._names) > _HOMES_KEPT:
                self._names.popitem(last=False)
        self._names.move_to_end(key)
        return self._names[key]

    def alikes(self, home: Home, language: Language) -> Alikes:
        """All words that mean something in `home`, by what they sound like."""
        key = (language.code, home.id, home.revision)
        if key not in self._alikes:
            names = self.names(home, language)
            words = self.grammar(language).vocabulary.union(
                language.numbers.vocabulary,
                language.articles,
                language.denying,
                *(vocabulary(one.trie) for one in names.lists.values()),
            )
            self._alikes[key] = Alikes(
                words, language.sound, language.lookalikes, language.blur, language.confused
            )
            if len(self._alikes) > _HOMES_KEPT:
                self._alikes.popitem(last=False)
        self._alikes.move_to_end(key)
        return self._alikes[key]

    def _candidates(
        self,
        asked: Asked,
        lattice: Lattice,
        text: str,
        lists: Mapping[str, Listing],
        limit: float = 0.0,
    ) -> Iterator[_Candidate]:
        """What the templates make of `lattice`; `text` is what its words are places in."""
        grammar = self.grammar(asked.language)
        everything = {**grammar.listings, **lists}
        numbers = asked.language.numbers
        best: dict[Any, _Candidate] = {}
        for reading in read(grammar.automaton, lattice, everything, numbers, limit):
            skill_name, _, intent = reading.accept.intent.partition(".")
            slots = _slots_of(reading, lattice, text)
            if any(slots[slot.name] != slot.value for slot in reading.slots if not slot.free):
                continue  # "in the study, turn on the lights in the kitchen" means neither
            key = (reading.accept.intent, tuple(sorted((k, str(v)) for k, v in slots.items())))
            free = [slot for slot in reading.slots if slot.free]
            rank = (
                len(free),
                sum(len(str(slots[slot.name])) for slot in free),
                2 * sum(not slot.exact for slot in reading.slots) + sum(map(_tells_kind, slots)),
                # "Make it dimmer": what was spoken of, rather than whatever is here.
                not ("it" in slots and asked.context.recent),
                -reading.fixed,
                # The kitchen lights, rather than the kitchen and the lights.
                sum(slot.endswith(FURTHER_EXCEPTIONS) for slot in slots),
            )
            skill = self._skills.skills[skill_name]
            wondered = reading.cost and asked.note is not ignore
            changes = _changes(reading, lattice) if wondered else ()
            made = _Candidate(skill, intent, slots, rank, reading.cost, reading.fixed, changes)
            other = best.get(key)
            if other is None or (made.cost, made.rank) < (other.cost, other.rank):
                best[key] = made
        yield from best.values()

    def _handle(self, asked: Asked, candidate: _Candidate, names: Names) -> Plan:
        """What the skill makes of `candidate`."""
        skill = candidate.skill
        request = Request(
            candidate.intent,
            candidate.slots,
            asked.utterance,
            asked.home,
            skill.options,
            names.ids,
            asked.understand,
            asked.alone,
            asked.context.recent,
            candidate.cost,
        )
        try:
            plan = skill.handlers[candidate.intent](request)
        except Exception as error:  # a skill is somebody else's code: it must not end the turn
            _log.exception("skill %s failed at %s", skill.name, candidate.intent)
            speech = Speech("core.skill_failed", {"skill": skill.name, "error": str(error)})
            return Plan(PlanKind.REFUSE, skill=skill.name, speech=speech)
        speech_of = plan.speech
        if speech_of is not None and "." not in speech_of.key:
            speech_of = replace(speech_of, key=f"{skill.name}.{speech_of.key}")
        score = plan.score * (1 - _PER_COST * candidate.cost)
        if candidate.free[0] and (candidate.cost or FIRST not in candidate.slots):
            score *= _WITH_FREE_TEXT
        # The user's own sentences do what a skill's intent does, and say whose it is.
        return replace(
            plan,
            intent=plan.intent or candidate.intent,
            skill=plan.skill or skill.name,
            speech=speech_of,
            score=score,
        )


def _tell(
    asked: Asked,
    text: str,
    candidate: _Candidate,
    plan: Plan | None,
    reason: str = "",
    verdict: Verdict = Verdict.TAKEN,
) -> None:
    """Note what became of `candidate`, for whoever wants to know."""
    if asked.note is not ignore:
        stage = "loose" if candidate.cost else "exact"
        intent = f"{candidate.skill.name}.{candidate.intent}"
        slots, cost, changes = candidate.slots, candidate.cost, candidate.changes
        asked.note(Considered(stage, text, plan, slots, reason, verdict, intent, cost, changes))


def _tell_rest(asked: Asked, text: str, rest: Sequence[_Candidate], chosen: _Candidate) -> None:
    """Note those that were not even tried."""
    if asked.note is ignore:
        return
    for candidate in rest:
        pairs = zip(candidate.rank, chosen.rank, _RANKS, strict=False)
        why = next((why for own, other, why in pairs if own != other), "as good, but later")
        _tell(asked, text, candidate, None, why, Verdict.REJECTED)


def _changes(reading: Reading, lattice: Lattice) -> tuple[tuple[str, str], ...]:
    """What was heard, and what it was taken for, in the order of the words."""
    end, found = lattice.end, []
    spans = [(slot.start, slot.end, str(slot.value)) for slot in reading.slots if slot.changed]
    for start, stop, word in sorted([*spans, *((a, b, c or "") for a, b, c in reading.changes)]):
        heard = lattice.words[min(start, end - 1) : stop if start < stop <= end else start + 1]
        found.append((" ".join(one.text for one in heard), word))
    return tuple(found)


def _tells_kind(slot: str) -> bool:
    return slot == "kind" or slot.startswith("except_kind")


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


def _strange_names(
    words: Sequence[Word], names: Names, language: Language
) -> dict[str, Sequence[Word]]:
    """What may be the name of a place or a thing that this home lacks, and is nothing else."""
    strange = [
        not (word.text in names.words or word.text in language.articles | language.dangling)
        for word in words
    ]
    spans = [
        words[first : first + length]
        for length in range(1, _LONGEST_STRANGER + 1)
        for first in range(len(words) - length + 1)
        if all(strange[first : first + length])
    ]
    return {" ".join(word.text for word in span): span for span in spans}


def _with_timers(names: Names, home: Home) -> dict[str, Listing]:
    timers = listing({squeeze(t.name): Entry(None) for t in home.timers if t.name})
    return {**names.lists, "timer_name": timers}


def _which(best: Plan, likely: Sequence[Plan], asked: Asked) -> Plan:
    """A question which of `likely` was meant, where they differ in devices alone."""
    plans = [plan for plan in likely if plan.kind is PlanKind.ACT]
    kinds = {repr([(a.name, a.params) for a in plan.actions]) for plan in plans}
    if len(kinds) != 1 or len(best.actions) != 1 or len(plans) != len(likely):
        return best
    ids = dict.fromkeys(
        itertools.chain.from_iterable(a.devices for plan in plans for a in plan.actions)
    )
    devices = [asked.home.devices[i] for i in ids]
    choices = tuple(device.name for device in devices)
    action = replace(best.actions[0], devices=tuple(ids))
    return replace(
        best,
        kind=PlanKind.ASK,
        actions=(action,),
        devices=tuple(ids),
        speech=Speech("core.which_one", {"choices": choices}),
    )


def _may_deny(words: Sequence[Word], alikes: Alikes, language: Language) -> bool:
    """Whether a word that is not known may be "not", or hold it, or hold what a question begins
    with: then nothing is guessed.
    """
    unknown = [word.text for word in words if not alikes.knows(word.text)]
    first = words[0].text
    asks = first in unknown and any(
        language.asking.match(first[:place]) for place in range(2, len(first) - 2)
    )
    return asks or any(
        language.denying.intersection(said) for word in unknown for said, _ in alikes.of(word)
    )


def _opens(actions: Sequence[Action]) -> bool:
    return any(action.name in OPENING for action in actions)
