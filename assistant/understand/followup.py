"""What is said in part, in the light of what was said before: "it", "and the hall", "a bit more".

Whole sentences that point back are the business of `pointing`. A fragment stands for the sentence
before it with one part exchanged; it is taken for one only where it opens as such ("and", "no",
"the left one"), every word of it tells something, and it comes to the same action or question as
before. So talk after a command is not taken for another one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from assistant.plan import SETTLED, Plan, PlanKind, Speech
from assistant.understand.asked import Asked, Read
from assistant.understand.caution import asked_first, may_open
from assistant.understand.commands import parts_of
from assistant.understand.conversation import kind_words, named
from assistant.understand.degrees import by_degrees, does, is_by_degrees, levelled
from assistant.understand.ellipsis import ones_in, substitutions
from assistant.understand.explain import Considered
from assistant.understand.language import Language
from assistant.understand.likewise import Likewise
from assistant.understand.mood import Mood, mood
from assistant.understand.names import Names
from assistant.understand.normal import fold, squeeze
from assistant.understand.pointing import parted, pointing_back, things_meant
from assistant.understand.stopping import stopping
from assistant.understand.takeback import SCHEDULING, instead, without_take_back
from assistant.understand.target import is_kin, spoken_names

_LONGEST: Final = 14
"""Words of an utterance beyond which it says all it means."""
_LONGEST_ITEM: Final = 2
_LONGEST_PLACE: Final = 4
"""Words of a thing for a list, and of a place that there is not, with its preposition."""
_MOST_SUBSTITUTIONS: Final = 60
_MOST_REFUSED: Final = 20
"""Sentences that are tried for what is meant, and then for a place that there is not."""
SURE_IN_PART: Final = 0.95
"""Score of what was not said in full."""
_FREE_TEXT: Final = frozenset({"list_add", "list_complete", "list_remove", "play_media"})


def go_on(
    asked: Asked, text: str, names: Names, read: Read, absent: Read, *, alone: bool
) -> Plan | None:
    """The plan of `text` as it goes on with `asked.context`; None where it does not.

    `absent` gives the refusal of a sentence about a place that there is not. `alone`: by itself
    `text` is a sentence too, though perhaps not all is clear of it.
    """
    context, language = asked.context, asked.language
    if context.plan is None and not context.recent:
        return None
    said, mark = _cut(text, language)
    if (plan := stopping(asked, (text, said))) is not None:
        asked.note(Considered("follow-up", text, plan))
        return replace(plan, score=SURE_IN_PART)
    # "Not that much" and "not that one, the left one" forbid nothing.
    forbids = mood(said or text, language) is Mood.FORBIDDING
    if language.excepting.match(f" {fold(said)} "):
        return None  # it is too late: the same but for something is not to be done once more
    if len(text.split()) > _LONGEST or (forbids and squeeze(said) not in language.dialogue.less):
        return None
    plan = _only(asked, text, read)
    if plan is None:
        plan = pointing_back(asked, (text, said) if mark else (text,), read, alone=alone)
    if plan is None and context.plan is not None:
        sentence, old = parted(context.text, language), without_take_back(context.plan)
        plan = _Fragment(asked, sentence, old, names, read, absent, said, mark).plan()
    if plan is None:
        return None
    plan = replace(_cautious(plan, asked), score=min(plan.score, SURE_IN_PART))
    asked.note(Considered("follow-up", plan.sentence or text, plan))
    return plan


def _only(asked: Asked, text: str, read: Read) -> Plan | None:
    """ "No, only the floor lamp", after what was done to several: the others as they were.

    How they were tells whoever has the deed itself.
    """
    old, home, words = asked.context.plan, asked.home, asked.language.dialogue
    if old is None or old.kind is not PlanKind.ACT:
        return None
    folded = fold(text)
    start, end = 0, len(folded.rstrip())
    while (match := words.replacing.match(folded, start, end)) is not None:
        start = match.end()
    if (match := asked.language.closing.search(folded, start + 1, end)) is not None:
        end = match.start()
    if (match := words.solely.match(folded, start, end)) is not None:
        start = match.end()
    elif (match := words.solely_last.search(folded, start, end)) is not None:
        end = match.start()
    else:
        return None
    said = squeeze(folded[start:end])
    done_to = dict.fromkeys(i for a in old.actions for i in a.devices if i in home.devices)
    choices = [home.devices[i] for i in done_to]
    bare = " ".join(word for word in said.split() if word not in asked.language.articles)
    called = [device for device in choices if bare in spoken_names(device)]
    chosen = {device.id for device in called or named(said, choices, home, asked.language)}
    whole = read(said)
    if whole is not None and (
        does(whole) != does(old) or {i for a in whole.actions for i in a.devices} != chosen
    ):
        return None
    if not chosen or len(chosen) == len(done_to):
        return None
    speech = Speech("dialogue.nothing_to_undo")
    ids = tuple(i for i in done_to if i in chosen)
    return Plan(PlanKind.NOTHING, intent="only", skill="dialogue", devices=ids, speech=speech)


# ------------------------------------------------------------------- fragments

_Mark = Literal["", "adding", "replacing"]


def _cut(text: str, language: Language) -> tuple[str, _Mark]:
    """`text` without what marks it as going on with something, and how it does."""
    words = language.dialogue
    folded = fold(text)
    start, end = 0, len(folded.rstrip())
    mark: _Mark = ""
    while True:
        if (match := words.replacing.match(folded, start, end)) is not None:
            mark = "replacing"
        elif (match := words.adding.match(folded, start, end)) is not None:
            # "È" is no "e".
            spelt = text[match.start() : match.end()].strip()
            if len(spelt) == 1 and not spelt.isascii():
                break
            mark = mark or "adding"
        elif (match := language.opening.match(folded, start, end)) is None or match.end() >= end:
            break
        start = match.end()
    # What is left may be all there is: "and thanks".
    if (match := language.closing.search(folded, start + 1, end)) is not None:
        end = match.start()
    if (match := words.trailing.search(folded, start + 1, end)) is not None:
        end, mark = match.start(), mark or "adding"
    if (match := words.instead.search(folded, start + 1, end)) is not None:
        end, mark = match.start(), "replacing"
    return text[start:end].strip(" ,;:.!?"), mark


@dataclass(frozen=True, slots=True)
class _Fragment:
    """A fragment, and what it may go on with."""

    asked: Asked
    sentence: str
    """What was said before, in full."""
    old: Plan
    """The plan that it made."""
    names: Names
    read: Read
    absent: Read
    text: str
    mark: _Mark

    def plan(self) -> Plan | None:
        """What it means; None: nothing."""
        if not self.text:
            return None
        if self._was_asked() and squeeze(self.text) in self.asked.language.no:
            return Plan(PlanKind.NOTHING, speech=Speech("core.cancelled"))
        if (plan := self._by_degrees()) is not None:
            return plan
        denied = self.asked.language.denying & set(squeeze(self.text).split())
        if denied or not (self.mark or self._speaks_of_ones() or self._was_asked()):
            return None
        if self.mark and (plan := self.read(self.text)) is not None and _is_whole(plan):
            return replace(plan, sentence=self.text)
        plan = self._other() or self._namesake() or self._exchanged()
        if plan is None:
            plan = self._in_place() or self._called()
        if plan is None:
            plan = self._item() or self._refused()
        if plan is not None and self.mark == "replacing":
            plan = instead(plan, self.old, self.asked.home)
        return plan

    def _was_asked(self) -> bool:
        return self.old.kind in (PlanKind.ASK, PlanKind.REFUSE)

    def _speaks_of_ones(self) -> bool:
        words = squeeze(self.text).split()
        ones = ones_in(words, self.asked.language)
        return (len(words) > 1 and bool(ones)) or self._speaks_of_others()

    def _speaks_of_others(self) -> bool:
        language = self.asked.language
        idle = language.articles | language.dangling | language.fillers | language.dialogue.ones
        bare = [word for word in squeeze(self.text).split() if word not in idle]
        return " ".join(bare) in language.dialogue.other

    def _by_degrees(self) -> Plan | None:
        """ "A bit more", "not that much", "again"."""
        words, said = self.asked.language.dialogue, squeeze(self.text)
        if self.old.kind is not PlanKind.ACT or not self.old.actions:
            return None
        if said in words.again:
            return replace(self.old, sentence=self.sentence)
        if said not in words.more | words.less:
            return None
        last, home = self.old.actions[-1], self.asked.home
        action = (way := self._way(said)) and levelled(last, way, home)
        action = action or by_degrees(last, said in words.more, home)
        if action is None:
            return None
        return replace(self.old, actions=(action,), sentence=self.sentence)

    def _way(self, said: str) -> str | None:
        """Up or down, where `said` compares levels: after "a bit less" the level is to be higher
        with "a bit more", while after "dim it" that is more of the dimming.
        """
        levels = self.asked.language.dialogue.levels
        way = next((levels[word] for word in said.split() if word in levels), None)
        if way is None or levels.keys() & set(squeeze(self.sentence).split()):
            return way
        ordered = self.read(self.sentence)
        return None if ordered is not None and is_by_degrees(ordered) else way

    # ---- the sentence before, with one part exchanged

    def _exchanged(self) -> Plan | None:
        refused: Plan | None = None
        reworded: Plan | None = None
        for said in itertools.islice(self._sentences(), _MOST_SUBSTITUTIONS):
            plan = self.read(said)
            if plan is None or not self._is_alike(plan):
                continue
            if _messages(plan) != _messages(self.old):
                reworded = reworded or replace(plan, sentence=said)
                continue  # another time, if it is one, is no other thing to be reminded of
            if plan.score < 1 and not self._is_for_another_time(plan):
                continue
            if plan.kind is PlanKind.REFUSE:
                refused = refused or replace(plan, sentence=said)
            elif self._is_in_place(plan):
                return replace(plan, sentence=said)
        return reworded or (refused if self._place() is None else None)

    def _is_for_another_time(self, new: Plan) -> bool:
        """Whether `new` puts off to another time what was put off before, word for word."""
        waiting = [
            [(a.name, a.params.get("command"), a.params.get("message")) for a in plan.actions]
            for plan in (self.old, new)
        ]
        later = does(new) <= SCHEDULING
        return self.mark == "replacing" and later and waiting[0] == waiting[1]

    def _sentences(self) -> Iterator[str]:
        language = self.asked.language
        append = self.mark != "replacing"
        for part in self._variants():
            yield from substitutions(self.sentence, part, language, append=append)

    def _variants(self) -> list[str]:
        """The fragment, with each thing spoken of in the place of a "one"; a place also without
        what it is begun with.
        """
        language = self.asked.language
        ones = language.dialogue.ones
        words = squeeze(self.text).split()
        places = ones_in(words, language)
        if not places:
            bare = language.dialogue.placing.sub("", squeeze(self.text)).strip()
            return [self.text] if self._place() is None else [self.text, bare]
        idle = language.articles | language.dangling | language.dialogue.all | ones
        things = things_meant(self.asked) if set(words) - idle else []
        return [
            " ".join(thing if i in places else w for i, w in enumerate(words)) for thing in things
        ]

    def _is_alike(self, new: Plan) -> bool:
        """Whether `new` does, or asks, what was done or asked before, but to or about others."""
        old = self.old
        if new.kind is PlanKind.ANSWER:
            about = (new.devices, new.speech) != (old.devices, old.speech)
            return old.kind is PlanKind.ANSWER and about
        if new.kind is PlanKind.REFUSE or not old.actions:
            return bool(new.intent) and (new.skill, new.intent) == (old.skill, old.intent)
        if new.kind not in (PlanKind.ACT, PlanKind.ASK) or old.kind is PlanKind.ANSWER:
            return False
        if _commands_in(new) >= _commands_in(old) + len(parts_of(self.text, self.asked.language)):
            return False  # "at half past six", and "at seven" in the place of "half"
        if _is_left_over(old, new):
            return False
        done, wanted = does(old), does(without_take_back(new))
        if old.kind is PlanKind.ASK and not old.commanded:
            return bool(wanted) and self._names_what(new)
        if not wanted or wanted != done:
            return False
        if new.actions == old.actions:
            return self._names_what(new, kinds=False)
        return self._names_what(new) or self._likewise.are_kin(new.commanded)

    def _names_what(self, new: Plan, *, kinds: bool = True) -> bool:
        """Whether the fragment itself tells which devices, or what kind of them, are meant."""
        devices = [self.asked.home.devices[i] for i in new.commanded]
        told = {w for d in devices for n in (d.name, *d.aliases) for w in squeeze(n).split()}
        told |= kind_words(devices, self.asked.language) if kinds else set()
        placed = {w for name in self._places() for w in name.split()}
        return bool(set(squeeze(self.text).split()) & (told - placed))

    def _places(self) -> set[str]:
        return {*self.names.ids["area"], *self.names.ids["floor"]}

    def _is_in_place(self, plan: Plan) -> bool:
        """Whether what `plan` touches is all in the place that the fragment names, if any."""
        place = self._place()
        if place is None or plan.kind is PlanKind.ANSWER:
            return True
        home = self.asked.home
        return all(home.devices[i].area in place[1] for i in plan.commanded if i in home.devices)

    # ---- the same for other devices

    def _place(self) -> tuple[str, frozenset[str]] | None:
        """The name and the areas of the place that is all the fragment names."""
        language, home, ids = self.asked.language, self.asked.home, self.names.ids
        idle = language.articles | language.dangling | language.dialogue.ones
        words = squeeze(self.text).split()
        while words and words[0] in idle:
            words = words[1:]
        while words and words[-1] in language.dialogue.ones:
            words = words[:-1]
        name = " ".join(words)
        areas = set(ids["area"].get(name, ()))
        floors = ids["floor"].get(name, ())
        areas |= home.areas_on(floors)
        if not areas:
            return None
        called = [floor.name for floor in home.floors if floor.id in floors]
        called += [area.name for area in home.areas if area.id in areas]
        return called[0], frozenset(areas)

    @property
    def _likewise(self) -> Likewise:
        return Likewise(self.asked, self.sentence, self.old)

    def _in_place(self) -> Plan | None:
        place = self._place()
        return self._likewise.in_place(*place) if place is not None else None

    def _namesake(self) -> Plan | None:
        place = self._place()
        return self._likewise.namesake(*place) if place is not None else None

    def _called(self) -> Plan | None:
        return self._likewise.called(squeeze(self.text)) if self._speaks_of_ones() else None

    def _other(self) -> Plan | None:
        return self._likewise.other() if self._speaks_of_others() else None

    # ---- things that are called as one likes

    def _item(self) -> Plan | None:
        """Another thing for the list: only where it is marked as one, for it may be anything."""
        words = squeeze(self.text).split()
        done = {action.name for action in self.old.actions}
        language = self.asked.language
        bare = [w for w in words if w not in language.articles]
        marked = self.mark and language.dialogue.listing.match(fold(self.asked.utterance.text))
        talk = (language.dialogue.tags | language.hesitations) & set(words)
        if not (marked and done and done <= _FREE_TEXT) or talk or len(bare) > _LONGEST_ITEM:
            return None
        for said in itertools.islice(self._sentences(), _MOST_SUBSTITUTIONS):
            plan = self.read(said)
            if plan is None or plan.kind is not PlanKind.ACT:
                continue
            items = [str(value) for action in plan.actions for value in action.params.values()]
            same = {action.name for action in plan.actions} == done
            itself = any(squeeze(item).split() in (words, bare) for item in items)
            if same and itself and plan.commanded == self.old.commanded:
                return replace(plan, sentence=said)
        return None

    def _refused(self) -> Plan | None:
        """The refusal of a place that there is not."""
        language, words = self.asked.language, squeeze(self.text).split()
        talk = language.dialogue.tags & set(words)
        like_a_place = language.dialogue.placing.match(squeeze(self.text))
        before = f" {squeeze(self.sentence)} "
        if not (self.mark and like_a_place) or talk or len(words) > _LONGEST_PLACE:
            return None
        if not any(f" {name} " in before for name in self._places()):
            return None
        for said in itertools.islice(self._sentences(), _MOST_REFUSED):
            plan = self.absent(said)
            if plan is not None and plan.intent == self.old.intent:
                return plan
        return None


# ------------------------------------------------------------------- what is done


def _commands_in(plan: Plan) -> int:
    """How many commands in one sentence `plan` is made of."""
    return len(plan.speech.values.get("parts", ())) or 1 if plan.speech is not None else 1


def _is_left_over(old: Plan, new: Plan) -> bool:
    """Whether what is to be reminded of would have part of the old time in it ("the bins at eight
    in the").
    """
    return any(
        one != other and one.startswith(f"{other} ")
        for one in _messages(new)
        for other in _messages(old)
    )


def _messages(plan: Plan) -> list[str]:
    return [str(action.params["message"]) for action in plan.actions if action.name == "remind"]


def _is_whole(plan: Plan) -> bool:
    """Whether a plan needs no light from before."""
    return plan.kind in SETTLED and plan.score == 1


def _cautious(plan: Plan, asked: Asked) -> Plan:
    """`plan`, as a question where it would open another kind of thing than was spoken of."""
    if plan.kind is not PlanKind.ACT or not may_open(plan.actions[0]):
        return plan
    home, old = asked.home, asked.context.plan
    spoken_of = {*asked.context.recent, *(old.commanded if old is not None else ())}
    before = [home.devices[i] for i in spoken_of if i in home.devices]
    wanted = [home.devices[i] for i in plan.actions[0].devices if i in home.devices]
    if all(any(is_kin(device, other) for other in before) for device in wanted):
        return plan
    return asked_first(plan)
