"""What is learnt of an utterance that a language model resolved, and when it is known again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

from assistant.home.action import Action
from assistant.home.file import load_home
from assistant.home.model import Device, DeviceType, Home, Risk
from assistant.home.vocabulary import VOCABULARY
from assistant.plan import Utterance
from assistant.understand.language import languages, load_language
from assistant.understand.lesson import lesson
from assistant.understand.normal import squeeze
from assistant.understand.recall import Recall
from assistant.understand.remembered import Remembered, is_harmless
from tests.understand.homes import random_home

VILLA = load_home(Path(__file__).parents[1] / "homes" / "villa.json")
SOFA_OFF = "turn_off light.sofa"


def actions(text: str) -> tuple[Action, ...]:
    """The actions that "set_brightness light.sofa light.leo brightness=40; ..." stands for."""
    found = []
    for part in text.split("; "):
        name, *rest = part.split()
        params = dict(word.split("=") for word in rest if "=" in word)
        devices = tuple(word for word in rest if "=" not in word)
        found.append(Action(name, devices, {k: yaml.safe_load(v) for k, v in params.items()}))
    return tuple(found)


def learn(
    said: str, does: str, *, area: str | None = None, home: Home = VILLA, language: str = "en"
) -> Remembered | None:
    return lesson(Utterance(said, language, area), home, actions(does), VOCABULARY)


def known(
    entries: list[Remembered],
    said: str,
    *,
    area: str | None = None,
    home: Home = VILLA,
    language: str = "en",
    now: float = 0.0,
) -> tuple[Action, ...] | None:
    found = Recall(entries, VOCABULARY).find(Utterance(said, language, area), home, now)
    return None if found is None else found.actions


def changed(device_id: str, **changes: Any) -> Home:
    device = replace(VILLA.devices[device_id], **changes)
    return replace(VILLA, devices={**VILLA.devices, device_id: device}, revision=99)


def without(device_id: str) -> Home:
    left = {i: device for i, device in VILLA.devices.items() if i != device_id}
    return replace(VILLA, devices=left, revision=99)


LEARNT = yaml.safe_load("""
- {said: the sofa lamp annoys me, does: turn_off light.sofa, pattern: "{name} annoys me"}
- {said: "Please, my reading lamp annoys me!", does: turn_off light.sofa,
   pattern: "{name} annoys me"}
- {said: I fancy the sofa lamp at around forty, does: set_brightness light.sofa brightness=40,
   pattern: "i fancy {name} at around {number}"}
- {said: I fancy the sofa lamp in a warm glow, does: set_color light.sofa color=orange,
   pattern: "i fancy {name} in a warm glow"}
- {said: the sofa lamp wants less of everything, pattern: "{name} wants less of everything",
   does: adjust_brightness light.sofa direction=down; adjust_color_temp light.sofa direction=warmer}
- {said: swap the sofa lamp for the worktop lights, pattern: "swap {name} for {name}",
   does: turn_off light.sofa; turn_on light.worktop}
- {said: I can't see a thing in the kitchen, does: turn_on light.kitchen_ceiling light.worktop,
   pattern: "i cant see a thing in {area}"}
- {said: "it is too dark in the kitchen, really", does: turn_on light.kitchen_ceiling light.worktop,
   pattern: "it is too dark in {area} really"}
# Some of the room: which, nobody can tell of another.
- {said: I can't see a thing in the kitchen, does: turn_on light.worktop, pattern: ""}
# Its name and its place: both say which, so neither may change.
- {said: the sofa lamp in the lounge annoys me, does: turn_off light.sofa, pattern: ""}
# A slot and nothing of one's own would say too much.
- {said: sofa lamp hullo, does: turn_on light.sofa, pattern: ""}
- {said: bedroom fan to a gentle thirty, does: set_fan_speed fan.bedroom percentage=30,
   pattern: "{name} to a gentle {number}"}
- {said: Leo's night light would be nice, does: turn_on light.leo, pattern: "{name} would be nice"}
- {said: I am freezing in the lounge, does: adjust_temperature climate.lounge direction=up,
   pattern: "i am freezing in {area}"}
- {said: privacy from the lounge blinds, does: close cover.lounge_blinds,
   pattern: "privacy from {name}"}
- {said: make the back door safe, does: lock lock.back, pattern: "make {name} safe"}
- {said: everything dark upstairs on the upper floor, pattern: "",
   does: turn_off light.bedroom_ceiling light.leo}
""")


@pytest.mark.parametrize("case", LEARNT, ids=lambda case: case["said"])
def test_what_is_learnt_is_known_again(case: Mapping[str, str]) -> None:
    entry = learn(case["said"], case["does"])
    assert entry is not None
    assert (entry.pattern, entry.area) == (case["pattern"], None)
    assert known([entry], case["said"]) == actions(case["does"])
    assert known([entry], f"could you {case['said'].upper()} please", area="hall")


@pytest.mark.parametrize(
    ("said", "does"),
    [
        ("visitors at the front door", "unlock lock.front"),
        ("air for the bedroom curtain", "open cover.bedroom_curtain"),
        ("the lounge blinds need a nudge", "adjust_position cover.lounge_blinds direction=up"),
        ("the lounge blinds halfway or so", "set_position cover.lounge_blinds position=50"),
        ("the lounge blinds the other way round", "toggle cover.lounge_blinds"),
        ("my car wants out of the garage door", "open cover.garage"),
        ("the lawn wants the sprinkler", "open valve.sprinkler"),
        ("enough of the sprinkler", "close valve.sprinkler"),
        ("pizza, so the oven plug", "turn_on switch.oven"),
        ("we are out of butter on the shopping list", "list_add todo.shopping item=butter"),
        ("something by Abba on the TV", "play_media media_player.tv query=Abba"),
        ("wake me up in the bedroom", "start_timer seconds=600"),
        ("the sofa lamp annoys me", "turn_off light.sofa; start_timer seconds=600"),
        ("the secret lamp annoys me", "turn_off light.hidden"),
        ("the moon annoys me", "turn_off light.moon"),
    ],
)
def test_what_may_do_harm_or_says_something_else_each_time_is_not(said: str, does: str) -> None:
    assert learn(said, does) is None


@pytest.mark.parametrize(
    "said",
    [
        "it annoys me, the sofa lamp, so kill it",
        "the sofa lamp annoys me again",
        "that sofa lamp annoys me",
        "the sofa lamp annoys me until eight",
        "the sofa lamp annoys me tonight",
        "in five minutes the sofa lamp annoys me",
        "if the sofa lamp annoys me kill the sofa lamp",
        "should the sofa lamp annoy me?",
        "the sofa lamp does not annoy me, don't",
        "the sofa lamp",
        "annoying",
        "a nuisance there in the corner",
        "x" * 201 + " sofa lamp",
        "",
    ],
)
def test_words_that_depend_on_the_moment_are_not_remembered(said: str) -> None:
    assert learn(said, SOFA_OFF, area="lounge") is None


def test_italian() -> None:
    for said in ("abbassala un po' la lampada", "spegnila, quella lampada", "la lampada stasera"):
        assert load_language("it").depending.search(said.replace("'", "")), said
    lamp = Device("l", "Lampada a Stelo", DeviceType.LIGHT, capabilities=frozenset({"on_off"}))
    other = replace(lamp, id="m", name="Luce Notturna")
    home = Home(devices={"l": lamp, "m": other})
    entry = learn("la lampada a stelo mi dà fastidio", "turn_off l", home=home, language="it")
    assert entry is not None
    assert entry.pattern == "{name} mi da fastidio"
    found = known([entry], "La luce notturna mi dà fastidio.", home=home, language="it")
    assert found == (Action("turn_off", ("m",)),)


def test_each_language_says_what_depends_and_what_objects() -> None:
    for code in languages():
        language = load_language(code)
        assert language.depending.pattern.count("|") > 20
        assert all(language.objecting.match(word) for word in language.no if word == "no")


def test_where_the_room_tells_which_it_is_learnt_with_the_room() -> None:
    said, does = "the ceiling light annoys me", "turn_off light.bedroom_ceiling"
    assert learn(said, does) is None, "nobody knows by what the model chose"
    entry = learn(said, does, area="bedroom")
    assert entry is not None
    assert (entry.area, entry.pattern) == ("bedroom", "")
    assert known([entry], said, area="bedroom") == actions(does)
    assert known([entry], said, area="lounge") is None
    assert known([entry], said) is None


PATTERNS = yaml.safe_load("""
- [the TV annoys me, null]                 # of another kind
- [the worktop lights annoy me, null]
- [the worktop lights annoys me, turn_off light.worktop]
- [worktop lights annoys me, turn_off light.worktop]
- [my leo's night light annoys me please, turn_off light.leo]
- [the ceiling light annoys me, null]      # there are two
- [the secret lamp annoys me, null]        # hidden
- [the moon lamp annoys me, null]
- [the sofa annoys me, null]
- ["the worktop lights annoys me?", null]
- ["don't, the worktop lights annoys me", null]
- [the worktop lights annoys me not, null]
- [i fancy worktop lights at around twenty five, set_brightness light.worktop brightness=25]
- [i fancy the sofa lamp at around 60, set_brightness light.sofa brightness=60]
- [i fancy the sofa lamp at around 160, null]
- [i fancy the sofa lamp at around x, null]
- [i fancy the bedroom fan at around 60, null]
- [swap the worktop lights for leo's night light, turn_off light.worktop; turn_on light.leo]
- [swap the sofa lamp for the sofa lamp, null]
- [swap the sofa lamp for the coffee machine, null]
- [i can't see a thing in leo's room, turn_on light.leo]
- [i can't see a thing in the living room, turn_on light.sofa light.lounge_ceiling]
- [i can't see a thing in the bathroom, null]
- [i can't see a thing in the hall, null]  # its only lamp is hidden
- [i can't see a thing in the kitchen and the hall, null]
""")


@pytest.mark.parametrize(("said", "does"), PATTERNS)
def test_a_pattern_says_the_same_of_others_that_can_do_it(said: str, does: str | None) -> None:
    learnt = [
        learn("the sofa lamp annoys me", SOFA_OFF),
        learn("I fancy the sofa lamp at around forty", "set_brightness light.sofa brightness=40"),
        learn(
            "swap the sofa lamp for the worktop lights",
            "turn_off light.sofa; turn_on light.worktop",
        ),
        learn("I can't see a thing in the kitchen", "turn_on light.kitchen_ceiling light.worktop"),
    ]
    entries = [entry for entry in learnt if entry is not None]
    assert len(entries) == 4
    assert known(entries, said) == (actions(does) if does else None)


@pytest.mark.parametrize(
    "home",
    [
        without("light.sofa"),
        changed("light.sofa", exposed=False),
        changed("light.sofa", capabilities=frozenset({"brightness"})),
        changed("light.sofa", name="Desk Lamp", aliases=()),
        changed("light.sofa", risk=Risk.RISKY),
        changed("light.sofa", risk=Risk.FORBIDDEN),
        changed("light.leo", name="Sofa Lamp"),
    ],
    ids=["gone", "hidden", "can't", "renamed", "risky", "forbidden", "another of its name"],
)
def test_a_home_that_has_changed_asks_the_model_again(home: Home) -> None:
    entry = learn("the sofa lamp annoys me", SOFA_OFF)
    assert entry is not None
    assert known([entry], entry.said, home=home) is None
    assert known([entry], entry.said) is not None, "it is back"


def test_what_can_not_be_reached_just_now_is_still_meant() -> None:
    entry = learn("the sofa lamp annoys me", SOFA_OFF)
    assert entry is not None
    assert known([entry], entry.said, home=changed("light.sofa", available=False)) is not None


def test_what_was_moved_out_of_the_room_spoken_of_is_not_meant() -> None:
    entry = learn("it is too dark in the kitchen", "turn_on light.kitchen_ceiling light.worktop")
    assert entry is not None
    assert known([entry], entry.said, home=changed("light.worktop", area="hall")) is None


def test_neither_on_trial_nor_switched_off_is_it_known() -> None:
    entry = learn("the sofa lamp annoys me", SOFA_OFF)
    other = learn("the worktop lights annoys me", "set_brightness light.worktop brightness=5")
    assert entry is not None
    assert other is not None
    assert known([replace(entry, trial_ends=5.0)], entry.said, now=4.9) is None
    assert known([replace(entry, trial_ends=5.0)], entry.said, now=5.0) is not None
    assert known([replace(entry, enabled=False)], entry.said) is None
    assert known([replace(entry, enabled=False), other], entry.said) is None, "not by a pattern"


def test_where_two_memories_disagree_the_model_is_asked() -> None:
    off = learn("the sofa lamp annoys me", SOFA_OFF)
    dim = learn("the worktop lights annoys me", "set_brightness light.worktop brightness=5")
    assert off is not None
    assert dim is not None
    assert known([off, dim], "leo's night light annoys me") is None
    assert known([off, dim], off.said) == actions(SOFA_OFF)


@settings(max_examples=12, deadline=None)
@given(dice=st.randoms(use_true_random=False))
def test_only_what_is_exposed_and_harmless_is_ever_recalled(dice: Random) -> None:
    """Whatever is learnt of some devices, and whatever becomes of the home then."""
    entries = []
    for device in dice.sample(VILLA.exposed(), 8):
        for spec in VOCABULARY.possible(device):
            utterance = Utterance(f"the {device.name} wants {spec.description}", "en")
            entry = lesson(utterance, VILLA, [Action(spec.name, (device.id,))], VOCABULARY)
            entries += [entry] if entry is not None else []
    devices = dict(VILLA.devices)
    for device in VILLA.devices.values():
        match dice.choice(("gone", "hidden", "risky", "less able", "called otherwise", *"......")):
            case "gone":
                del devices[device.id]
            case "hidden":
                devices[device.id] = replace(device, exposed=False)
            case "risky":
                devices[device.id] = replace(device, risk=dice.choice(tuple(Risk)))
            case "less able":
                devices[device.id] = replace(device, capabilities=frozenset())
            case "called otherwise":
                devices[device.id] = replace(device, name=dice.choice([*devices.values()]).name)
    home = replace(VILLA, devices=MappingProxyType(devices), revision=99)
    recall = Recall(entries, VOCABULARY)
    for device in VILLA.devices.values():
        for name in {entry.steps[0].action.name for entry in entries}:
            text = f"the {device.name} wants {VOCABULARY.actions[name].description}"
            found = recall.find(Utterance(text, "en"), home, 0.0)
            event(f"{'nothing' if found is None else 'by pattern' if found.by_pattern else 'same'}")
            for action in found.actions if found else ():
                for device_id in action.devices:
                    assert is_harmless(action, home.devices[device_id], VOCABULARY)
                    assert squeeze(home.devices[device_id].name) in squeeze(text)


@pytest.mark.parametrize("seed", range(12))
def test_homes_as_odd_as_can_be_are_no_trouble(seed: int) -> None:
    home = random_home(seed)
    for device in home.exposed():
        for spec in VOCABULARY.possible(device):
            utterance = Utterance(f"{device.name} wants {spec.name}", "en", device.area)
            entry = lesson(utterance, home, [Action(spec.name, (device.id,))], VOCABULARY)
            if entry is not None:
                found = Recall([entry], VOCABULARY).find(utterance, home, 0.0)
                assert found is not None
                assert found.actions == (Action(spec.name, (device.id,)),)
