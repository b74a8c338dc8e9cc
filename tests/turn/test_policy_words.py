"""What the policy asks and refuses, in words: with the reason, in both languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.config import PolicySettings
from assistant.home.action import Action
from assistant.home.file import load_home
from assistant.plan import Plan, PlanKind
from assistant.skill import load_skills, skill_folders
from assistant.store import Store
from assistant.turn.reply import Replies
from assistant.understand.pin import PinLock
from assistant.understand.policy import Policy

REPLIES = Replies(load_skills(skill_folders(None), {}), lambda wordings: wordings[0])
HOME = load_home(Path(__file__).parents[1] / "homes" / "villa.json")

WORDS = """
- want: [vacuum_start, vacuum.dusty]
  en: "It is quiet time until 7:00. Start cleaning with the Dusty all the same?"
  it: "È ora di silenzio fino alle 7:00. Vuoi lo stesso far pulire Dusty?"
- want: [broadcast]
  en: "It is quiet time until 7:00. Announce all the same?"
  it: "È ora di silenzio fino alle 7:00. Vuoi lo stesso annunciare?"
- want: [turn_on, switch.coffee]
  en: "It is quiet time until 7:00, so I do not turn on the Coffee Machine."
  it: "È ora di silenzio fino alle 7:00: adesso non posso accendere Coffee Machine."
- want: [start_timer]
  en: "It is quiet time until 7:00, so I do not start a timer."
  it: "È ora di silenzio fino alle 7:00: adesso non posso avviare un timer."
- want: [unlock, lock.front]
  en: "What is the PIN to unlock the Front Door?"
  it: "Qual è il PIN per sbloccare Front Door?"
- want: [set_value, light.sofa]
  en: "What is the PIN to set the Sofa Lamp?"
- want: [turn_off, light.sofa, light.leo, light.worktop]
  en: "That would command 3 devices, which is more than I may."
  it: "Comanderei 3 dispositivi: sono più di quanti mi è permesso."
- want: [mute, media_player.tv]
  en: "I may not do that by voice."
  it: "Non posso farlo a voce."
"""
SETTINGS = {
    "pin": ["unlock", "set_value"],
    "never": ["mute"],
    "model": {"most": 2},
    "quiet": {"begin": "22:00", "end": "07:00", "never": ["turn_on:switch.coffee", "start_timer"]},
}


@pytest.mark.parametrize("case", yaml.safe_load(WORDS), ids=str)
def test_the_reason_is_said(case: dict[str, Any]) -> None:
    lock = PinLock(Store(None))
    lock.set("1234")
    policy = Policy(
        PolicySettings.model_validate(SETTINGS),
        pin=lock,
        clock=lambda: datetime(2026, 11, 24, 23),
    )
    name, *devices = case["want"]
    plan = Plan(PlanKind.ACT, actions=(Action(name, tuple(devices)),))
    speech = policy.check(plan, HOME, by_model=True).speech
    assert speech is not None
    for language in ("en", "it"):
        values = dict(speech.values)
        if "devices" in values:
            about = [HOME.devices[i] for i in values["devices"]]
            values |= REPLIES.target(about, HOME, language)
        said = REPLIES.word(replace(speech, values=values), language)
        assert said == case.get(language, said)
