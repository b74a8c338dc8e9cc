"""The template path: what is meant and what to do, from sentences alone, in milliseconds.

An utterance is tried as one sentence of the skills; without what the speaker took back; as several
commands; as a command for a place that there is not; and at last as something misheard. Only
sentences that match from the first word to the last count, so a word like "not" that no template
foresees leaves the sentence not understood rather than turned into its opposite.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, TypeGuard

from assistant.home.model import Home
from assistant.plan import NO_CONTEXT, SETTLED, Context, Plan, PlanKind, Speech, Utterance
from assistant.skill import Skills
from assistant.understand.asked import Asked
from assistant.understand.commands import parts_of, take_apart
from assistant.understand.conversation import spoken_of
from assistant.understand.corrections import corrected
from assistant.understand.custom.library import CustomSentences
from assistant.understand.explain import Considered, Note, ignore
from assistant.understand.followup import SURE_IN_PART, go_on
from assistant.understand.fronting import put_after_object, put_last
from assistant.understand.language import Language, load_language
from assistant.understand.mood import Mood, is_question, mood, opens_as_order, without_politeness
from assistant.understand.names import Names
from assistant.understand.normal import fold, squeeze
from assistant.understand.own import OwnFirst
from assistant.understand.pointing import of_several, where_that_is
from assistant.understand.sparing import in_full, of_it_alone, spared
from assistant.understand.words import words_of

_LONGEST: Final = 400
"""Letters of an utterance beyond which it is no command: 16 s of speech are about 250."""
_OF_FREE_TEXT: Final = frozenset({PlanKind.ACT, PlanKind.ASK})
"""Kinds of plans that may have taken for free text what is rather misheard."""
_NEARLY: Final = 0.5
"""Cost up to which a loose reading is likelier than one that takes words as free text."""
_SURE_OF_PLACE: Final = 0.95
"""Score of a loose reading above which a strange word is rather a known one misheard."""


class TemplateUnderstanding:
    """Understands what the skills' sentences say, and `custom` before them.

    Built once; homes are compiled as they come. Without `mishearings`, every word is taken as it
    was heard.
    """

    def __init__(
        self,
        skills: Skills,
        custom: CustomSentences | None = None,
        *,
        mishearings: bool = True,
    ) -> None:
        self._matcher = OwnFirst(skills, custom)
        self._mishearings = mishearings

    def understand(
        self,
        utterance: Utterance,
        home: Home,
        context: Context = NO_CONTEXT,
        note: Note = ignore,
    ) -> Plan:
        """The plan for `utterance`; of kind UNKNOWN when no sentence matches.

        Never raises for what people say, and knows only devices that are exposed. `note` is told
        of everything that was tried.
        """
        language = load_language(utterance.language)
        text = language.noises.sub(lambda noise: " " * len(noise[0]), utterance.text)
        if not squeeze(text[:_LONGEST]) or len(text) > _LONGEST:
            return _not_understood(utterance.text[:_LONGEST])
        context = of_several(context, text, language)
        asked = self._asked(utterance, home, language, context, note)
        own = self._matcher.own(asked, text)
        if own is not None:
            return own  # even a question may be a command where the user wants it so
        plan = self._matcher.exactly(asked, text)
        if plan is None and (full := language.written_out(text)) != text:
            plan = self._matcher.exactly(asked, full)
        if plan is not None and plan.kind is PlanKind.ASK:
            plan = self._told_apart(asked, text, plan)
        if context.plan is not None or context.recent:
            plan = self._gone_on(asked, text, plan)
        if plan is None or plan.score < SURE_IN_PART:
            plan = (
                self._fronted(asked, text)
                or self._corrected(asked, text)
                or self._misjoined(asked, text)
                or self._sparing(asked, text)
                or self._several(asked, text)
                or plan
            )
        if plan is not None and plan.kind in _OF_FREE_TEXT and plan.score < 1 and self._mishearings:
            plan = self._closer(asked, text) or plan
        if plan is not None:
            answers = plan.first or plan.after  # then each part was looked at by itself
            if plan.kind is PlanKind.ACT and not answers and _asks(text, language):
                asked.reject("question", text, "it is a question, and those do nothing", plan)
                return _not_understood(text)
            return plan
        asked.reject("exact", text, "no sentence that is known, nor several of them")
        if mood(text, language) is Mood.FORBIDDING:
            asked.reject("negation", text, "it forbids something, so nothing is done")
            return Plan(PlanKind.NOTHING, speech=Speech("core.nothing_done"))
        plan = self._unsure(asked, text)
        if plan is None and mood(text, language) is Mood.ORDER:
            plan = self._matcher.of_no_thing(asked, text)
        return plan or _not_understood(text)

    def prepare(self, language: str, home: Home) -> None:
        """Compile the sentences of `language` and the names of `home` now, seconds' work, rather
        than at the first utterance.
        """
        if self._matcher.prepare(load_language(language), home):
            # What is compiled stays as long as we do. Hundreds of thousands of objects, which
            # the garbage collector would else go through now and then, 0.4 s in a turn's midst.
            gc.collect()
            gc.freeze()

    def matches(self, utterance: Utterance, home: Home) -> PlanKind:
        """The kind of plan a whole sentence of the templates makes of `utterance`, else UNKNOWN.

        Cheaper than `understand`: what is not understood is not looked into.
        """
        language = load_language(utterance.language)
        asked = self._asked(utterance, home, language, NO_CONTEXT, ignore)
        plan = self._matcher.exactly(asked, utterance.text[:_LONGEST])
        return PlanKind.UNKNOWN if plan is None else plan.kind

    def names(self, home: Home, language: Language) -> Names:
        """The names of `home`, built once for each revision of it."""
        return self._matcher.names(home, language)

    def _asked(
        self, utterance: Utterance, home: Home, language: Language, context: Context, note: Note
    ) -> Asked:
        def understand(text: str) -> Plan:
            return self.understand(replace(utterance, text=text), home, context, note)

        @functools.cache  # parts of a sentence are tried in many ways
        def alone(text: str) -> Plan:
            return self.understand(replace(utterance, text=text), home, NO_CONTEXT, note)

        return Asked(utterance, home, language, context, note, understand, alone)

    def _gone_on(self, asked: Asked, text: str, alone: Plan | None) -> Plan | None:
        """The plan of `text` in the light of what was said before, else `alone`: what it says by
        itself.
        """
        # "Stop it" may be said of a shutter.
        dismissed = alone is not None and alone.kind is PlanKind.NOTHING
        if alone is not None and alone.score == 1 and alone.kind in SETTLED and not dismissed:
            return alone

        def read(said: str) -> Plan | None:
            return self._matcher.exactly(asked, said) or self._several(asked, said)

        def absent(said: str) -> Plan | None:
            return self._matcher.in_no_place(asked, said)

        names = self._matcher.names(asked.home, asked.language)
        known = alone is not None and not dismissed
        plan = go_on(asked, text, names, read, absent, alone=known)
        if dismissed and (plan is None or plan.kind is not PlanKind.ACT):
            return alone
        if alone is not None and alone.kind is PlanKind.ASK and _refuses(plan):
            return alone
        return plan or alone

    def _closer(self, asked: Asked, text: str) -> Plan | None:
        """The plan without free text that `text` nearly is: "30 secona" is no timer's name."""
        plan = self._matcher.loosely(asked, text, _NEARLY, free=False)
        return plan if plan is not None and plan.kind is PlanKind.ACT else None

    def _corrected(self, asked: Asked, text: str) -> Plan | None:
        """The plan of `text` without what the speaker took back; None: nothing was."""
        for said in corrected(text, asked.language):
            plan = self._matcher.exactly(asked, said) or self._several(asked, said)
            if plan is not None and plan.kind is PlanKind.ACT and plan.score == 1:
                asked.note(Considered("corrected", said, plan))
                return plan
        return None

    def _fronted(self, asked: Asked, text: str) -> Plan | None:
        """The plan of `text` with what is said first said last; None: nothing makes sense there."""
        for said in put_last(text, asked.language):
            plan = self._matcher.exactly(asked, said)
            if plan is not None and plan.kind in SETTLED and plan.score == 1:
                asked.note(Considered("fronted", said, plan))
                return plan
        return None

    def _told_apart(self, asked: Asked, text: str, question: Plan) -> Plan:
        """`question`, which one is meant; or the plan for the one of them that the same words mean
        in another order: "turn on in the lounge the heater" is of the lounge heater.
        """
        choices = frozenset(question.devices)
        for said in put_after_object(text, asked.language) if choices else ():
            plan = self._matcher.exactly(asked, said)
            if _commands(plan) and plan.kind is PlanKind.ACT and _touched(plan) <= choices:
                asked.note(Considered("fronted", said, plan))
                return plan
        return question

    def _sparing(self, asked: Asked, text: str) -> Plan | None:
        """The plan of `text` without what it says is to stay as it is; None: it spares nothing.

        Where "the others" are not to be told, nothing is understood: they are not all there is.
        """
        folded, start = without_politeness(fold(text), asked.language)
        body = text[start : start + len(folded)]
        clear = True
        for one in spared(body, asked.language):
            kept = self._meant(asked, of_it_alone(one, asked.language))
            devices = [asked.home.devices[i] for i in kept]
            for said in in_full(one, devices, asked.language):
                plan = self._matcher.exactly(asked, said) or self._several(asked, said)
                if _commands(plan) and not kept & _touched(plan):
                    asked.note(Considered("spared", said, plan))
                    return plan
            clear = clear and one.others is None
            clear = clear and not kept & _touched(self._several(asked, text))
        return None if clear else _not_understood(text)

    def _meant(self, asked: Asked, sentences: Iterable[str]) -> frozenset[str]:
        """The devices that the first of `sentences` that is a command is about."""
        for said in sentences:
            plan = self._plainly(asked, said) or self._several(asked, said)
            if plan is not None and (ids := _touched(plan)):
                return ids
        return frozenset()

    def _plainly(self, asked: Asked, text: str) -> Plan | None:
        return self._matcher.exactly(asked, text) or self._fronted(asked, text)

    def _misjoined(self, asked: Asked, text: str) -> Plan | None:
        """The plan of one command in which a joining word was another: "the lamp and the lounge"
        is the lamp in the lounge, if there is one. Never where a verb follows.
        """
        if not self._mishearings:
            return None
        language = asked.language
        for joint in language.joining.finditer(fold(text)):
            if opens_as_order(squeeze(text[joint.end() :]), language):
                continue
            for other in language.confused.get(joint[0].strip(), ()):
                said = f"{text[: joint.start()]} {other} {text[joint.end() :]}"
                plan = self._matcher.exactly(asked, said)
                if plan is not None and plan.kind is PlanKind.ACT and plan.score == 1:
                    asked.note(Considered("several", said, plan, reason="joined by mistake"))
                    return plan
        return None

    def _disjoined(self, asked: Asked, text: str) -> Plan | None:
        """The plan of several commands between which another word was heard for the one that joins
        them: "make the lamp blue in the strip red".
        """
        language = asked.language
        folded = fold(text)
        for word in words_of(folded)[1:-1]:
            for other in language.confused.get(word.text, ()):
                if other in language.joints and not self._is_place(asked, text[word.end :]):
                    said = f"{text[: word.start]}{other}{text[word.end :]}"
                    plan = self._several(asked, said)
                    if plan is not None and plan.kind is PlanKind.ACT:
                        return replace(plan, score=min(plan.score, SURE_IN_PART))
        return None

    def _is_place(self, asked: Asked, text: str) -> bool:
        """Whether `text` is a place here and nothing else: "in the hall" is no "and the hall"."""
        words = squeeze(text).split()
        while words and words[0] in asked.language.articles:
            words = words[1:]
        ids = self._matcher.names(asked.home, asked.language).ids
        return " ".join(words) in {*ids["area"], *ids["floor"]}

    def _several(
        self,
        asked: Asked,
        text: str,
        one: Callable[[Asked, str], Plan | None] | None = None,
    ) -> Plan | None:
        """The plan of several commands in one sentence; None unless each part is one."""
        read = one or self._plainly

        def command(part: str, recent: tuple[str, ...]) -> Plan | None:
            within = replace(asked, context=replace(asked.context, recent=recent))
            for said in (part, *where_that_is(part, within)):
                if (plan := read(within, said)) is not None:
                    return replace(plan, devices=spoken_of(plan, asked.home))
            return None

        folded, start = without_politeness(fold(text), asked.language)
        body = text[start : start + len(folded)] + "?" * text.rstrip().endswith("?")
        plan = take_apart(body, asked.language, command, asked.context.recent)
        if asked.note is not ignore and len(parts := parts_of(body, asked.language)) > 1:
            pieces = " · ".join(part.text for part in parts)
            if plan is not None:
                asked.note(Considered("several", body, plan, reason=pieces))
            elif text.strip() == asked.utterance.text.strip():
                asked.reject("several", body, f"not each part is, or shares, a command: {pieces}")
        return plan

    def _unsure(self, asked: Asked, text: str) -> Plan | None:
        """The plan of what `text` may have been; or the refusal of a place that there is not."""
        if not self._mishearings:
            return self._matcher.in_no_place(asked, text)
        ordered = mood(text, asked.language) is Mood.ORDER
        plan = self._matcher.loosely(asked, text)
        if plan is None and ordered:
            plan = self._disjoined(asked, text) or self._several(asked, text, self._either)
        if plan is not None and plan.actions and not ordered:
            asked.reject("loose", text, "it may have been a question or a prohibition", plan)
            plan = None
        if plan is not None and plan.score >= _SURE_OF_PLACE:
            return plan
        return self._matcher.in_no_place(asked, text) or plan

    def _either(self, asked: Asked, part: str) -> Plan | None:
        return self._matcher.exactly(asked, part) or self._matcher.loosely(asked, part)


def _asks(text: str, language: Language) -> bool:
    folded, start = without_politeness(fold(text), language)
    return is_question(text, folded, start, language)


def _commands(plan: Plan | None) -> TypeGuard[Plan]:
    return plan is not None and plan.kind in _OF_FREE_TEXT and plan.score == 1


def _touched(plan: Plan | None) -> frozenset[str]:
    return frozenset(plan.commanded if plan else ())


def _refuses(plan: Plan | None) -> bool:
    return plan is not None and plan.kind is PlanKind.REFUSE


def _not_understood(text: str) -> Plan:
    return Plan(PlanKind.UNKNOWN, score=0.0, speech=Speech("core.not_understood", {"heard": text}))
