"""What the user's sentences do: each block of them as a handler, as a skill's is one."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from jinja2 import TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from assistant.home.action import Action, ParamValue
from assistant.home.model import Device, Home
from assistant.home.vocabulary import VOCABULARY, ParamKind
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Handler, Request, Skills
from assistant.understand.custom.files import SLOT, Wanted
from assistant.understand.custom.grammar import Compiled
from assistant.understand.custom.hass import INTENTS, Way, slots_for, ways
from assistant.understand.custom.located import Place, Problem
from assistant.understand.normal import squeeze
from assistant.understand.target import UNKNOWN, refuse

NAME: Final = "custom"
"""What stands for a skill's name in the plans of the user's own sentences."""
_PLACES: Final = ("name", "area", "floor")
_FILTERS: Final = (
    *("number", "listed", "either", "capitalise", "duration"),
    *("agree", "word", "one", "verb"),
)
"""Those of `assistant.turn.reply`."""
_OF_OUTCOMES: Final = frozenset({"target", "names", "count", "kind", "place", "slots"})
"""What a reply may speak of besides slots and parameters of actions."""


def handler_for(compiled: Compiled, skills: Skills) -> Handler:
    """What the sentences of `compiled` do. It fails at nothing: what can't be done is refused."""
    block, effect = compiled.block, compiled.block.effect

    def handle(request: Request) -> Plan:
        fitting = _fitting(request, compiled)
        if fitting is None:
            return UNKNOWN
        request = fitting
        for slot in _PLACES:
            value = request.slots.get(slot)
            if slot in block.slots and value != "all" and value not in request.names.get(slot, {}):
                return refuse("core.custom_missing", name=str(value))
        if effect.run:
            plan = _run(effect.run, request)
        elif effect.actions:
            plan = _act(effect.actions, request)
        elif (own := _intent(block.intent, skills)) is not None:
            plan = own(request)
        else:
            plan = Plan(PlanKind.CHAT)
        said = plan.kind in (PlanKind.ACT, PlanKind.CHAT, PlanKind.NOTHING)
        if effect.say and said:
            plan = replace(plan, speech=_speech(compiled, request))
        return replace(plan, intent=plan.intent or block.intent, skill=plan.skill or NAME)

    return handle


def faults_of(compiled: Compiled, skills: Skills) -> Iterator[Problem]:
    """What is wrong with what a block does, as far as it can be told without a home."""
    block, effect, located = compiled.block, compiled.block.effect, compiled.file.located
    known = _intent(block.intent, skills) is not None
    if not known and not (effect.run or effect.actions or effect.say):
        skill, _, name = block.intent.partition(".")
        there = "add 'run', 'actions' or 'say'"
        if name and skill in skills.skills:
            there += f", or name one of: {', '.join(sorted(skills.skills[skill].handlers))}"
        yield located.problem(
            f"intent {block.intent!r} says nothing of what to do; {there}", "intents", block.intent
        )
    places = effect.places
    for text in effect.run:
        yield from _unfilled(compiled, text, places.get("run", block.place))
    for wanted in effect.actions:
        for value in (*wanted.devices, *wanted.params.values()):
            if isinstance(value, str):
                yield from _unfilled(compiled, value, wanted.place)
    for text in effect.say:
        yield from _wording_faults(compiled, text, places.get("say", block.place))


def faults_at_home(compiled: Compiled, home: Home) -> Iterator[Problem]:
    """Devices and places that a block names and `home` does not have, or not for this."""
    block, located = compiled.block, compiled.file.located
    for wanted in block.effect.actions:
        for called in wanted.devices:
            if SLOT.search(called):
                continue
            device = _device(called, home)
            if device is None:
                text = f"there is no device {called!r}; list them with: assistant devices"
                yield located.problem(text, *wanted.place, "devices")
            elif not VOCABULARY.spec(wanted.action).fits(device):
                able = ", ".join(sorted(spec.name for spec in VOCABULARY.possible(device)))
                text = f"{device.name} can't {wanted.action}; it can: {able or 'nothing'}"
                yield located.problem(text, *wanted.place, "action")
    for slot, known in (("area", home.areas), ("floor", home.floors)):
        value = block.slots.get(slot)
        names = {squeeze(n) for place in known for n in (place.id, place.name, *place.aliases)}
        if isinstance(value, str) and squeeze(value) not in names:
            text = f"there is no {slot} {value!r}; there are: {', '.join(p.name for p in known)}"
            yield located.problem(text, *block.place, "slots", slot)
    name = block.slots.get("name")
    if isinstance(name, str) and name != "all" and _device(name, home) is None:
        text = f"there is no device {name!r}; list them with: assistant devices"
        yield located.problem(text, *block.place, "slots", "name")


# ------------------------------------------------------------------- what is done


def _run(sentences: Sequence[str], request: Request) -> Plan:
    plans = []
    for text in sentences:
        said = filled(text, request.slots)
        plan = request.understand(said)
        if plan.kind is PlanKind.UNKNOWN:
            return refuse("core.custom_unclear", heard=said)
        plans.append(plan)
    if len(plans) == 1:
        return plans[0]
    if (stop := next((p for p in plans if p.kind is not PlanKind.ACT), None)) is not None:
        # To do some of it, and to ask about the rest, would leave half of it undone.
        refused = stop.kind is PlanKind.REFUSE
        text = filled(sentences[plans.index(stop)], request.slots)
        return stop if refused else refuse("core.custom_unclear", heard=text)
    actions = tuple(action for plan in plans for action in plan.actions)
    score = min(plan.score for plan in plans)
    speech = Speech("core.done", {"parts": plans})
    return Plan(PlanKind.ACT, actions=actions, score=score, speech=speech)


def _act(entries: Iterable[Wanted], request: Request) -> Plan:
    actions = []
    for wanted in entries:
        devices: dict[str, None] = {}
        for called in wanted.devices:
            found = _devices(called, request)
            if not found:
                return refuse("core.custom_missing", name=filled(called, request.slots))
            devices |= dict.fromkeys(device.id for device in found)
        spec = VOCABULARY.spec(wanted.action)
        for device in devices:
            if not spec.fits(request.home.devices[device]):
                return refuse("core.device_cannot", name=request.home.devices[device].name)
        actions.append(Action(wanted.action, tuple(devices), _params(wanted, request.slots)))
    return Plan(PlanKind.ACT, actions=tuple(actions), speech=Speech("core.done"))


def _params(wanted: Wanted, slots: Mapping[str, Any]) -> dict[str, ParamValue]:
    kinds = {param.name: param.kind for param in VOCABULARY.spec(wanted.action).params}
    made: dict[str, ParamValue] = {}
    for name, value in wanted.params.items():
        if isinstance(value, str):
            whole = SLOT.fullmatch(value)
            value = slots.get(whole[1], "") if whole else filled(value, slots)
            if kinds[name] is ParamKind.NUMBER and isinstance(value, str):
                value = _number(value)
            elif kinds[name] is not ParamKind.NUMBER and kinds[name] is not ParamKind.FLAG:
                value = _text(value)
        made[name] = value
    return made


def _intent(intent: str, skills: Skills) -> Handler | None:
    """What one of our intents does, or one of Home Assistant's; None: there is none."""
    if intent in INTENTS:
        return lambda request: _as_hass(intent, request, skills)
    if intent == "HassRespond":
        return lambda request: Plan(PlanKind.CHAT)
    skill_name, _, name = intent.partition(".")
    skill = skills.skills.get(skill_name)
    if skill is None or name not in skill.handlers:
        return None

    def handle(request: Request) -> Plan:
        asked = replace(request, intent=name, options=skill.options)
        try:
            plan = skill.handlers[name](asked)
        except KeyError as error:
            return refuse("core.custom_lacks", intent=intent, slot=str(error.args[0]))
        speech = plan.speech
        if speech is not None and "." not in speech.key:
            speech = replace(speech, key=f"{skill_name}.{speech.key}")
        return replace(plan, intent=name, skill=skill_name, speech=speech)

    return handle


def _as_hass(intent: str, request: Request, skills: Skills) -> Plan:
    """Carry out an intent of Home Assistant's: by the first way that a name fits, or by all."""
    possible = ways(intent, request.slots)
    named = "name" in request.slots and request.slots["name"] != "all"
    plans = []
    for way in possible:
        plan = _by(way, request, skills)
        if plan is None or plan.kind is PlanKind.UNKNOWN:
            continue
        if named and intent != "HassLightSet":
            return plan
        plans.append(plan)
    acting = [plan for plan in plans if plan.kind is PlanKind.ACT]
    if len(acting) > 1:
        actions = tuple(action for plan in acting for action in plan.actions)
        return replace(acting[0], actions=actions, speech=Speech("core.done", {"parts": acting}))
    return (acting or plans or [UNKNOWN])[0]


def _by(way: Way, request: Request, skills: Skills) -> Plan | None:
    handle = _intent(way.intent, skills)
    if handle is None:
        return None
    return handle(replace(request, slots=slots_for(way, request.slots)))


# ------------------------------------------------------------------- what it depends on


def _fitting(request: Request, compiled: Compiled) -> Request | None:
    """`request` with what its place adds to it; None where the sentence does not hold here."""
    needs, slots = compiled.block.needs, dict(request.slots)
    home, here = request.home, request.utterance.area
    if needs.area is not None:
        area = home.area(here)
        names = {squeeze(n) for n in (area.id, area.name, *area.aliases)} if area else set()
        if area is None or (needs.area and squeeze(needs.area) not in names):
            return None
        if needs.area_slot:
            slots.setdefault("area", area.id)
    for slot in _PLACES:
        if isinstance(value := slots.get(slot), str):
            slots[slot] = _spoken(slot, value, request)
    ids = request.names.get("name", {}).get(str(slots.get("name", "")), ())
    types = {home.devices[i].type for i in ids if i in home.devices}
    if types and needs.domains and not types & needs.domains:
        return None
    if types and types <= needs.not_domains:
        return None
    return replace(request, slots=slots)


def _spoken(slot: str, value: str, request: Request) -> str:
    """A name or place that the file gives, by its name or id, as the home's names have it."""
    forms = request.names.get(slot, {})
    if value in forms:
        return value
    plain = squeeze(value)
    return next((form for form, ids in forms.items() if form == plain or value in ids), value)


def _devices(called: str, request: Request) -> list[Device]:
    """The devices that an entry of `devices` means: one by id or name, or those of a slot."""
    whole = SLOT.fullmatch(called)
    if whole is not None:
        ids = request.names.get("name", {}).get(str(request.slots.get(whole[1], "")), ())
        found = [request.home.devices[i] for i in ids if i in request.home.devices]
        if found:
            return [device for device in found if device.exposed]
    device = _device(filled(called, request.slots), request.home)
    return [device] if device is not None else []


def _device(called: str, home: Home) -> Device | None:
    """The exposed device with this id, name or alias."""
    known = home.devices.get(called)
    if known is not None and known.exposed:
        return known
    plain = squeeze(called)
    for device in home.exposed():
        if plain in (squeeze(name) for name in (device.name, *device.aliases)):
            return device
    return None


# ------------------------------------------------------------------- words


def filled(text: str, slots: Mapping[str, Any]) -> str:
    """`text` with the values of `slots` in place of their names in braces."""
    return " ".join(SLOT.sub(lambda found: _text(slots.get(found[1], "")), text).split())


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _number(text: str) -> int | float | str:
    try:
        value = float(text)
    except ValueError:
        return text  # the executor says what is wrong with it
    return int(value) if value.is_integer() else value


def _speech(compiled: Compiled, request: Request) -> Speech:
    values: dict[str, Any] = dict.fromkeys(compiled.ever, "")
    told = {**request.slots}
    for slot in _PLACES:
        if slot in told:
            told[slot] = _proper(slot, told[slot], request)
    return Speech(
        f"{NAME}.say", {**values, **told, "slots": told}, wordings=compiled.block.effect.say
    )


def _proper(slot: str, value: Any, request: Request) -> Any:
    """A name as the home writes it, for a name as it was said."""
    ids = request.names.get(slot, {}).get(value, ()) if isinstance(value, str) else ()
    if len(ids) != 1:
        return value
    home = request.home
    if slot == "name":
        return home.devices[ids[0]].name if ids[0] in home.devices else value
    places = home.areas if slot == "area" else home.floors
    return next((place.name for place in places if place.id == ids[0]), value)


def _unfilled(compiled: Compiled, text: str, place: Place) -> Iterator[Problem]:
    for name in SLOT.findall(text):
        if name in compiled.always:
            continue
        if name in compiled.ever:
            fault = (
                f"{{{name}}} is not in every sentence of the block; split the block, or give it a "
                "value under 'slots'"
            )
        else:
            there = ", ".join(sorted(compiled.ever))
            fault = f"no sentence has a slot {{{name}}}; there are: {there or 'none'}"
        yield compiled.file.located.problem(f"“{text}”: {fault}", *place)


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    """One in which wordings can be read as `assistant.turn.reply` will."""
    environment = ImmutableSandboxedEnvironment()
    environment.filters |= dict.fromkeys(_FILTERS, str)
    return environment


def _wording_faults(compiled: Compiled, text: str, place: Place) -> Iterator[Problem]:
    environment = _environment()
    try:
        used = meta.find_undeclared_variables(environment.parse(text))
        environment.from_string(text)
    except TemplateSyntaxError as error:
        yield compiled.file.located.problem(f"reply “{text}”: {error.message}", *place)
        return
    params = {name for wanted in compiled.block.effect.actions for name in wanted.params}
    params |= {p.name for spec in VOCABULARY.actions.values() for p in spec.params}
    for name in sorted(used - compiled.ever - _OF_OUTCOMES - params):
        there = ", ".join(sorted(compiled.ever | _OF_OUTCOMES))
        fault = f"reply “{text}”: there is no {{{{ {name} }}}}; there are: {there}"
        yield compiled.file.located.problem(fault, *place)
