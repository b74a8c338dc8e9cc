"""From a configuration message to the entities it describes, keys in full and topics complete."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from assistant.errors import DiscoveryError
from assistant.home.discovery import abbreviations

PAYLOAD_LIMIT: Final = 262144
"""Bytes of a configuration message."""
ENTITY_LIMIT: Final = 256
"""Entities in one message."""

_OBJECT_ID: Final = r"[a-zA-Z0-9_-]{1,200}"
_TOPIC: Final = re.compile(rf"(?P<component>\w{{1,64}})/(?:{_OBJECT_ID}/)?{_OBJECT_ID}/config")
# What a device's message may say once for all its entities.
_SHARED: Final = (
    "availability",
    "availability_mode",
    "availability_template",
    "availability_topic",
    "command_topic",
    "encoding",
    "payload_available",
    "payload_not_available",
    "qos",
    "state_topic",
)


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of a configuration message: its kind, a key that is its own, its options."""

    key: str
    component: str
    options: Mapping[str, Any]
    device: Mapping[str, Any]


def component_of(topic: str, prefix: str) -> str:
    """The component that a configuration topic names. Raises DiscoveryError for a wrong topic."""
    found = _TOPIC.fullmatch(topic.removeprefix(f"{prefix}/"))
    if found is None:
        raise DiscoveryError("the topic is not PREFIX/COMPONENT/[NODE/]OBJECT/config")
    return found["component"]


def entities(topic: str, prefix: str, payload: bytes) -> list[Entity] | None:
    """The entities that a configuration message describes; none: they are to be removed.

    None means that the message is no configuration (a hand-over between single-component and
    device discovery). Raises DiscoveryError when the message can't be used.
    """
    component = component_of(topic, prefix)
    if not payload:
        return []
    config = abbreviations.expanded(_decoded(payload), abbreviations.ENTITY)
    if config.get("migrate_discovery") is True:
        return None
    device = _device(config)
    if component != "device":
        return [Entity(topic, component, _with_base(config, config.get("~")), device)]
    parts = config.get("components")
    if not isinstance(parts, dict):
        raise DiscoveryError("a device without components")
    if len(parts) > ENTITY_LIMIT:
        raise DiscoveryError(f"a device with {len(parts)} components")
    shared = {key: config[key] for key in _SHARED if key in config}
    found = []
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise DiscoveryError(f"component {name[:64]!r} is not an object")
        options = abbreviations.expanded(part, abbreviations.ENTITY)
        kind = options.pop("platform", None)
        if not options:
            continue  # a component with nothing but its platform is to be removed
        if not isinstance(kind, str):
            raise DiscoveryError(f"component {name[:64]!r} names no platform")
        base = options.get("~", config.get("~"))
        found.append(Entity(f"{topic}#{name}", kind, _with_base(shared | options, base), device))
    return found


def _decoded(payload: bytes) -> dict[str, Any]:
    if len(payload) > PAYLOAD_LIMIT:
        raise DiscoveryError(f"a message of {len(payload)} bytes is too long")
    try:
        config = json.loads(payload.decode())
    except UnicodeDecodeError as error:
        raise DiscoveryError("not UTF-8 text") from error
    except RecursionError:
        raise DiscoveryError("nested too deeply") from None
    except ValueError as error:
        raise DiscoveryError(f"not JSON: {error}"[:200]) from error
    if not isinstance(config, dict):
        raise DiscoveryError("not a JSON object")
    return config


def _device(config: dict[str, Any]) -> dict[str, Any]:
    device = config.get("device", {})
    if not isinstance(device, dict):
        raise DiscoveryError("device is not an object")
    return abbreviations.expanded(device, abbreviations.DEVICE)


def _with_base(config: Mapping[str, Any], base: object) -> dict[str, Any]:
    """`~` at the start or end of topics replaced, those of availability as well."""
    options = {key: value for key, value in config.items() if key != "~"}
    options["availability"] = [
        abbreviations.expanded(item, abbreviations.ENTITY) if isinstance(item, dict) else item
        for item in _listed(options.get("availability"))
    ]
    if base is None:
        return options
    if not isinstance(base, str):
        raise DiscoveryError("~ is not a text")
    for item in options["availability"]:
        if isinstance(item, dict) and isinstance(item.get("topic"), str):
            item["topic"] = _based(item["topic"], base)
    for key, value in options.items():
        if key.endswith("topic") and isinstance(value, str):
            options[key] = _based(value, base)
    return options


def _based(topic: str, base: str) -> str:
    if topic.startswith("~"):
        topic = base + topic[1:]
    if topic.endswith("~"):
        topic = topic[:-1] + base
    return topic


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
