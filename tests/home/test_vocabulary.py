from typing import Any

import pytest

from assistant.errors import HomeError
from assistant.home.action import Action
from assistant.home.model import Device, DeviceType, Risk
from assistant.home.vocabulary import (
    ACTIONS,
    QUERIES,
    VOCABULARY,
    ActionError,
    ActionSpec,
    Param,
    ParamKind,
)

T = DeviceType
DEVICES = {
    "lamp": Device(
        "light.lamp",
        "Lamp",
        T.LIGHT,
        capabilities=frozenset({"on_off", "brightness", "color", "color_temp"}),
        state={"on": True, "brightness": 40, "color_temp": 3000},
    ),
    "dark": Device(
        "light.dark",
        "Dark lamp",
        T.LIGHT,
        capabilities=frozenset({"on_off", "brightness"}),
        state={"on": False, "brightness": 80},
    ),
    "bulb": Device("light.bulb", "Bulb", T.LIGHT, capabilities=frozenset({"on_off"})),
    "blind": Device(
        "cover.blind",
        "Blind",
        T.COVER,
        device_class="blind",
        capabilities=frozenset({"open_close", "position"}),
        state={"position": 30},
    ),
    "garage": Device(
        "cover.garage",
        "Garage",
        T.COVER,
        device_class="garage",
        capabilities=frozenset({"open_close", "position"}),
        state={"position": 0},
    ),
    "valve": Device("valve.main", "Main", T.VALVE, capabilities=frozenset({"open_close"})),
    "lock": Device("lock.door", "Door", T.LOCK, capabilities=frozenset({"lock"})),
    "fan": Device(
        "fan.fan",
        "Fan",
        T.FAN,
        capabilities=frozenset({"on_off", "speed"}),
        state={"on": True, "percentage": 25},
        step=25,
    ),
    "heating": Device(
        "climate.heating",
        "Heating",
        T.CLIMATE,
        capabilities=frozenset({"temperature", "on_off", "mode"}),
        state={"on": True, "target_temperature": 21.0},
        minimum=7,
        maximum=30,
        step=0.5,
        options=("off", "heat", "Eco"),
    ),
    "cold": Device("climate.cold", "Cold", T.CLIMATE, capabilities=frozenset({"temperature"})),
    "speaker": Device(
        "media_player.speaker",
        "Speaker",
        T.MEDIA_PLAYER,
        capabilities=frozenset({"on_off", "playback", "volume"}),
        state={"volume": 95},
    ),
    "oven": Device("switch.x", "Kitchen Oven", T.SWITCH, capabilities=frozenset({"on_off"})),
    "plug": Device("switch.tv", "TV plug", T.SWITCH, capabilities=frozenset({"on_off"})),
    "opener": Device("button.gate", "Gate", T.BUTTON),
    "number": Device("number.n", "N", T.NUMBER, minimum=0, maximum=10, step=2),
    "select": Device("select.s", "S", T.SELECT, options=("Quick wash", "Wool")),
}


@pytest.mark.parametrize(
    ("device", "action", "params", "name", "resolved"),
    [
        ("lamp", "adjust_brightness", {"direction": "up"}, "set_brightness", {"brightness": 60}),
        ("lamp", "adjust_brightness", {"delta": -15}, "set_brightness", {"brightness": 25}),
        (
            "lamp",
            "adjust_brightness",
            {"direction": "down", "delta": 90},
            "set_brightness",
            {"brightness": 1},
        ),
        ("dark", "adjust_brightness", {"direction": "up"}, "set_brightness", {"brightness": 20}),
        ("lamp", "adjust_brightness", {"factor": 0.5}, "set_brightness", {"brightness": 20}),
        ("lamp", "adjust_brightness", {"factor": 3}, "set_brightness", {"brightness": 100}),
        (
            "lamp",
            "adjust_color_temp",
            {"direction": "warmer"},
            "set_color_temp",
            {"color_temp": 2300},
        ),
        ("lamp", "toggle", {}, "turn_off", {}),
        ("dark", "toggle", {}, "turn_on", {}),
        ("blind", "toggle", {}, "close", {}),
        ("garage", "toggle", {}, "open", {}),
        ("blind", "adjust_position", {"direction": "up"}, "set_position", {"position": 50}),
        ("fan", "adjust_fan_speed", {"direction": "up"}, "set_fan_speed", {"percentage": 50}),
        ("fan", "set_fan_speed", {"percentage": 40}, "set_fan_speed", {"percentage": 50}),
        (
            "heating",
            "adjust_temperature",
            {"direction": "up"},
            "set_temperature",
            {"temperature": 22},
        ),
        ("heating", "adjust_temperature", {"delta": 50}, "set_temperature", {"temperature": 30}),
        (
            "heating",
            "set_temperature",
            {"temperature": 20.3},
            "set_temperature",
            {"temperature": 20.5},
        ),
        ("heating", "set_mode", {"mode": "eco"}, "set_mode", {"mode": "Eco"}),
        ("speaker", "adjust_volume", {"direction": "up"}, "set_volume", {"volume": 100}),
        (
            "select",
            "select_option",
            {"option": "quick WASH"},
            "select_option",
            {"option": "Quick wash"},
        ),
        ("number", "set_value", {"value": 4.8}, "set_value", {"value": 4}),
    ],
)
def test_what_is_relative_or_loose_becomes_absolute(
    device: Any, action: Any, params: Any, name: Any, resolved: Any
) -> None:
    target = DEVICES[device]
    found = VOCABULARY.resolve(target, Action(action, (), params))
    assert (found.name, dict(found.params)) == (name, resolved)
    assert found.devices == (target.id,)
    VOCABULARY.check(target, found)


@pytest.mark.parametrize(
    ("device", "action", "params", "reason"),
    [
        ("bulb", "set_brightness", {"brightness": 5}, "unsupported"),
        ("bulb", "toggle", {}, "unknown_state"),
        ("lock", "open", {}, "unsupported"),
        ("lamp", "fly", {}, "unsupported"),
        ("lamp", "set_brightness", {"brightness": 140}, "out_of_range"),
        ("lamp", "set_brightness", {"brightness": "much"}, "unsupported"),
        ("lamp", "set_brightness", {"brightness": float("nan")}, "unsupported"),
        ("lamp", "set_brightness", {}, "unsupported"),
        ("lamp", "turn_on", {"brightness": 3}, "unsupported"),
        ("lamp", "set_color", {"color": "loud"}, "unsupported"),
        ("lamp", "adjust_brightness", {}, "unsupported"),
        ("lamp", "adjust_brightness", {"direction": "sideways"}, "unsupported"),
        ("lamp", "adjust_brightness", {"factor": "twice"}, "unsupported"),
        ("heating", "set_temperature", {"temperature": 31}, "out_of_range"),
        ("heating", "set_mode", {"mode": "party"}, "unsupported"),
        ("cold", "adjust_temperature", {"direction": "up"}, "unknown_state"),
        ("number", "set_value", {"value": 12}, "out_of_range"),
        ("select", "select_option", {"option": "Silk"}, "unsupported"),
        ("lamp", "start_timer", {"seconds": 5}, "unsupported"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(
    device: Any, action: Any, params: Any, reason: Any
) -> None:
    target = DEVICES[device]
    with pytest.raises(ActionError) as refused:
        VOCABULARY.check(target, VOCABULARY.resolve(target, Action(action, (), params)))
    assert refused.value.reason == reason
    assert isinstance(refused.value, HomeError)


@pytest.mark.parametrize(
    ("device", "action", "params", "risk"),
    [
        ("lock", "unlock", {}, Risk.RISKY),
        ("lock", "lock", {}, Risk.SAFE),
        ("garage", "open", {}, Risk.RISKY),
        ("garage", "close", {}, Risk.SAFE),
        ("garage", "toggle", {}, Risk.RISKY),
        ("garage", "set_position", {"position": 10}, Risk.RISKY),
        ("garage", "set_position", {"position": 0}, Risk.SAFE),
        ("garage", "adjust_position", {"direction": "up"}, Risk.RISKY),
        ("garage", "stop", {}, Risk.SAFE),
        ("blind", "open", {}, Risk.SAFE),
        ("blind", "toggle", {}, Risk.SAFE),
        ("valve", "open", {}, Risk.RISKY),
        ("valve", "toggle", {}, Risk.RISKY),
        ("valve", "close", {}, Risk.SAFE),
        ("oven", "turn_on", {}, Risk.RISKY),
        ("oven", "toggle", {}, Risk.RISKY),
        ("oven", "turn_off", {}, Risk.SAFE),
        ("plug", "turn_on", {}, Risk.SAFE),
        ("opener", "press", {}, Risk.RISKY),
        ("lamp", "turn_on", {}, Risk.SAFE),
    ],
)
def test_what_opens_or_starts_dangerous_things_is_risky(
    device: Any, action: Any, params: Any, risk: Any
) -> None:
    assert VOCABULARY.risk(DEVICES[device], Action(action, (), params)) is risk


@pytest.mark.parametrize("own", list(Risk))
def test_the_owners_risk_class_outranks_ours(own: Any) -> None:
    lock = Device("lock.x", "X", T.LOCK, capabilities=frozenset({"lock"}), risk=own)
    assert VOCABULARY.risk(lock, Action("unlock")) is own


def test_every_device_action_can_be_resolved_checked_and_has_a_describable_effect() -> None:
    samples: dict[str, Any] = {
        "brightness": 10,
        "color": "red",
        "color_temp": 3000,
        "position": 10,
        "temperature": 20,
        "mode": "heat",
        "percentage": 50,
        "query": "Queen",
        "volume": 10,
        "source": "radio",
        "area": "kitchen",
        "value": 4,
        "option": "Wool",
        "item": "milk",
        "direction": "up",
    }
    for spec in ACTIONS:
        for device_type in spec.types:
            device = Device(
                "x.x",
                "X",
                device_type,
                capabilities=spec.needs,
                state={"on": True, "position": 50, "target_temperature": 20, "items": ("milk",)},
            )
            params = {p.name: samples[p.name] for p in spec.params if p.name in samples}
            resolved = VOCABULARY.resolve(device, Action(spec.name, (), params))
            VOCABULARY.check(device, resolved)
            assert all(isinstance(key, str) for key in VOCABULARY.effect(device, resolved))


def test_a_skill_adds_actions_but_does_not_redefine_them() -> None:
    spec = ActionSpec("brew", "brew", params=(Param("cups", ParamKind.NUMBER, low=1, high=9),))
    mine = VOCABULARY.with_([spec])
    assert mine.spec("brew") is spec
    assert "brew" not in VOCABULARY.actions
    with pytest.raises(HomeError, match="unlock"):
        VOCABULARY.with_([ActionSpec("unlock", "harmless")])
    with pytest.raises(HomeError, match="get_time"):
        VOCABULARY.with_([ActionSpec("get_time", "harmless")])


def test_actions_and_queries_are_apart_and_named_once() -> None:
    names = [s.name for s in ACTIONS] + [q.name for q in QUERIES]
    assert len(names) == len(set(names))
