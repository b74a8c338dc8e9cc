"""Wordings of others that don't work: what is said then must be true all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assistant.home.action import Action, Outcome, Result
from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Speech
from assistant.skill import Skills, load_skills, skill_folders
from assistant.turn.reply import Replies

NO_WORDS = "I can't put that into words; the log says more."
VALUES = {"n": "three", "heat": 20}


@pytest.fixture(scope="module")
def skills() -> Skills:
    """The shipped ones, one of which has wordings by somebody who tried them too seldom."""
    shipped = load_skills(skill_folders(None), {}).skills
    wordings = {
        "sum": ("{{ n + 1 }} of them",),
        "ratio": ("{{ heat / 0 }}",),
        "nobody": ("{{ who }} did it",),
        "later": ("in {{ n | duration }}",),
        "broken": ("{{ n ",),
        "filter": ("{{ n | shout }}",),
        "fine": ("{{ n }} of them",),
    }
    fans = replace(shipped["fans"], replies={"en": wordings})
    return Skills({**shipped, "fans": fans})


@pytest.mark.parametrize(
    "key", ["sum", "ratio", "nobody", "later", "broken", "filter", "no_such_key"]
)
def test_an_answer_without_words_is_no_success(
    skills: Skills, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Replies(skills).word(Speech(f"fans.{key}", VALUES), "en") == NO_WORDS
    assert f"fans.{key}" in caplog.text


@pytest.mark.parametrize(("key", "reply"), [("fine", "three of them"), ("sum", "Done.")])
def test_what_was_done_is_told_as_done(skills: Skills, key: str, reply: str) -> None:
    plan = Plan(PlanKind.ACT, skill="fans", speech=Speech(f"fans.{key}", VALUES))
    outcomes = [Outcome(Action("spin"), None, Result.CONFIRMED)]
    assert Replies(skills).from_outcomes(plan, outcomes, Home(), "en") == reply
