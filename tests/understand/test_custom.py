"""The user's own sentences: what they may hold, what they do, and what is said of their faults."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.config import PolicySettings
from assistant.home.memory import in_memory
from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Utterance
from assistant.skill import Skills
from assistant.turn.reply import Replies
from assistant.understand.custom.library import CustomSentences
from assistant.understand.custom.watch import watch
from assistant.understand.policy import Policy
from assistant.understand.template import TemplateUnderstanding

_ticks = itertools.count(1)


class Folder:
    """The user's folder of sentences, and what is understood with it."""

    def __init__(self, path: Path, skills: Skills, home: Home) -> None:
        self.path = path
        self._home = home
        self.custom = CustomSentences(path, skills)
        self._understanding = TemplateUnderstanding(skills, self.custom)
        self._replies = Replies(skills, lambda wordings: wordings[0])

    def write(self, name: str, text: str) -> Path:
        """Write a file and have it read."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        # Two versions within the clock's resolution are a matter of luck.
        os.utime(file, ns=(next(_ticks), next(_ticks)))
        self.custom.refresh()
        return file

    def understand(self, text: str, language: str = "en", area: str | None = None) -> Plan:
        """What is understood now."""
        return self._understanding.understand(Utterance(text, language, area), self._home)

    def does(self, text: str, language: str = "en", area: str | None = None) -> str:
        """Actions, or the reply, in a line."""
        plan = self.understand(text, language, area)
        if plan.kind is PlanKind.ACT:
            return "; ".join(
                " ".join([a.name, *a.devices, *(f"{k}={v}" for k, v in a.params.items())])
                for a in plan.actions
            )
        assert plan.speech is not None
        return f"{plan.kind}: {self._replies.word(plan.speech, language)}"

    @property
    def faults(self) -> list[str]:
        """FILE:LINE: what is wrong, without the folder."""
        problems = (*self.custom.current.problems, *self.custom.current.problems_at(self._home))
        return [str(p).removeprefix(f"{self.path}/") for p in problems]


@pytest.fixture(scope="module")
def emptied(
    tmp_path_factory: pytest.TempPathFactory, skills: Skills, villa: Home
) -> Callable[[], Folder]:
    """One folder for all tests, for it takes a second to compile the skills' sentences."""
    made = Folder(tmp_path_factory.mktemp("user") / "sentences", skills, villa)

    def empty() -> Folder:
        shutil.rmtree(made.path, ignore_errors=True)
        made.custom.refresh()
        return made

    return empty


@pytest.fixture
def folder(emptied: Callable[[], Folder]) -> Folder:
    return emptied()


def one(sentence: str, what: str) -> str:
    """A file with one sentence that does `what`."""
    return (
        f"language: en\nintents:\n  Own:\n    data: [{{sentences: [{sentence!r}]}}]\n    {what}\n"
    )


def one_quoted(sentence: str) -> str:
    """A file with a sentence that has been quoted for YAML."""
    return f"language: en\nintents:\n  Own: {{data: [{{sentences: ['{sentence}']}}], say: hi}}\n"


RUNNING = """
    language: en
    intents:
      Party:
        data:
          - sentences: ["party time", "let's [have a] party"]
        run: turn on the sofa lamp
      Bed:
        data:
          - sentences: ["bed time in [the] {area}"]
        run:
          - turn off the lights in the {area}
          - turn off the TV
      Song:
        data:
          - sentences: ["hit it {song}"]
        run: "play {song} on the TV"
      Off:
        data: [{sentences: ["lights out"]}]
        run: ["lights out", "turn off the TV"]
      Warm:
        data: [{sentences: ["make it {15..25:degrees} in the lounge"]}]
        run: set the lounge thermostat to {degrees} degrees
      Asks:
        data: [{sentences: ["is anybody home"]}]
        run: turn on the sofa lamp
    lists:
      song: {wildcard: true}
"""


@pytest.mark.parametrize(
    ("said", "does"),
    [
        ("Party time!", "turn_on light.sofa"),
        ("please let's have a party", "turn_on light.sofa"),
        ("bed time in the kitchen",
         "turn_off light.kitchen_ceiling light.worktop; turn_off media_player.tv"),
        ("hit it Bohemian Rhapsody", "play_media media_player.tv query=Bohemian Rhapsody"),
        ("make it twenty one in the lounge", "set_temperature climate.lounge temperature=21"),
        ("is anybody home?", "turn_on light.sofa"),
        ("party time and turn off the TV", "turn_on light.sofa; turn_off media_player.tv"),
        ("turn on the TV", "turn_on media_player.tv"),
    ],
)  # fmt: skip
def test_a_sentence_stands_for_others(folder: Folder, said: str, does: str) -> None:
    folder.write("en/run.yaml", RUNNING)
    assert folder.faults == []
    assert folder.does(said) == does


def test_within_itself_a_sentence_means_what_it_does_without(folder: Folder) -> None:
    folder.write("en/run.yaml", RUNNING)
    assert folder.does("lights out", area="kitchen") == (
        "turn_off light.kitchen_ceiling light.worktop; turn_off media_player.tv"
    )


def test_sentences_that_stand_for_each_other_end_somewhere(folder: Folder) -> None:
    folder.write("en/a.yaml", one("ping", "run: pong"))
    folder.write("en/b.yaml", one("pong", "run: ping"))
    folder.write(
        "en/c.yaml", one("go {any}", "run: 'go {any} {any}'\nlists: {any: {wildcard: true}}")
    )
    assert folder.faults == []
    assert folder.does("ping").startswith("refuse: Your own sentence stands for")
    assert folder.does("go on").startswith("refuse: Your own sentence stands for")


ACTING = """
    language: en
    intents:
      Movie:
        data:
          - sentences: ["movie night [at {percentage:level} percent]"]
            slots: {level: 10}
          - sentences: ["dark movie night"]
            slots: {level: 1}
            say: "Spooky."
        actions:
          - action: set_brightness
            devices: [light.sofa, "Worktop lights"]
            params: {brightness: "{level}"}
          - action: turn_off
            devices: [reading lamp]
        say: "Enjoy, {{ target }} at {{ level }}."
      Flip:
        data: [{sentences: ["flip [the] {name}"]}]
        actions: [{action: toggle, devices: ["{name}"]}]
      Egg:
        data: [{sentences: ["boil (soft|hard:hard) egg", "boil [an] egg"]}]
        actions: [{action: start_timer, params: {seconds: 300, name: egg}}]
      Open:
        data: [{sentences: ["open sesame"]}]
        actions: [{action: unlock, devices: [lock.front]}]
      Secret:
        data: [{sentences: ["light the secret"]}]
        actions: [{action: turn_on, devices: [light.hidden]}]
      Who:
        data: [{sentences: ["who lives in [the] {area}", "who lives here [{name}]"]}]
        say: "{% if area %}Nobody in {{ area }}.{% else %}You{{ name }}.{% endif %}"
"""


@pytest.mark.parametrize(
    ("said", "does"),
    [
        ("movie night",
         "set_brightness light.sofa light.worktop brightness=10; turn_off light.sofa"),
        ("movie night at 55 percent",
         "set_brightness light.sofa light.worktop brightness=55; turn_off light.sofa"),
        ("flip the coffee maker", "toggle switch.coffee"),
        ("flip dusty", "refuse: Dusty can't do that."),
        ("boil an egg", "start_timer seconds=300 name=egg"),
        ("who lives in the living room", "chat: Nobody in Lounge."),
        ("who lives here", "chat: You."),
        ("who lives here TV", "chat: YouTV."),
        ("light the secret", "refuse: Your own sentence is about light.hidden, which is not here."),
    ],
)  # fmt: skip
def test_a_sentence_does_what_its_actions_say(folder: Folder, said: str, does: str) -> None:
    folder.write("acting.yaml", ACTING)
    assert [f for f in folder.faults if "light.hidden" not in f] == []
    assert folder.does(said) == does


def test_the_policy_has_the_last_word(folder: Folder, villa: Home) -> None:
    folder.write("acting.yaml", ACTING)
    plan = folder.understand("open sesame")
    asked = Policy(PolicySettings()).check(plan, villa)
    assert (asked.kind, asked.confirm) == (PlanKind.ASK, True)
    refused = Policy(PolicySettings(never=("unlock",))).check(plan, villa)
    assert refused.kind is PlanKind.REFUSE


def test_what_was_said_of_a_deed_is_said_when_it_is_done(
    folder: Folder, skills: Skills, villa: Home
) -> None:
    folder.write("acting.yaml", ACTING)
    replies = Replies(skills, lambda wordings: wordings[0])
    plan = folder.understand("dark movie night")
    assert plan.speech is not None
    assert replies.word(plan.speech, "en") == "Spooky."


HASS = """
    language: "en"
    intents:
      HassTurnOn:
        data:
          - sentences: ["engage <name>"]
          - sentences: ["brighten up <area>"]
            slots: {domain: light}
          - sentences: ["energise <area>"]
          - sentences: ["throw open {area}"]
            slots: {domain: cover, device_class: blind}
          - sentences: ["let me see"]
            requires_context: {area: {slot: true}}
            slots: {domain: light}
          - sentences: ["sing to me"]
            slots: {name: Kitchen Speaker}
          - sentences: ["illuminate the cook"]
            slots: {area: kitchen, domain: light}
      HassTurnOff:
        data:
          - sentences: ["quench {name}"]
            requires_context: {domain: light}
          - sentences: ["silence {name}"]
            excludes_context: {domain: [light, fan]}
      HassLightSet:
        data:
          - sentences: ["<name> at <brightness>"]
          - sentences: ["<name> in {color} at {brightness}"]
      HassClimateSetTemperature:
        data: [{sentences: ["warm me to <temperature> in the {area}"]}]
      HassSetPosition:
        data: [{sentences: ["{name} to position {position}"]}]
      HassMediaPause:
        data: [{sentences: ["hush {name}"], response: "hushed"}]
      HassSetVolumeRelative:
        data:
          - sentences: ["crank {name}"]
            slots: {volume_step: 15}
      HassStartTimer:
        data: [{sentences: ["wake me in {1..60:minutes} minutes"]}]
      HassNevermind:
        data: [{sentences: ["drop it"]}]
      lights.set_color:
        data: [{sentences: ["paint <light> in {color}"]}]
    responses:
      intents:
        HassMediaPause:
          hushed: "Quiet, {{ slots.name }}."
"""


@pytest.mark.parametrize(
    ("said", "area", "does"),
    [
        ("engage the coffee machine", None, "turn_on switch.coffee"),
        ("engage the front door", None, "lock lock.front"),
        ("engage lounge blinds", None, "open cover.lounge_blinds"),
        ("engage leaving home", None, "run_script script.leaving"),
        ("brighten up the kitchen", None, "turn_on light.kitchen_ceiling light.worktop"),
        ("energise the bedroom", None, "turn_on light.bedroom_ceiling; turn_on fan.bedroom"),
        ("throw open lounge", None, "open cover.lounge_blinds"),
        ("let me see", "lounge", "turn_on light.sofa light.lounge_ceiling"),
        ("sing to me", None, "turn_on media_player.kitchen"),
        ("illuminate the cook", None, "turn_on light.kitchen_ceiling light.worktop"),
        ("quench sofa lamp", None, "turn_off light.sofa"),
        ("silence tv", None, "turn_off media_player.tv"),
        ("sofa lamp at 40 percent", None, "set_brightness light.sofa brightness=40"),
        ("sofa lamp in red at 40", None,
         "set_brightness light.sofa brightness=40; set_color light.sofa color=red"),
        ("warm me to 21.5 degrees in the lounge", None,
         "set_temperature climate.lounge temperature=21.5"),
        ("lounge blinds to position 30", None, "set_position cover.lounge_blinds position=30"),
        ("hush tv", None, "media_pause media_player.tv"),
        ("crank tv", None, "adjust_volume media_player.tv direction=up delta=15"),
        ("wake me in twenty minutes", None, "start_timer seconds=1200"),
        ("drop it", None, "nothing: OK."),
        ("paint the sofa lamp in blue", None, "set_color light.sofa color=blue"),
    ],
)  # fmt: skip
def test_sentences_of_home_assistant_may_be_taken_along(
    folder: Folder, said: str, area: str | None, does: str
) -> None:
    folder.write("en/hass.yaml", HASS)
    assert folder.faults == []
    did = folder.does(said, area=area)
    assert did.startswith("nothing: ") if does.startswith("nothing") else did == does


@pytest.mark.parametrize(
    ("said", "area"),
    [("let me see", None), ("quench tv", None),
     ("silence sofa lamp", None), ("silence bedroom fan", None)],
)  # fmt: skip
def test_sentences_hold_only_where_they_are_meant_to(
    folder: Folder, said: str, area: str | None
) -> None:
    folder.write("en/hass.yaml", HASS)
    assert folder.understand(said, area=area).kind is not PlanKind.ACT


FAULTY = {
    "not YAML": ("language: en\nintents: [", 2, "is not valid YAML"),
    "empty": ("", 1, "is empty"),
    "no table": ("- a", 1, "must hold keys and values"),
    "no language": ("intents: {A: {data: [{sentences: [a]}], say: b}}", 1, "names no language"),
    "bad language": ("language: no\nintents: {}", 1, "in quotes"),
    "nothing": ("language: en", 1, "no 'intents'"),
    "unknown key": (one("hello you", "say: hi") + "colour: red", 6, "unknown key 'colour'"),
    "key twice": ("language: en\nintents: {}\nlanguage: it", 3, "twice"),
    "bracket": (one("turn (on the lamp", "say: hi"), 4, "the '(' at letter 6 is never closed"),
    "crossed brackets": (one("turn (on] a)", "say: hi"), 4, "must be closed by ')'"),
    "unknown list": (one("hello {whom}", "say: hi"), 4, "there is no list {whom}"),
    "unknown rule": (one("hello <whom>", "say: hi"), 4, "there is no rule <whom>"),
    "circle": (
        one("x <a>", "say: hi") + "expansion_rules: {a: b <c>, c: d <a>}", 4, "holds itself",
    ),
    "anything": (one("{x}", "say: hi") + "lists: {x: {wildcard: true}}", 4, "may be anything"),
    "all optional": (one("[hello]", "say: hi"), 4, "may be anything"),
    "too many orders": (one("(a;b;c;d;e;f;g;h;i)", "say: hi"), 4, "too many ways"),
    "unknown action": (one("hi there", "actions: [{action: fly}]"), 5, "no action 'fly'"),
    "no devices": (one("hi there", "actions: [{action: turn_on}]"), 5, "needs 'devices'"),
    "unknown device": (
        one("hi there", "actions: [{action: turn_on, devices: [Moon]}]"), 5, "no device 'Moon'",
    ),
    "hidden device": (
        one("hi there", "actions: [{action: turn_on, devices: [Secret Lamp]}]"), 5, "no device",
    ),
    "unfit device": (
        one("hi there", "actions: [{action: open, devices: [TV]}]"), 5, "TV can't open",
    ),
    "unknown parameter": (
        one("hi there", "actions: [{action: turn_on, devices: [TV], params: {x: 1}}]"),
        5, "no parameter 'x'",
    ),
    "missing parameter": (
        one("hi there", "actions: [{action: set_volume, devices: [TV]}]"), 5, "needs 'params'",
    ),
    "not a number": (
        one("hi there", "actions: [{action: set_volume, devices: [TV], params: {volume: x}}]"),
        5, "must be a number",
    ),
    "unknown slot": (one("hi there", "run: turn on {lamp}"), 5, "no sentence has a slot {lamp}"),
    "slot not always": (
        one("hi [{name}] there", "run: turn on {name}"), 5, "not in every sentence",
    ),
    "unknown in reply": (one("hi there", "say: '{{ lamp }}'"), 5, "there is no {{ lamp }}"),
    "reply malformed": (one("hi there", "say: '{{ lamp'"), 5, "reply"),
    "does nothing": (
        "language: en\nintents:\n  Own:\n    data: [{sentences: [a b]}]", 3, "says nothing",
    ),
    "no such intent": (
        "language: en\nintents:\n  lights.fly:\n    data: [{sentences: [a b]}]", 3, "turn_on",
    ),
    "no data": ("language: en\nintents:\n  Own: {say: a}", 3, "needs a list 'data'"),
    "no sentences": (
        "language: en\nintents:\n  Own: {data: [{slots: {a: 1}}], say: a}", 3, "no 'sentences'",
    ),
    "both": (one("hi there", "run: x\n    actions: [{action: cancel_all_timers}]"), 5, "keep one"),
    "context": (
        "language: en\nintents:\n  Own:\n    say: a\n    data:\n      - sentences: [a b]\n"
        "        requires_context: {mood: 1}", 7, "unknown key 'mood'",
    ),
    "domain": (
        "language: en\nintents:\n  Own:\n    say: a\n    data:\n      - sentences: [a b]\n"
        "        requires_context: {domain: moon}", 7, "no domain 'moon'",
    ),
    "list of nothing": (one("a {x} b", "say: hi") + "lists:\n  x: {}", 7, "needs 'values'"),
    "range": (
        one("a {x} b", "say: hi") + "lists:\n  x: {range: {from: 9, to: 1}}", 7, "needs numbers",
    ),
    "list value": (one("a {x} b", "say: hi") + "lists:\n  x: {values: ['(a']}", 7, "never closed"),
    "place": (
        "language: en\nintents:\n  HassTurnOn:\n    data:\n      - sentences: [a b]\n"
        "        slots: {area: attic, domain: light}", 6, "no area 'attic'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_faults_are_told_with_file_and_line(folder: Folder, name: str) -> None:
    text, line, fault = FAULTY[name]
    folder.write("own.yaml", text)
    assert folder.faults
    assert any(f.startswith(f"own.yaml:{line}: ") and fault in f for f in folder.faults), (
        folder.faults
    )


def test_a_file_in_the_folder_of_another_language_is_wrong(folder: Folder) -> None:
    folder.write("it/x.yaml", one("hello you", "say: hi"))
    assert "it/x.yaml:1: " in folder.faults[0]
    folder.write("it/x.yaml", "intents: {A: {data: [{sentences: [bella serata]}], say: Davvero}}")
    assert folder.faults == []
    assert folder.does("Bella serata", "it") == "chat: Davvero"


def test_a_broken_file_stays_as_it_was_and_the_others_go_on(folder: Folder) -> None:
    folder.write("en/good.yaml", one("good one", "say: good"))
    folder.write("en/other.yaml", one("second hello", "say: before"))
    assert folder.does("second hello") == "chat: before"
    folder.write("en/other.yaml", one("second (hello", "say: after"))
    assert len(folder.faults) == 1
    assert folder.does("second hello") == "chat: before"
    assert folder.does("good one") == "chat: good"
    folder.write("en/good.yaml", one("good two", "say: better"))
    assert folder.does("good two") == "chat: better"
    assert folder.does("second hello") == "chat: before"
    file = folder.write("en/other.yaml", one("second hello", "say: after"))
    assert folder.faults == []
    assert folder.does("second hello") == "chat: after"
    file.unlink()
    assert folder.custom.refresh()
    assert not folder.custom.refresh()
    assert folder.understand("second hello").kind is PlanKind.UNKNOWN


def test_lists_and_rules_are_shared_between_files(folder: Folder) -> None:
    folder.write("en/a.yaml", one("praise {whom}", "say: 'Well done, {{ whom }}.'"))
    assert "there is no list {whom}" in folder.faults[0]
    folder.write("en/b.yaml", one("hi there", "say: hi") + "lists: {whom: {values: [Ada, Max]}}")
    assert folder.faults == []
    assert folder.does("praise Max") == "chat: Well done, Max."
    # The file on which another leans breaks: its earlier version still lends its list.
    folder.write("en/b.yaml", one("hi (there", "say: hi") + "lists: {whom: {values: [Eve]}}")
    assert folder.does("praise Max") == "chat: Well done, Max."


def test_a_misheard_sentence_is_known_and_what_it_opens_asked_about(folder: Folder) -> None:
    folder.write("en/a.yaml", one("fiesta time", "actions: [{action: turn_on, devices: [TV]}]"))
    folder.write(
        "en/b.yaml", one("open sesame", "actions: [{action: unlock, devices: [lock.front]}]")
    )
    assert folder.does("fiesta tyme") == "turn_on media_player.tv"
    assert folder.understand("open sesamy").kind is PlanKind.ASK
    assert folder.understand("don't open sesame").kind is not PlanKind.ACT


def test_what_is_no_sentence_file_is_not_read(folder: Folder) -> None:
    for name in (".hidden.yaml", "en/#x.yaml", "en/readme.txt", "en/_off.yaml", "en/x.yaml~"):
        folder.write(name, "(")
    (folder.path / "en" / "link.yaml").symlink_to("nowhere")
    (folder.path / "en" / "dir.yaml").mkdir()
    folder.custom.refresh()
    assert folder.faults == []


async def test_files_that_change_are_read_while_it_runs(
    folder: Folder, villa: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watching = asyncio.create_task(watch(folder.custom, in_memory(villa), interval=0.01))

    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 -- the file system tells nobody
                await asyncio.sleep(0.01)

    file = folder.path / "en" / "own.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(one("hi there", "say: hi"))
    await until(lambda: folder.understand("hi there").kind is PlanKind.CHAT)
    file.write_text(one("hi (there", "say: hi there"))
    await until(lambda: f"{file}:4: " in caplog.text)
    file.write_text(one("hi you", "actions: [{action: turn_on, devices: [Moon]}]"))
    await until(lambda: f"{file}:5: there is no device 'Moon'" in caplog.text)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="ab {}[]()<>|;:.*\n-,'\"#&!%@\\é0", max_size=60))
def test_whatever_is_written_is_read_or_complained_of(
    emptied: Callable[[], Folder], text: str
) -> None:
    folder = emptied()
    folder.write("a.yaml", text)
    sentence = text.replace("'", "''").replace("\n", " ")
    folder.write("b.yaml", one_quoted(sentence))
    wrong = {fault.partition(":")[0] for fault in folder.faults}
    assert "a.yaml" in wrong
    assert "b.yaml" in wrong or len(folder.custom.current.blocks) == 1
