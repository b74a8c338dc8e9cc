"""What was said last, one memory a source: the dialogue, and what of it waits for an answer.

Where it is known who speaks, what "it" means and what a question is answered by are a matter
between the assistant and that speaker; who is not known is taken for anybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from assistant.home.action import Action
from assistant.home.model import Device, Home
from assistant.plan import NO_CONTEXT, Context, Exchange, Plan, PlanKind, Speech
from assistant.understand.language import Language
from assistant.understand.normal import fold, squeeze
from assistant.understand.target import label_of, which_one

MOST_EXCHANGES: Final = 6
"""Exchanges that a language model is told of."""
LONGEST_MEMORY: Final = 300.0
"""Seconds after which an exchange is forgotten: "it" no longer means what was said this morning."""
GOING_ON: Final = 120.0
"""Seconds within which a sentence may be gone on with in part ("and the hall")."""
_MOST_REMEMBERED: Final = 12
_LONGEST_PHRASE: Final = 5
_TRANSPARENT: Final = frozenset({PlanKind.CHAT, PlanKind.NOTHING})
"""What may come between a sentence and how it goes on: "thanks", "never mind"."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A question of ours. Until `expires` (monotonic seconds) the next utterance may answer it."""

    plan: Plan
    """What a yes, or a choice, carries out: of kind ACT."""
    expires: float
    choices: tuple[str, ...] = ()
    """Ids of the devices to choose from; none: the question wants yes or no."""
    speaker: str = ""
    """Who is asked; "": whoever answers."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What a turn did, and how the home was before."""

    actions: tuple[Action, ...]
    """As they were carried out, each on one device or none."""
    before: Home


@dataclass(frozen=True, slots=True)
class Said:
    """An exchange that took place at monotonic second `time`, and what came of it."""

    time: float
    exchange: Exchange
    speaker: str = ""
    plan: Plan | None = None
    deed: Deed | None = None
    """None: nothing was done."""


@dataclass(slots=True)
class Conversation:
    """The state of one source's dialogue. Owned by whoever runs its turns."""

    pending: Pending | None = None
    secret_until: float = 0.0
    """Until this monotonic second whatever is said may be a PIN, and is for nobody's eyes."""
    _said: deque[Said] = field(default_factory=lambda: deque(maxlen=_MOST_REMEMBERED))

    def remember(
        self,
        exchange: Exchange,
        now: float,
        *,
        speaker: str = "",
        plan: Plan | None = None,
        deed: Deed | None = None,
    ) -> None:
        """`exchange` took place at monotonic second `now`, as `plan`, and did `deed`."""
        self._said.append(Said(now, exchange, speaker, plan, deed))

    def history(self, now: float) -> tuple[Exchange, ...]:
        """What was said lately, the oldest first."""
        lately = [said.exchange for said in self._said if now - said.time <= LONGEST_MEMORY]
        return tuple(lately[-MOST_EXCHANGES:])

    def lately(self, now: float, speaker: str = "") -> tuple[Said, ...]:
        """What `speaker` may have said lately, the latest first."""
        return tuple(
            said
            for said in reversed(self._said)
            if now - said.time <= LONGEST_MEMORY and _may_be(said.speaker, speaker)
        )

    def context(self, now: float, speaker: str = "") -> Context:
        """What an utterance of `speaker` at monotonic second `now` may go on with."""
        lately = self.lately(now, speaker)
        if not lately:
            return NO_CONTEXT
        recent = next((s.exchange.devices for s in lately if _speaks_of_devices(s)), ())
        for place, said in enumerate(lately):
            plan = said.plan
            if plan is None or plan.kind is PlanKind.UNKNOWN or now - said.time > GOING_ON:
                break
            if plan.kind in _TRANSPARENT:
                continue
            if plan.kind is PlanKind.ASK and place > 0:
                break  # that question is over
            text, last = _last_part(plan, said.exchange.said)
            return Context(recent, _together(lately[place:]), text, last)
        return Context(recent)


def answer(
    conversation: Conversation,
    text: str,
    home: Home,
    language: Language,
    now: float,
    speaker: str = "",
) -> Plan | None:
    """The plan that `text` makes of the pending question; None: it is no answer to it.

    Either way the question is over: it is asked again by whoever wants it again. Only somebody
    else than was asked leaves it open.
    """
    pending = conversation.pending
    if pending is None or not _may_be(pending.speaker, speaker):
        return None
    conversation.pending = None
    if now > pending.expires:
        return None
    said = _without_thanks(text, language)
    if _consists_of(said, language.no) or said in language.dialogue.neither:
        return Plan(PlanKind.NOTHING, intent="no", skill="core", speech=Speech("core.cancelled"))
    if not pending.choices:
        agreed = _consists_of(said, language.yes) and not pending.plan.pin
        return pending.plan if agreed else None
    choices = [home.devices[i] for i in pending.choices if i in home.devices]
    chosen = _chosen(said, choices, home, language)
    if not chosen:
        return None
    ids = tuple(d.id for d in chosen)
    actions = tuple(replace(action, devices=ids) for action in pending.plan.actions)
    plan = replace(pending.plan, actions=actions)
    if len(chosen) > 1 and not _are_all_meant(said, chosen, choices, home, language):
        return replace(plan, kind=PlanKind.ASK, devices=ids, speech=which_one(chosen, home))
    return plan


def spoken_of(plan: Plan, home: Home) -> tuple[str, ...]:
    """The devices that an answer names ("which lights are on?"), else all that it is about."""
    names = plan.speech.values.get("names", ()) if plan.speech is not None else ()
    about = [home.devices[i] for i in plan.devices if i in home.devices]
    named = tuple(d.id for d in about if d.name in names or label_of(d, home) in names)
    return named or plan.devices


def _may_be(one: str, other: str) -> bool:
    """Whether two speakers may be the same."""
    return not one or not other or one == other


def _speaks_of_devices(said: Said) -> bool:
    """Whether "it" would mean the devices of `said`, even if there are none."""
    acted = said.plan is not None and said.plan.kind in (PlanKind.ACT, PlanKind.ASK)
    return acted or bool(said.exchange.devices)


def _together(lately: Sequence[Said]) -> tuple[str, ...]:
    """The devices of the latest turn, and of those before that it went on with."""
    devices: dict[str, None] = {}
    done = None
    for said in lately:
        plan = said.plan
        if plan is not None and plan.kind in _TRANSPARENT:
            continue
        does = {action.name for action in plan.actions} if plan is not None else set()
        if plan is None or plan.kind is not PlanKind.ACT or (done is not None and does != done):
            break
        done = does
        devices |= dict.fromkeys(said.exchange.devices)
        if not plan.sentence or plan.sentence == said.exchange.said:
            break
    return tuple(devices)


def _last_part(plan: Plan, said: str) -> tuple[str, Plan]:
    """The sentence and the plan that a fragment goes on with: of several commands the last."""
    parts: Sequence[Plan] = plan.speech.values.get("parts", ()) if plan.speech else ()
    if parts and parts[-1].sentence:
        return parts[-1].sentence, parts[-1]
    return plan.sentence or said, plan


def _without_thanks(text: str, language: Language) -> str:
    folded = fold(text)
    if (match := language.closing.search(folded)) and match.start() > 0:
        shorter = squeeze(folded[: match.start()])
        # "OK" is a closer, and an answer.
        return shorter or squeeze(text)
    return squeeze(text)


def _consists_of(said: str, phrases: frozenset[str]) -> bool:
    """Whether `said` is one of `phrases`, or several one after the other ("yes, yes, do it")."""
    words = said.split()
    place = 0
    while place < len(words):
        for length in range(min(_LONGEST_PHRASE, len(words) - place), 0, -1):
            if " ".join(words[place : place + length]) in phrases:
                place += length
                break
        else:
            return False
    return bool(words)


def _chosen(said: str, choices: Sequence[Device], home: Home, language: Language) -> list[Device]:
    """Those of `choices` that `said` means: by number, or by name, alias or room."""
    words = said.split()
    bare = " ".join(w for w in words if w not in language.articles | language.fillers)
    if {said, bare} & language.dialogue.all:
        return list(choices)
    if {said, bare} & language.dialogue.both:
        return list(choices) if len(choices) == 2 else []
    chosen = named(said, choices, home, language)
    # What fits every one of them chooses none.
    if len(chosen) == len(choices) > 1:
        chosen = []
    return chosen or _counted(said, choices, language)


def named(said: str, choices: Sequence[Device], home: Home, language: Language) -> list[Device]:
    """Those of `choices` that every telling word of `said` fits: by name, alias or room."""
    sound = language.sound
    words = _telling(said, choices, language)
    wanted = {sound(word) for word in words}
    found, exactly = [], []
    for device in choices:
        area = home.area(device.area)
        names = [squeeze(name) for name in (device.name, *device.aliases)]
        places = [squeeze(name) for name in (area.name, *area.aliases)] if area else []
        if words and wanted <= {sound(w) for name in (*names, *places) for w in name.split()}:
            found.append(device)
            if {" ".join(words), squeeze(said)} & {*names, *places}:
                exactly.append(device)
    return exactly or found


def _telling(said: str, choices: Sequence[Device], language: Language) -> list[str]:
    """The words of `said` that may tell one thing from another of its kind."""
    words = said.split()
    idle = language.articles | language.dangling | language.fillers | language.dialogue.ones
    telling = [word for word in words if word not in idle]
    return [word for word in telling if word not in kind_words(choices, language)] or telling


def kind_words(devices: Sequence[Device], language: Language) -> set[str]:
    """Single words for what `devices` are ("lamp", "lights")."""
    types = {device.type.value for device in devices}
    forms = (
        form
        for code, words in language.kinds.items()
        if code.partition(".")[0] in types
        for form in (*words["one"].split("|"), *words["many"].split("|"))
    )
    return {word for form in forms for word in squeeze(form).split()}


def _counted(said: str, choices: Sequence[Device], language: Language) -> list[Device]:
    """The one of `choices` whose place in the list `said` tells ("the second one")."""
    ordinals = language.dialogue.ordinals
    idle = (
        language.articles
        | language.fillers
        | language.dialogue.ones
        | kind_words(choices, language)
    )
    words = [word for word in said.split() if word not in language.articles]
    for form in (words, [word for word in words if word not in idle]):
        place = ordinals.get(" ".join(form))
        if place is not None and place < len(choices):
            return [choices[place]]
    return []


def _are_all_meant(
    said: str,
    chosen: Sequence[Device],
    choices: Sequence[Device],
    home: Home,
    language: Language,
) -> bool:
    """Whether several were meant: all of them, those in one room, or a plural."""
    if len(chosen) == len(choices):
        return True
    areas = {device.area for device in chosen}
    if len(areas) == 1 and (area := home.area(next(iter(areas)))):
        placed = {w for name in (area.name, *area.aliases) for w in squeeze(name).split()}
        if set(_telling(said, choices, language)) <= placed:
            return True
    return False
