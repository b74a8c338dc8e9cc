"""Undoing: from how a device is back to how it was, by the vocabulary's own actions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from assistant.home.action import Action, ParamValue
from assistant.home.executor import Executor
from assistant.home.file import load_home
from assistant.home.memory import in_memory
from assistant.home.restore import restoring

VILLA = load_home(Path(__file__).parents[1] / "homes" / "villa.json")


@pytest.mark.parametrize(
    ("device", "state", "name", "params"),
    [
        ("light.sofa", {}, "turn_off", {}),
        ("light.sofa", {}, "set_brightness", {"brightness": 5}),
        ("light.sofa", {}, "set_color", {"color": "red"}),
        (
            "light.sofa",
            {"color": "red", "color_temp": None},
            "set_color_temp",
            {"color_temp": 2700},
        ),
        ("light.leo", {}, "set_brightness", {"brightness": 90}),
        ("switch.coffee", {}, "turn_on", {}),
        ("fan.bedroom", {}, "set_fan_speed", {"percentage": 100}),
        ("fan.bedroom", {}, "turn_off", {}),
        ("climate.lounge", {}, "set_temperature", {"temperature": 25}),
        ("climate.lounge", {}, "turn_off", {}),
        ("cover.lounge_blinds", {"position": 40}, "close", {}),
        ("cover.garage", {}, "open", {}),
        ("lock.front", {}, "unlock", {}),
        ("media_player.tv", {}, "set_volume", {"volume": 80}),
        ("media_player.tv", {}, "media_pause", {}),
        ("media_player.tv", {}, "mute", {}),
        ("vacuum.dusty", {}, "vacuum_start", {}),
        ("todo.shopping", {}, "list_add", {"item": "butter"}),
    ],
)
async def test_what_was_done_is_undone(
    device: str, state: dict[str, Any], name: str, params: dict[str, ParamValue]
) -> None:
    old = VILLA.devices[device]
    before = replace(old, state=MappingProxyType({**old.state, **state}))
    registry = in_memory(replace(VILLA, devices={**VILLA.devices, device: before}))
    executor = Executor(registry, timeout=0.2)
    action = Action(name, (device,), params)
    await executor.execute([action])
    done = registry.home().devices[device]
    assert done.state != before.state
    back = restoring(before, done, [action])
    assert back
    await executor.execute(back)
    restored = registry.home().devices[device].state
    seen = {"on", "color", "color_temp", "position", "locked", "volume", "media", "muted", "vacuum"}
    seen |= {"items", "mode", "target_temperature", "percentage"}
    if restored.get("on"):
        seen.add("brightness")  # that of a light that is off shows nowhere
    for key in seen & set(before.state):
        assert _listed(restored.get(key)) == _listed(before.state[key]), key


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("device", "name", "params"),
    [
        ("scene.movie", "activate_scene", {}),
        ("media_player.tv", "media_next", {}),
        ("media_player.tv", "play_media", {"query": "jazz"}),
        ("cover.lounge_blinds", "stop", {}),
    ],
)
def test_what_nothing_undoes_is_known(
    device: str, name: str, params: dict[str, ParamValue]
) -> None:
    before = VILLA.devices[device]
    assert restoring(before, before, [Action(name, (device,), params)]) is None


def test_how_it_was_must_be_known() -> None:
    blind = replace(VILLA.devices["cover.lounge_blinds"], state=MappingProxyType({}))
    assert restoring(blind, blind, [Action("close", (blind.id,))]) is None


def test_what_is_as_it_was_needs_nothing() -> None:
    lamp = VILLA.devices["light.sofa"]
    assert restoring(lamp, lamp, [Action("turn_on", (lamp.id,))]) == ()
