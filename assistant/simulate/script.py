"""What is said to the virtual home in the demo and in tests, and what must come of it.

The sentences avoid words that recognisers take for others when a synthetic voice says them ("dim"
becomes "then", "add" becomes "and").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from assistant.home.model import State
from assistant.simulate.expectation import Between, Expected


@dataclass(frozen=True, slots=True)
class ScriptedTurn:
    """One sentence to say, and the home that must result.

    `before` is how the home must be arranged first, so that something is left to do. Devices not
    in `expected` must stay as they are. `reply`: one of these words must be in the answer.
    """

    text: str
    expected: Expected = field(default_factory=dict)
    before: Mapping[str, State] = field(default_factory=dict)
    satellite_area: str | None = "living_room"
    reply: tuple[str, ...] = ()
    language: str = "en"


DEMO: Final = (
    ScriptedTurn(
        "turn on the lights",
        {"light.living_room_light": {"on": True}, "light.floor_lamp": {"on": True}},
    ),
    ScriptedTurn(
        "set the bedroom light to 40 percent",
        {"light.bedroom_light": {"on": True, "brightness": Between(39, 41)}},
    ),
    ScriptedTurn("close the living room blinds", {"cover.living_room_blinds": {"position": 0}}),
    ScriptedTurn(
        "set the thermostat to 22 degrees", {"climate.thermostat": {"target_temperature": 22}}
    ),
    ScriptedTurn("please lock the front door", {"lock.front_door": {"locked": True}}),
    ScriptedTurn(
        "is the garage door closed",
        reply=("yes", "closed"),
    ),
    ScriptedTurn("start the robot vacuum", {"vacuum.robot_vacuum": {"vacuum": "cleaning"}}),
    ScriptedTurn(
        "set the ceiling fan to 70 percent", {"fan.ceiling_fan": {"on": True, "percentage": 70}}
    ),
    ScriptedTurn("make the floor lamp red", {"light.floor_lamp": {"on": True, "color": "red"}}),
    ScriptedTurn("what is the capital of France", reply=("paris",)),
    ScriptedTurn("drive the car to the moon", reply=("understand", "sorry")),
    ScriptedTurn("open the bedroom blinds", {"cover.bedroom_blinds": {"position": 100}}),
)
"""The demo: said one after the other to one home. The question about France no template knows: the
language model answers it; what nobody can do, nobody does.
"""

_UPSTAIRS: Final = ("light.bedroom_light", "light.bedside_lamp", "light.bathroom_light")

THIRTY: Final = (
    ScriptedTurn("turn on the kitchen light", {"light.kitchen_light": {"on": True}}),
    ScriptedTurn(
        "turn off the kitchen light",
        {"light.kitchen_light": {"on": False}},
        before={"light.kitchen_light": {"on": True}},
    ),
    ScriptedTurn("turn on the light in the hall", {"light.hall_light": {"on": True}}),
    ScriptedTurn(
        "turn off the bathroom light",
        {"light.bathroom_light": {"on": False}},
        before={"light.bathroom_light": {"on": True}},
    ),
    ScriptedTurn("turn on the living room light", {"light.living_room_light": {"on": True}}),
    ScriptedTurn(
        "set the living room light to 50 percent",
        {"light.living_room_light": {"on": True, "brightness": Between(49, 51)}},
    ),
    ScriptedTurn(
        "set the bedroom light to 20 percent",
        {"light.bedroom_light": {"on": True, "brightness": Between(19, 21)}},
    ),
    ScriptedTurn(
        "set the bedside lamp to 75 percent",
        {"light.bedside_lamp": {"on": True, "brightness": Between(74, 76)}},
    ),
    ScriptedTurn(
        "turn off the bedside lamp",
        {"light.bedside_lamp": {"on": False}},
        before={"light.bedside_lamp": {"on": True}},
    ),
    ScriptedTurn("turn on the floor lamp", {"light.floor_lamp": {"on": True}}),
    ScriptedTurn("make the floor lamp blue", {"light.floor_lamp": {"on": True, "color": "blue"}}),
    ScriptedTurn(
        "set the floor lamp to green", {"light.floor_lamp": {"on": True, "color": "green"}}
    ),
    ScriptedTurn("turn on the lights in the bathroom", {"light.bathroom_light": {"on": True}}),
    ScriptedTurn(
        "turn off the lights upstairs",
        {light: {"on": False} for light in _UPSTAIRS},
        before={light: {"on": True} for light in _UPSTAIRS},
    ),
    ScriptedTurn("open the bedroom blinds", {"cover.bedroom_blinds": {"position": 100}}),
    ScriptedTurn("close the blinds", {"cover.living_room_blinds": {"position": 0}}),
    ScriptedTurn(
        "set the bedroom blinds to 30 percent",
        {"cover.bedroom_blinds": {"position": Between(28, 32)}},
    ),
    ScriptedTurn("please lock the front door", {"lock.front_door": {"locked": True}}),
    ScriptedTurn(
        "set the thermostat to 23 degrees", {"climate.thermostat": {"target_temperature": 23}}
    ),
    ScriptedTurn(
        "set the temperature to 19 degrees", {"climate.thermostat": {"target_temperature": 19}}
    ),
    ScriptedTurn("turn on the ceiling fan", {"fan.ceiling_fan": {"on": True}}),
    ScriptedTurn(
        "set the ceiling fan to 80 percent", {"fan.ceiling_fan": {"on": True, "percentage": 80}}
    ),
    ScriptedTurn(
        "turn off the ceiling fan",
        {"fan.ceiling_fan": {"on": False}},
        before={"fan.ceiling_fan": {"on": True}},
    ),
    ScriptedTurn("turn on the TV", {"switch.tv": {"on": True}}),
    ScriptedTurn(
        "turn off the TV", {"switch.tv": {"on": False}}, before={"switch.tv": {"on": True}}
    ),
    ScriptedTurn("turn on the coffee maker", {"switch.coffee_maker": {"on": True}}),
    ScriptedTurn(
        "turn on the washing machine",
        {
            "switch.washing_machine": {"on": True},
            "sensor.washing_machine_status": {"value": "running"},
        },
    ),
    ScriptedTurn("start the robot vacuum", {"vacuum.robot_vacuum": {"vacuum": "cleaning"}}),
    ScriptedTurn(
        "pause the robot vacuum",
        {"vacuum.robot_vacuum": {"vacuum": "paused"}},
        before={"vacuum.robot_vacuum": {"vacuum": "cleaning"}},
    ),
    ScriptedTurn(
        "activate the movie night scene",
        {
            "light.living_room_light": {"on": True, "brightness": 20},
            "light.floor_lamp": {"on": False},
            "cover.living_room_blinds": {"position": 0},
            "switch.tv": {"on": True},
        },
        before={"light.floor_lamp": {"on": True}},
    ),
)
"""Thirty home commands for the loopback test and the benchmark; the home is reset before each."""
