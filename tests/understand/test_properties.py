"""Whatever is said: nothing raises, and nothing that is hidden is touched."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.home.action import Action
from assistant.home.model import Home
from assistant.plan import Context, Plan, PlanKind, Speech, Utterance
from assistant.understand.completeness import Completeness, completeness
from assistant.understand.explain import Considered
from assistant.understand.language import load_language
from assistant.understand.normal import fold, squeeze
from assistant.understand.template import TemplateUnderstanding
from assistant.understand.vocabulary import bias_phrases

WORDS = """turn switch on off the all every lights light lamp secret hidden hall kitchen lounge set
to 50 percent % open close garage door unlock front except and then in here everywhere it not don't
never is are any which what timer minutes ten play make blue bright ' - , ?"""
SLOW = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SLOW
@given(
    text=st.one_of(
        st.text(max_size=60), st.lists(st.sampled_from(WORDS.split()), max_size=9).map(" ".join)
    )
)
def test_no_text_raises_or_touches_what_is_hidden(
    text: str, understanding: TemplateUnderstanding, villa: Home
) -> None:
    plan = understanding.understand(Utterance(text, "en", "hall"), villa)
    touched = {device for action in plan.actions for device in action.devices} | set(plan.devices)
    assert "light.hidden" not in touched
    if plan.kind is not PlanKind.ASK:
        assert bool(plan.actions) == (plan.kind is PlanKind.ACT)


@SLOW
@given(
    negation=st.sampled_from(["don't", "do not", "never", "I didn't say", "please do not"]),
    command=st.sampled_from(["turn on the sofa lamp", "open the garage door", "unlock the door"]),
)
def test_a_negated_command_is_none(
    negation: str, command: str, understanding: TemplateUnderstanding, villa: Home
) -> None:
    plan = understanding.understand(Utterance(f"{negation} {command}", "en"), villa)
    assert plan.kind is PlanKind.NOTHING
    assert not plan.actions


@given(st.text(max_size=80))
def test_folding_keeps_the_length_and_settles(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert squeeze(squeeze(text)) == squeeze(text)


def test_partial_sentences_are_judged(understanding: TemplateUnderstanding, villa: Home) -> None:
    def judged(text: str) -> Completeness:
        return completeness(understanding, text, villa, "en")

    assert judged("turn on the sofa lamp") is Completeness.COMPLETE
    assert judged("is the front door locked") is Completeness.COMPLETE
    assert judged("turn on the") is Completeness.INCOMPLETE
    assert judged("set the sofa lamp to") is Completeness.INCOMPLETE
    assert judged("sofa") is Completeness.UNKNOWN
    assert judged("") is Completeness.UNKNOWN


def test_the_recogniser_is_told_of_names_rooms_and_verbs_but_of_nothing_hidden(villa: Home) -> None:
    phrases = bias_phrases(villa, "en")
    assert {"Sofa Lamp", "Kitchen", "Upstairs", "turn on", "reading lamp"} <= set(phrases)
    assert "Secret Lamp" not in phrases
    assert len(phrases) == len(set(phrases))
    assert phrases.index("Sofa Lamp") < phrases.index("turn on") < phrases.index("House Power")


def test_every_language_says_yes_and_no_differently() -> None:
    language = load_language("en")
    assert not language.yes & language.no


@pytest.mark.parametrize(
    "said",
    [
        "turn off the kitchen light and the moon, then play the piano in the garden of eden",
        "I went to the store and bought some milk, then I came home and watched a film",
    ],
)
def test_nothing_is_read_twice(
    said: str, understanding: TemplateUnderstanding, villa: Home
) -> None:
    steps: list[Considered] = []
    understanding.understand(Utterance(said, "en"), villa, note=steps.append)
    read = Counter(step.text for step in steps if step.stage == "loose" and step.plan is None)
    assert read
    assert not [text for text, times in read.items() if times > 1]


@pytest.mark.parametrize("before", ["turn on the lamp", "dim the lamp", "open the lock"])
@pytest.mark.parametrize(
    "said",
    ["the other one", "and in the hall", "no, the left one", "a bit more", "not that much",
     "again", "and there", "turn it off", "is it on?"],
)  # fmt: skip
def test_what_was_spoken_of_may_be_gone_by_now(
    before: str, said: str, understanding: TemplateUnderstanding, villa: Home
) -> None:
    action = Action("unlock" if "lock" in before else "set_brightness", ("light.gone",))
    plan = Plan(PlanKind.ACT, "turn_on", "lights", (action,), Speech("lights.turn_on"))
    context = Context(("light.gone",), (), before, plan)
    plan = understanding.understand(Utterance(said, "en"), villa, context)
    assert not {i for action in plan.actions for i in action.devices} - {"light.gone"}
