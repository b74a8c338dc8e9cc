"""What the policy lets through, asks about, and refuses."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from assistant.config import PolicySettings
from assistant.home.action import Action
from assistant.home.model import Home, Risk
from assistant.plan import Plan, PlanKind, Speech
from assistant.understand.policy import Policy


def plan(action: str, *devices: str, **params: float) -> Plan:
    return Plan(PlanKind.ACT, actions=(Action(action, devices, params),), speech=Speech("x.y"))


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        (plan("turn_on", "light.sofa"), PlanKind.ACT),
        (plan("lock", "lock.front"), PlanKind.ACT),
        (plan("unlock", "lock.front"), PlanKind.ASK),
        (plan("open", "cover.lounge_blinds"), PlanKind.ACT),
        (plan("open", "cover.garage"), PlanKind.ASK),
        (plan("close", "cover.garage"), PlanKind.ACT),
        (plan("open", "valve.sprinkler"), PlanKind.ASK),
        (plan("turn_on", "switch.oven"), PlanKind.ASK),
        (plan("turn_off", "switch.oven"), PlanKind.ACT),
        (plan("turn_on", "light.hidden"), PlanKind.REFUSE),
        (plan("start_timer", seconds=60), PlanKind.ACT),
    ],
)
def test_risk_decides(wanted: Plan, kind: PlanKind, villa: Home) -> None:
    checked = Policy(PolicySettings()).check(wanted, villa)
    assert checked.kind is kind
    assert checked.confirm == (kind is PlanKind.ASK)


def test_the_settings_add_questions_and_prohibitions(villa: Home) -> None:
    policy = Policy(
        PolicySettings(confirm=("lock", "turn_on:light.sofa"), never=("unlock",), ask_above=2)
    )
    assert policy.check(plan("lock", "lock.front"), villa).confirm
    assert policy.check(plan("turn_on", "light.sofa"), villa).confirm
    assert policy.check(plan("turn_on", "light.worktop"), villa).kind is PlanKind.ACT
    assert policy.check(plan("unlock", "lock.front"), villa).kind is PlanKind.REFUSE
    three = plan("turn_off", "light.sofa", "light.worktop", "light.leo")
    assert policy.check(three, villa).confirm


def test_what_is_forbidden_or_hidden_drops_out_of_a_group(villa: Home) -> None:
    locked = replace(villa.devices["light.leo"], risk=Risk.FORBIDDEN)
    home = replace(villa, devices=MappingProxyType({**villa.devices, "light.leo": locked}))
    wanted = plan("turn_off", "light.sofa", "light.leo", "light.hidden", "light.nowhere")
    assert Policy(PolicySettings()).check(wanted, home).actions[0].devices == ("light.sofa",)


def test_a_plan_that_does_nothing_passes_as_it_is(villa: Home) -> None:
    answer = Plan(PlanKind.ANSWER, speech=Speech("x.y"))
    assert Policy(PolicySettings()).check(answer, villa) is answer
