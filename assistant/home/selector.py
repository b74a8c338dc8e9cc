"""Which devices a setting means: one by its id, or all of a type, a class or an area."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from assistant.config import PolicySettings
from assistant.errors import ConfigError
from assistant.home.file import slug
from assistant.home.model import Device, DeviceType

_Key = Literal["id", "type", "class", "area"]
_WRITE: Final = 'write its id ("light.sofa"), or "type=light", "class=garage", "area=kitchen"'


@dataclass(frozen=True, slots=True)
class Selector:
    """The devices whose `key` is `value`. An area is told by its id, or by a name that makes it."""

    key: _Key
    value: str

    def holds(self, device: Device) -> bool:
        """Whether `device` is one of them."""
        match self.key:
            case "id":
                return device.id == self.value
            case "type":
                return device.type == self.value
            case "class":
                return device.device_class == self.value
            case "area":
                return device.area in (self.value, slug(self.value))


def selector(text: str) -> Selector:
    """What `text` selects: "light.sofa", "type=light". Raises ConfigError saying what to write."""
    key, told, value = (part.strip() for part in text.partition("="))
    if not told:
        if not key:
            raise ConfigError(f"{text!r} means no device; {_WRITE}")
        return Selector("id", key)
    for known in get_args(_Key):
        if key == known and value:
            break
    else:
        raise ConfigError(f"{text!r} means no device; {_WRITE}")
    if known == "type" and value not in set(DeviceType):
        raise ConfigError(f"{value!r} is no type of device; there are: {', '.join(DeviceType)}")
    return Selector(known, value)


def exposure(settings: PolicySettings) -> Callable[[Device], bool]:
    """Whether the settings leave a device to voice. Raises ConfigError naming the key."""
    shown = _selectors("policy.expose", settings.expose)
    hidden = _selectors("policy.hide", settings.hide)

    def exposes(device: Device) -> bool:
        if any(one.holds(device) for one in hidden):
            return False
        return not shown or any(one.holds(device) for one in shown)

    return exposes


def _selectors(name: str, texts: Iterable[str]) -> tuple[Selector, ...]:
    try:
        return tuple(map(selector, texts))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
