"""Whatever sentence the templates hold for a plan is read back as that plan."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.home.model import Area, Device, DeviceType, Floor, Home
from assistant.home.vocabulary import ACTIONS
from assistant.plan import Plan, PlanKind, Utterance
from assistant.skill import Request, Skills
from assistant.understand.automaton import Automaton
from assistant.understand.language import Language, load_language
from assistant.understand.lattice import exactly
from assistant.understand.match import Matcher
from assistant.understand.names import listing
from assistant.understand.normal import fold
from assistant.understand.reading import Entry, Listing, read
from assistant.understand.target import spoken_names
from assistant.understand.template import TemplateUnderstanding
from assistant.understand.words import words_of
from tests.understand.examples import Example, example, leading_to

FREE_WORDS = ("quartz", "zebra", "jubilee", "vortex")
ROOMS = {
    "en": ("Kitchen", "Living Room", "Attic", "Study", "Leo's Room", "Bedroom 2"),
    "it": ("Cucina", "Soggiorno", "Soffitta", "Studio", "Camera di Leo", "Bagno 2"),
}
NAMES = {
    "en": (
        "Arc Lamp", "Zephyr", "Panel", "Old Faithful", "Northern Star", "Sam's Corner", "Dragonfly",
        "Big Bertha", "Window Box", "Aquarium", "Hercules", "Rosebud", "Lantern", "Red October",
        "Pinocchio", "Greenhouse Unit", "Waterfall", "Monolith", "Jukebox", "Igloo", "Oracle",
    ),
    "it": (
        "Lampada ad arco", "Zefiro", "Pannello", "Vecchia fedele", "Stella del nord", "Acquario",
        "Angolo di Sam", "Libellula", "Grande Berta", "Fioriera", "Ercole", "Bocciolo", "Lanterna",
        "Ottobre rosso", "Pinocchio", "Serra piccola", "Cascata", "Monolite", "Jukebox", "Iglù",
        "Oracolo",
    ),
}  # fmt: skip
TYPES = [kind for kind in DeviceType if any(kind in spec.types for spec in ACTIONS)]
ABLE = {
    kind: frozenset(need for spec in ACTIONS if kind in spec.types for need in spec.needs)
    for kind in TYPES
}
FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def home_of(dice: random.Random, language: str) -> Home:
    """A home with some of the rooms, and a thing of each type; their names mean nothing else."""
    rooms = dice.sample(ROOMS[language], dice.randint(1, 4))
    areas = tuple(Area(f"a{n}", name, floor="f0") for n, name in enumerate(rooms))
    names = dice.sample(NAMES[language], len(NAMES[language]))
    devices = {}
    for number, name in enumerate(names):
        kind = TYPES[number] if number < len(TYPES) else dice.choice(TYPES)
        where = dice.choice((None, *[area.id for area in areas]))
        device = Device(f"{kind}.d{number}", name, kind, area=where, capabilities=ABLE[kind])
        devices[device.id] = replace(device, exposed=dice.random() < 0.8)
    return Home(
        id=f"home {dice.random()}",
        language=language,
        floors=(Floor("f0", "Upstairs" if language == "en" else "Piano di sopra"),),
        areas=areas,
        devices=MappingProxyType(devices),
    )


@pytest.fixture(scope="module")
def matcher(skills: Skills) -> Matcher:
    return Matcher(skills)


@functools.cache
def ways(automaton: Automaton) -> list[frozenset[int]]:
    """The states that lead to each meaning: all meanings are as likely, however often said."""
    return [leading_to(automaton, end) for end in automaton.accepts]


def examples(
    matcher: Matcher,
    language: Language,
    lists: Mapping[str, Listing],
    dice: random.Random,
    count: int,
) -> list[Example]:
    grammar = matcher.grammar(language)
    within = ways(grammar.automaton)
    made = (
        example(grammar.automaton, dice.choice(within), lists, dice, FREE_WORDS)
        for _ in range(count)
    )
    return [one for one in made if one is not None]


def by_name(matcher: Matcher, home: Home, language: Language) -> dict[str, Listing]:
    """The lists without places and kinds, and with names as they are written alone."""
    lists = {
        name: one
        for name, one in matcher.grammar(language).listings.items()
        if not name.endswith("_kind") and name not in ("here", "everywhere", "it", "all")
    }
    for kind in TYPES:
        names = {n for d in home.exposed() if d.type is kind for n in spoken_names(d)}
        if names:
            lists[f"{kind}_name"] = listing(dict.fromkeys(sorted(names), Entry(None)))
    return lists


def own_plan(
    one: Example, home: Home, skills: Skills, matcher: Matcher, language: Language
) -> Plan:
    """What the skill makes of the sentence as it was made to mean."""
    skill, _, intent = one.accept.intent.partition(".")
    slots: dict[str, Any] = {**one.accept.slots, **dict(one.slots)}
    names = matcher.names(home, language).ids
    said = Utterance(one.text, language.code)
    made = skills.skills[skill]
    return made.handlers[intent](Request(intent, slots, said, home, made.options, names))


def meanings(
    one: Example, matcher: Matcher, language: Language, listings: Mapping[str, Listing]
) -> set[tuple[str, tuple[tuple[str, Any], ...]]]:
    """Every intent that the sentence is read as, and its slots; None for what is free text."""
    lattice = exactly(words_of(fold(one.text)))
    automaton = matcher.grammar(language).automaton
    return {
        (
            reading.accept.intent,
            tuple((s.name, None if s.free else s.value) for s in reading.slots),
        )
        for reading in read(automaton, lattice, listings, language.numbers)
    }


@FEW
@given(seed=st.integers(0, 1 << 32), code=st.sampled_from(["en", "it"]))
def test_every_sentence_is_read_as_what_it_was_made_of(
    seed: int, code: str, matcher: Matcher
) -> None:
    dice, language = random.Random(seed), load_language(code)
    home = home_of(dice, code)
    grammar = matcher.grammar(language)
    listings = {**grammar.listings, **matcher.names(home, language).lists}
    for one in examples(matcher, language, listings, dice, 20):
        found = meanings(one, matcher, language, listings)
        if len(found) >= MANY:
            continue  # free text next to free text: the least likely readings are not kept
        free = {name for name, value in one.slots if set(str(value).split()) <= set(FREE_WORDS)}
        slots = tuple((name, None if name in free else value) for name, value in one.slots)
        assert (one.accept.intent, slots) in found, one


MANY = 48


@FEW
@given(seed=st.integers(0, 1 << 32), code=st.sampled_from(["en", "it"]))
def test_a_command_for_something_by_name_comes_back(
    seed: int,
    code: str,
    matcher: Matcher,
    skills: Skills,
    understanding: TemplateUnderstanding,
) -> None:
    dice, language = random.Random(seed), load_language(code)
    home = home_of(dice, code)
    shown = {device.id for device in home.exposed()}
    lists = by_name(matcher, home, language)
    for one in examples(matcher, language, lists, dice, 70):
        said_twice = len(dict(one.slots)) < len(set(one.slots))
        if "name" not in dict(one.slots) or said_twice:
            continue
        wanted = own_plan(one, home, skills, matcher, language)
        if wanted.kind is not PlanKind.ACT:
            continue
        plan = understanding.understand(Utterance(one.text, code), home)
        taken_for = f"{plan.skill}.{plan.intent}"
        if taken_for != one.accept.intent and any(
            intent == taken_for and None not in dict(slots).values()
            for intent, slots in meanings(one, matcher, language, lists)
        ):
            continue  # "the fan at half speed": half of what it is, or of what it can
        assert plan.kind is PlanKind.ACT, (one, plan)
        assert plan.actions == wanted.actions, one
        assert {device for action in plan.actions for device in action.devices} <= shown


@FEW
@given(seed=st.integers(0, 1 << 32), code=st.sampled_from(["en", "it"]))
def test_only_what_is_exposed_is_touched(
    seed: int, code: str, matcher: Matcher, understanding: TemplateUnderstanding
) -> None:
    """Also where words are lost, doubled, or spelt otherwise on the way."""
    dice, language = random.Random(seed), load_language(code)
    home = home_of(dice, code)
    shown = {device.id for device in home.exposed()}
    listings = {**matcher.grammar(language).listings, **matcher.names(home, language).lists}
    for one in examples(matcher, language, listings, dice, 10):
        words = one.text.split()
        place = dice.randrange(len(words))
        match dice.randrange(4):
            case 0:
                del words[place]
            case 1:
                words.insert(place, words[place])
            case 2:
                words[place] = words[place][1:] or "x"
            case _:
                pass
        plan = understanding.understand(Utterance(" ".join(words), code, "a0"), home)
        touched = {device for action in plan.actions for device in action.devices}
        assert touched | set(plan.devices) <= shown, one
