"""Whole dialogues, as data in tests/understand/dialogues: what is said, done and answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.config import PolicySettings
from assistant.home.action import Action
from assistant.home.executor import Executor
from assistant.home.file import load_home
from assistant.home.memory import in_memory
from assistant.plan import Utterance
from assistant.skill import load_skills, skill_folders
from assistant.store import Store
from assistant.turn.reply import Replies
from assistant.turn.respond import Responder, Response
from assistant.turn.schedules import ACTIONS as SCHEDULING
from assistant.turn.schedules import Schedules
from assistant.turn.timers import ACTIONS, Timers
from assistant.understand.conversation import Conversation
from assistant.understand.pin import PinLock
from assistant.understand.policy import Policy
from assistant.understand.template import TemplateUnderstanding

TESTS = Path(__file__).parents[1]
SKILLS = load_skills(skill_folders(None), {})
UNDERSTANDING = TemplateUnderstanding(SKILLS)
REPLIES = Replies(SKILLS, lambda wordings: wordings[0])


@dataclass(frozen=True)
class Script:
    """A dialogue: the keys of a script in the files, and what the file says of all of them.

    `turns` have `say`, `does` (actions as "NAME DEVICE... KEY=VALUE..."; none: nothing may be
    done), `says` or `asks` (what the reply must hold; `asks`: an answer is awaited) and, where they
    apply, `at` (satellite), `area`, `by` (speaker), `after` (seconds that pass before).
    """

    name: str
    language: str
    home: str
    turns: tuple[Mapping[str, Any], ...]
    policy: Mapping[str, Any]
    pin: str


def scripts() -> Iterator[Script]:
    for file in sorted((TESTS / "understand" / "dialogues").glob("*.yaml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for script in content["dialogues"]:
            assert set(script) <= {"name", "turns", "policy", "pin"}, script
            yield Script(
                script["name"],
                content.get("language", file.stem),
                content["home"],
                tuple(script["turns"]),
                script.get("policy", {}),
                script.get("pin", ""),
            )


class Announcer:
    async def perform(self, action: Action) -> None:
        """Says nothing: nobody is there."""


class House:
    """A home and its satellites, each with a conversation of its own."""

    def __init__(self, script: Script) -> None:
        self.now = 1000.0
        self.language = script.language
        home = replace(load_home(TESTS / "homes" / f"{script.home}.json"), timers=())
        registry = in_memory(home)
        store = Store(None)
        timers = Timers(store, registry, clock=lambda: self.now)
        registry.add_performer(ACTIONS, timers)
        schedules = Schedules(store, registry, clock=lambda: self.now)
        registry.add_performer(SCHEDULING, schedules)
        registry.add_performer(["broadcast"], Announcer())
        pin = PinLock(store, clock=lambda: self.now)
        if script.pin:
            pin.set(script.pin)

        def refresh() -> None:
            timers.refresh()
            schedules.refresh()

        self.responder = Responder(
            UNDERSTANDING,
            Policy(PolicySettings.model_validate(script.policy), pin=pin),
            Executor(registry, timeout=0.2),
            REPLIES,
            registry,
            refresh=refresh,
            clock=lambda: self.now,
        )
        self.conversations: dict[str, Conversation] = {}

    async def take(self, turn: Mapping[str, Any]) -> Response:
        self.now += turn.get("after", 5.0)
        source = turn.get("at", "box")
        conversation = self.conversations.setdefault(source, Conversation())
        utterance = Utterance(
            turn["say"], self.language, turn.get("area"), source, speaker=turn.get("by", "")
        )
        return await self.responder.respond(utterance, conversation)


def did(response: Response) -> set[tuple[str, ...]]:
    """What was done, as it is written in the scripts, an entry a device."""
    return {
        (
            outcome.action.name,
            *([outcome.device] if outcome.device else []),
            *(f"{k}={v}" for k, v in sorted(outcome.action.params.items()) if k not in LEFT_OUT),
        )
        for outcome in response.outcomes
    }


def wanted(lines: list[str]) -> set[tuple[str, ...]]:
    each = set()
    for line in lines:
        name, *rest = line.split()
        devices = [word for word in rest if "=" not in word]
        params = sorted(word.replace("_", " ") for word in rest if "=" in word)
        each |= {(name, device, *params) for device in devices} or {(name, *params)}
    return each


LEFT_OUT = {"timer", "schedule", "when", "does"}
"""Parameters that are not written in the scripts: ids and what a sentence comes to."""
KEYS = {"say", "does", "says", "asks", "at", "area", "by", "after"}


@pytest.mark.parametrize("script", tuple(scripts()), ids=lambda s: f"{s.language}: {s.name}")
async def test_dialogue(script: Script) -> None:
    house = House(script)
    for number, turn in enumerate(script.turns, 1):
        assert set(turn) <= KEYS, turn
        response = await house.take(turn)
        told = f"turn {number}, {turn['say']!r}: {response.reply!r} ({response.plan})"
        assert did(response) == wanted(turn.get("does", [])), told
        if "asks" in turn:
            assert response.asks, told
            assert matches(turn["asks"], response.reply), told
        else:
            assert not response.asks, told
            assert matches(turn.get("says", ""), response.reply), told


def matches(pattern: str, reply: str) -> bool:
    return re.search(pattern, reply, re.IGNORECASE) is not None


def test_there_are_enough_dialogues_in_both_languages() -> None:
    each = [script.language for script in scripts()]
    assert each.count("en") >= 25
    assert each.count("it") >= 15
