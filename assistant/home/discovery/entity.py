"""One discovered entity: what it is called, where it stands, whether it can be reached."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from assistant.errors import DiscoveryError
from assistant.home.discovery import payload
from assistant.home.discovery.claims import Claim
from assistant.home.discovery.components import BUILDERS
from assistant.home.discovery.config import Appliance, Config
from assistant.home.discovery.template import NoValueError, Template, render_value
from assistant.home.discovery.wording import sayable
from assistant.home.file import clean_name, slug
from assistant.home.model import Device

_MODES: Final = ("all", "any", "latest")
_BUTTON_LOCKS: Final = frozenset({"child_lock", "keypad_lockout"})
"""What Zigbee2MQTT announces as locks and is for the buttons of a thermostat: no door, though by
its announcement nothing tells it from one."""


@dataclass(frozen=True, slots=True)
class Presence:
    """One topic that says whether the entity is there."""

    topic: str
    template: Template | None
    online: str
    offline: str

    def read(self, text: str) -> bool | None:
        """Whether it is there; None where the payload does not say."""
        try:
            said = render_value(self.template, text)
        except NoValueError:
            return None
        return {self.offline: False, self.online: True}.get(said)


@dataclass(frozen=True, slots=True)
class Description:
    """What a configuration comes to: the device as first known, and how it speaks."""

    claim: Claim
    device: Device
    area_name: str | None
    appliance: Appliance
    presences: tuple[Presence, ...]
    presence_mode: str

    def topics(self) -> set[str]:
        """All topics to be heard for it."""
        return {r.topic for r in self.appliance.readings} | {p.topic for p in self.presences}


def described(entity: payload.Entity, unit: str) -> Description | None:
    """What an entity of a message is; None for kinds that nobody here can use.

    Raises DiscoveryError when its options are wrong.
    """
    build = BUILDERS.get(entity.component)
    if build is None:
        return None
    config = Config(entity.options)
    hardware = Config(entity.device)
    appliance = build(config, unit)
    object_id = entity.key.removesuffix("/config").rpartition("/")[2]
    if "#" in entity.key:
        object_id = entity.key.rpartition("#")[2]
    name = _name(config, hardware, entity) or sayable(object_id) or "Unnamed"
    unique = config.text("unique_id")
    hidden = (
        config.has("entity_category")
        or not config.flag("enabled_by_default", True)
        or object_id in _BUTTON_LOCKS
    )
    device_class = config.text("device_class") or None
    area = sayable(hardware.text("suggested_area"))
    device_id = f"{entity.component}.{_object_slug(config, entity, name)}"
    presences = _presences(config)
    return Description(
        claim=Claim(
            entity.key, f"{entity.component}/{unique}" if unique else entity.key, device_id
        ),
        device=Device(
            id=device_id,
            name=name,
            type=appliance.type,
            device_class=slug(device_class) if device_class else None,
            capabilities=appliance.capabilities,
            state=MappingProxyType(dict(appliance.state)),
            available=not presences,
            exposed=not hidden and config.flag("visible_by_default", True),
            reports_state=not appliance.optimistic,
            unreported=appliance.unreported,
            minimum=appliance.minimum,
            maximum=appliance.maximum,
            step=appliance.step,
            options=appliance.options,
        ),
        area_name=area or None,
        appliance=appliance,
        presences=presences,
        presence_mode=_presence_mode(config),
    )


def _name(config: Config, hardware: Config, entity: payload.Entity) -> str:
    """Device and entity together, as Home Assistant composes them.

    The entity's name alone where it says the device's already; the device's alone where the
    entity's is null, or not given (for a sensor then with what it measures).
    """
    own = sayable(config.text("name"))
    device = sayable(hardware.text("name"))
    if not config.has("name") and entity.component in ("sensor", "binary_sensor"):
        # Not said, and a device has several of these: what it measures tells them apart.
        own = "" if config.is_null("name") else sayable(config.text("device_class"))
    if not device or not own:
        return own or device
    if own.casefold().startswith(device.casefold()):
        return own
    return clean_name(f"{device} {own}")


def _object_slug(config: Config, entity: payload.Entity, name: str) -> str:
    wanted = config.text("default_entity_id")
    if wanted:
        return slug(wanted.removeprefix(f"{entity.component}."))
    return slug(config.text("object_id") or name)


def _presences(config: Config) -> tuple[Presence, ...]:
    found = [
        Presence(
            one.required_topic("topic"),
            one.template("value_template"),
            one.text("payload_available", "online"),
            one.text("payload_not_available", "offline"),
        )
        for one in config.objects("availability")
    ]
    topic = config.topic("availability_topic")
    if topic is not None:
        found.append(
            Presence(
                topic,
                config.template("availability_template"),
                config.text("payload_available", "online"),
                config.text("payload_not_available", "offline"),
            )
        )
    return tuple(found)


def _presence_mode(config: Config) -> str:
    mode = config.text("availability_mode", "latest")
    if mode not in _MODES:
        raise DiscoveryError(f"availability_mode is none of {', '.join(_MODES)}")
    return mode


class Availability:
    """Whether an entity is there, from what its topics said."""

    def __init__(self, presences: tuple[Presence, ...], mode: str) -> None:
        self._presences = presences
        self._mode = mode
        self._said: dict[int, bool] = {}
        self._latest = False

    @property
    def available(self) -> bool:
        """True where there are no such topics; false until they have spoken."""
        if not self._presences:
            return True
        if self._mode == "all":
            return len(self._said) == len(self._presences) and all(self._said.values())
        if self._mode == "any":
            return any(self._said.values())
        return self._latest

    def hear(self, topic: str, text: str) -> None:
        """Take in a payload on one of the topics."""
        for number, presence in enumerate(self._presences):
            if presence.topic != topic:
                continue
            said = presence.read(text)
            if said is not None:
                self._said[number] = said
                self._latest = said
