"""Configurations as real firmware publishes them, and what must come of them."""

from typing import Any

import pytest

from assistant.home.action import Action, Result
from assistant.home.executor import Executor
from assistant.home.model import DeviceType, Home
from tests.home.wire import discovering, only

Z2M_AVAILABILITY = [
    {"topic": "zigbee2mqtt/bridge/state", "value_template": "{{ value_json.state }}"},
    {"topic": "zigbee2mqtt/Lamp/availability", "value_template": "{{ value_json.state }}"},
]
Z2M: dict[str, Any] = {
    "availability": Z2M_AVAILABILITY,
    "availability_mode": "all",
    "device": {
        "identifiers": ["zigbee2mqtt_0x0017880104e45522"],
        "manufacturer": "Philips",
        "model": "Hue Go (7146060PH)",
        "name": "Lamp",
        "suggested_area": "Living Room",
        "via_device": "zigbee2mqtt_bridge_0x00124b00120144ae",
    },
    "origin": {"name": "Zigbee2MQTT", "sw": "2.1.0", "url": "https://www.zigbee2mqtt.io"},
    "object_id": "lamp",
    "unique_id": "0x0017880104e45522_light_zigbee2mqtt",
    "name": None,
}
Z2M_LIGHT = {
    **Z2M,
    "schema": "json",
    "brightness": True,
    "brightness_scale": 254,
    "supported_color_modes": ["xy", "color_temp"],
    "min_mireds": 153,
    "max_mireds": 500,
    "effect": True,
    "effect_list": ["blink", "breathe"],
    "command_topic": "zigbee2mqtt/Lamp/set",
    "state_topic": "zigbee2mqtt/Lamp",
}


def z2m_online(wire: Any) -> None:
    wire.say("zigbee2mqtt/bridge/state", {"state": "online"})
    wire.say("zigbee2mqtt/Lamp/availability", {"state": "online"})


async def told(wire: Any, registry: Any, name: Any, params: Any = None, device: Any = None) -> Any:
    """What is published for an action on the only device (nobody answers)."""
    wire.published.clear()
    device = device or only(registry).id
    outcome = await Executor(registry, timeout=0.01).execute(
        [Action(name, (device,), params or {})]
    )
    assert outcome[0].result in (Result.FAILED, Result.SENT, Result.CONFIRMED), outcome
    return [(topic, payload) for topic, payload, *_ in wire.published]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Lampada_Salotto_2", "Lampada Salotto 2"),
        ("bedroom/lamp_left", "bedroom lamp left"),
        ("Nursery 🌙 nightlight", "Nursery nightlight"),
        ("Front Door 🔒", "Front Door"),
        ("❤️ Lamp", "Lamp"),
        ("Bulb 3 (hall)", "Bulb 3 (hall)"),
        ("Temp/Hum bedroom", "Temp Hum bedroom"),
        ("Fridge 4°", "Fridge 4°"),
        ("Lamp 1/2", "Lamp 1/2"),
        ("0x00158d0001a2b3c4", "0x00158d0001a2b3c4"),
        ("💡", "office lamp"),
    ],
)
def test_names_are_what_is_said_aloud(written: str, said: str) -> None:
    wire, registry = discovering()
    device = {**Z2M["device"], "name": written}
    wire.say("homeassistant/light/0x17/office_lamp/config", {**Z2M_LIGHT, "device": device})
    assert only(registry).name == said


def test_the_lock_of_a_thermostats_buttons_is_no_door() -> None:
    wire, registry = discovering()
    lock = {"name": "Child lock", "command_topic": "t/set/child_lock", "state_topic": "t"}
    wire.say("homeassistant/lock/0x17/child_lock/config", {**Z2M, **lock})
    assert not only(registry).exposed
    wire.say("homeassistant/lock/0x17/child_lock/config")
    wire.say("homeassistant/lock/0x17/lock/config", {**Z2M, **lock, "name": "Lock"})
    assert only(registry).exposed


async def test_zigbee2mqtt_colour_lamp() -> None:
    wire, registry = discovering()
    wire.say("homeassistant/light/0x0017880104e45522/light/config", Z2M_LIGHT)
    lamp = only(registry)
    assert (lamp.id, lamp.name, lamp.type) == ("light.lamp", "Lamp", DeviceType.LIGHT)
    assert lamp.capabilities == {"on_off", "brightness", "color", "color_temp"}
    assert lamp.area == "living_room"
    assert [(a.id, a.name) for a in registry.home().areas] == [("living_room", "Living Room")]
    assert (lamp.minimum, lamp.maximum) == (2000, 6536)
    assert not lamp.available
    z2m_online(wire)
    assert only(registry).available
    wire.say(
        "zigbee2mqtt/Lamp",
        {"state": "ON", "brightness": 127, "color_mode": "color_temp", "color_temp": 370},
    )
    assert only(registry).state == {"on": True, "brightness": 50, "color_temp": 2703}
    wire.say("zigbee2mqtt/Lamp", {"color_mode": "xy", "color": {"x": 0.7006, "y": 0.2993}})
    assert only(registry).state == {"on": True, "brightness": 50, "color": "red"}
    wire.say("zigbee2mqtt/Lamp/availability", {"state": "offline"})
    assert not only(registry).available
    z2m_online(wire)
    send = "zigbee2mqtt/Lamp/set"
    assert await told(wire, registry, "turn_on") == [(send, '{"state":"ON"}')]
    assert await told(wire, registry, "set_brightness", {"brightness": 50}) == [
        (send, '{"state":"ON","brightness":127}')
    ]
    assert await told(wire, registry, "set_color_temp", {"color_temp": 2700}) == [
        (send, '{"state":"ON","color_temp":370}')
    ]
    assert await told(wire, registry, "set_color", {"color": "blue"}) == [
        (send, '{"state":"ON","color":{"x":0.15,"y":0.06}}')
    ]


async def test_zigbee2mqtt_thermostat_lock_cover_fan_and_their_sensors() -> None:
    wire, registry = discovering()
    common = {k: v for k, v in Z2M.items() if k not in ("object_id", "unique_id")}
    wire.say(
        "homeassistant/climate/0x01/climate/config",
        {
            **common,
            "object_id": "trv",
            "modes": ["off", "heat", "auto"],
            "mode_state_topic": "zigbee2mqtt/Lamp",
            "mode_state_template": "{{ value_json.system_mode }}",
            "mode_command_topic": "zigbee2mqtt/Lamp/set/system_mode",
            "current_temperature_topic": "zigbee2mqtt/Lamp",
            "current_temperature_template": "{{ value_json.local_temperature }}",
            "temperature_state_topic": "zigbee2mqtt/Lamp",
            "temperature_state_template": "{{ value_json.occupied_heating_setpoint }}",
            "temperature_command_topic": "zigbee2mqtt/Lamp/set/occupied_heating_setpoint",
            "min_temp": 5,
            "max_temp": 30,
            "temp_step": 0.5,
            "temperature_unit": "C",
        },
    )
    wire.say(
        "homeassistant/lock/0x02/lock/config",
        {
            **common,
            "object_id": "door",
            "command_topic": "zigbee2mqtt/Lamp/set",
            "state_topic": "zigbee2mqtt/Lamp",
            "value_template": "{{ value_json.lock_state }}",
            "state_locked": "locked",
            "state_unlocked": "unlocked",
            "payload_lock": "LOCK",
            "payload_unlock": "UNLOCK",
        },
    )
    wire.say(
        "homeassistant/fan/0x03/fan/config",
        {
            **common,
            "object_id": "fan",
            "command_topic": "zigbee2mqtt/Lamp/set",
            "command_template": '{"state": "{{ value }}"}',
            "state_topic": "zigbee2mqtt/Lamp",
            "state_value_template": "{{ value_json.fan_state }}",
            "percentage_state_topic": "zigbee2mqtt/Lamp",
            "percentage_value_template": "{{ {'off':0, 'low':1, 'medium':2, 'high':3}"
            "[value_json.fan_mode] | default('None') }}",
            "percentage_command_topic": "zigbee2mqtt/Lamp/set/fan_mode",
            "percentage_command_template": "{{ {0:'off', 1:'low', 2:'medium', 3:'high'}"
            "[value] | default('') }}",
            "speed_range_min": 1,
            "speed_range_max": 3,
        },
    )
    wire.say(
        "homeassistant/cover/0x04/cover/config",
        {
            **common,
            "object_id": "blind",
            "device_class": "blind",
            "command_topic": "zigbee2mqtt/Lamp/set",
            "set_position_topic": "zigbee2mqtt/Lamp/set",
            "set_position_template": '{ "position": {{ position }} }',
            "position_topic": "zigbee2mqtt/Lamp",
            "value_template": "{{ value_json.position }}",
            "position_template": "{{ value_json.position }}",
            "state_stopped": "STOP",
            "state_closing": "DOWN",
            "state_opening": "UP",
        },
    )
    wire.say(
        "homeassistant/sensor/0x05/linkquality/config",
        {
            **common,
            "object_id": "lamp_linkquality",
            "name": "Linkquality",
            "enabled_by_default": False,
            "entity_category": "diagnostic",
            "unit_of_measurement": "lqi",
            "state_class": "measurement",
            "state_topic": "zigbee2mqtt/Lamp",
            "value_template": "{{ value_json.linkquality }}",
        },
    )
    wire.say(
        "homeassistant/binary_sensor/0x05/contact/config",
        {
            **{k: v for k, v in common.items() if k != "name"},
            "object_id": "window_contact",
            "device_class": "door",
            "payload_on": False,
            "payload_off": True,
            "state_topic": "zigbee2mqtt/Lamp",
            "value_template": "{{ value_json.contact }}",
        },
    )
    z2m_online(wire)
    wire.say(
        "zigbee2mqtt/Lamp",
        {
            "system_mode": "heat",
            "local_temperature": 20.6,
            "occupied_heating_setpoint": 21,
            "lock_state": "locked",
            "fan_state": "ON",
            "fan_mode": "medium",
            "position": 30,
            "linkquality": 140,
            "contact": False,
        },
    )
    devices = registry.home().devices
    assert {key: dict(device.state) for key, device in devices.items()} == {
        "climate.trv": {
            "mode": "heat",
            "on": True,
            "current_temperature": 20.6,
            "target_temperature": 21,
        },
        "lock.door": {"locked": True},
        "fan.fan": {"on": True, "percentage": 67},
        "cover.blind": {"position": 30},
        "sensor.lamp_linkquality": {"value": 140, "unit": "lqi"},
        "binary_sensor.window_contact": {"on": True},
    }
    assert not devices["sensor.lamp_linkquality"].exposed
    assert devices["sensor.lamp_linkquality"].name == "Lamp Linkquality"
    assert devices["binary_sensor.window_contact"].name == "Lamp door"
    cases = [
        (
            "climate.trv",
            "set_temperature",
            {"temperature": 22.3},
            "set/occupied_heating_setpoint",
            "22.5",
        ),
        ("climate.trv", "turn_off", {}, "set/system_mode", "off"),
        ("climate.trv", "set_mode", {"mode": "auto"}, "set/system_mode", "auto"),
        ("lock.door", "unlock", {}, "set", "UNLOCK"),
        ("fan.fan", "set_fan_speed", {"percentage": 90}, "set/fan_mode", "high"),
        ("fan.fan", "turn_off", {}, "set", '{"state": "OFF"}'),
        ("cover.blind", "set_position", {"position": 70}, "set", '{ "position": 70 }'),
        ("cover.blind", "open", {}, "set", "OPEN"),
        ("cover.blind", "stop", {}, "set", "STOP"),
    ]
    for device, name, params, topic, payload in cases:
        sent = await told(wire, registry, name, params, device)
        assert sent == [(f"zigbee2mqtt/Lamp/{topic}", payload)]


async def test_tasmota_dimmer_in_short_keys() -> None:
    wire, registry = discovering()
    wire.say(
        "homeassistant/light/06C777_LI_1/config",
        '{"name":"Sonoff Dimmer","cmd_t":"~cmnd/POWER","stat_t":"~tele/STATE",'
        '"val_tpl":"{{value_json.POWER}}","pl_off":"OFF","pl_on":"ON",'
        '"avty_t":"~tele/LWT","pl_avail":"Online","pl_not_avail":"Offline",'
        '"uniq_id":"06C777_LI_1","device":{"identifiers":["06C777"]},"~":"sonoff_06C777/",'
        '"bri_cmd_t":"~cmnd/Dimmer","bri_stat_t":"~tele/STATE","bri_scl":100,'
        '"on_cmd_type":"brightness","bri_val_tpl":"{{value_json.Dimmer}}",'
        '"rgb_cmd_t":"~cmnd/Color2","rgb_stat_t":"~tele/STATE",'
        "\"rgb_val_tpl\":\"{{value_json.Color.split(',')[0:3]|join(',')}}\","
        '"clr_temp_cmd_t":"~cmnd/CT","clr_temp_stat_t":"~tele/STATE",'
        '"clr_temp_val_tpl":"{{value_json.CT}}"}',
    )
    wire.say("sonoff_06C777/tele/LWT", "Online")
    lamp = only(registry)
    assert (lamp.id, lamp.name, lamp.available) == ("light.sonoff_dimmer", "Sonoff Dimmer", True)
    wire.say("sonoff_06C777/tele/STATE", {"POWER": "ON", "Dimmer": 40, "Color": "255,0,0,0,0"})
    assert only(registry).state == {"on": True, "brightness": 40, "color": "red"}
    assert await told(wire, registry, "set_brightness", {"brightness": 70}) == [
        ("sonoff_06C777/cmnd/Dimmer", "70")
    ]
    assert await told(wire, registry, "turn_on") == [("sonoff_06C777/cmnd/Dimmer", "40")]
    assert await told(wire, registry, "turn_off") == [("sonoff_06C777/cmnd/POWER", "OFF")]
    assert await told(wire, registry, "set_color", {"color": "green"}) == [
        ("sonoff_06C777/cmnd/Color2", "0,255,0"),
        ("sonoff_06C777/cmnd/POWER", "ON"),
    ]
    wire.say("sonoff_06C777/tele/LWT", "Offline")
    assert not only(registry).available


async def test_esphome_devices() -> None:
    wire, registry = discovering()
    device = {
        "ids": "84f3eb5c1234",
        "name": "Office",
        "sw": "esphome v2024.12.2",
        "mdl": "d1_mini",
        "mf": "Espressif",
        "sa": "Office",
    }
    wire.say(
        "homeassistant/light/office/desk_lamp/config",
        {
            "schema": "json",
            "color_mode": True,
            "supported_color_modes": ["rgb"],
            "brightness": True,
            "name": "Desk lamp",
            "stat_t": "office/light/desk_lamp/state",
            "cmd_t": "office/light/desk_lamp/command",
            "avty_t": "office/status",
            "uniq_id": "ESPlightdesk_lamp",
            "dev": device,
        },
    )
    wire.say(
        "homeassistant/cover/office/garage_door/config",
        {
            "dev_cla": "garage",
            "name": "Garage door",
            "stat_t": "office/cover/garage_door/state",
            "cmd_t": "office/cover/garage_door/command",
            "pos_t": "office/cover/garage_door/position/state",
            "set_pos_t": "office/cover/garage_door/position/command",
            "avty_t": "office/status",
            "uniq_id": "ESPcovergarage_door",
            "dev": device,
        },
    )
    wire.say(
        "homeassistant/number/office/delay/config",
        {
            "name": "Delay",
            "min": 0,
            "max": 60,
            "step": 5,
            "unit_of_meas": "s",
            "mode": "auto",
            "stat_t": "office/number/delay/state",
            "cmd_t": "office/number/delay/command",
            "ent_cat": "config",
            "avty_t": "office/status",
            "dev": device,
        },
    )
    wire.say(
        "homeassistant/button/office/restart/config",
        {
            "name": "Restart",
            "cmd_t": "office/button/restart/command",
            "pl_prs": "PRESS",
            "dev": device,
        },
    )
    wire.say("office/status", "online")
    wire.say(
        "office/light/desk_lamp/state",
        '{"color_mode":"rgb","state":"ON","brightness":255,"color":{"r":0,"g":0,"b":128}}',
    )
    wire.say("office/cover/garage_door/state", "open")
    wire.say("office/cover/garage_door/position/state", "60")
    wire.say("office/number/delay/state", "15")
    devices = registry.home().devices
    assert {d.id: d.name for d in devices.values()} == {
        "light.office_desk_lamp": "Office Desk lamp",
        "cover.office_garage_door": "Office Garage door",
        "number.office_delay": "Office Delay",
        "button.office_restart": "Office Restart",
    }
    assert devices["light.office_desk_lamp"].state == {
        "on": True,
        "brightness": 100,
        "color": "blue",
    }
    assert devices["cover.office_garage_door"].state == {"position": 60, "moving": "stopped"}
    assert devices["cover.office_garage_door"].device_class == "garage"
    assert devices["number.office_delay"].state == {"value": 15, "unit": "s"}
    assert not devices["number.office_delay"].exposed
    assert not devices["button.office_restart"].reports_state
    sent = await told(wire, registry, "set_color", {"color": "red"}, "light.office_desk_lamp")
    assert sent == [
        ("office/light/desk_lamp/command", '{"state":"ON","color":{"r":255,"g":0,"b":0}}')
    ]
    assert await told(wire, registry, "press", {}, "button.office_restart") == [
        ("office/button/restart/command", "PRESS")
    ]


async def test_shelly_roller_and_plug_in_full_keys() -> None:
    wire, registry = discovering()
    wire.say(
        "homeassistant/cover/shellyswitch25-B8A4E2/roller/config",
        {
            "name": "Bedroom shutter",
            "command_topic": "shellies/shellyswitch25-B8A4E2/roller/0/command",
            "payload_open": "open",
            "payload_close": "close",
            "payload_stop": "stop",
            "position_topic": "shellies/shellyswitch25-B8A4E2/roller/0/pos",
            "set_position_topic": "shellies/shellyswitch25-B8A4E2/roller/0/command/pos",
            "optimistic": False,
            "retain": False,
            "qos": 1,
            "availability_topic": "shellies/shellyswitch25-B8A4E2/online",
            "payload_available": "true",
            "payload_not_available": "false",
        },
    )
    wire.say(
        "homeassistant/switch/shellyplug-s-6A6375/config",
        {
            "name": "Coffee machine",
            "command_topic": "shellies/shellyplug-s-6A6375/relay/0/command",
            "state_topic": "shellies/shellyplug-s-6A6375/relay/0",
            "payload_on": "on",
            "payload_off": "off",
            "device_class": "outlet",
            "qos": 2,
            "retain": True,
        },
    )
    wire.say("shellies/shellyswitch25-B8A4E2/online", "true")
    wire.say("shellies/shellyswitch25-B8A4E2/roller/0/pos", "100")
    wire.say("shellies/shellyplug-s-6A6375/relay/0", "off")
    devices = registry.home().devices
    assert devices["cover.bedroom_shutter"].state == {"position": 100}
    assert devices["switch.coffee_machine"].state == {"on": False}
    assert devices["switch.coffee_machine"].device_class == "outlet"
    sent = await told(wire, registry, "close", {}, "cover.bedroom_shutter")
    assert sent == [("shellies/shellyswitch25-B8A4E2/roller/0/command", "close")]
    assert wire.published[0][2:] == (1, False, 5)
    await told(wire, registry, "turn_on", {}, "switch.coffee_machine")
    assert wire.published[0][2:] == (2, True, 5)


async def test_one_message_for_a_whole_device() -> None:
    wire, registry = discovering()
    message: dict[str, Any] = {
        "dev": {"ids": "ea334450945afc", "name": "Kitchen", "sa": "Kitchen", "mf": "Bla"},
        "o": {"name": "bla2mqtt", "sw": "2.1", "url": "https://bla2mqtt.example.com/support"},
        "~": "bla/kitchen",
        "avty": [{"t": "~/status"}],
        "stat_t": "~/state",
        "qos": 2,
        "cmps": {
            "temp": {
                "p": "sensor",
                "dev_cla": "temperature",
                "unit_of_meas": "°C",
                "val_tpl": "{{ value_json.temperature }}",
                "uniq_id": "temp01ae_t",
            },
            "relay": {
                "p": "switch",
                "name": "Hob",
                "cmd_t": "~/relay/set",
                "uniq_id": "relay01",
                "val_tpl": "{{ value_json.relay }}",
                "stat_on": "1",
                "stat_off": "0",
                "qos": 0,
            },
        },
    }
    topic = "homeassistant/device/ea334450945afc/config"
    wire.say(topic, message)
    wire.say("bla/kitchen/status", "online")
    wire.say("bla/kitchen/state", {"temperature": 21.37, "relay": 0})
    devices = registry.home().devices
    assert set(devices) == {"sensor.kitchen_temperature", "switch.kitchen_hob"}
    assert devices["sensor.kitchen_temperature"].state == {"value": 21.37, "unit": "°C"}
    assert devices["switch.kitchen_hob"].state == {"on": False}
    assert {d.area for d in devices.values()} == {"kitchen"}
    await told(wire, registry, "turn_on", {}, "switch.kitchen_hob")
    assert wire.published[0][:3] == ("bla/kitchen/relay/set", "ON", 0)
    # A part with nothing but its platform is removed, so is one that is missing.
    message["cmps"]["temp"] = {"p": "sensor"}
    wire.say(topic, message)
    assert set(registry.home().devices) == {"switch.kitchen_hob"}
    message["cmps"] = {"temp": {"p": "sensor", "uniq_id": "t", "name": "Temperature"}}
    wire.say(topic, message)
    assert set(registry.home().devices) == {"sensor.kitchen_temperature"}
    wire.say(topic, "")
    assert not registry.home().devices
    assert wire.topics == {"homeassistant/+/+/config", "homeassistant/+/+/+/config"}


async def test_valetudo_vacuum() -> None:
    wire, registry = discovering()
    wire.say(
        "homeassistant/vacuum/robot/robot_vacuum/config",
        {
            "name": "Vacuum",
            "unique_id": "robot_vacuum",
            "supported_features": ["start", "stop", "pause", "return_home", "status", "locate"],
            "command_topic": "valetudo/robot/BasicControlCapability/operation/set",
            "state_topic": "valetudo/robot/hass/robot_state",
            "payload_start": "START",
            "payload_pause": "PAUSE",
            "payload_stop": "STOP",
            "payload_return_to_base": "HOME",
            "clean_segments_command_topic": "valetudo/robot/clean",
        },
    )
    wire.say(
        "valetudo/robot/hass/robot_state",
        {"state": "docked", "fan_speed": "low", "segments": {"16": "Kitchen", "17": "Hall"}},
    )
    robot = only(registry)
    assert robot.state["vacuum"] == "docked"
    assert robot.capabilities == {"start", "stop", "pause", "return", "clean_area"}
    topic = "valetudo/robot/BasicControlCapability/operation/set"
    assert await told(wire, registry, "vacuum_start") == [(topic, "START")]
    assert await told(wire, registry, "vacuum_return") == [(topic, "HOME")]
    assert await told(wire, registry, "vacuum_clean_area", {"area": "kitchen"}) == [
        ("valetudo/robot/clean", '["16"]')
    ]


@pytest.mark.parametrize(
    ("config", "states", "expected"),
    [
        # counted the other way round
        (
            {
                "position_open": 0,
                "position_closed": 255,
                "position_topic": "p",
                "set_position_topic": "s",
            },
            {"p": "51"},
            {"position": 80},
        ),
        ({"state_topic": "t"}, {"t": "closed"}, {"position": 0, "moving": "stopped"}),
        ({"state_topic": "t"}, {"t": "opening"}, {"moving": "opening"}),
        (
            {"state_topic": "t", "position_topic": "p"},
            {"t": "open", "p": "12"},
            {"position": 12, "moving": "stopped"},
        ),
        ({"position_topic": "p"}, {"p": '{"position": 33, "tilt_position": 3}'}, {"position": 33}),
        ({"state_topic": "t"}, {"t": "nonsense"}, {}),
        ({"position_topic": "p"}, {"p": "nan"}, {}),
    ],
)
def test_covers_in_all_their_ways(config: Any, states: Any, expected: Any) -> None:
    wire, registry = discovering()
    wire.say("homeassistant/cover/x/config", {"name": "X", "command_topic": "c", **config})
    for topic, payload in states.items():
        wire.say(topic, payload)
    assert only(registry).state == expected


@pytest.mark.parametrize(
    ("config", "payload", "expected"),
    [
        ({}, "open", {"position": 100, "moving": "stopped"}),
        ({"reports_position": True}, "40", {"position": 40}),
        (
            {"reports_position": True},
            '{"state":"opening","position":10}',
            {"position": 10, "moving": "opening"},
        ),
        (
            {"reports_position": True, "position_closed": 100, "position_open": 0},
            "40",
            {"position": 60},
        ),
    ],
)
def test_valves(config: Any, payload: Any, expected: Any) -> None:
    wire, registry = discovering()
    base = {"name": "X", "command_topic": "c", "state_topic": "t"}
    wire.say("homeassistant/valve/x/config", {**base, **config})
    wire.say("t", payload)
    assert only(registry).state == expected


async def test_a_valve_that_counts_is_told_numbers() -> None:
    wire, registry = discovering()
    wire.say(
        "homeassistant/valve/x/config",
        {"name": "X", "command_topic": "c", "state_topic": "t", "reports_position": True},
    )
    assert await told(wire, registry, "open") == [("c", "100")]
    assert await told(wire, registry, "set_position", {"position": 5}) == [("c", "5")]


async def test_a_thermostat_of_the_other_unit() -> None:
    wire, registry = discovering(Home(temperature_unit="°F"))
    wire.say(
        "homeassistant/climate/x/config",
        {
            "name": "Heating",
            "temperature_unit": "C",
            "min_temp": 5,
            "max_temp": 30,
            "temperature_command_topic": "c",
            "temperature_state_topic": "t",
            "mode_command_topic": "m",
            "mode_state_topic": "ms",
        },
    )
    wire.say("t", "20")
    heating = only(registry)
    assert (heating.state, heating.minimum, heating.maximum) == ({"target_temperature": 68}, 41, 86)
    assert await told(wire, registry, "set_temperature", {"temperature": 70}) == [("c", "21.111")]
    assert await told(wire, registry, "turn_on") == [("m", "auto")]


async def test_a_lock_with_a_code_is_only_locked() -> None:
    wire, registry = discovering()
    wire.say(
        "homeassistant/lock/x/config",
        {"name": "X", "command_topic": "c", "state_topic": "t", "code_format": "^\\d{4}$"},
    )
    for payload, state in [
        ("LOCKING", {"moving": "locking"}),
        ("LOCKED", {"locked": True}),
        ("JAMMED", {"moving": "jammed"}),
        ("UNLOCKED", {"locked": False}),
    ]:
        wire.say("t", payload)
        assert only(registry).state == state
    assert await told(wire, registry, "lock") == [("c", "LOCK")]
    (refused,) = await Executor(registry).execute([Action("unlock", ("lock.x",))])
    assert (refused.result, refused.reason) == (Result.REFUSED, "unsupported")


async def test_select_scene_and_optimistic_switch() -> None:
    wire, registry = discovering()
    wire.say(
        "homeassistant/select/x/config",
        {
            "name": "Programme",
            "command_topic": "c",
            "state_topic": "t",
            "options": ["Wool", "<b>Eco</b>"],
        },
    )
    wire.say(
        "homeassistant/scene/x/config", {"name": "Film", "command_topic": "s", "payload_on": "go"}
    )
    wire.say("homeassistant/switch/x/config", {"name": "Pump", "command_topic": "p"})
    wire.say("t", "<b>Eco</b>")
    devices = registry.home().devices
    assert devices["select.programme"].options == ("Wool", "b Eco /b")
    assert devices["select.programme"].state == {"option": "b Eco /b"}
    sent = await told(wire, registry, "select_option", {"option": "b eco /b"}, "select.programme")
    assert sent == [("c", "<b>Eco</b>")]
    assert await told(wire, registry, "activate_scene", {}, "scene.film") == [("s", "go")]
    (outcome,) = await Executor(registry).execute([Action("turn_on", ("switch.pump",))])
    assert outcome.result is Result.SENT


async def test_a_command_nobody_hears_was_not_sent() -> None:
    wire, registry = discovering()
    wire.say("homeassistant/switch/x/config", {"name": "Pump", "command_topic": "p", "qos": 1})
    wire.listened = False
    (outcome,) = await Executor(registry).execute([Action("turn_on", ("switch.pump",))])
    assert (outcome.result, outcome.reason) == (Result.FAILED, "not_sent")


async def test_a_colour_lamp_of_the_default_schema_in_every_form_of_colour() -> None:
    for form, payload, command in [
        ("rgb", "255,0,0", "0,0,255"),
        ("hs", "0,100", "240,100"),
        ("xy", "0.7006,0.2993", "0.15,0.06"),
        ("rgbw", "255,0,0,9", "0,0,255,0"),
        ("rgbww", "128,0,0,1,2", "0,0,255,0,0"),
    ]:
        wire, registry = discovering()
        wire.say(
            "homeassistant/light/x/config",
            {
                "name": "X",
                "command_topic": "c",
                "state_topic": "t",
                "on_command_type": "first",
                f"{form}_command_topic": "k",
                f"{form}_state_topic": "ks",
            },
        )
        wire.say("ks", payload)
        assert only(registry).state == {"color": "red"}
        assert await told(wire, registry, "set_color", {"color": "blue"}) == [
            ("c", "ON"),
            ("k", command),
        ]


async def test_what_turns_off_or_grows_old_by_itself() -> None:
    wire, registry = discovering()
    wire.say(
        "homeassistant/binary_sensor/x/config",
        {"name": "Motion", "state_topic": "m", "off_delay": 0.05, "device_class": "motion"},
    )
    wire.say(
        "homeassistant/sensor/x/config", {"name": "Old", "state_topic": "o", "expire_after": 0.05}
    )
    wire.say("m", "ON")
    wire.say("o", "3")
    devices = registry.home().devices
    assert devices["binary_sensor.motion"].state == {"on": True}
    assert devices["sensor.old"].available
    assert await registry.wait_for(
        "binary_sensor.motion", lambda device: device.state["on"] is False, 5
    )
    assert await registry.wait_for("sensor.old", lambda device: not device.available, 5)
    wire.say("o", "4")
    assert registry.home().devices["sensor.old"].available


@pytest.mark.parametrize(
    ("mode", "said", "available"),
    [
        (None, {}, False),
        (None, {"a": "online"}, True),
        (None, {"a": "online", "b": "offline"}, False),
        ("latest", {"a": "offline", "b": "online"}, True),
        ("all", {"a": "online"}, False),
        ("all", {"a": "online", "b": "online"}, True),
        ("any", {"a": "online", "b": "offline"}, True),
        ("any", {"a": "offline", "b": "offline"}, False),
        ("any", {"a": "whatever"}, False),
    ],
)
def test_availability_by_its_three_modes(mode: Any, said: Any, available: Any) -> None:
    wire, registry = discovering()
    config = {"name": "X", "cmd_t": "c", "avty": [{"t": "a"}, {"topic": "b"}], "avty_mode": mode}
    wire.say("homeassistant/switch/x/config", config)
    for topic, payload in said.items():
        wire.say(topic, payload)
    assert only(registry).available is available


@pytest.mark.parametrize(
    ("topic", "config", "device_id", "name"),
    [
        (
            "light/a",
            {"name": "Lamp", "device": {"name": "Kitchen"}},
            "light.kitchen_lamp",
            "Kitchen Lamp",
        ),
        ("light/a", {"name": None, "device": {"name": "Kitchen"}}, "light.kitchen", "Kitchen"),
        ("light/a", {"device": {"name": "Kitchen"}}, "light.kitchen", "Kitchen"),
        (
            "light/a",
            {"name": "Kitchen lamp", "device": {"name": "Kitchen"}},
            "light.kitchen_lamp",
            "Kitchen lamp",
        ),
        ("light/a", {"name": "Lamp"}, "light.lamp", "Lamp"),
        ("light/big_lamp", {}, "light.big_lamp", "big lamp"),
        ("light/a", {"name": "Lamp", "object_id": "x1"}, "light.x1", "Lamp"),
        ("light/a", {"name": "Lamp", "def_ent_id": "light.x2", "obj_id": "x1"}, "light.x2", "Lamp"),
        ("light/a", {"name": "Lampe für Omi"}, "light.lampe_fur_omi", "Lampe für Omi"),
    ],
)
def test_names_and_ids(topic: Any, config: Any, device_id: Any, name: Any) -> None:
    wire, registry = discovering()
    wire.say(f"homeassistant/{topic}/config", {"command_topic": "c", **config})
    assert (only(registry).id, only(registry).name) == (device_id, name)


def test_updates_keep_what_was_reported_and_hand_overs_change_nothing() -> None:
    wire, registry = discovering()
    topic = "homeassistant/switch/x/config"
    wire.say(topic, {"name": "X", "obj_id": "x", "cmd_t": "c", "stat_t": "s", "avty_t": "a"})
    wire.say("a", "online", retain=False)
    wire.say("s", "ON", retain=False)
    wire.say(topic, {"migrate_discovery": True})
    wire.say(topic, {"name": "Y", "obj_id": "x", "cmd_t": "c2", "stat_t": "s", "avty_t": "a"})
    plug = only(registry)
    assert (plug.name, plug.state, plug.available) == ("Y", {"on": True}, True)
    wire.say(topic, {"name": "Y", "obj_id": "z", "cmd_t": "c2", "stat_t": "s2"})
    assert (only(registry).id, only(registry).state) == ("switch.z", {})
    assert "s" not in wire.topics
    wire.say(topic, "")
    wire.say(topic, "")
    assert not registry.home().devices
