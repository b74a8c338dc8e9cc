"""How the virtual appliances announce themselves: Home Assistant MQTT discovery, in three dialects.

This is the far end of `assistant.home`'s discovery, written against Home Assistant's documentation
and not against our reader, so that each proves the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from assistant.simulate.appliance import Appliance, Dialect, slug

ABBREVIATIONS: Final = {
    "availability": "avty",
    "availability_mode": "avty_mode",
    "brightness_command_topic": "bri_cmd_t",
    "brightness_scale": "bri_scl",
    "brightness_state_topic": "bri_stat_t",
    "command_template": "cmd_tpl",
    "command_topic": "cmd_t",
    "current_temperature_template": "curr_temp_tpl",
    "current_temperature_topic": "curr_temp_t",
    "default_entity_id": "def_ent_id",
    "device": "dev",
    "device_class": "dev_cla",
    "entity_category": "ent_cat",
    "identifiers": "ids",
    "manufacturer": "mf",
    "mode_command_topic": "mode_cmd_t",
    "mode_state_template": "mode_stat_tpl",
    "mode_state_topic": "mode_stat_t",
    "model": "mdl",
    "options": "ops",
    "origin": "o",
    "payload_off": "pl_off",
    "payload_on": "pl_on",
    "percentage_command_template": "pct_cmd_tpl",
    "percentage_command_topic": "pct_cmd_t",
    "percentage_state_topic": "pct_stat_t",
    "percentage_value_template": "pct_val_tpl",
    "position_closed": "pos_clsd",
    "position_open": "pos_open",
    "position_topic": "pos_t",
    "set_position_topic": "set_pos_t",
    "speed_range_max": "spd_rng_max",
    "speed_range_min": "spd_rng_min",
    "state_class": "stat_cla",
    "state_topic": "stat_t",
    "state_value_template": "stat_val_tpl",
    "suggested_area": "sa",
    "supported_color_modes": "sup_clrm",
    "supported_features": "sup_feat",
    "sw_version": "sw",
    "temperature_command_template": "temp_cmd_tpl",
    "temperature_command_topic": "temp_cmd_t",
    "temperature_state_template": "temp_stat_tpl",
    "temperature_state_topic": "temp_stat_t",
    "temperature_unit": "temp_unit",
    "topic": "t",
    "unique_id": "uniq_id",
    "unit_of_measurement": "unit_of_meas",
    "value_template": "val_tpl",
}
"""The abbreviations that the virtual appliances use, of those Home Assistant knows."""

ONLINE, OFFLINE = "online", "offline"
NODE: Final = "virtual_home"
ORIGIN: Final = {"name": "mimo-voice virtual home", "sw_version": version("mimo-voice")}


@dataclass(frozen=True, slots=True)
class Topics:
    """Where the virtual home speaks: discovery under `prefix`, all else under `base`."""

    prefix: str = "homeassistant"
    base: str = "virtual-home"

    @property
    def bridge(self) -> str:
        """Whether the virtual home as a whole is there; its last will goes here."""
        return f"{self.base}/bridge/availability"

    @property
    def commands(self) -> str:
        """What to subscribe to for the commands to all appliances."""
        return f"{self.base}/+/+/set/#"

    @property
    def birth(self) -> str:
        """Where Home Assistant, and others like it, say that they want to hear everything again."""
        return f"{self.prefix}/status"

    def root(self, appliance: Appliance) -> str:
        """What stands before the channels of `appliance`."""
        return f"{self.base}/{appliance.component}/{appliance.slug}"

    def availability(self, appliance: Appliance) -> str:
        """Whether the device of `appliance` is there."""
        return f"{self.base}/device/{slug(appliance.device)}/availability"


def presence(appliance: Appliance, online: bool) -> str:
    """The payload for the availability topic of `appliance`, as its dialect has it."""
    state = ONLINE if online else OFFLINE
    return json.dumps({"state": state}) if appliance.dialect is Dialect.SHORT else state


def announcements(appliances: Sequence[Appliance], topics: Topics) -> dict[str, str]:
    """Discovery payload by topic, for all of `appliances`."""
    single = [a for a in appliances if a.dialect is not Dialect.DEVICE]
    devices: dict[str, list[Appliance]] = {}
    for appliance in appliances:
        if appliance.dialect is Dialect.DEVICE:
            devices.setdefault(appliance.device, []).append(appliance)
    messages: dict[str, dict[str, Any]] = {}
    for appliance in single:
        full = appliance.dialect is Dialect.FULL
        # With and without a node id in the topic.
        place = f"{NODE}_{appliance.slug}" if full else f"{NODE}/{appliance.slug}"
        topic = f"{topics.prefix}/{appliance.component}/{place}/config"
        messages[topic] = (_full if full else _short)(appliance, topics)
    for name, parts in devices.items():
        messages[f"{topics.prefix}/device/{NODE}_{slug(name)}/config"] = _device(parts, topics)
    return {
        topic: json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        for topic, payload in messages.items()
    }


def _full(appliance: Appliance, topics: Topics) -> dict[str, Any]:
    payload = {
        "name": appliance.name,
        "object_id": appliance.slug,
        **_entity(appliance),
        "availability": [
            {"topic": topics.bridge},
            {
                "topic": topics.availability(appliance),
                "payload_available": ONLINE,
                "payload_not_available": OFFLINE,
            },
        ],
        "availability_mode": "all",
        "device": _hardware(appliance, named=False),
        "origin": ORIGIN,
    }
    return _with_topics_in_full(payload, topics.root(appliance))


def _short(appliance: Appliance, topics: Topics) -> dict[str, Any]:
    payload = {
        "~": topics.root(appliance),
        "name": appliance.part or None,
        "default_entity_id": appliance.id,
        **_entity(appliance),
        "availability": [
            {"topic": topics.bridge},
            {
                "topic": topics.availability(appliance),
                "value_template": "{{ value_json.state }}",
            },
        ],
        "availability_mode": "all",
        "device": _hardware(appliance, named=True),
        "origin": ORIGIN,
    }
    return _abbreviated(payload)


def _device(parts: Sequence[Appliance], topics: Topics) -> dict[str, Any]:
    components = {}
    for part in parts:
        entity = {
            "p": part.component,
            "name": part.part or None,
            "default_entity_id": part.id,
            **_entity(part),
        }
        components[part.id.replace(".", "_")] = _with_topics_in_full(entity, topics.root(part))
    return {
        "dev": _abbreviated(_hardware(parts[0], named=True)),
        "o": _abbreviated(ORIGIN),
        "cmps": components,
        "qos": 1,
        "availability": [{"topic": topics.bridge}, {"topic": topics.availability(parts[0])}],
        "availability_mode": "all",
    }


def _entity(appliance: Appliance) -> dict[str, Any]:
    entity: dict[str, Any] = {"unique_id": f"{NODE}_{appliance.component}_{appliance.slug}"}
    if appliance.diagnostic:
        entity["entity_category"] = "diagnostic"
    if appliance.dialect is not Dialect.DEVICE:
        entity["qos"] = 1
    return entity | appliance.options()


def _hardware(appliance: Appliance, named: bool) -> dict[str, Any]:
    hardware = {
        "identifiers": [f"{NODE}_{slug(appliance.device)}"],
        "manufacturer": "mimo-voice",
        "model": f"Virtual {appliance.component.replace('_', ' ')}",
        "suggested_area": appliance.area,
    }
    return {"name": appliance.device, **hardware} if named else hardware


def _with_topics_in_full(payload: dict[str, Any], root: str) -> dict[str, Any]:
    return {
        key: value.replace("~", root, 1)
        if key.endswith("topic") and isinstance(value, str)
        else value
        for key, value in payload.items()
    }


def _abbreviated(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {ABBREVIATIONS.get(key, key): _inside(value) for key, value in payload.items()}


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return _abbreviated(value)
    return [_inside(item) for item in value] if isinstance(value, list) else value


def removals(topics: Iterable[str]) -> dict[str, str]:
    """Empty payloads, which make the broker forget what is retained under `topics`."""
    return dict.fromkeys(topics, "")
