"""From "the kitchen lights" to devices: who is meant by the slots of a sentence.

Slots that name a target: `name` (a device's name), `kind` (what sort of thing: "light",
"cover.blind", with "+" for several), `area`, `floor`, `here`, `there`, `everywhere`, `all`, `it`
and `other` (the things spoken of last, and what is where and beside what they are), and, for what
is left out, `except_name`, `except_kind`, `except_area`, `except_floor` (a second and third
exception end with _2 and _3) and `except_it` (the things spoken of last: "everything else").
Skills' handlers call `act`; questions call `find`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from assistant.home.action import Action, ParamValue
from assistant.home.model import Device, DeviceType, Home
from assistant.home.vocabulary import VOCABULARY
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request
from assistant.understand.language import load_language
from assistant.understand.normal import squeeze

WINDOW_COVERS: Final = frozenset({"blind", "curtain", "shutter", "shade", "awning", "", "damper"})
"""Classes of covers that people call by each other's names."""
ONE_AT_A_TIME: Final = frozenset(
    {DeviceType.LOCK, DeviceType.VALVE, DeviceType.MEDIA_PLAYER, DeviceType.CLIMATE}
)
"""Types of which a singular ("the door") is one device, and several are asked about."""
_MOST_CHOICES: Final = 5
_TARGETS: Final = ("name", "kind", "area", "floor", "here", "everywhere", "all")
FURTHER_EXCEPTIONS: Final = ("_2", "_3")
_EXCEPTIONS: Final = ("", *FURTHER_EXCEPTIONS)
"""What the slots of each exception end with: `except_area`, `except_area_2`."""


@dataclass(frozen=True, slots=True)
class Found:
    """The devices meant, or the plan that says why none could be determined."""

    devices: tuple[Device, ...] = ()
    problem: Plan | None = None


def refuse(key: str, **values: Any) -> Plan:
    """A plan that does nothing and says why."""
    return Plan(PlanKind.REFUSE, speech=Speech(key, values))


UNKNOWN: Final = Plan(PlanKind.UNKNOWN)


def place_of(request: Request) -> frozenset[str] | None:
    """Ids of the areas the sentence speaks of; None: of no place in particular, or everywhere."""
    slots, home = request.slots, request.home
    areas: frozenset[str] | None = None
    if "area" in slots:
        areas = frozenset(request.names["area"].get(slots["area"], ()))
    if "floor" in slots:
        on_floor = home.areas_on(request.names["floor"].get(slots["floor"], ()))
        areas = on_floor if areas is None else areas & on_floor
    if areas is None and slots.get("here") and request.utterance.area:
        areas = frozenset({request.utterance.area})
    if areas is None and slots.get("there") and request.recent:
        areas = frozenset(d.area for d in home.exposed() if d.id in request.recent and d.area)
    return areas


def find(
    request: Request,
    types: Iterable[DeviceType],
    *,
    fits: Callable[[Device], bool] = lambda _: True,
    prefer: Callable[[Device], bool] | None = None,
    many: bool = False,
) -> Found:
    """The devices of `types` that the sentence means.

    `fits` leaves out those for which the action makes no sense, unless they were named. `prefer`
    breaks a tie where nothing was said (the player that plays). `many`: take all candidates
    rather than ask which one.
    """
    wanted = tuple(types)
    slots = request.slots
    candidates = [d for d in request.home.exposed() if d.type in wanted]
    if slots.get("except_it") and not request.recent:
        return Found(problem=Plan(PlanKind.ASK, speech=Speech("core.which_device")))
    candidates = _without_excepted(request, candidates)
    if slots.get("it"):
        areas = place_of(request)
        meant = tuple(
            d
            for d in candidates
            if d.id in request.recent and fits(d) and (areas is None or d.area in {*areas, None})
        )
        if meant or request.recent:
            return Found(meant) if meant else Found(problem=UNKNOWN)
        return Found(problem=Plan(PlanKind.ASK, speech=Speech("core.which_device")))
    if slots.get("other"):
        return _other(request, [d for d in candidates if fits(d)])
    if not many and not any(slots.get(slot) for slot in _TARGETS):
        # "A bit brighter": what was spoken of last.
        meant = tuple(d for d in candidates if d.id in request.recent and fits(d))
        if meant and prefer is not None:
            meant = tuple(d for d in meant if prefer(d))
        if meant:
            return Found(meant)
    areas = place_of(request)
    if "name" in slots:
        return _named(request, candidates, areas)
    kind, several = parse_kind(slots.get("kind", ""))
    candidates = of_kind(candidates, kind)
    if not candidates:
        return Found(problem=refuse("core.no_such_kind", kind=kind or str(wanted[0])))
    if areas is not None:
        inside = [d for d in candidates if d.area in areas and fits(d)]
        if not inside:
            key = (
                "core.not_in_place"
                if not any(d.area in areas for d in candidates)
                else "core.cannot"
            )
            return Found(
                problem=refuse(key, kind=kind or str(wanted[0]), place=place_name(request))
            )
        if many:
            return Found(tuple(inside))
        return _choose(request, inside, asked_for_all=True, several=several, prefer=prefer)
    candidates = [d for d in candidates if fits(d)]
    if not candidates:
        return Found(problem=refuse("core.cannot", kind=kind or str(wanted[0]), place=""))
    # "The lights except in the bedroom" are all of the home, wherever they are spoken of.
    if slots.get("everywhere") or _excepts_elsewhere(request):
        return Found(tuple(candidates))
    here = [d for d in candidates if d.area is not None and d.area == request.utterance.area]
    if here and many:
        return Found(tuple(here))
    if here:
        return _choose(request, here, asked_for_all=True, several=several, prefer=prefer)
    if slots.get("here"):
        if request.utterance.area is None:
            return Found(problem=_ask_place(candidates))
        return Found(
            problem=refuse(
                "core.not_in_place", kind=kind or str(wanted[0]), place=place_name(request)
            )
        )
    if len(candidates) == 1 or slots.get("all") or many:
        return Found(tuple(candidates))
    return _choose(request, candidates, asked_for_all=False, several=several, prefer=prefer)


def _without_excepted(request: Request, candidates: list[Device]) -> list[Device]:
    """`candidates` without those of "except the kitchen and Emma's lamp", "but not the TV"."""
    spared = {d.id for which in _EXCEPTIONS for d in _excepted(request, which, candidates)}
    if request.slots.get("except_it"):
        spared |= set(request.recent)
    return [d for d in candidates if d.id not in spared]


def _excepts_elsewhere(request: Request) -> bool:
    """Whether what is excepted tells that not only things of this room are meant."""
    if any(f"except_{place}" in request.slots for place in ("area", "floor")):
        return True
    spared = [d for which in _EXCEPTIONS for d in _named_as_excepted(request, which)]
    if request.slots.get("except_it"):
        spared += [d for d in request.home.exposed() if d.id in request.recent]
    return bool(spared) and all(d.area != request.utterance.area for d in spared)


def _named_as_excepted(request: Request, which: str) -> list[Device]:
    name = request.slots.get(f"except_name{which}")
    ids = request.names["name"].get(name, ()) if name else ()
    return [d for d in request.home.exposed() if d.id in ids]


def _excepted(request: Request, which: str, candidates: Sequence[Device]) -> Sequence[Device]:
    """Those of `candidates` that one exception tells by all that is said of it: kind and place."""
    home, names = request.home, request.names
    told = {
        what: request.slots[slot]
        for what in ("area", "floor", "name", "kind")
        if (slot := f"except_{what}{which}") in request.slots
    }
    found = list(candidates) if told else []
    if "area" in told:
        areas = names["area"].get(told["area"], ())
        found = [d for d in found if d.area in areas]
    if "floor" in told:
        on_floor = home.areas_on(names["floor"].get(told["floor"], ()))
        found = [d for d in found if d.area in on_floor]
    if "name" in told:
        ids = names["name"].get(told["name"], ())
        found = [d for d in found if d.id in ids]
    if "kind" in told:
        found = of_kind(found, parse_kind(told["kind"])[0])
    return found


def _other(request: Request, candidates: Sequence[Device]) -> Found:
    """ "The other one": what is beside the things spoken of last, alike in name if any is.

    "The others" are all of what is beside them.
    """
    last = [d for d in request.home.exposed() if d.id in request.recent]
    if not last:
        return Found(problem=Plan(PlanKind.ASK, speech=Speech("core.which_device")))
    places = {(d.type, d.area) for d in last}
    beside = [d for d in candidates if d not in last and (d.type, d.area) in places]
    called = {word for d in last for name in spoken_names(d) for word in name.split()}
    alike = [d for d in beside if any(called & {*n.split()} for n in spoken_names(d))]
    kind, several = parse_kind(request.slots.get("kind", ""))
    several = several or request.slots["other"] == "several"
    found = tuple((not several and alike) or of_kind(beside, kind))
    if not found:
        return Found(problem=UNKNOWN)
    if several:
        return Found(found)
    return Found(found, ask_which(found, request.home) if len(found) > 1 else None)


def _named(request: Request, candidates: Sequence[Device], areas: frozenset[str] | None) -> Found:
    name, named = request.slots["name"], called(request, candidates)
    if not named:
        return Found(problem=UNKNOWN)
    if areas is not None:
        # A device without a room may be anywhere: "the TV in the kitchen" still is not the one
        # that stands in the living room.
        inside = [d for d in named if d.area in areas] or [d for d in named if d.area is None]
        if not inside:
            problem = refuse(
                "core.name_not_in_place", name=named[0].name, place=place_name(request)
            )
            return Found(problem=problem)
        named = inside
    elif _is_rather_the_one_here(request, candidates, named):
        return Found(problem=UNKNOWN)
    if len(named) > 1 and request.utterance.area:
        named = [d for d in named if d.area == request.utterance.area] or named
    all_of_them = request.slots.get("all") or name in request.names.get("several", {})
    if len(named) > 1 and not all_of_them:
        several = len(named) > _MOST_CHOICES and all(d.area for d in named)
        return Found(tuple(named), _ask_place(named) if several else ask_which(named, request.home))
    return Found(tuple(named))


def _is_rather_the_one_here(
    request: Request, candidates: Iterable[Device], named: Sequence[Device]
) -> bool:
    """Whether the name is no more than a word for what things are, of which there is one here:
    "the fan" is this room's ceiling fan, though one elsewhere is called Fan and nothing else.
    """
    here = request.utterance.area
    if here is None or any(d.area in (here, None) for d in named):
        return False
    language, types = load_language(request.utterance.language), {d.type for d in named}
    words = {
        squeeze(form)
        for code, forms in language.kinds.items()
        if code.partition(".")[0] in types
        for form in (*forms["one"].split("|"), *forms["many"].split("|"))
    }
    return request.slots["name"] in words and any(
        d.area == here and d.type in types for d in candidates
    )


def called(request: Request, candidates: Iterable[Device]) -> list[Device]:
    """Those of `candidates` that the sentence names: by their own names, else by another form."""
    name = request.slots["name"]
    ids = request.names["name"].get(name, ())
    named = [d for d in candidates if d.id in ids]
    return [d for d in named if name in spoken_names(d)] or named


def _choose(
    request: Request,
    candidates: Sequence[Device],
    *,
    asked_for_all: bool,
    several: bool,
    prefer: Callable[[Device], bool] | None,
) -> Found:
    """All of `candidates`, where that is what was meant; else the likeliest, or a question."""
    if len(candidates) == 1 or request.slots.get("all"):
        return Found(tuple(candidates))
    one_at_a_time = any(
        d.type in ONE_AT_A_TIME or d.device_class in ("garage", "gate") for d in candidates
    )
    if asked_for_all and (several or not one_at_a_time):
        return Found(tuple(candidates))
    if prefer is not None and (liked := [d for d in candidates if prefer(d)]) and len(liked) == 1:
        return Found(tuple(liked))
    if (near := [d for d in candidates if d.id in request.recent]) and len(near) < len(candidates):
        return Found(tuple(near))
    if several or len(candidates) > _MOST_CHOICES:
        return Found(tuple(candidates), _ask_place(candidates))
    return Found(tuple(candidates), ask_which(candidates, request.home))


def ask_which(candidates: Sequence[Device], home: Home) -> Plan:
    """The question which of `candidates` is meant."""
    ids = tuple(device.id for device in candidates)
    return Plan(PlanKind.ASK, speech=which_one(candidates, home), devices=ids)


def which_one(choices: Sequence[Device], home: Home) -> Speech:
    """The words of that question."""
    return Speech("core.which_one", {"choices": labels_of(choices, home)})


def _ask_place(candidates: Sequence[Device]) -> Plan:
    return Plan(
        PlanKind.ASK, speech=Speech("core.which_place", {}), devices=tuple(d.id for d in candidates)
    )


def labels_of(devices: Sequence[Device], home: Home) -> tuple[str, ...]:
    """What to call each of `devices` so that they can be told apart: names, or rooms."""
    names = [d.name for d in devices]
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(
        f"{d.name} ({area.name})" if (area := home.area(d.area)) else d.name for d in devices
    )


def label_of(device: Device, home: Home) -> str:
    """The name of `device`, with its room where something else here has the same name."""
    alike = any(d.name == device.name and d.id != device.id for d in home.exposed())
    return labels_of((device, device), home)[0] if alike else device.name


def spoken_names(device: Device) -> frozenset[str]:
    """Name and aliases as they are matched."""
    return frozenset(squeeze(n) for n in (device.name, *device.aliases))


def parse_kind(code: str) -> tuple[str, bool]:
    """ "cover.blind+" -> ("cover.blind", True): the kind, and whether several were spoken of."""
    return code.removesuffix("+"), code.endswith("+")


def of_kind(devices: Iterable[Device], kind: str) -> list[Device]:
    """Those of `devices` that people mean by `kind`."""
    devices = list(devices)
    if not kind or kind == "any":
        return devices
    family, _, wanted = kind.partition(".")
    if family == "opening":
        return [d for d in devices if _opens(d, wanted)]
    same_type = [d for d in devices if d.type == family]
    if not wanted:
        return same_type
    same_class = [d for d in same_type if d.device_class == wanted]
    if same_class or family not in ("cover", "media_player"):
        return same_class
    if family == "media_player":
        return [d for d in same_type if not d.device_class]
    if wanted in WINDOW_COVERS:
        return [d for d in same_type if (d.device_class or "") in WINDOW_COVERS]
    return [d for d in same_type if not d.device_class]


def _opens(device: Device, wanted: str) -> bool:
    if device.type == DeviceType.LOCK:
        return wanted == "door"
    classes = {
        "door": {"door", "garage_door", "garage", "opening", "lock", "gate"},
        "garage_door": {"garage_door", "garage"},
        "window": {"window"},
    }[wanted]
    return (
        device.type in (DeviceType.COVER, DeviceType.BINARY_SENSOR)
        and device.device_class in classes
    )


def is_kin(one: Device, other: Device) -> bool:
    """Whether two devices go by one word: a blind and a shutter do, a garage door does not."""
    if one.type is not other.type:
        return False
    if one.type is not DeviceType.COVER or one.device_class == other.device_class:
        return True
    return {one.device_class or "", other.device_class or ""} <= WINDOW_COVERS


def can(device: Device, action: str) -> bool:
    """Whether `device` can take `action`; none can take one that there is not."""
    spec = VOCABULARY.actions.get(action)
    return spec is not None and spec.fits(device)


def place_name(request: Request) -> str:
    """The place the sentence names, as the home calls it; "" where none is named."""
    home, slots = request.home, request.slots
    for slot, places in (("area", home.areas), ("floor", home.floors)):
        ids = request.names.get(slot, {}).get(slots.get(slot, ""), ())
        if len(ids) == 1:
            return next(p.name for p in places if p.id == ids[0])
        if ids:
            return str(slots[slot])
    if slots.get("here") and (area := home.area(request.utterance.area)):
        return area.name
    return ""


def act(
    request: Request,
    action: str,
    types: Iterable[DeviceType],
    params: Mapping[str, ParamValue] | None = None,
    *,
    prefer: Callable[[Device], bool] | None = None,
    many: bool = False,
    reply: str = "",
) -> Plan:
    """The plan to do `action` to the devices of `types` that the sentence means.

    Of a group, those that can't do it are left out. `reply` is the skill's reply key; default:
    the intent's name.
    """
    fits = VOCABULARY.spec(action).fits
    found = find(request, types, fits=fits, prefer=prefer, many=many)
    return carry(request, action, found, params, reply=reply)


def carry(
    request: Request,
    action: str,
    found: Found,
    params: Mapping[str, ParamValue] | None = None,
    *,
    reply: str = "",
) -> Plan:
    """The plan to do `action` to what was `found`; a question keeps the action for the answer."""
    values = {"place": place_name(request), **dict(params or {})}
    speech = Speech(reply or request.intent, values)
    ids = tuple(d.id for d in found.devices)
    if found.problem is not None:
        if found.problem.kind is not PlanKind.ASK:
            return found.problem
        return replace(found.problem, actions=(Action(action, ids, dict(params or {})),))
    fits = VOCABULARY.spec(action).fits
    able = tuple(d.id for d in found.devices if fits(d))
    if not able:
        return refuse("core.device_cannot", name=found.devices[0].name)
    return Plan(PlanKind.ACT, actions=(Action(action, able, dict(params or {})),), speech=speech)


def amount(request: Request) -> dict[str, ParamValue]:
    """The parameters of a relative action: a direction, and the size where one was said.

    Sizes are the slots `delta` (in the unit of what changes), `factor` ("twice as": downwards it
    divides) and `fraction` ("by a third").
    """
    slots = request.slots
    down = slots.get("direction") == "down"
    if "fraction" in slots:
        share = float(slots["fraction"])
        return {**_direction(not down), "factor": round(1 - share if down else 1 + share, 3)}
    if "factor" in slots:
        factor = float(slots["factor"])
        factor = round(1 / factor if down else factor, 3)
        return {**_direction(factor > 1), "factor": factor}
    params: dict[str, ParamValue] = {"direction": slots["direction"]}
    if "delta" in slots:
        params["delta"] = slots["delta"]
    return params


def _direction(up: bool) -> dict[str, ParamValue]:
    return {"direction": "up" if up else "down"}
