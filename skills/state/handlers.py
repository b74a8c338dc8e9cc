"""Questions about the state of the home. Nothing here ever actuates."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from assistant.home.model import Device, DeviceType
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Request
from assistant.understand.normal import squeeze
from assistant.understand.target import (
    UNKNOWN,
    called,
    label_of,
    of_kind,
    parse_kind,
    place_name,
    place_of,
    refuse,
    spoken_names,
)

# Binary sensors by class: what "on" and what "off" are called.
_CLASS_STATES: Final[dict[str, tuple[str, str]]] = {
    "battery": ("low", "normal"),
    "battery_charging": ("charging", "not_charging"),
    "cold": ("cold", "normal"),
    "connectivity": ("connected", "disconnected"),
    "door": ("open", "closed"),
    "garage_door": ("open", "closed"),
    "heat": ("hot", "normal"),
    "lock": ("unlocked", "locked"),
    "moisture": ("wet", "dry"),
    "moving": ("moving", "not_moving"),
    "opening": ("open", "closed"),
    "plug": ("plugged_in", "unplugged"),
    "power": ("powered", "unpowered"),
    "presence": ("home", "away"),
    "problem": ("problem", "normal"),
    "running": ("running", "not_running"),
    "safety": ("unsafe", "safe"),
    "update": ("update_available", "up_to_date"),
    "vibration": ("vibrating", "clear"),
    "window": ("open", "closed"),
}
_DETECTORS: Final = frozenset(
    [
        "carbon_monoxide",
        "gas",
        "light",
        "moisture",
        "motion",
        "occupancy",
        "presence",
        "problem",
        "smoke",
        "sound",
        "tamper",
        "vibration",
    ]
)
_PLAIN: Final = frozenset({"on", "off"})
_RUNNING: Final = frozenset(
    {DeviceType.FAN, DeviceType.SWITCH, DeviceType.CLIMATE, DeviceType.MEDIA_PLAYER}
)
"""Types of which "is it running?" asks whether it is on."""
_TELLING: Final = frozenset(
    {"on", "open", "unlocked", "running", "low", "wet", "detected", "playing", "problem"}
)
"""States for which one is looked where several are called alike: it is one that was forgotten."""
_OF_A_ROOM: Final = frozenset({"light", "fan", "cover.blind", "cover.curtain", "cover.shutter"})
"""Kinds of which "the light" is the one in the room in which it is asked for."""
_SETTINGS: Final = {
    DeviceType.CLIMATE: "target_temperature",
    DeviceType.LIGHT: "brightness",
    DeviceType.FAN: "percentage",
    DeviceType.COVER: "position",
    DeviceType.MEDIA_PLAYER: "volume",
}
"""What "set to" means of a type."""
_OUTSIDE: Final = "outside"
_INSIDE: Final = "inside"
# Sensor classes people do not tell apart by the word they use.
_ALIKE: Final[dict[str, frozenset[str]]] = {
    "pressure": frozenset({"pressure", "atmospheric_pressure"}),
    "energy": frozenset({"energy", "energy_storage"}),
    "power": frozenset({"power", "apparent_power", "reactive_power"}),
    "volume": frozenset({"volume", "volume_storage", "water", "gas"}),
    "water": frozenset({"water", "volume"}),
    "speed": frozenset({"speed", "wind_speed", "data_rate"}),
    "volatile_organic_compounds": frozenset(
        {"volatile_organic_compounds", "volatile_organic_compounds_parts"}
    ),
}


def state_code(device: Device) -> str:
    """The state of `device` as one word of our own ("open", "low"); "unknown" when not known."""
    state, kind = device.state, device.type
    if kind in (DeviceType.COVER, DeviceType.VALVE):
        position = state.get("position")
        if not isinstance(position, int | float):
            return "unknown"
        return "open" if position > 0 else "closed"
    if kind is DeviceType.LOCK:
        return (
            {True: "locked", False: "unlocked"}.get(state.get("locked") is True, "unknown")
            if ("locked" in state)
            else "unknown"
        )
    if kind is DeviceType.PERSON:
        return str(state.get("location", "unknown"))
    if kind is DeviceType.VACUUM:
        return str(state.get("vacuum", "unknown"))
    if kind is DeviceType.MEDIA_PLAYER and state.get("on", True) and "media" in state:
        return str(state["media"])
    on = state.get("on")
    if not isinstance(on, bool):
        return "unknown"
    if kind is DeviceType.BINARY_SENSOR:
        default = ("detected", "clear") if device.device_class in _DETECTORS else ("on", "off")
        return _CLASS_STATES.get(device.device_class or "", default)[0 if on else 1]
    return "on" if on else "off"


def is_in(device: Device, code: str) -> bool | None:
    """Whether `device` is in the state `code`; None: it never could be, or nobody knows."""
    now = state_code(device)
    if now == "unknown":
        return None
    state, kind = device.state, device.type
    if code in ("occupied", "vacant"):
        if device.device_class not in ("occupancy", "motion", "presence"):
            return None
        return (state.get("on") is True) == (code == "occupied")
    if kind is DeviceType.VALVE and code in ("on", "off", "running", "not_running"):
        return (now == "open") == (code in ("on", "running"))
    if code in _PLAIN:
        if kind in (DeviceType.COVER, DeviceType.LOCK, DeviceType.PERSON):
            return None
        on = state.get("on")
        return None if not isinstance(on, bool) else on == (code == "on")
    if code == "muted":
        muted = state.get("muted")
        return muted if isinstance(muted, bool) else None
    if kind is DeviceType.BINARY_SENSOR:
        if code in ("detected", "clear") and device.device_class in _DETECTORS:
            return bool(state.get("on")) == (code == "detected")
        pair = _CLASS_STATES.get(device.device_class or "")
        return now == code if pair is not None and code in pair else None
    if code in ("home", "away"):
        if kind is not DeviceType.PERSON:
            return None
        return (now.casefold() == "home") == (code == "home")
    if code in ("running", "not_running"):
        if kind is DeviceType.VACUUM:
            return (now == "cleaning") == (code == "running")
        on = state.get("on")
        if kind in _RUNNING and isinstance(on, bool):
            return on == (code == "running")
        return None
    possible = {
        DeviceType.COVER: {"open", "closed"},
        DeviceType.VALVE: {"open", "closed"},
        DeviceType.LOCK: {"locked", "unlocked"},
        DeviceType.MEDIA_PLAYER: {"playing", "paused", "idle"},
        DeviceType.VACUUM: {"cleaning", "docked", "paused", "idle"},
    }.get(kind, set())
    return now == code if code in possible else None


def ask_state(request: Request) -> Plan:
    """ "Is the window open?", "which lights are on?", "how many doors are locked?"."""
    ask, code = request.slots["ask"], request.slots["state"]
    devices = _meant(request)
    if code == "exists":
        return _answer(request, "count", devices, matching=devices, state=code)
    if devices and all(d.type is DeviceType.LOCK for d in devices):
        # Of a door that has but a lock, closed is as much as it can tell.
        code = {"closed": "locked", "open": "unlocked"}.get(code, code)
    if code in _PLAIN and parse_kind(request.slots.get("kind", ""))[0] == "any":
        # A window is open; "is anything on?" does not ask for it.
        devices = [d for d in devices if d.device_class not in _CLASS_STATES or _has_plug(d)]
    known = [d for d in devices if is_in(d, code) is not None]
    if not known:
        # "Is there smoke?" where nothing smells it; "is the lamp locked?".
        if devices and "name" in request.slots:
            if all(state_code(d) == "unknown" for d in devices):
                return _answer(request, "unknown", devices, matching=[], state=code)
            return UNKNOWN
        if devices:
            return refuse("nothing_like_it", state=code)
        kind, _ = parse_kind(request.slots.get("kind", ""))
        if not kind or place_of(request) is None or not of_kind(request.home.exposed(), kind):
            return UNKNOWN
        return refuse("core.not_in_place", kind=kind, place=place_name(request))
    matching = [d for d in known if is_in(d, code)]
    if ask == "the":
        ask = "one" if len(known) == 1 else "all"
        if request.slots.get("kind") == "any":  # "is anything on?"
            ask = "any"
        elif code in _TELLING and request.slots.get("name") in request.names.get("alike", {}):
            ask = "any"  # one of those that are all called Window
    return _answer(request, ask, known, matching=matching, state=code)


def _has_plug(device: Device) -> bool:
    return device.type is not DeviceType.BINARY_SENSOR or device.device_class == "running"


def what_state(request: Request) -> Plan:
    """ "What is the state of the left curtain?", "how loud is the TV?"."""
    devices = _meant(request)
    attribute = request.slots.get("attribute", "state")
    told = []
    for device in devices:
        told_of = _SETTINGS.get(device.type, "state") if attribute == "setting" else attribute
        value = device.state.get(told_of) if told_of != "state" else _own_value(device)
        if value is None and attribute != "state":
            continue
        told.append((device, value, told_of))
    if not told:
        return UNKNOWN
    speech = Speech(
        "is_now",
        {
            "facts": [
                {
                    "name": device.name,
                    "value": value,
                    "state": state_code(device),
                    "unit": device.state.get("unit", ""),
                    "attribute": told_of,
                }
                for device, value, told_of in told
            ]
        },
    )
    return _plan("get_state", [device for device, _, _ in told], speech)


def _own_value(device: Device) -> Any:
    if device.type in (DeviceType.SENSOR, DeviceType.NUMBER):
        return device.state.get("value")
    if device.type is DeviceType.SELECT:
        return device.state.get("option")
    return None


def measure(request: Request) -> Plan:
    """ "What's the humidity in the bathroom?", "how much power are we using?"."""
    wanted = request.slots.get("measure")
    classes = _ALIKE.get(wanted or "", frozenset({wanted}))
    sensors = [d for d in _meant(request) if d.type is DeviceType.SENSOR and "value" in d.state]
    if wanted is not None:
        of_class = [d for d in sensors if d.device_class in classes]
        if not of_class and "area" in request.slots:
            # Many a "Living room humidity" has not been put into the living room.
            place = f"{request.slots['area']} "
            of_class = [
                d
                for d in request.home.exposed()
                if d.type is DeviceType.SENSOR
                and d.area is None
                and "value" in d.state
                and d.device_class in classes
                and any(name.startswith(place) for name in spoken_names(d))
            ]
        if not of_class and "name" not in request.slots:
            return UNKNOWN
        exactly = [d for d in of_class if d.device_class == wanted]
        sensors = exactly or of_class or sensors
    if not sensors:
        return UNKNOWN
    return _values("get_state", sensors)


def temperature(request: Request) -> Plan:
    """ "How warm is it in the bedroom?": thermostats first, then thermometers."""
    if "outside" in request.slots:
        return _outside(request)
    devices = _meant(request)
    if "name" not in request.slots and place_of(request) is None and request.utterance.area:
        devices = [d for d in devices if d.area == request.utterance.area] or devices
    thermostats = [
        d
        for d in devices
        if d.type is DeviceType.CLIMATE and d.state.get("current_temperature") is not None
    ]
    if thermostats:
        facts = [
            {
                "name": d.name,
                "value": d.state["current_temperature"],
                "unit": request.home.temperature_unit,
            }
            for d in thermostats
        ]
        return _plan("get_temperature", thermostats, Speech("measured", {"facts": facts}))
    sensors = [d for d in devices if d.type is DeviceType.SENSOR and _is_thermometer(d)]
    if not sensors:
        return (
            UNKNOWN
            if "name" in request.slots
            else refuse("no_thermometer", place=place_name(request))
        )
    return _values("get_temperature", sensors)


def compare(request: Request) -> Plan:
    """ "Is it warmer inside than outside?", "is the study colder than the bedroom?".

    Slots: `comparison` (warmer or colder), and for each side a place: `area`, `outside` or
    `inside`, the second's beginning with `than_`; `outdoors` has words for what is outside.
    """
    slots = request.slots
    first = _side(slots, "") or _INSIDE
    second = _side(slots, "than_") or (_OUTSIDE if first == _INSIDE else _INSIDE)
    facts: list[dict[str, Any]] = []
    measured_by: list[Device] = []
    for side in (first, second):
        value, devices = _temperature_at(request, side)
        if value is None:
            return refuse("no_thermometer", place="" if side in (_INSIDE, _OUTSIDE) else side)
        facts.append({"place": _called(request, side), "value": value})
        measured_by += devices
    here, there = facts[0]["value"], facts[1]["value"]
    values = {
        "yes": here > there if slots["comparison"] == "warmer" else here < there,
        "facts": facts,
        "unit": request.home.temperature_unit,
    }
    return _plan("get_temperature", measured_by, Speech("compared", values))


def extreme(request: Request) -> Plan:
    """ "Which room is the warmest?"."""
    rooms = []
    outside = set(str(request.slots["outdoors"]).split())
    for area in request.home.areas:
        value, devices = _mean_temperature(request, functools.partial(_is_in_area, area.id))
        if value is not None and not outside & set(squeeze(area.name).split()):
            rooms.append((value, area.name, devices))
    if not rooms:
        return refuse("no_thermometer", place="")
    pick = max if request.slots["comparison"] == "warmer" else min
    value, name, devices = pick(rooms, key=lambda room: room[0])
    facts = [{"name": name, "value": value, "unit": request.home.temperature_unit}]
    return _plan("get_temperature", devices, Speech("measured", {"facts": facts}))


def _is_in_area(area: str, device: Device) -> bool:
    return device.area == area


def _side(slots: Mapping[str, Any], prefix: str) -> str:
    """One side of a comparison: a room as it was called, or inside, or outside; "": not told."""
    if f"{prefix}area" in slots:
        return str(slots[f"{prefix}area"])
    return next((side for side in (_OUTSIDE, _INSIDE) if f"{prefix}{side}" in slots), "")


def _called(request: Request, side: str) -> str:
    ids = request.names["area"].get(side, ())
    return next((area.name for area in request.home.areas if area.id in ids), side)


def _temperature_at(request: Request, side: str) -> tuple[float | None, list[Device]]:
    """The temperature of a side of a comparison, and what measures it."""
    home = request.home
    outside = {d.id for d in _outdoor_thermometers(request, str(request.slots["outdoors"]))}
    if side == _INSIDE:
        here = request.utterance.area
        value, devices = _mean_temperature(request, lambda d: d.area == here is not None)
        if value is not None:
            return value, devices
        return _mean_temperature(request, lambda d: d.area is not None and d.id not in outside)
    if side != _OUTSIDE:
        ids = request.names["area"].get(side, ())
        return _mean_temperature(request, lambda d: d.area in ids)
    value, devices = _mean_temperature(request, lambda d: d.id in outside)
    if value is not None:
        return value, devices
    stations = [d for d in home.exposed() if d.type is DeviceType.WEATHER]
    told = [d for d in stations if _number(d.state.get("temperature")) is not None][:1]
    return (_number(told[0].state["temperature"]) if told else None), told


def _mean_temperature(
    request: Request, fits: Callable[[Device], bool]
) -> tuple[float | None, list[Device]]:
    """What the thermometers and thermostats that fit measure on the average; None: nothing."""
    readings = []
    for device in filter(fits, request.home.exposed()):
        if device.type is DeviceType.CLIMATE:
            value = _number(device.state.get("current_temperature"))
        else:
            value = _number(device.state.get("value")) if _is_thermometer(device) else None
        if value is not None:
            readings.append((device, value))
    if not readings:
        return None, []
    mean = sum(value for _, value in readings) / len(readings)
    return round(mean, 1), [device for device, _ in readings]


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _is_thermometer(device: Device) -> bool:
    if device.type is not DeviceType.SENSOR or "value" not in device.state:
        return False
    return device.device_class == "temperature" or device.state.get("unit") in ("°C", "°F")


def _outside(request: Request) -> Plan:
    """The thermometers whose name or room says that they are outside, else the weather's."""
    found = _outdoor_thermometers(request, str(request.slots["outside"]))
    return _values("get_temperature", found) if found else weather(request)


def _outdoor_thermometers(request: Request, outside: str) -> list[Device]:
    """The thermometers of which the name or the room has one of the words of `outside`."""
    home, words = request.home, set(outside.split())
    found = []
    for device in home.exposed():
        area = home.area(device.area)
        named = {w for name in spoken_names(device) for w in name.split()}
        placed = set(squeeze(area.name).split()) if area is not None else set()
        if _is_thermometer(device) and words & (named | placed):
            found.append(device)
    return found


def where_is(request: Request) -> Plan:
    """ "Where is Ada?"."""
    meant = request.home.exposed() if "everyone" in request.slots else _meant(request)
    people = [d for d in meant if d.type is DeviceType.PERSON]
    if not people:
        return UNKNOWN
    facts = [{"name": p.name, "location": _location(p)} for p in people]
    return _plan("get_state", people, Speech("whereabouts", {"facts": facts}))


def is_at(request: Request) -> Plan:
    """ "Is Ada at work?"."""
    people = [d for d in _meant(request) if d.type is DeviceType.PERSON]
    if not people:
        return UNKNOWN
    there = squeeze(_location(people[0])) == squeeze(str(request.slots["zone"]))
    values = {"name": people[0].name, "location": _location(people[0]), "there": there}
    return _plan("get_state", people, Speech("is_there", values))


def who_is(request: Request) -> Plan:
    """ "Who is at home?", "who is at work?", "is everyone home?"."""
    people = [d for d in request.home.exposed() if d.type is DeviceType.PERSON]
    if "zone" in request.slots:
        zone = str(request.slots["zone"])
        names = [p.name for p in people if squeeze(_location(p)) == squeeze(zone)]
        return _plan("get_state", people, Speech("who_there", {"names": names, "zone": zone}))
    code = request.slots["state"]
    if request.slots.get("ask") == "all" and code in ("home", "away") and people:
        there = [p for p in people if is_in(p, code)]
        return _answer(request, "all", people, matching=there, state=code)
    if code not in ("home", "away") or not people:
        return UNKNOWN
    names = [p.name for p in people if is_in(p, code)]
    return _plan("get_state", people, Speech("who", {"names": names, "state": code}))


def is_weather(request: Request) -> Plan:
    """ "Is it raining?"."""
    stations = _stations(request)
    if not stations:
        return refuse("no_weather")
    station = stations[0]
    condition = str(station.state.get("condition", "unknown"))
    values = {
        "condition": condition,
        "yes": condition in request.slots["sky"].split(),
        "later": bool(request.slots.get("later")),
    }
    return _plan("get_weather", [station], Speech("is_weather", values))


def weather(request: Request) -> Plan:
    """ "What's the weather like?"."""
    stations = _stations(request)
    if not stations:
        return refuse("no_weather")
    station = stations[0]
    values = {
        "name": station.name,
        "condition": str(station.state.get("condition", "unknown")),
        "temperature": station.state.get("temperature"),
        "unit": station.state.get("unit", request.home.temperature_unit),
        "several": len(stations) > 1,
        "later": bool(request.slots.get("later")),
    }
    return _plan("get_weather", [station], Speech("weather", values))


def _stations(request: Request) -> list[Device]:
    meant = _meant(request) if "name" in request.slots else request.home.exposed()
    return [d for d in meant if d.type is DeviceType.WEATHER]


def _meant(request: Request) -> list[Device]:
    """The devices a question is about: by name, or by kind and place; the unfit too."""
    devices = request.home.exposed()
    areas = place_of(request)
    if "name" in request.slots:
        named = called(request, devices)
        if "kind" in request.slots:
            named = of_kind(named, parse_kind(request.slots["kind"])[0])
        if areas is None:
            return named
        return [d for d in named if d.area in areas] or [d for d in named if d.area is None]
    kind, _ = parse_kind(request.slots.get("kind", "any"))
    if kind.startswith("cover.") and kind.partition(".")[2] in ("door", "window"):
        kind = "opening." + kind.partition(".")[2]
    elif kind == "lock":
        kind = "opening.door"
    elif kind == "binary_sensor.battery" and "charging" in str(request.slots.get("state", "")):
        kind = "binary_sensor.battery_charging"
    devices = of_kind(devices, kind)
    if areas is not None:
        return [d for d in devices if d.area in areas]
    if kind in _OF_A_ROOM and request.slots.get("ask") == "the" and request.utterance.area:
        return [d for d in devices if d.area == request.utterance.area] or devices
    return devices


def _answer(
    request: Request, ask: str, devices: Sequence[Device], *, matching: Sequence[Device], state: str
) -> Plan:
    kind, _ = parse_kind(request.slots.get("kind", "any"))
    names = _told_apart(request, devices)
    values = {
        "names": [names[d.id] for d in matching],
        "others": [
            {"name": names[d.id], "state": state_code(d)} for d in devices if d not in matching
        ],
        "name": names[devices[0].id] if devices else "",
        "now": state_code(devices[0]) if devices else "unknown",
        "count": len(matching),
        "total": len(devices),
        "state": state,
        "kind": kind,
        "place": place_name(request),
        "yes": bool(matching) if ask != "all" else len(matching) == len(devices),
    }
    return _plan("get_state", devices, Speech(f"ask_{ask}", values))


def _told_apart(request: Request, devices: Sequence[Device]) -> dict[str, str]:
    """What to call each of `devices`: where several share a name, with the room, unless that was
    asked for or is this one.
    """
    home, here = request.home, {request.utterance.area}
    within = place_of(request) or frozenset()
    known = here if {d.area for d in devices} <= here else within if len(within) == 1 else ()
    return {d.id: d.name if d.area in known else label_of(d, home) for d in devices}


def _values(query: str, sensors: Sequence[Device]) -> Plan:
    facts = [
        {"name": d.name, "value": d.state["value"], "unit": d.state.get("unit", "")}
        for d in sensors
    ]
    return _plan(query, sensors, Speech("measured", {"facts": facts}))


def _plan(query: str, devices: Sequence[Device], speech: Speech) -> Plan:
    ids = tuple(d.id for d in devices)
    return Plan(PlanKind.ANSWER, query=query, devices=ids, speech=speech)


def _location(person: Device) -> str:
    return str(person.state.get("location", "unknown"))
