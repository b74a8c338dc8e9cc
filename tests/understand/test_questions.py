"""Questions: worded from the state of the home, and never actuating."""

from __future__ import annotations

import pytest

from assistant.home.model import Home
from assistant.plan import PlanKind, Utterance
from assistant.skill import Skills
from assistant.turn.reply import Replies
from assistant.understand.template import TemplateUnderstanding

ANSWERS = [
    ("is the front door locked?", "Yes, Front Door is locked."),
    ("is the garage door open", "No, Garage Door is closed."),
    ("is the kitchen window open?", "Yes, Kitchen Window is open."),
    ("are any lights on in the kitchen?", "Yes: Worktop Lights is on."),
    ("are all the lights in the kitchen on?", "No, Kitchen Ceiling is not on."),
    ("which lights are on upstairs?", "Ceiling Light (Bedroom)."),
    ("how many doors are locked?", "1: Front Door."),
    ("is there any motion?", "No, none is detected."),
    ("is the washing machine running?", "Yes, Washing Machine is running."),
    ("what's the temperature in the lounge?", "Lounge Thermostat: 20.5 °C."),
    ("what is the outdoor temperature?", "Outdoor Temperature is 7.5 °C."),
    ("how much power are we using right now?", "House Power: 1430 W."),
    ("what's the humidity in the bathroom?", "Bath Humidity: 71 %."),
    ("where is Max?", "Max is at Work."),
    ("is Ada at home?", "Yes, Ada is at home."),
    ("who is at home?", "Ada is at home."),
    ("what's the weather like?", "Rainy, 8 °C."),
    ("what's on the shopping list?", "On Shopping List: milk and eggs."),
    ("how long is left on the pasta timer?", "Pasta: 6 minutes and 20 seconds left."),
    ("what is the brightness of the sofa lamp?", "Sofa Lamp is 50 percent."),
    ("is it warmer inside than outside?", "Yes: 19.2 °C inside and 7.5 °C outside."),
    (
        "is it colder in the bedroom than in the lounge?",
        "Yes: 18 °C in Bedroom and 20.5 °C in Lounge.",
    ),
    ("is it warmer outside?", "No: 7.5 °C outside and 19.2 °C inside."),
    ("which room is the coldest?", "Bedroom: 18 °C."),
    ("did I close the garage door?", "Yes, Garage Door is closed."),
    ("have I locked the back door", "No, Back Door is unlocked."),
    ("did I leave the lights on in the kitchen", "Yes: Worktop Lights is on."),
    ("did I turn the coffee machine off?", "Yes, Coffee Machine is off."),
    ("is everything off in the lounge?", "No, Sofa Lamp, Lounge Thermostat and TV are not off."),
    ("is the house locked up", "No, Back Door is not locked."),
    ("what's the thermostat in the bedroom set to?", "Bedroom Thermostat is 18."),
    ("what volume is the TV at", "TV is 30 percent."),
    ("what's on TV?", "TV is playing."),
    ("where is everyone?", "Ada is at home. Max is at Work."),
    ("will it rain tomorrow?", "I know no forecast; now it is rainy."),
    ("do I need an umbrella?", "Yes, it is rainy."),
    ("is milk on the shopping list?", "Yes, milk is on Shopping List."),
    ("have we got butter on the shopping list", "No, butter is not on Shopping List."),
    ("how much electricity are we using?", "House Power: 1430 W."),
    (
        "tell me whether any lights are on",
        "Yes: Worktop Lights, Sofa Lamp and Ceiling Light (Bedroom) are on.",
    ),
    ("is there motion on the porch", "No, none is detected."),
    ("is the sprinkler running", "No, Sprinkler is closed."),
    ("how long until the pasta is ready", "Pasta: 6 minutes and 20 seconds left."),
    ("is it cold outside", "Outdoor Temperature: 7.5 °C."),
    ("any lights on?", "Yes: Worktop Lights, Sofa Lamp and Ceiling Light (Bedroom) are on."),
]


@pytest.mark.parametrize(("question", "answer"), ANSWERS, ids=[q for q, _ in ANSWERS])
def test_a_question_is_answered(
    question: str, answer: str, understanding: TemplateUnderstanding, villa: Home, skills: Skills
) -> None:
    plan = understanding.understand(Utterance(question, "en"), villa)
    assert plan.kind is PlanKind.ANSWER
    assert not plan.actions
    assert plan.speech is not None
    assert Replies(skills, lambda w: w[0]).word(plan.speech, "en") == answer


def test_time_and_date_are_those_of_the_utterance(
    understanding: TemplateUnderstanding, villa: Home
) -> None:
    said = Utterance("what time is it?", "en", spoken_at=1_700_000_000.0)
    plan = understanding.understand(said, villa)
    assert plan.query == "get_time"
    assert plan.speech is not None
    assert plan.speech.values["minute"] == 13
