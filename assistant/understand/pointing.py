"""Whole sentences that point back: "is it locked?", "turn both off again", "cancel it", "faster".

Such a sentence is put as it would be if it named what it points to, and counts only where that
is a whole sentence of the templates about that very thing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from assistant.home.action import Action
from assistant.home.model import Device, DeviceType, Home, Timer
from assistant.plan import Context, Plan, PlanKind, Speech
from assistant.understand.asked import Asked, Read
from assistant.understand.conversation import kind_words
from assistant.understand.ellipsis import ones_in
from assistant.understand.language import Language
from assistant.understand.mood import Mood, mood, without_politeness
from assistant.understand.normal import fold, squeeze
from assistant.understand.target import can

_MOST_VARIANTS: Final = 24
_LONGEST_ELLIPSIS: Final = 3
"""Words of a sentence that leaves its object out ("faster", "off again")."""
_MOST_NAMED: Final = 4
_UNKNOWN: Final = Plan(PlanKind.UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Variant:
    """A sentence in other words; `named`: with the names of these in the place of a pronoun."""

    text: str
    named: tuple[Device, ...] = ()
    framed: bool = False
    """It left out what it is about."""
    timer: Timer | None = None


def pointing_back(
    asked: Asked, said: Sequence[str], read: Read, *, alone: bool = False
) -> Plan | None:
    """The plan of a sentence, given in the forms `said`, as it points to `asked.context`.

    `alone`: it is a sentence by itself, so that it leaves nothing out.
    """
    recent = [asked.home.devices[i] for i in asked.context.recent if i in asked.home.devices]
    replacing = asked.language.dialogue.replacing.match(fold(said[0]))
    of_ones = asked.language.dialogue.ones & set(squeeze(said[0]).split())
    refused: Plan | None = None
    variants = _variants(asked, said, recent)
    for variant in itertools.islice(variants, _MOST_VARIANTS):
        plan = read(variant.text)
        if plan is None:
            continue
        if alone and variant.framed:
            break
        if variant.named:
            plan = _about(plan, variant, recent, read)
            if variant.framed and _is_same(plan, asked.context.plan):
                continue  # it tells nothing new: perhaps a place, or talk
        elif variant.timer is not None:
            plan = _on_timer(plan, variant.timer)
            if replacing and plan.intent == "add_time":
                plan = _anew(plan, variant.timer)
        elif plan.score < 1 or (of_ones and _is_same(plan, asked.context.plan)):
            continue
        ordered = mood(said[-1], asked.language) is Mood.ORDER
        if plan.kind is PlanKind.ANSWER or (plan.kind is PlanKind.ACT and ordered):
            return replace(plan, sentence=variant.text, score=1.0)
        if plan.kind is PlanKind.REFUSE and not (variant.named or variant.timer):
            refused = refused or plan
    return refused


def of_several(context: Context, text: str, language: Language) -> Context:
    """`context`; where `text` speaks of several things ("both"), those of several turns."""
    spoken = parted(" ".join(fold(text).split()), language)
    if len(context.together) > 1 and language.dialogue.several.search(spoken):
        return replace(context, recent=context.together)
    return context


def parted(sentence: str, language: Language) -> str:
    """`sentence` with a pronoun that is written on to its verb as a word of its own."""
    verb, _, rest = sentence.partition(" ")
    for pattern, apart in language.dialogue.clitics:
        if pattern.match(fold(verb)):
            return f"{pattern.sub(apart, fold(verb))} {rest}".strip()
    return sentence


def started(action: Action, home: Home) -> Timer | None:
    """The timer that a `start_timer` started; None: it is over."""
    seconds, name = action.params["seconds"], action.params.get("name")
    timers = [t for t in home.timers if t.duration == seconds and t.name == name]
    return max(timers, key=lambda timer: timer.remaining, default=None)


def things_meant(asked: Asked) -> list[str]:
    """The words that a "one" may stand for, the likeliest first: those for things of the sentence
    before, and what the devices spoken of are.
    """
    language, home = asked.language, asked.home
    idle = language.articles | language.dangling | language.dialogue.ones
    # A sentence begins with a verb or a question word.
    said = [w for w in reversed(squeeze(asked.context.text).split()[1:]) if w not in idle]
    kinds = kind_words(home.exposed(), language)
    told = [word for word in said if word in kinds]
    recent = [home.devices[i] for i in asked.context.recent if i in home.devices]
    called = [_kind(device, language) for device in recent[:1]]
    return list(dict.fromkeys((*told, *called, *said)))[:4]


def _kind(device: Device, language: Language) -> str:
    words = language.kinds.get(f"{device.type}.{device.device_class}")
    words = words or language.kinds.get(str(device.type), {"one": device.name})
    return squeeze(words["one"].split("|")[0])


def _variants(asked: Asked, said: Sequence[str], recent: Sequence[Device]) -> Iterator[_Variant]:
    language = asked.language
    words = language.dialogue
    forms = _forms(asked, said, recent)
    yield from (_Variant(form) for form in forms[1:])
    timer = _timer(asked)
    if timer is not None:
        form_of = words.timer_named if timer.name else words.timer
        called = form_of.format(name=squeeze(timer.name or ""))
        yield from (_Variant(text, timer=timer) for text in _named(forms, called, language))
        return
    if not recent:
        return
    one = squeeze(recent[0].name)
    yield from (_Variant(text, (recent[0],)) for text in _named(forms, one, language))
    if 1 < len(recent) <= _MOST_NAMED:
        every = f" {words.conjunction} ".join(squeeze(device.name) for device in recent)
        yield from (_Variant(text, tuple(recent)) for text in _named(forms, every, language))
    before = asked.context.text
    asks = mood(said[-1], language) is Mood.QUESTION
    yield from (
        _Variant(text, (recent[0],), framed=True)
        for form in forms
        if _leaves_out(form, language, asks) and squeeze(said[0]) not in words.tags
        for text in (f"{before} {form}", *(f.format(said=form, name=one) for f in words.frames))
    )


def _named(forms: Sequence[str], name: str, language: Language) -> Iterator[str]:
    for form in forms:
        called, count = language.dialogue.pronouns.subn(name, form, count=1)
        if count:
            yield called


def _leaves_out(form: str, language: Language, asks: bool) -> bool:
    """Whether `form` may be a sentence without what it is about, and is not mere talk."""
    words = form.split()
    dialogue = language.dialogue
    talk = language.yes | dialogue.again | (frozenset() if asks else dialogue.tags)
    told = [word for word in words if word not in language.numbers.vocabulary]
    # A number alone answers something else; a figure may be a PIN.
    return (
        0 < len(words) <= _LONGEST_ELLIPSIS
        and any(word.isalpha() for word in told)
        and not talk & {*words, form}
    )


def _forms(asked: Asked, said: Sequence[str], recent: Sequence[Device]) -> list[str]:
    """The sentence in other words, of which each points back by a pronoun alone, if at all."""
    language, words = asked.language, asked.language.dialogue
    forms: dict[str, None] = {}
    for text in said:
        folded, _ = without_politeness(fold(text), language)
        each = folded.split()
        forms[" ".join(each)] = None
        forms[" ".join(each[1:] if each[1:] and each[0] in words.only else each)] = None
    for form in tuple(forms):
        forms[parted(form, language)] = None
    both = [" ".join(words.together.sub(words.together_form, form).split()) for form in forms]
    both = [form for form in both if form not in forms]
    forms.update(dict.fromkeys(both))
    for form in tuple(forms):
        if shorter := " ".join(words.anew.sub(" ", form).split()):
            forms[shorter] = None
    forms.update(dict.fromkeys(t for form in tuple(forms) for t in where_that_is(form, asked)))
    for form in tuple(forms):
        of_ones = form.split()
        if form in both:
            continue  # what stands for both is no word for any such thing
        if (ones := ones_in(of_ones, language)) and len(of_ones) > 2:
            for thing in things_meant(asked)[:2]:
                spelt = [thing if i in ones else word for i, word in enumerate(of_ones)]
                forms[" ".join(spelt)] = None
    return list(forms)


def where_that_is(text: str, asked: Asked) -> list[str]:
    """`text` with the room of what was spoken of for its "there"; nothing where it has none."""
    words, home = asked.language.dialogue, asked.home
    recent = [home.devices[i] for i in asked.context.recent if i in home.devices]
    places = {device.area for device in recent}
    area = home.area(next(iter(places))) if len(places) == 1 else None
    # A robot is sent elsewhere than where it lives.
    if area is None or any(device.type is DeviceType.VACUUM for device in recent):
        return []
    there, count = words.there.subn(words.there_form.format(name=squeeze(area.name)), text)
    return [there] if count else []


def _about(plan: Plan, variant: _Variant, recent: Sequence[Device], read: Read) -> Plan:
    """`plan`, in which the first of `recent` stands for all; UNKNOWN where it is about others."""
    named = variant.named
    ids = {device.id for device in named}
    if plan.kind is PlanKind.ANSWER:
        return plan if plan.score == 1 and ids & set(plan.devices) else _UNKNOWN
    if len(plan.actions) != 1:
        same = set(plan.commanded) == ids
        return plan if same and plan.kind is PlanKind.ACT and plan.score == 1 else _UNKNOWN
    action = plan.actions[0]
    if action.name in ("delay", "schedule"):
        inner = read(str(action.params["command"]))
        about = {i for a in inner.actions for i in a.devices} if inner is not None else set()
        everything = about == {device.id for device in recent}
        return plan if plan.kind is PlanKind.ACT and everything else _UNKNOWN
    device = named[0]
    if variant.framed and plan.score < 1 and not action.name.startswith("list_"):
        return _UNKNOWN
    called = squeeze(device.name)
    # "Add it to the list" does not put the list on itself.
    itself = any(called in squeeze(str(value)) for value in action.params.values())
    if device.id not in action.devices or itself:
        return _UNKNOWN
    able = tuple(d.id for d in recent if d.type is device.type and can(d, action.name))
    # Where several are called so, it is still clear which.
    speech = Speech(f"{plan.skill}.{plan.intent}") if plan.kind is PlanKind.ASK else plan.speech
    return replace(
        plan,
        kind=PlanKind.ACT,
        actions=(replace(action, devices=able),),
        devices=(),
        speech=speech,
    )


def _is_same(one: Plan, other: Plan | None) -> bool:
    """Whether `one` does nothing that `other` does not, and answers nothing else."""
    if other is None:
        return False
    if one.kind is PlanKind.ANSWER:
        return (one.devices, one.speech) == (other.devices, other.speech)
    done = [
        {(a.name, d, repr(a.params)) for a in p.actions for d in a.devices or ("",)}
        for p in (one, other)
    ]
    # The same, but in ten minutes: that was meant instead, and is too late.
    return not one.commanded or done[0] <= done[1]


def _timer(asked: Asked) -> Timer | None:
    """The timer that was spoken of last."""
    plan, home = asked.context.plan, asked.home
    if plan is None:
        return None
    ids = {*plan.devices, *(str(a.params.get("timer", "")) for a in plan.actions)}
    for action in plan.actions:
        if action.name == "start_timer" and (timer := started(action, home)):
            return timer
    known = [timer for timer in home.timers if timer.id in ids]
    return known[0] if len(known) == 1 else None


def _on_timer(plan: Plan, timer: Timer) -> Plan:
    """`plan` for this very timer, where others are called the same."""
    if plan.skill != "timers" or plan.score < 1:
        return _UNKNOWN
    if plan.kind is PlanKind.ACT and all("timer" in a.params for a in plan.actions):
        actions = (replace(a, params={**a.params, "timer": timer.id}) for a in plan.actions)
        return replace(plan, actions=tuple(actions))
    if plan.kind is PlanKind.ASK and plan.intent == "cancel":
        cancel = Action("cancel_timer", (), {"timer": timer.id})
        return replace(plan, kind=PlanKind.ACT, actions=(cancel,), speech=Speech("core.done"))
    return plan if plan.kind is PlanKind.ANSWER else _UNKNOWN


def _anew(plan: Plan, timer: Timer) -> Plan:
    """`timer` started anew with the time that `plan` would add ("make it 14 minutes")."""
    params = {"seconds": plan.actions[0].params["seconds"]}
    params |= {k: v for k, v in (("name", timer.name), ("area", timer.area)) if v}
    start = Action("start_timer", (), params)
    values = {"seconds": params["seconds"], "name": timer.name or ""}
    return replace(
        plan,
        intent="start",
        actions=(Action("cancel_timer", (), {"timer": timer.id}), start),
        speech=Speech("timers.start", values),
    )
