"""What a sentence may mean: the readings of the templates, with what the skills are to be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from assistant.plan import Plan
from assistant.skill import Skill, Skills
from assistant.understand.asked import Asked
from assistant.understand.explain import Considered, Verdict, ignore
from assistant.understand.lattice import Lattice
from assistant.understand.reading import Reading
from assistant.understand.target import FURTHER_EXCEPTIONS


class Rank(NamedTuple):
    """By what a candidate is behind another: what stands first outweighs all that follows."""

    free: int
    """Parts that are free text."""
    letters: int
    """Letters of them together."""
    inexact: int
    """How far what is named is from what it is called."""
    unrelated: bool
    """It is not said to be about what was spoken of before."""
    own: int
    """Words of its own that the template has, as a negative number."""
    excepted: int
    """Further exceptions: the kitchen lights are one, rather than the kitchen and the lights."""


_WHY_BEHIND: Final = (
    "more free text",
    "longer free text",
    "names that are said less exactly",
    "not about what was spoken of",
    "fewer words of its own",
    "more things are excepted",
)
"""What each part of a rank says of the candidate that is behind."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that a sentence may mean."""

    skill: Skill
    intent: str
    slots: Mapping[str, Any]
    rank: Rank
    cost: float
    changes: tuple[tuple[str, str], ...] = ()
    """What was heard, and what it was taken for; told only where somebody wants to know."""

    def is_freer(self, other: Candidate) -> bool:
        """Whether it takes more of the sentence as free text than `other`."""
        return self.rank[:2] > other.rank[:2]


def candidates(
    readings: Iterable[Reading], asked: Asked, skills: Skills, lattice: Lattice, text: str
) -> list[Candidate]:
    """What `readings` of `lattice` mean, each meaning once; `text` is what its words are places in.

    What names the same part of a target twice means none of the two: "in the study, turn on the
    lights in the kitchen".
    """
    best: dict[Any, Candidate] = {}
    for reading in readings:
        slots = _slots_of(reading, lattice, text)
        if any(slots[slot.name] != slot.value for slot in reading.slots if not slot.free):
            continue
        skill_name, _, intent = reading.accept.intent.partition(".")
        wondered = reading.cost and asked.note is not ignore
        made = Candidate(
            skills.skills[skill_name],
            intent,
            slots,
            _rank(reading, slots, asked),
            reading.cost,
            _changes(reading, lattice) if wondered else (),
        )
        key = (reading.accept.intent, tuple(sorted((k, str(v)) for k, v in slots.items())))
        other = best.get(key)
        if other is None or (made.cost, made.rank) < (other.cost, other.rank):
            best[key] = made
    return list(best.values())


def tell(
    asked: Asked,
    text: str,
    candidate: Candidate,
    plan: Plan | None,
    reason: str = "",
    verdict: Verdict = Verdict.TAKEN,
) -> None:
    """Note what became of `candidate`, for whoever wants to know."""
    if asked.note is not ignore:
        stage = "loose" if candidate.cost else "exact"
        intent = f"{candidate.skill.name}.{candidate.intent}"
        # Wordings that a sentence lends its handler are not of what was said.
        slots = {k: v for k, v in candidate.slots.items() if not isinstance(v, Mapping)}
        cost, changes = candidate.cost, candidate.changes
        asked.note(Considered(stage, text, plan, slots, reason, verdict, intent, cost, changes))


def tell_rest(asked: Asked, text: str, rest: Sequence[Candidate], chosen: Candidate) -> None:
    """Note those that were not even tried."""
    if asked.note is ignore:
        return
    for candidate in rest:
        parts = zip(candidate.rank, chosen.rank, _WHY_BEHIND, strict=True)
        why = next((why for own, other, why in parts if own != other), "as good, but later")
        tell(asked, text, candidate, None, why, Verdict.REJECTED)


def _rank(reading: Reading, slots: Mapping[str, Any], asked: Asked) -> Rank:
    free = [slot for slot in reading.slots if slot.free]
    inexact = sum(not slot.exact for slot in reading.slots)
    kinds = sum(slot == "kind" or slot.startswith("except_kind") for slot in slots)
    return Rank(
        free=len(free),
        letters=sum(len(str(slots[slot.name])) for slot in free),
        # A kind of things is less than a name, and more than another form of one.
        inexact=2 * inexact + kinds,
        # "Make it dimmer": what was spoken of, rather than whatever is here.
        unrelated=not ("it" in slots and asked.context.recent),
        own=-reading.fixed,
        excepted=sum(slot.endswith(FURTHER_EXCEPTIONS) for slot in slots),
    )


def _changes(reading: Reading, lattice: Lattice) -> tuple[tuple[str, str], ...]:
    """What was heard, and what it was taken for, in the order of the words."""
    end, found = lattice.end, []
    spans = [(slot.start, slot.end, str(slot.value)) for slot in reading.slots if slot.changed]
    for start, stop, word in sorted([*spans, *((a, b, c or "") for a, b, c in reading.changes)]):
        heard = lattice.words[min(start, end - 1) : stop if start < stop <= end else start + 1]
        found.append((" ".join(one.text for one in heard), word))
    return tuple(found)


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
