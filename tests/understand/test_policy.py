"""What the policy lets through, asks about, and refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from assistant.config import PolicySettings, Settings
from assistant.errors import ConfigError
from assistant.home.action import Action
from assistant.home.memory import in_memory
from assistant.home.model import Home, Risk
from assistant.home.selector import exposure
from assistant.home.vocabulary import VOCABULARY
from assistant.plan import Plan, PlanKind, Speech, Utterance
from assistant.store import Store
from assistant.turn.thinker import planner_settings
from assistant.understand.handles import handles_of
from assistant.understand.pin import PinLock
from assistant.understand.policy import Policy
from assistant.understand.prompt import system_message
from assistant.understand.template import TemplateUnderstanding

NIGHT = {"quiet": {"begin": "22:30", "end": "07:00"}}
MOMENT = datetime(2026, 11, 24, 12)
"""A Tuesday noon."""


def plan(action: str, *devices: str, **params: Any) -> Plan:
    return Plan(PlanKind.ACT, actions=(Action(action, devices, params),), speech=Speech("x.y"))


# What is wanted (action, devices, parameters), and what comes of it; with `settings` and by a
# `model` where it says so. Outcomes: act, ask, pin, refuse.
TABLE = """
# By nature.
- {want: [turn_on, light.sofa], is: act}
- {want: [lock, lock.front], is: act}
- {want: [unlock, lock.front], is: ask}
- {want: [open, cover.lounge_blinds], is: act}
- {want: [open, cover.garage], is: ask}
- {want: [close, cover.garage], is: act}
- {want: [open, valve.sprinkler], is: ask}
- {want: [turn_on, switch.oven], is: ask}
- {want: [turn_off, switch.oven], is: act}
- {want: [turn_on, light.hidden], is: refuse}
- {want: [start_timer], params: {seconds: 60}, is: act}
# Rules: by action, device, type, class, area, and for all actions.
- {settings: {confirm: [lock]}, want: [lock, lock.front], is: ask}
- {settings: {confirm: ["turn_on:light.sofa"]}, want: [turn_on, light.sofa], is: ask}
- {settings: {confirm: ["turn_on:light.sofa"]}, want: [turn_on, light.worktop], is: act}
- {settings: {never: [unlock]}, want: [unlock, lock.front], is: refuse}
- {settings: {never: ["turn_on:type=light"]}, want: [turn_on, light.sofa], is: refuse}
- {settings: {never: ["turn_on:type=light"]}, want: [turn_on, switch.coffee], is: act}
- {settings: {never: ["turn_off:type=light"]}, want: [turn_on, light.sofa], is: act}
- {settings: {confirm: ["close:class=blind"]}, want: [close, cover.lounge_blinds], is: ask}
- {settings: {confirm: ["close:class=blind"]}, want: [close, cover.bedroom_curtain], is: act}
- {settings: {never: ["*:area=bedroom"]}, want: [turn_off, light.bedroom_ceiling], is: refuse}
- {settings: {never: ["*:area=Bedroom"]}, want: [turn_off, light.bedroom_ceiling], is: refuse}
- {settings: {never: ["*:area=bedroom"]}, want: [turn_off, light.sofa], is: act}
- {settings: {never: ["*"]}, want: [start_timer], params: {seconds: 60}, is: refuse}
- {settings: {never: [broadcast]}, want: [broadcast], params: {message: hi}, is: refuse}
- {settings: {confirm: [broadcast]}, want: [broadcast], params: {message: hi}, is: ask}
# Which counts most.
- {settings: {safe: ["unlock:lock.front"]}, want: [unlock, lock.front], is: act}
- {settings: {safe: ["unlock:lock.front"]}, want: [unlock, lock.back], is: ask}
- {settings: {safe: ["open:class=garage"]}, want: [open, cover.garage], is: act}
- {settings: {safe: [unlock], confirm: ["unlock:area=hall"]}, want: [unlock, lock.front], is: ask}
- {settings: {safe: [unlock], pin: ["unlock:area=hall"]}, want: [unlock, lock.front], is: pin}
- {settings: {pin: [unlock], confirm: [unlock]}, want: [unlock, lock.front], is: pin}
- {settings: {pin: [unlock], never: ["unlock:type=lock"]}, want: [unlock, lock.front], is: refuse}
- {settings: {pin: ["unlock:lock.front"]}, want: [unlock, lock.back], is: ask}
- {settings: {pin: [unlock]}, want: [lock, lock.front], is: act}
- {settings: {pin: [start_timer]}, want: [start_timer], params: {seconds: 60}, is: pin}
- {settings: {pin: [unlock]}, no_pin: true, want: [unlock, lock.front], is: refuse}
# The home file's own word.
- {risk: {light.sofa: safe}, want: [turn_on, light.sofa], is: act}
- {risk: {lock.front: safe}, want: [unlock, lock.front], is: act}
- {risk: {light.sofa: risky}, want: [turn_off, light.sofa], is: ask}
- {risk: {light.sofa: pin}, want: [turn_off, light.sofa], is: pin}
- {risk: {light.sofa: pin}, settings: {safe: [turn_off]}, want: [turn_off, light.sofa], is: pin}
- {risk: {light.sofa: forbidden}, settings: {safe: ["*"]}, want: [turn_off, light.sofa], is: refuse}
- {risk: {light.sofa: risky}, settings: {safe: [turn_off]}, want: [turn_off, light.sofa], is: act}
- {risk: {lock.front: safe}, settings: {confirm: [unlock]}, want: [unlock, lock.front], is: ask}
# The same by another name.
- {settings: {never: ["open:cover.bedroom_curtain"]}, want: [set_position, cover.bedroom_curtain],
   params: {position: 50}, is: refuse}
- {settings: {never: ["open:cover.bedroom_curtain"]}, want: [toggle, cover.bedroom_curtain],
   is: refuse}
- {settings: {never: ["open:cover.lounge_blinds"]}, want: [set_position, cover.lounge_blinds],
   params: {position: 50}, is: act}
- {settings: {never: ["close:cover.lounge_blinds"]}, want: [adjust_position, cover.lounge_blinds],
   params: {direction: down}, is: refuse}
- {settings: {never: ["turn_on:switch.oven"]}, want: [toggle, switch.oven], is: refuse}
- {settings: {pin: ["turn_on:type=fan"]}, want: [set_fan_speed, fan.bedroom],
   params: {percentage: 0}, is: act}
- {settings: {never: [turn_on]}, want: [set_brightness, light.sofa], params: {brightness: 9},
   is: act}
- {settings: {never: [turn_on]}, want: [set_brightness, light.leo], params: {brightness: 9},
   is: refuse}
- {settings: {confirm: [set_brightness]}, want: [adjust_brightness, light.sofa],
   params: {direction: up}, is: ask}
# How many at once.
- {settings: {ask_above: 2}, want: [turn_off, light.sofa, light.worktop], is: act}
- {settings: {ask_above: 2}, want: [turn_off, light.sofa, light.worktop, light.leo], is: ask}
- {settings: {model: {ask_above: 1}}, want: [turn_off, light.sofa, light.leo], is: act}
- {settings: {model: {ask_above: 1}}, model: true, want: [turn_off, light.sofa, light.leo], is: ask}
- {settings: {model: {ask_above: 0}}, model: true, want: [turn_off, light.sofa], is: ask}
- {settings: {ask_above: 1, model: {ask_above: 9}}, model: true,
   want: [turn_off, light.sofa, light.leo], is: ask}
- {settings: {model: {most: 1}}, model: true, want: [turn_off, light.sofa, light.leo], is: refuse}
- {settings: {model: {most: 1}}, want: [turn_off, light.sofa, light.leo], is: act}
# What the language model may not.
- {settings: {model: {never: [open]}}, model: true, want: [open, cover.lounge_blinds], is: refuse}
- {settings: {model: {never: [open]}}, want: [open, cover.lounge_blinds], is: act}
- {settings: {model: {never: ["*:type=lock"]}}, model: true, want: [lock, lock.front], is: refuse}
- {settings: {model: {confirm: ["*"]}}, model: true, want: [turn_off, light.sofa], is: ask}
- {settings: {model: {confirm: ["*"]}}, want: [turn_off, light.sofa], is: act}
- {settings: {pin: [unlock], safe: ["*"]}, model: true, want: [unlock, lock.front], is: pin}
# Hidden ones.
- {want: [turn_off, light.nowhere], is: refuse}
"""


def outcome(checked: Plan) -> str:
    if checked.kind is PlanKind.ASK:
        assert checked.confirm
        return "pin" if checked.pin else "ask"
    assert (checked.pin, checked.confirm) == (False, False)
    assert bool(checked.actions) == (checked.kind is PlanKind.ACT)
    return checked.kind.value


@pytest.mark.parametrize("case", yaml.safe_load(TABLE), ids=str)
def test_risk_and_settings_decide(case: dict[str, Any], villa: Home) -> None:
    lock = PinLock(Store(None))
    if not case.get("no_pin"):
        lock.set("1234")
    devices = dict(villa.devices)
    for device_id, risk in case.get("risk", {}).items():
        devices[device_id] = replace(devices[device_id], risk=Risk(risk))
    home = replace(villa, devices=MappingProxyType(devices))
    settings = PolicySettings.model_validate(case.get("settings", {}))
    policy = Policy(settings, pin=lock, clock=lambda: MOMENT)
    wanted = plan(*case["want"], **case.get("params", {}))
    checked = policy.check(wanted, home, by_model=case.get("model", False))
    assert outcome(checked) == case["is"]


QUIET = """
# Two ends on two days, or on one.
- {at: "2026-11-24 22:29", is: act}
- {at: "2026-11-24 22:30", is: ask}
- {at: "2026-11-25 00:00", is: ask}
- {at: "2026-11-25 06:59", is: ask}
- {at: "2026-11-25 07:00", is: act}
- {quiet: {begin: "13:00", end: "15:00"}, at: "2026-11-24 14:59", is: ask}
- {quiet: {begin: "13:00", end: "15:00"}, at: "2026-11-24 15:00", is: act}
- {quiet: {begin: "13:00", end: "15:00"}, at: "2026-11-24 12:59", is: act}
- {quiet: {begin: null, end: null}, at: "2026-11-24 23:00", is: act}
# A night belongs to the day on which it begins: the 27th is a Friday.
- {quiet: {days: [fri]}, at: "2026-11-27 23:00", is: ask}
- {quiet: {days: [fri]}, at: "2026-11-28 06:00", is: ask}
- {quiet: {days: [fri]}, at: "2026-11-27 06:00", is: act}
- {quiet: {days: [fri]}, at: "2026-11-28 23:00", is: act}
- {quiet: {days: []}, at: "2026-11-28 23:00", is: act}
# What is loud then.
- {want: [turn_on, light.sofa], is: act}
- {want: [vacuum_start, vacuum.dusty], is: ask}
- {want: [vacuum_return, vacuum.dusty], is: act}
- {want: [broadcast], params: {message: hello}, quiet: {never: [broadcast]}, is: refuse}
- {want: [turn_on, switch.coffee], quiet: {confirm: ["turn_on:switch.coffee"]}, is: ask}
- {want: [toggle, switch.coffee], quiet: {never: ["*:switch.coffee"]}, is: refuse}
- {want: [set_volume, media_player.tv], params: {volume: 40}, is: act}
- {want: [set_volume, media_player.tv], params: {volume: 41}, is: ask}
- {want: [adjust_volume, media_player.tv], params: {direction: up}, is: act}
- {want: [adjust_volume, media_player.tv], params: {direction: up, delta: 20}, is: ask}
- {want: [set_volume, media_player.tv], params: {volume: 25}, quiet: {volume: 20}, is: act}
- {want: [unlock, lock.front], quiet: {never: [unlock]}, is: refuse}
"""


@pytest.mark.parametrize("case", yaml.safe_load(QUIET), ids=str)
def test_the_hour_decides(case: dict[str, Any], villa: Home) -> None:
    quiet = NIGHT["quiet"] | case.get("quiet", {})
    policy = Policy(
        PolicySettings.model_validate({"quiet": quiet}),
        clock=lambda: datetime.fromisoformat(case.get("at", "2026-11-24 23:00")),
    )
    want = case.get("want", ["broadcast"])
    params = case.get("params", {"message": "hello"} if want == ["broadcast"] else {})
    assert outcome(policy.check(plan(*want, **params), villa)) == case["is"]


def test_the_hour_is_given_as_the_reason(villa: Home) -> None:
    policy = Policy(PolicySettings.model_validate(NIGHT), clock=lambda: datetime(2026, 1, 1, 23))
    asked = policy.check(plan("vacuum_start", "vacuum.dusty"), villa).speech
    assert asked is not None
    assert (asked.key, asked.values["until"]) == ("core.confirm_quiet", "7:00")
    # A lock is asked about for what it is.
    both = replace(
        plan("vacuum_start", "vacuum.dusty"),
        actions=(Action("vacuum_start", ("vacuum.dusty",)), Action("unlock", ("lock.front",))),
    )
    speech = policy.check(both, villa).speech
    assert speech is not None
    assert (speech.key, speech.values["action"]) == ("core.confirm", "unlock")


def test_what_is_forbidden_or_hidden_drops_out_of_a_group(villa: Home) -> None:
    locked = replace(villa.devices["light.leo"], risk=Risk.FORBIDDEN)
    home = replace(villa, devices=MappingProxyType({**villa.devices, "light.leo": locked}))
    wanted = plan("turn_off", "light.sofa", "light.leo", "light.hidden", "light.nowhere")
    checked = Policy(PolicySettings()).check(wanted, home)
    assert checked.actions[0].devices == ("light.sofa",)
    assert checked.besides is None


def test_what_is_left_out_of_several_actions_is_told(villa: Home) -> None:
    wanted = replace(
        plan("turn_off", "light.sofa"),
        actions=(Action("turn_off", ("light.sofa",)), Action("unlock", ("lock.front",))),
    )
    checked = Policy(PolicySettings(never=("unlock",))).check(wanted, villa)
    assert [action.name for action in checked.actions] == ["turn_off"]
    assert checked.besides == Speech("core.not_allowed")


def test_a_plan_that_does_nothing_passes_as_it_is(villa: Home) -> None:
    answer = Plan(PlanKind.ANSWER, speech=Speech("x.y"))
    assert Policy(PolicySettings()).check(answer, villa) is answer


@pytest.mark.parametrize(
    ("never", "kind"),
    [
        ("get_state", PlanKind.REFUSE),
        ("get_state:type=lock", PlanKind.REFUSE),
        ("*:lock.front", PlanKind.REFUSE),
        ("get_state:type=light", PlanKind.ANSWER),
        ("get_temperature", PlanKind.ANSWER),
    ],
)
def test_answers_can_be_refused(never: str, kind: PlanKind, villa: Home) -> None:
    answer = Plan(PlanKind.ANSWER, query="get_state", devices=("lock.front",), speech=Speech("x.y"))
    assert Policy(PolicySettings(never=(never,))).check(answer, villa).kind is kind


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"confirm": ["unlok"]}, ["policy.confirm", "'unlok' names no action", "unlock"]),
        ({"never": ["sing:light.sofa"]}, ["policy.never", "'sing:light.sofa'", "turn_on"]),
        ({"pin": ["get_state"]}, ["policy.pin", "is a question", "never"]),
        ({"safe": ["open:typ=cover"]}, ["policy.safe", "'typ=cover'", "type=light"]),
        ({"safe": ["open:"]}, ["policy.safe", "means no device", "light.sofa"]),
        ({"pin": ["unlock:type=door"]}, ["policy.pin", "'door' is no type", "lock"]),
        ({"model": {"never": ["x"]}}, ["policy.model.never", "'x'"]),
        ({"model": {"confirm": ["x"]}}, ["policy.model.confirm", "'x'"]),
        ({"quiet": {"confirm": ["x"]}}, ["policy.quiet.confirm", "'x'"]),
        ({"quiet": {"never": ["turn_on:class="]}}, ["policy.quiet.never", "'class='"]),
    ],
)
def test_a_wrong_rule_is_named(settings: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Policy(PolicySettings.model_validate(settings))
    for part in says:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, {"light.sofa", "lock.front", "light.leo"}),
        ({"hide": ["light.sofa"]}, {"lock.front", "light.leo"}),
        ({"hide": ["type=light"]}, {"lock.front"}),
        ({"hide": ["area=leo"]}, {"light.sofa", "lock.front"}),
        ({"expose": ["type=light"]}, {"light.sofa", "light.leo"}),
        ({"expose": ["area=lounge", "lock.front"]}, {"light.sofa", "lock.front"}),
        ({"expose": ["type=light"], "hide": ["light.sofa"]}, {"light.leo"}),
        # Who hides itself is not shown by a list.
        ({"expose": ["light.hidden"]}, set()),
    ],
)
def test_exposure(settings: dict[str, Any], shown: set[str], villa: Home) -> None:
    exposes = exposure(PolicySettings.model_validate(settings))
    home = in_memory(villa, exposes).home()
    looked_at = {"light.sofa", "lock.front", "light.leo", "light.hidden"}
    assert {device.id for device in home.exposed()} & looked_at == shown


@pytest.mark.parametrize("key", ["expose", "hide"])
def test_a_wrong_exposure_is_named(key: str) -> None:
    with pytest.raises(ConfigError, match=f"policy.{key}: 'lamp' is no type"):
        exposure(PolicySettings.model_validate({key: ["type=lamp"]}))


def test_nobody_knows_of_what_is_hidden(villa: Home, understanding: TemplateUnderstanding) -> None:
    exposes = exposure(PolicySettings(hide=("type=lock", "light.sofa")))
    home = in_memory(villa, exposes).home()
    for text in (
        "unlock the front door",
        "turn off the sofa lamp",
        "is the sofa lamp on",
        "turn off all the lights",
        "which doors are locked",
        "turn off everything",
    ):
        made = understanding.understand(Utterance(text, "en"), home)
        concerned = {device for action in made.actions for device in action.devices}
        assert not {*concerned, *made.devices} & {"lock.front", "lock.back", "light.sofa"}, text
    assert "Sofa Lamp" not in str(system_message(home, VOCABULARY, handles_of(home), "en"))


def test_the_model_is_not_offered_what_it_never_may() -> None:
    policy = {"never": ["unlock"], "model": {"never": ["open:cover.garage"], "ask_above": 4}}
    settings = planner_settings(Settings(policy=PolicySettings.model_validate(policy)))
    assert settings.never == {"unlock", "open:cover.garage"}
    assert settings.ask_above == 4
