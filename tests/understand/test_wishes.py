"""Wishes and hints: what makes a command of them, and that remarks about other things make none."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from assistant.home.model import Device, DeviceType, Home
from assistant.plan import Plan, PlanKind, Utterance
from assistant.understand.template import TemplateUnderstanding

TABLES = sorted((Path(__file__).parent / "wishes").glob("*.yaml"))
LOUNGE = {"en": "lounge", "it": "salotto"}


def tables() -> dict[str, dict[str, list[Any]]]:
    return {t.stem: yaml.safe_load(t.read_text(encoding="utf-8")) for t in TABLES}


def wishes() -> list[Any]:
    return [
        pytest.param(language, row, id=f"{language}-{row['say']}-{row.get('at', 'anywhere')}")
        for language, table in tables().items()
        for group, rows in table.items()
        for row in rows
        if group != "quiet"
    ]


def remarks() -> list[tuple[str, str]]:
    return [(language, said) for language, table in tables().items() for said in table["quiet"]]


@pytest.mark.parametrize(("language", "row"), wishes())
def test_a_wish_makes_its_plan(
    language: str, row: dict[str, Any], understanding: TemplateUnderstanding, homes: dict[str, Home]
) -> None:
    plan = understanding.understand(Utterance(row["say"], language, row.get("at")), homes[language])

    if "do" not in row:
        assert plan.kind is PlanKind(row["kind"]), plan
        assert "says" not in row or (plan.speech and plan.speech.key == row["says"])
        return
    assert plan.kind is PlanKind.ACT, plan
    assert {a.name: set(a.devices) for a in plan.actions} == {
        name: set(devices) for name, devices in row["do"].items()
    }
    if "with" in row:
        assert row["with"].items() <= dict(plan.actions[0].params).items()


@pytest.mark.parametrize(("language", "said"), remarks())
def test_a_remark_about_something_else_does_nothing(
    language: str, said: str, understanding: TemplateUnderstanding, homes: dict[str, Home]
) -> None:
    plan = understanding.understand(Utterance(said, language, LOUNGE[language]), homes[language])

    assert plan.kind is not PlanKind.ACT
    assert plan.kind is not PlanKind.ASK, plan


def with_devices(home: Home, *devices: Device) -> Home:
    known = MappingProxyType({**home.devices, **{d.id: d for d in devices}})
    return dataclasses.replace(home, devices=known, revision=home.revision + 1000 + len(known))


def scene(name: str, kind: DeviceType = DeviceType.SCENE) -> Device:
    return Device(f"{kind}.{name.lower()}", name, kind, capabilities=frozenset({"activate", "run"}))


@pytest.mark.parametrize(
    ("called", "said"),
    [
        ("Bedtime", "good night"),
        ("Sleep Mode", "we're going to bed"),
        ("Night", "bedtime"),
        ("Good Morning", "I'm awake"),
        ("Wake Up", "good morning"),
        ("Welcome Home", "honey, I'm home"),
        ("Dinner", "dinner is ready"),
        ("Party Lights", "let's party"),
        ("Reading", "I want to read"),
        ("Chill", "time to relax"),
        ("Focus", "I need to concentrate"),
    ],
)
def test_an_occasion_starts_the_scene_that_is_called_after_it(
    called: str, said: str, understanding: TemplateUnderstanding, villa: Home
) -> None:
    home = with_devices(villa, scene(called))
    plan = understanding.understand(Utterance(said, "en"), home)

    assert plan.kind is PlanKind.ACT, plan
    assert [(a.name, a.devices) for a in plan.actions] == [
        ("activate_scene", (f"scene.{called.lower()}",))
    ]


def test_good_night_is_no_movie_night(understanding: TemplateUnderstanding, villa: Home) -> None:
    assert understanding.understand(Utterance("good night", "en"), villa).kind is PlanKind.CHAT


def test_of_two_scenes_for_an_occasion_it_is_asked_which(
    understanding: TemplateUnderstanding, villa: Home
) -> None:
    home = with_devices(villa, scene("Cinema"))
    plan = understanding.understand(Utterance("movie time", "en"), home)

    assert plan.kind is PlanKind.ASK
    assert set(plan.devices) == {"scene.movie", "scene.cinema"}


def test_scenes_of_one_name_are_told_apart_by_their_rooms(
    understanding: TemplateUnderstanding, villa: Home
) -> None:
    scenes = [
        dataclasses.replace(scene("Bedtime"), id=f"scene.{area.id}", area=area.id)
        for area in villa.areas[:2]
    ]
    plan = understanding.understand(Utterance("good night", "en"), with_devices(villa, *scenes))

    assert plan.kind is PlanKind.ASK
    assert plan.speech is not None
    assert list(plan.speech.values["choices"]) == [f"Bedtime ({a.name})" for a in villa.areas[:2]]


def air_conditioner(**state: Any) -> Device:
    capabilities = frozenset({"on_off", "temperature", "mode"})
    return Device(
        "climate.leo", "Cooler", DeviceType.CLIMATE, (), "leo", None, capabilities,
        MappingProxyType({"on": False, "mode": "off", "target_temperature": 24, **state}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "now", "does"),
    [
        ("I'm boiling", 27, "turn_on"),
        ("I'm boiling", 22, "adjust_temperature"),
        ("I'm freezing", 15, "turn_on"),
        ("I'm freezing", 27, "adjust_temperature"),
    ],
)
def test_what_is_off_is_turned_on_where_that_will_help(
    said: str, now: float, does: str, understanding: TemplateUnderstanding, villa: Home
) -> None:
    home = with_devices(villa, air_conditioner(current_temperature=now))
    assert names(understanding.understand(Utterance(said, "en", "leo"), home)) == [does]


def test_a_fan_cools_where_the_heating_has_nothing_to_do(
    understanding: TemplateUnderstanding, villa: Home
) -> None:
    summer = MappingProxyType({**villa.devices["climate.bedroom"].state, "current_temperature": 29})
    home = with_devices(villa, dataclasses.replace(villa.devices["climate.bedroom"], state=summer))
    plan = understanding.understand(Utterance("it's so hot in here", "en", "bedroom"), home)

    assert [(a.name, a.devices) for a in plan.actions] == [("turn_on", ("fan.bedroom",))]


def test_the_only_thermostat_serves_every_room_but_those_that_are_named(
    understanding: TemplateUnderstanding, villa: Home
) -> None:
    devices = {k: d for k, d in villa.devices.items() if k != "climate.bedroom"}
    home = dataclasses.replace(villa, devices=MappingProxyType(devices), revision=2000)

    said_there = understanding.understand(Utterance("I'm cold", "en", "kitchen"), home)
    of_there = understanding.understand(Utterance("the kitchen is cold", "en", "kitchen"), home)

    assert [a.devices for a in said_there.actions] == [("climate.lounge",)]
    assert of_there.kind is PlanKind.REFUSE


def test_sounds_of_several_rooms_are_asked_about(
    understanding: TemplateUnderstanding, villa: Home
) -> None:
    playing = MappingProxyType({**villa.devices["media_player.kitchen"].state, "media": "playing"})
    speaker = dataclasses.replace(villa.devices["media_player.kitchen"], state=playing)
    plan = understanding.understand(
        Utterance("it's too loud", "en", "bedroom"), with_devices(villa, speaker)
    )

    assert plan.kind is PlanKind.ASK
    assert set(plan.devices) == {"media_player.tv", "media_player.kitchen"}


def test_a_gas_valve_waters_no_lawn(understanding: TemplateUnderstanding, villa: Home) -> None:
    gas = dataclasses.replace(villa.devices["valve.sprinkler"], device_class="gas")
    plan = understanding.understand(Utterance("the lawn is dry", "en"), with_devices(villa, gas))

    assert plan.kind is not PlanKind.ACT


def names(plan: Plan) -> list[str]:
    return [action.name for action in plan.actions]
