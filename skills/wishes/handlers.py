"""Wishes and hints: "it's too dark in here", "we're out of milk", "I left the iron on".

They are about a device or a room where one is named, else about the room they are said in, and
nothing is done to another room in its stead. What was misheard is no wish: the sentences say
little that tells them from innocent ones ("I'm old").

`words/LANGUAGE.yaml` has what the sentences can't hold: what scenes for an occasion are called, and
what people buy.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from assistant.home.action import ParamValue
from assistant.home.model import Device, DeviceType
from assistant.home.vocabulary import VOCABULARY
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Handler, Request
from assistant.understand.caution import asked_first
from assistant.understand.normal import squeeze
from assistant.understand.target import (
    UNKNOWN,
    WINDOW_COVERS,
    Found,
    ask_which,
    carry,
    find,
    place_of,
    refuse,
    spoken_names,
)

_LIGHT: Final = (DeviceType.LIGHT,)
_COVER: Final = (DeviceType.COVER,)
_CLIMATE: Final = (DeviceType.CLIMATE,)
_FAN: Final = (DeviceType.FAN,)
_PLAYER: Final = (DeviceType.MEDIA_PLAYER,)
_VACUUM: Final = (DeviceType.VACUUM,)
_VALVE: Final = (DeviceType.VALVE,)
_LIST: Final = (DeviceType.TODO_LIST,)
_MOODS: Final = (DeviceType.SCENE, DeviceType.SCRIPT)
_GADGETS: Final = (DeviceType.SWITCH, DeviceType.SCRIPT, DeviceType.SCENE)

_PLACES: Final = ("area", "floor", "here", "everywhere", "name")
_AS_HEARD: Final = 0.16
"""Cost of a reading that left out a stutter or parted a word, and took no word for another."""
_SHADES: Final = WINDOW_COVERS - {"awning", "damper"}
_LONGEST_ITEM: Final = 5
"""Words of a thing to buy."""
_START: Final = {
    DeviceType.SCENE: "activate_scene",
    DeviceType.SCRIPT: "run_script",
    DeviceType.SWITCH: "turn_on",
}


def _wish(handler: Handler) -> Handler:
    """`handler`, for what was said word for word."""

    @functools.wraps(handler)
    def careful(request: Request) -> Plan:
        return UNKNOWN if request.misheard > _AS_HEARD else handler(request)

    return careful


@_wish
def darkness(request: Request) -> Plan:
    """ "I can't see a thing": turns on what is off, or else brightens what is on."""
    if _outdoors(request):
        return UNKNOWN
    request = _here(request)
    found = _all_of(request, _LIGHT, "turn_on")
    off = tuple(d for d in found.devices if d.state.get("on") is not True)
    if found.problem is not None or off:
        return _do(request, "turn_on", replace(found, devices=off or found.devices))
    return _do(request, "adjust_brightness", found, {"direction": "up"})


@_wish
def glare(request: Request) -> Plan:
    """ "It's too bright in here": dims what is on; where nothing is, it is the sun."""
    if _outdoors(request):
        return UNKNOWN
    request = _here(request)
    found = _all_of(request, _LIGHT, "turn_off")
    lit = tuple(d for d in found.devices if d.state.get("on") is not False)
    asked = found.problem is not None and found.problem.kind is PlanKind.ASK
    if asked or lit:
        found = replace(found, devices=lit or found.devices)
        return _do(request, "adjust_brightness", found, {"direction": "down"})
    if found.devices and "name" in request.slots:
        return refuse("is_off", name=found.devices[0].name)
    if "name" in request.slots or "kind" in request.slots:
        return found.problem or refuse("nothing_lit")
    shades = _shades(request, "close")
    return shades if shades.kind is PlanKind.ACT else found.problem or refuse("nothing_lit")


@_wish
def shade(request: Request) -> Plan:
    """ "The sun is in my eyes", "the neighbours can see in"."""
    return _shades(_here(request), "close")


@_wish
def daylight(request: Request) -> Plan:
    """ "Let some sun in"."""
    return _shades(_here(request), "open")


@_wish
def warmth(request: Request) -> Plan:
    """ "I'm freezing", "the bedroom is like an oven": `direction` is where it should go."""
    if _outdoors(request):
        return UNKNOWN
    direction, placed = request.slots["direction"], _placed(request)
    request = _here(request)
    several = "everywhere" in request.slots
    found = find(request, _CLIMATE, fits=_fits("adjust_temperature"), many=several)
    if direction == "down" and (found.problem is not None or _not_to_blame(found.devices)):
        fans = find(request, _FAN, fits=_fits("turn_on"))
        if fans.problem is None and not several:
            return _do(request, "turn_on", fans)
    if found.problem is not None and found.problem.kind is PlanKind.REFUSE and not placed:
        # One thermostat in the hall may be all there is; of several, it must be said which.
        anywhere = replace(request, slots={}, utterance=replace(request.utterance, area=None))
        found = find(anywhere, _CLIMATE, fits=_fits("adjust_temperature"))
    if found.problem is None and all(_would_help(d, direction) for d in found.devices):
        return _do(request, "turn_on", found)
    return _do(request, "adjust_temperature", found, {"direction": direction})


@_wish
def air(request: Request) -> Plan:
    """ "The mirror is all steamed up", "it's stuffy in here"."""
    if _outdoors(request):
        return UNKNOWN
    request = _here(request)
    extracting = _named_for(request, "extractor")
    found = find(request, _FAN, fits=_fits("turn_on"), prefer=extracting)
    running = found.problem is None and all(d.state.get("on") is True for d in found.devices)
    if running and all(_fits("adjust_fan_speed")(d) for d in found.devices):
        return _do(request, "adjust_fan_speed", found, {"direction": "up"})
    return _do(request, "turn_on", found)


@_wish
def breeze(request: Request) -> Plan:
    """ "That fan is too loud"."""
    request = _here(request)
    found = find(request, _FAN, fits=_fits("adjust_fan_speed"))
    return _do(request, "adjust_fan_speed", found, {"direction": request.slots["direction"]})


@_wish
def loudness(request: Request) -> Plan:
    """ "I can't hear the TV", "I can't hear myself think"."""
    return _play(request, "adjust_volume", {"direction": request.slots["direction"]})


@_wish
def quiet(request: Request) -> Plan:
    """ "The baby is asleep": softer, where something is to be heard; else it is mere talk."""
    plan = _play(request, "adjust_volume", {"direction": "down"})
    return plan if plan.kind is PlanKind.ACT else UNKNOWN


@_wish
def peace(request: Request) -> Plan:
    """ "That music is giving me a headache"."""
    return _play(request, "media_pause")


@_wish
def call(request: Request) -> Plan:
    """ "I'm on the phone": a pause, where something is to be heard; else it is mere talk."""
    plan = _play(request, "media_pause")
    return plan if plan.kind is PlanKind.ACT else UNKNOWN


@_wish
def another_song(request: Request) -> Plan:
    """ "I can't stand this song"."""
    plan = _play(request, "media_next")
    return plan if plan.kind is PlanKind.ACT else UNKNOWN


@_wish
def music(request: Request) -> Plan:
    """ "Some music would be nice": goes on with what was paused."""
    request = _here(request)
    found = find(request, _PLAYER, fits=_fits("media_play"), prefer=_paused)
    return _do(request, "media_play", found)


@_wish
def floor(request: Request) -> Plan:
    """ "There are crumbs all over the kitchen": by a robot that knows rooms, else by the one."""
    robots = tuple(d for d in request.home.exposed() if d.type in _VACUUM)
    if not robots:
        return refuse("core.no_such_kind", kind="vacuum")
    areas = place_of(_here(request)) if "everywhere" not in request.slots else None
    clever = tuple(d for d in robots if "clean_area" in d.capabilities)
    if clever and areas is not None and len(areas) == 1:
        params = {"area": next(iter(areas))}
        return _do(request, "vacuum_clean_area", Found(clever[:1]), params)
    there = tuple(d for d in robots if areas is not None and d.area in areas) or robots
    if len(there) == 1:
        return _do(request, "vacuum_start", Found(there))
    return _do(request, "vacuum_start", find(_anywhere(request), _VACUUM))


@_wish
def thirst(request: Request) -> Plan:
    """ "The lawn is dry"."""
    return _do(request, "open", find(_anywhere(request), _VALVE, fits=_waters))


@_wish
def watering_done(request: Request) -> Plan:
    """ "The lawn has had enough water"."""
    found = find(_anywhere(request), _VALVE, fits=_waters)
    return _do(request, "close", found)


@_wish
def robot(request: Request) -> Plan:
    """ "The vacuum is in the way": sends it home, where it is about."""
    found = find(_anywhere(request), _VACUUM, fits=_fits("vacuum_return"))
    if all(d.state.get("vacuum") in ("docked", "returning") for d in found.devices):
        return UNKNOWN
    return _do(request, "vacuum_return", found)


@_wish
def used_up(request: Request) -> Plan:
    """ "We're out of olive oil": onto the list; asks first where it may be no thing to buy."""
    item = _item(request)
    if not item:
        return UNKNOWN
    found = find(request, _LIST, prefer=lambda d: d.device_class == "shopping")
    plan = _do(request, "list_add", found, {"item": item})
    if plan.kind is not PlanKind.ACT or _is_goods(item, request):
        return plan
    if request.slots.get("sure"):
        speech = Speech("offer", {"item": item})
        return replace(plan, kind=PlanKind.ASK, confirm=True, speech=speech)
    return UNKNOWN


@_wish
def occasion(request: Request) -> Plan:
    """ "We're about to watch a film": the scene or script that is called after it.

    Where there is none, a greeting (`or_say`) is returned, and else it was mere talk.
    """
    plan = _called(request, _MOODS)
    if plan.kind is PlanKind.UNKNOWN and "or_say" in request.slots:
        return Plan(PlanKind.CHAT, speech=Speech(request.slots["or_say"]))
    return plan


@_wish
def watch(request: Request) -> Plan:
    """ "Let's watch some TV": the scene called after it, else the television here."""
    plan = _called(request, _MOODS)
    if plan.kind is not PlanKind.UNKNOWN:
        return plan
    slots = {**request.slots, "kind": "media_player.tv"}
    found = find(replace(request, slots=slots), _PLAYER, fits=_fits("turn_on"))
    return _do(request, "turn_on", found) if found.problem is None else UNKNOWN


@_wish
def gadget(request: Request) -> Plan:
    """ "I could murder a coffee"."""
    return _called(request, _GADGETS)


@_wish
def in_other_words(request: Request) -> Plan:
    """ "I left the iron on": what the template's own `order` amounts to."""
    return _ordered(request)


@_wish
def hint(request: Request) -> Plan:
    """ "The back door isn't locked": asks whether to do what `order` says."""
    plan = _ordered(request)
    return asked_first(plan) if plan.kind is PlanKind.ACT else plan


def _ordered(request: Request) -> Plan:
    slots = request.slots
    order = slots["order"].format(what=slots["what"], rest=slots.get("rest", ""))
    plan = request.understand(order.strip())
    sure = plan.score == 1 and len(plan.actions) == 1
    return plan if sure or plan.kind is PlanKind.REFUSE else UNKNOWN


def _called(request: Request, types: Iterable[DeviceType]) -> Plan:
    """Starts what is called after the occasion; where nothing is, the sentence was no wish."""
    named = _named_for(request, request.slots["means"])
    found = tuple(d for d in request.home.exposed() if d.type in tuple(types) and named(d))
    found = tuple(d for d in found if d.area == request.utterance.area) or found
    if not found:
        return UNKNOWN
    action = _START[found[0].type]
    same = tuple(d for d in found if d.type is found[0].type)
    if len(found) == 1:
        return _do(request, action, Found(found))
    if len(same) == 1:
        return UNKNOWN
    return _do(request, action, Found(same, ask_which(same, request.home)))


def _do(
    request: Request, action: str, found: Found, params: Mapping[str, ParamValue] | None = None
) -> Plan:
    return carry(request, action, found, params, reply=action)


def _play(request: Request, action: str, params: Mapping[str, ParamValue] | None = None) -> Plan:
    """`action` on what is to be heard: the player named, else those here, else the only one."""
    fits = _fits(action)
    if "name" in request.slots:
        return _do(request, action, find(request, _PLAYER, fits=fits), params)
    here = _here(request)
    found = find(here, _PLAYER, fits=fits, many=True) if _placed(here) else Found()
    heard = tuple(d for d in found.devices if _is_heard(d))
    if not heard and not _placed(request):
        everywhere = replace(_anywhere(request), slots={**request.slots, "everywhere": True})
        found = find(everywhere, _PLAYER, fits=fits)
        heard = tuple(d for d in found.devices if _is_heard(d))
        if len(heard) > 1:
            return _do(request, action, Found(heard, ask_which(heard, request.home)), params)
    appliance = str(request.slots.get("kind", "")).startswith("media_player.")  # and not "music"
    if not heard and appliance and len(found.devices) == 1:
        heard = found.devices
    if heard:
        return _do(request, action, Found(heard), params)
    return found.problem or refuse("nothing_plays")


def _shades(request: Request, action: str) -> Plan:
    def is_shade(device: Device) -> bool:
        return (device.device_class or "") in _SHADES and _fits(action)(device)

    found = find(request, _COVER, fits=is_shade, many=_placed(request))
    return _do(request, action, found)


def _all_of(request: Request, types: tuple[DeviceType, ...], action: str) -> Found:
    """What the sentence means; of a room, everything in it."""
    return find(request, types, fits=_fits(action), many=_placed(request))


def _here(request: Request) -> Request:
    """`request` about the room it was said in, where it names nothing itself."""
    if _placed(request) or request.utterance.area is None:
        return request
    return replace(request, slots={**request.slots, "here": True})


def _anywhere(request: Request) -> Request:
    """`request` whoever heard it, wherever: a garden is told of in the kitchen."""
    return replace(request, utterance=replace(request.utterance, area=None))


def _placed(request: Request) -> bool:
    return any(place in request.slots for place in _PLACES)


def _outdoors(request: Request) -> bool:
    """Whether it is about what is out there, which may have a room's name: "it's cold outside"."""
    return request.slots.get("area") in _words(request)["outdoors"]


def _fits(action: str) -> Callable[[Device], bool]:
    return VOCABULARY.spec(action).fits


def _waters(device: Device) -> bool:
    return device.device_class != "gas" and _fits("open")(device)


def _is_heard(device: Device) -> bool:
    state = device.state
    return state.get("on") is not False and state.get("media", "playing") == "playing"


def _paused(device: Device) -> bool:
    return device.state.get("media") == "paused"


def _is_off(device: Device) -> bool:
    return device.state.get("on") is False or device.state.get("mode") == "off"


def _over_target(device: Device) -> float | None:
    """By how many degrees it is warmer than it should be."""
    now, target = (device.state.get(k) for k in ("current_temperature", "target_temperature"))
    if isinstance(now, int | float) and isinstance(target, int | float):
        return now - target
    return None


def _would_help(device: Device, direction: str) -> bool:
    """Whether turning `device` on is all it takes."""
    over = _over_target(device)
    if not _is_off(device) or over is None or not _fits("turn_on")(device):
        return False
    return over > 0 if direction == "down" else over < 0


def _not_to_blame(devices: Sequence[Device]) -> bool:
    """Whether it is hot although the heating has nothing to do: turning it down would not help."""
    return all(
        d.state.get("mode") == "heat" and (over := _over_target(d)) is not None and over > 0
        for d in devices
    )


def _item(request: Request) -> str:
    """What is to be bought; "" where it can be no thing that is bought."""
    never = _words(request)["never_bought"]
    article = re.match(_words(request)["before_goods"], request.slots["item"], re.IGNORECASE)
    item = str(request.slots["item"])[article.end() if article else 0 :].strip()
    words = squeeze(item).split()
    if not 0 < len(words) <= _LONGEST_ITEM or never & set(words):
        return ""
    return item


def _is_goods(item: str, request: Request) -> bool:
    """Whether `item` is known to be bought: by its head, "oil" of "olive oil"."""
    words = squeeze(item).split()
    goods = _words(request)["goods"]
    return words[0 if _words(request)["head_first"] else -1] in goods or " ".join(words) in goods


def _named_for(request: Request, concept: str) -> Callable[[Device], bool]:
    """Whether a device is called after `concept`: by one of its words, or (=) by it alone."""
    called = _words(request)["called"].get(concept, ())

    def named(device: Device) -> bool:
        return any(
            name == word[1:] if word.startswith("=") else f" {word} " in f" {name} "
            for name in spoken_names(device)
            for word in called
        )

    return named


def _words(request: Request) -> Mapping[str, Any]:
    return _load_words(request.utterance.language)


@functools.cache
def _load_words(language: str) -> Mapping[str, Any]:
    file = Path(__file__).parent / "words" / f"{language}.yaml"
    data: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    for key in ("outdoors", "never_bought", "goods"):
        data[key] = frozenset(squeeze(word) for word in data[key])
    data["called"] = {
        concept: tuple("=" * w.startswith("=") + squeeze(w.removeprefix("=")) for w in words)
        for concept, words in data["called"].items()
    }
    return data
