"""Homes in files.

Two kinds. A *home* is a JSON file with floors, areas, devices and their states: what `assistant
replay` reads and the simulator writes. *Overrides* are a TOML file in which the owner corrects
what the devices say of themselves::

    [floors.upstairs]
    name = "Upstairs"
    aliases = ["first floor"]

    [areas.kitchen]
    name = "Kitchen"
    aliases = ["cooking place"]
    floor = "upstairs"

    [devices."light.kitchen_ceiling"]
    name = "Ceiling lamp"
    aliases = ["big light"]
    area = "kitchen"
    exposed = true
    risk = "risky"            # safe, risky (asks first), pin (asks for it), forbidden
    class = "oven"
"""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.errors import HomeError
from assistant.home.model import Area, Device, DeviceType, Floor, Home, Risk, Timer

NAME_LIMIT = 64
_SPACE = re.compile(r"\s+")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


def clean_name(text: str, limit: int = NAME_LIMIT) -> str:
    """A name fit to be shown, spoken and put into a prompt.

    Control, format and private characters are taken out, white space becomes single spaces, and
    what is left is cut to `limit` characters.
    """
    text = unicodedata.normalize("NFC", text[: 4 * limit])
    kept = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text)
    return _SPACE.sub(" ", kept).strip()[:limit].rstrip()


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits and underscores, for ids: "Büro 2" gives "buro_2"."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore")
    found = _NOT_WORD.sub("_", plain.decode().lower()).strip("_")[:NAME_LIMIT]
    # Names in other scripts leave nothing of themselves: their code points still tell them apart.
    return found or "_".join(f"{ord(c):x}" for c in text.strip()[:8]) or "unnamed"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class _Strict(_Model):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


Identifier = Annotated[str, Field(min_length=1, max_length=200)]
Label = Annotated[str, Field(min_length=1, max_length=200)]


# ------------------------------------------------------------------- the owner's overrides


class FloorOverride(_Strict):
    """[floors.ID]"""

    name: Label | None = None
    aliases: tuple[Label, ...] = ()


class AreaOverride(_Strict):
    """[areas.ID]"""

    name: Label | None = None
    aliases: tuple[Label, ...] = ()
    floor: Identifier | None = None


class DeviceOverride(_Strict):
    """[devices."ID"]"""

    name: Label | None = None
    aliases: tuple[Label, ...] | None = None
    area: Identifier | None = None
    exposed: bool | None = None
    risk: Risk | None = None
    device_class: Annotated[str | None, Field(alias="class")] = None


class Overrides(_Strict):
    """What the owner says about the home, over what the devices say of themselves."""

    floors: dict[str, FloorOverride] = {}
    areas: dict[str, AreaOverride] = {}
    devices: dict[str, DeviceOverride] = {}

    def floor_list(self) -> tuple[Floor, ...]:
        """The floors named in the file."""
        return tuple(
            Floor(key, clean_name(f.name or _spoken(key)), tuple(map(clean_name, f.aliases)))
            for key, f in self.floors.items()
        )

    def area_list(self) -> tuple[Area, ...]:
        """The areas named in the file."""
        return tuple(
            Area(
                key,
                clean_name(a.name or _spoken(key)),
                tuple(map(clean_name, a.aliases)),
                a.floor,
            )
            for key, a in self.areas.items()
        )

    def applied_to(self, device: Device) -> Device:
        """`device` with what the owner says of it."""
        own = self.devices.get(device.id)
        if own is None:
            return device
        return replace(
            device,
            name=clean_name(own.name) if own.name else device.name,
            aliases=(
                device.aliases if own.aliases is None else tuple(map(clean_name, own.aliases))
            ),
            area=own.area or device.area,
            exposed=device.exposed if own.exposed is None else own.exposed,
            risk=own.risk or device.risk,
            device_class=own.device_class or device.device_class,
        )


def load_overrides(path: Path) -> Overrides:
    """Read the owner's overrides. Raises HomeError with file and key."""
    text = _read(path)
    try:
        found = Overrides.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise HomeError(f"{path}: is not valid TOML: {error}") from error
    except ValidationError as error:
        raise HomeError(_explain(path, error)) from error
    for key, area in found.areas.items():
        if area.floor is not None and area.floor not in found.floors:
            raise HomeError(
                f"{path}: areas.{key}.floor: there is no floor {area.floor!r}; "
                f"add [floors.{area.floor}]"
            )
    return found


def _spoken(key: str) -> str:
    return key.replace("_", " ").capitalize()


# ------------------------------------------------------------------- a home as JSON


class _Units(_Model):
    temperature: Literal["°C", "°F"] = "°C"


class _FloorJson(_Model):
    id: Identifier
    name: Label
    aliases: tuple[Label, ...] = ()


class _AreaJson(_Model):
    id: Identifier
    name: Label
    aliases: tuple[Label, ...] = ()
    floor: Identifier | None = None


class _TimerJson(_Model):
    id: Identifier
    name: str | None = None
    area: str | None = None
    duration_s: Annotated[float, Field(ge=0)]
    remaining_s: Annotated[float, Field(ge=0)]
    paused: bool = False


class _DeviceJson(_Model):
    id: Identifier
    name: Label
    type: DeviceType
    aliases: tuple[Label, ...] = ()
    area: Identifier | None = None
    device_class: Annotated[str | None, Field(alias="class")] = None
    capabilities: frozenset[str] = frozenset()
    state: dict[str, Any] = {}
    available: bool = True
    exposed: bool = True
    risk: Risk | None = None
    reports_state: bool = True
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    options: tuple[str, ...] = ()


class _HomeJson(_Model):
    id: Identifier = "home"
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "en"
    units: _Units = _Units()
    floors: tuple[_FloorJson, ...] = ()
    areas: tuple[_AreaJson, ...] = ()
    timers: tuple[_TimerJson, ...] = ()
    devices: tuple[_DeviceJson, ...] = ()


def load_home(path: Path) -> Home:
    """Read a home from its JSON file. Raises HomeError with file and key."""
    try:
        data = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise HomeError(f"{path}: is not valid JSON: {error}") from error
    return parse_home(data, str(path))


def parse_home(data: object, where: str = "home") -> Home:
    """A home from its decoded JSON; `where` names it in errors. Unknown keys are ignored."""
    try:
        found = _HomeJson.model_validate(data)
    except ValidationError as error:
        raise HomeError(_explain(where, error)) from error
    for kind, ids in (
        ("floors", [f.id for f in found.floors]),
        ("areas", [a.id for a in found.areas]),
        ("devices", [d.id for d in found.devices]),
    ):
        if twice := next((i for i in ids if ids.count(i) > 1), None):
            raise HomeError(f"{where}: {kind}: {twice!r} stands there twice; give each its own id")
    areas = {a.id for a in found.areas}
    for number, device in enumerate(found.devices):
        if device.area is not None and device.area not in areas:
            raise HomeError(
                f"{where}: devices.{number}.area: there is no area {device.area!r}; "
                "add it to areas or use null"
            )
    unit = found.units.temperature
    return Home(
        id=found.id,
        language=found.language,
        temperature_unit=unit,
        floors=tuple(Floor(f.id, f.name, f.aliases) for f in found.floors),
        areas=tuple(Area(a.id, a.name, a.aliases, a.floor) for a in found.areas),
        devices=MappingProxyType({d.id: _device(d) for d in found.devices}),
        timers=tuple(
            Timer(t.id, t.name, t.area, t.duration_s, t.remaining_s, t.paused) for t in found.timers
        ),
    )


def _device(found: _DeviceJson) -> Device:
    fields = {name: getattr(found, name) for name in _DeviceJson.model_fields}
    fields["state"] = MappingProxyType({k: v for k, v in found.state.items() if v is not None})
    return Device(**fields)


def dump_home(home: Home) -> dict[str, Any]:
    """The JSON form of a home; `parse_home` reads it back. Fields at their default are left out."""
    return {
        "id": home.id,
        "language": home.language,
        "units": {"temperature": home.temperature_unit},
        "floors": [{"id": f.id, "name": f.name, "aliases": list(f.aliases)} for f in home.floors],
        "areas": [
            {"id": a.id, "name": a.name, "aliases": list(a.aliases), "floor": a.floor}
            for a in home.areas
        ],
        "timers": [
            {
                "id": t.id,
                "name": t.name,
                "area": t.area,
                "duration_s": t.duration,
                "remaining_s": t.remaining,
                "paused": t.paused,
            }
            for t in home.timers
        ],
        "devices": [_device_json(device) for device in home.devices.values()],
    }


def save_home(home: Home, path: Path) -> None:
    """Write a home as JSON. Raises HomeError when that can't be done."""
    text = json.dumps(dump_home(home), ensure_ascii=False, indent=1)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise HomeError(f"{path}: can't be written ({error.strerror})") from error


def _device_json(device: Device) -> dict[str, Any]:
    always = {
        "id": device.id,
        "name": device.name,
        "aliases": list(device.aliases),
        "area": device.area,
        "type": device.type.value,
        "class": device.device_class,
        "capabilities": sorted(device.capabilities),
        "state": dict(device.state),
    }
    plain = Device(device.id, device.name, device.type)
    rest = ("available", "exposed", "risk", "reports_state", "minimum", "maximum", "step")
    more: dict[str, Any] = {
        name: getattr(device, name)
        for name in rest
        if getattr(device, name) != getattr(plain, name)
    }
    if device.options:
        more["options"] = list(device.options)
    return always | more


# ------------------------------------------------------------------- both


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise HomeError(f"{path}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise HomeError(f"{path}: is not UTF-8 text; save it as UTF-8") from error


def _explain(where: object, error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "the whole"
        what = problem["msg"]
        if problem["type"] == "extra_forbidden":
            what = "there is no such key"
        lines.append(f"{where}: {key}: {what}")
    return "\n".join(lines)
