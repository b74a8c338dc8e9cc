"""Taking a sentence apart into commands: "turn off the TV and the fan, then lock up".

The parts lie between joining words and commas. One that is no command by itself either goes on
with the one before it ("and the fan"), or shares with its neighbours what stands before the first
and after the last ("turn the kitchen and bedroom lights off").
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from assistant.home.action import Action
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.ellipsis import ones_in, substitutions
from assistant.understand.language import Language
from assistant.understand.mood import Mood, mood, opens_as_order, without_politeness
from assistant.understand.normal import fold, squeeze

MOST_COMMANDS: Final = 6
_LONGEST_SHARED: Final = 4
"""Words of a part that are its own, where the rest is shared."""
_MOST_SUBSTITUTIONS: Final = 60
_ENDS: Final = ".?! "
"""What sentences end with."""

Command = Callable[[str, tuple[str, ...]], Plan | None]
"""The plan of one command, given the devices that "it" means; None: it is none."""


@dataclass(frozen=True, slots=True)
class _Done:
    """A command that was made out, and the sentence that would say it in full."""

    text: str
    plan: Plan


def take_apart(
    text: str, language: Language, command: Command, recent: tuple[str, ...] = ()
) -> Plan | None:
    """The plan of all commands in `text`, in order; None unless every part of it is in one.

    Questions among them are answered, those before all commands first. Parts that forbid ("but
    don't touch the fan") are left out beside others that order. What is excepted at the end ("but
    not in the kitchen") is excepted from every command.
    """
    parts = parts_of(text, language)
    if not 2 <= len(parts) <= MOST_COMMANDS:
        return None
    excepted = [match.start() for match in language.excepting.finditer(fold(text))]
    if excepted:
        plan = _with_exception(text, excepted[-1], language, command, recent)
        if plan is not None or _begins_part(excepted[-1], parts):
            return plan
    forbidding = [part for part in parts if mood(part.text, language) is Mood.FORBIDDING]
    if not all(language.sparing.what(part.text) for part in forbidding):
        return None  # "and don't", "never mind": who says not what, takes all of it back
    ordered = [part for part in parts if part not in forbidding]
    if len(ordered) == 1 < len(parts):
        return command(ordered[0].text, recent)
    done = _Taking(text, language, command).commands(ordered, recent)
    if not done:
        return None
    if any(one.plan.kind is PlanKind.ANSWER for one in done):
        return _with_answers(done, language)
    return _together([one.plan for one in done])


def _together(plans: Sequence[Plan]) -> Plan | None:
    actions = tuple(action for plan in plans for action in plan.actions)
    if _up_and_down(actions):
        return None  # "I feel hot and cold"
    score = min(plan.score for plan in plans)
    return replace(
        plans[0], actions=actions, score=score, speech=Speech("core.done", {"parts": plans})
    )


def _with_answers(done: Sequence[_Done], language: Language) -> Plan | None:
    """What is ordered and what is asked in one sentence, as far as each is plainly one or the
    other: "the lights are off" may be a part of a question.
    """
    first: list[Plan] = []
    after: list[Plan] = []
    ordered: list[Plan] = []
    for one in done:
        if one.plan.score < 1:
            return None
        if one.plan.kind is PlanKind.ANSWER:
            (after if ordered else first).append(replace(one.plan, sentence=one.text))
        elif _orders(one.text, language) and not _govern(first + after, language):
            ordered.append(one.plan)
        else:
            return None
    if not ordered:
        return replace(first[0], after=tuple(first[1:]))
    plan = ordered[0] if len(ordered) == 1 else _together(ordered)
    return plan and replace(plan, first=tuple(first), after=tuple(after))


def _govern(questions: Iterable[Plan], language: Language) -> bool:
    """Whether a verb after `questions` may be a part of one: "did you close the garage and lock the
    door".
    """
    words = (squeeze(without_politeness(fold(q.sentence), language)[0]).split() for q in questions)
    return any(language.governing.intersection(said) for said in words)


def _orders(part: str, language: Language) -> bool:
    body, start = without_politeness(fold(part), language)
    requested = start > len(part) - len(part.lstrip())
    ordered = mood(part, language) is Mood.ORDER
    return ordered and (requested or opens_as_order(body, language))


def _up_and_down(actions: Sequence[Action]) -> bool:
    """Whether the same of the same thing is to be more, and less."""
    ways: dict[tuple[str, str], set[object]] = {}
    for action in actions:
        for device in action.devices:
            ways.setdefault((action.name, device), set()).add(action.params.get("direction"))
    return any(len(directions) > 1 for directions in ways.values())


def _with_exception(
    text: str, start: int, language: Language, command: Command, recent: tuple[str, ...]
) -> Plan | None:
    """The plan of the commands before `start`, each with the exception that begins there."""
    exception = text[start:].strip(" ,")

    def spare(part: str, devices: tuple[str, ...]) -> Plan | None:
        return command(f"{part} {exception}", devices)

    return take_apart(text[:start].strip(" ,"), language, spare, recent)


def _begins_part(start: int, parts: Sequence[Part]) -> bool:
    """Whether an exception at `start` is a part by itself, which must not be left out."""
    return any(before.end <= start < part.start for before, part in itertools.pairwise(parts))


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence, and where it stands there."""

    text: str
    start: int
    end: int


def parts_of(text: str, language: Language) -> list[Part]:
    """`text` between the words and commas that may join commands."""
    folded = fold(text)
    joints = [m.span() for m in language.joining.finditer(folded) if _is_joint(m, text, language)]
    # fold made spaces of the commas that join, and kept those within numbers. What ends the last
    # sentence tells a question, and stays.
    end = len(text.rstrip(_ENDS))
    joints += [(i, i + 1) for i, c in enumerate(text[:end]) if c in ",;" and folded[i] == " "]
    joints += [(i + 1, i + 1) for i, c in enumerate(text[:end]) if c in ".?!" and folded[i] == " "]
    ends = [(0, 0), *sorted(joints), (len(text),) * 2]
    parts = [Part(text[a[1] : b[0]].strip(), a[1], b[0]) for a, b in itertools.pairwise(ends)]
    return [part for part in parts if part.text]


def _is_joint(match: re.Match[str], text: str, language: Language) -> bool:
    """Whether the words are spelt as those that join: "e" does, "è" does not."""
    spelt = " ".join(text[match.start() : match.end()].lower().split())
    return spelt.isascii() or spelt in language.joints


@dataclass(frozen=True, slots=True)
class _Taking:
    text: str
    language: Language
    command: Command

    def commands(
        self, parts: Sequence[Part], recent: tuple[str, ...], before: _Done | None = None
    ) -> list[_Done] | None:
        """The commands that `parts` are, every part being in one of them."""
        if not parts:
            return []
        for length in range(1, len(parts) + 1):
            for first in self._first(parts[:length], recent, before):
                devices = first[-1].plan.commanded or first[-1].plan.devices or recent
                rest = self.commands(parts[length:], devices, first[-1])
                if rest is not None:
                    return [*first, *rest]
        return None

    def _first(
        self, parts: Sequence[Part], recent: tuple[str, ...], before: _Done | None
    ) -> list[list[_Done]]:
        """What `parts` may be together: one command, or several that share words."""
        whole = self.text[parts[0].start : parts[-1].end].strip()
        found = []
        alone = self._command(whole, recent)
        if alone is not None:
            found.append([_Done(whole, alone)])
        elif (answer := self._question(whole, recent)) is not None:
            found.append([_Done(whole, answer)])
        elif len(parts) == 1 and before is not None and before.plan.kind is PlanKind.ACT:
            going_on = self._going_on(before, whole, recent)
            if going_on is not None:
                found.append([going_on])
        if len(parts) > 1 and alone is None:
            shared = self._sharing(parts, recent)
            if shared is not None:
                found.append(shared)
        return found

    def _command(self, text: str, recent: tuple[str, ...]) -> Plan | None:
        plan = self.command(text, recent)
        return plan if plan is not None and plan.kind is PlanKind.ACT else None

    def _question(self, text: str, recent: tuple[str, ...]) -> Plan | None:
        if mood(text, self.language) is not Mood.QUESTION:
            return None
        plan = self.command(text, recent)
        return plan if plan is not None and plan.kind is PlanKind.ANSWER else None

    def _going_on(self, before: _Done, part: str, recent: tuple[str, ...]) -> _Done | None:
        """What `part` is after `before`: the same command with one part of it exchanged.

        Nothing after an exception: "except the hall and the study" may well spare both.
        """
        if self.language.excepting.search(fold(before.text)):
            return None
        same = _does(before.plan)
        if (too := self.language.dialogue.trailing.search(fold(part))) is not None:
            part = part[: too.start()]
        verb = before.text.split()[0]
        tried = itertools.islice(
            itertools.chain(
                [f"{verb} {part}"],
                _with_noun(before.text, part, self.language),
                substitutions(before.text, part, self.language),
            ),
            _MOST_SUBSTITUTIONS,
        )
        for text in tried:
            plan = self._command(text, recent)
            if plan is None:
                continue
            if min(plan.score, before.plan.score) < 1 and not (
                text == f"{verb} {part}" and _differ(plan, before.plan)
            ):
                continue  # "play Simon and Garfunkel" is one command
            if same & _does(plan) and plan.actions != before.plan.actions:
                return _Done(text, plan)
        return None

    def _sharing(self, parts: Sequence[Part], recent: tuple[str, ...]) -> list[_Done] | None:
        """The commands of `parts` that share what the first begins and the last ends with."""
        first, last = parts[0].text.split(), parts[-1].text.split()
        for own in range(1, min(_LONGEST_SHARED, len(first) - 1) + 1):
            if self.language.excepting.search(f" {fold(' '.join(first[:-own]))} "):
                continue  # what is excepted is not shared out: each would be done to the other
            for length in range(1, min(_LONGEST_SHARED, len(last) - 1) + 1):
                before, after = first[:-own], last[length:]
                if self.language.excepting.search(f" {fold(' '.join(last[:length]))} "):
                    break  # "the TV except | in the bedroom"
                middles = [
                    first[-own:],
                    *(part.text.split() for part in parts[1:-1]),
                    last[:length],
                ]
                texts = [" ".join([*before, *middle, *after]) for middle in middles]
                done = []
                for text in texts:
                    plan = self._command(text, recent)
                    if plan is None or plan.score < 1:
                        break
                    done.append(_Done(text, plan))
                if len(done) == len(texts) and frozenset.intersection(
                    *(_does(d.plan) for d in done)
                ):
                    return done
        return None


def _with_noun(sentence: str, part: str, language: Language) -> Iterator[str]:
    """`part` with the verb of `sentence` before it, and for its "one" a thing spoken of there:
    "set the left lamp to ten and the right one to twenty".
    """
    words, said = squeeze(part).split(), squeeze(sentence).split()
    places = ones_in(words, language)
    idle = language.articles | language.dangling | language.dialogue.ones
    if len(places) != 1 or len(words) < 2:
        return
    before, after = words[: places[0]], words[places[0] + 1 :]
    for length in (2, 1):
        for start in range(1, len(said) - length + 1):
            noun = said[start : start + length]
            if not idle.intersection(noun):
                yield " ".join([said[0], *before, *noun, *after])


def _differ(one: Plan, other: Plan) -> bool:
    """Whether two plans put things on different lists."""
    mine, yours = one.commanded, other.commanded
    listing = all(action.name == "list_add" for action in (*one.actions, *other.actions))
    return listing and bool(mine and yours) and not set(mine) & set(yours)


def _does(plan: Plan) -> frozenset[object]:
    """What `plan` does, by any of which it does the same as another: a sprinkler that is turned on
    opens, and a lamp lights up.
    """
    return frozenset([tuple(action.name for action in plan.actions), plan.intent])
