from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.errors import LlmError
from assistant.home.action import Action
from assistant.home.model import Device, DeviceType, Home, Risk
from assistant.home.vocabulary import VOCABULARY, ActionError, ActionSpec, Param, ParamKind
from assistant.llm.grammar import Grammars
from assistant.understand.answer import ActionStream, Answered, AnswerError, Asked, Said
from assistant.understand.handles import handles_of
from assistant.understand.schema import MOST_ACTIONS, answer_schema
from tests.llm.bytelevel import tokenizer
from tests.understand.homes import random_home

TOKENS = tokenizer()
END = TOKENS.get_vocab_size() - 1
GRAMMARS = Grammars(TOKENS, TOKENS.get_vocab_size(), (END,))
CLOSING = [n for n in range(END) if set(TOKENS.decode([n])) & set('"]}')]


def written(schema: Mapping[str, Any], seed: int) -> str:
    """An answer of `schema` as random logits make it; they like to come to an end."""
    dice = np.random.default_rng(seed)
    matcher = GRAMMARS.compile(schema).start()
    tokens: list[int] = []
    eager = 0.0
    while not matcher.finished:
        assert len(tokens) < 5000
        if forced := matcher.forced():
            assert all(map(matcher.consume, forced))
            tokens += forced
            continue
        logits = dice.standard_normal(END + 1).astype(np.float32)
        eager += 0.05
        logits[CLOSING] += eager
        matcher.mask(logits)
        best = int(np.argmax(logits))
        assert matcher.consume(best)
        tokens.append(best)
    return TOKENS.decode(tokens, skip_special_tokens=False)


def read(text: str, home: Home, *, pieces: int = 7, **kwargs: Any) -> list[Answered]:
    """What `text` answers, fed in pieces of so many characters."""
    stream = ActionStream(home, VOCABULARY, handles_of(home), **kwargs)
    answered: list[Answered] = []
    for start in range(0, len(text), pieces):
        answered += stream.feed(text[start : start + pieces])
    assert stream.finished
    return answered


def problem_of(device: Device, action: Action) -> ActionError | None:
    try:
        VOCABULARY.check(device, VOCABULARY.resolve(device, action))
    except ActionError as error:
        return error
    return None


def check(action: Action, home: Home) -> None:
    """Fail unless `home` can do `action`."""
    spec = VOCABULARY.spec(action.name)
    assert bool(action.devices) == bool(spec.types)
    if "area" in action.params and spec.types:
        assert home.area(str(action.params["area"])) is not None
    if "timer" in action.params:
        assert action.params["timer"] in {timer.id for timer in home.timers}
    for device_id in action.devices:
        device = home.devices[device_id]
        assert device.exposed
        assert device.risk is not Risk.FORBIDDEN
        assert spec.fits(device)
        if (problem := problem_of(device, action)) is not None:
            # A relative amount on what has not told its state: nothing the schema could know.
            assert problem.reason == "unknown_state", problem


def answers_stay_within(home: Home, seed: int, *, actions: bool) -> int:
    """Write and read one answer; how many actions it held."""
    schema = answer_schema(home, VOCABULARY, handles_of(home), actions=actions)
    answered = read(written(schema, seed), home, pieces=1 + seed % 9, actions=actions)
    assert answered
    done = [item for item in answered if isinstance(item, Action)]
    assert not done or (actions and len(done) == len(answered) <= MOST_ACTIONS)
    for action in done:
        check(action, home)
    return len(done)


@pytest.mark.parametrize(
    "seeds",
    [range(500), pytest.param(range(500, 2500), marks=pytest.mark.slow)],
    ids=["500 homes", "2000 homes"],
)
def test_random_answers_in_random_homes_never_leave_the_home(seeds: range) -> None:
    acted = sum(answers_stay_within(random_home(s), s, actions=s % 10 > 0) for s in seeds)
    assert acted > len(seeds) / 2


@pytest.mark.parametrize("seed", range(3))
def test_the_same_in_a_home_of_150_devices(seed: int) -> None:
    home = random_home(seed, most=150)
    while len(home.devices) < 120:
        seed += 100
        home = random_home(seed, most=150)
    answers_stay_within(home, seed, actions=True)


def fits(schema: Mapping[str, Any], text: str) -> bool:
    matcher = GRAMMARS.compile(schema).start()
    ids = TOKENS.encode(text, add_special_tokens=False).ids
    return all(map(matcher.consume, ids)) and matcher.finished


def act(*actions: Mapping[str, Any]) -> str:
    return json.dumps({"actions": actions}, separators=(",", ":"), ensure_ascii=False)


# None: what the grammar rules out because it is of no use, and does no harm.
VILLA_ANSWERS: list[tuple[str, bool | None]] = [
    (act({"do": "turn_on", "to": ["light.sofa"]}), True),
    (act({"do": "turn_off", "to": ["light.sofa", "lock.front"]}), False),
    (act({"do": "turn_off", "to": ["light.sofa", "light.worktop", "switch.oven"]}), True),
    (act({"do": "turn_on", "to": ["light.hidden"]}), False),
    (act({"do": "turn_on", "to": ["light.nowhere"]}), False),
    (act({"do": "turn_on", "to": ["lock.front"]}), False),
    (act({"do": "unlock", "to": ["lock.front"]}), True),
    (act({"do": "set_brightness", "to": ["light.sofa"], "brightness": 100}), True),
    (act({"do": "set_brightness", "to": ["light.sofa"], "brightness": 101}), False),
    (act({"do": "set_brightness", "to": ["light.sofa"]}), False),
    (act({"do": "set_brightness", "to": ["switch.coffee"], "brightness": 5}), False),
    (act({"do": "set_color", "to": ["light.sofa"], "color": "light blue"}), True),
    (act({"do": "set_color", "to": ["light.sofa"], "color": "mauve"}), False),
    (act({"do": "set_color", "to": ["light.worktop"], "color": "red"}), False),
    (act({"do": "adjust_brightness", "to": ["light.sofa"], "direction": "up"}), True),
    (act({"do": "adjust_brightness", "to": ["light.sofa"], "direction": "down", "delta": 9}), True),
    (act({"do": "adjust_brightness", "to": ["light.sofa"], "delta": 9}), None),
    (act({"do": "set_temperature", "to": ["climate.lounge"], "temperature": 21.5}), True),
    (act({"do": "vacuum_clean_area", "to": ["vacuum.dusty"], "area": "bath"}), True),
    (act({"do": "vacuum_clean_area", "to": ["vacuum.dusty"], "area": "moon"}), False),
    (act({"do": "list_add", "to": ["todo.shopping"], "item": "oat milk"}), True),
    (act({"do": "list_add", "to": ["todo.shopping"], "item": " "}), False),
    (act({"do": "list_add", "to": ["todo.shopping"], "item": "x" * 200}), None),
    (act({"do": "start_timer", "seconds": 600, "name": "pasta"}), True),
    (act({"do": "start_timer", "seconds": 0}), False),
    (act({"do": "delay", "seconds": 60, "command": "lock up"}), True),
    (act({"do": "delay", "seconds": 60, "command": "lock up", "approved": "yes"}), False),
    (act({"do": "cancel_timer", "timer": "2"}), True),
    (act({"do": "cancel_timer", "timer": "9"}), False),
    (act({"do": "set_color_temp", "to": ["sensor.outdoor"], "color_temp": 3000}), False),
    (act(), False),
    (act(*[{"do": "lock", "to": ["lock.front"]}] * 8), True),
    (act(*[{"do": "lock", "to": ["lock.front"]}] * 9), False),
    ('{"say":"It is late."}', True),
    ('{"ask":"Which one?"}', True),
    ('{"say":""}', None),
    ('{"say":"a","ask":"b"}', False),
    ('{"sing":"la"}', False),
]


@pytest.mark.parametrize(("answer", "possible"), VILLA_ANSWERS)
def test_what_can_be_answered_in_the_villa(villa: Home, answer: str, possible: bool | None) -> None:
    assert fits(answer_schema(villa, VOCABULARY, handles_of(villa)), answer) is bool(possible)
    # The reader, which the answers of other servers go through, draws the same line.
    if possible is False:
        with pytest.raises(AnswerError):
            read(answer, villa)
    else:
        read(answer, villa)


def test_without_actions_it_can_only_be_said_or_asked(villa: Home) -> None:
    schema = answer_schema(villa, VOCABULARY, handles_of(villa), actions=False)
    assert fits(schema, '{"say":"It is on."}')
    assert not fits(schema, act({"do": "turn_on", "to": ["light.sofa"]}))
    with pytest.raises(LlmError, match="no command"):
        read(act({"do": "turn_on", "to": ["light.sofa"]}), villa, actions=False)


@pytest.mark.parametrize("never", ["unlock", "unlock:lock.front"])
def test_what_the_owner_never_wants_can_t_be_answered(villa: Home, never: str) -> None:
    schema = answer_schema(villa, VOCABULARY, handles_of(villa), never={never})
    answer = act({"do": "unlock", "to": ["lock.front"]})
    assert not fits(schema, answer)
    with pytest.raises(LlmError, match="never"):
        read(answer, villa, never={never})
    assert fits(schema, act({"do": "lock", "to": ["lock.front"]}))


def one(device: Device) -> Home:
    return Home(devices={device.id: device})


def number(low: float | None, high: float | None, step: float | None) -> Device:
    return Device("number.x", "X", DeviceType.NUMBER, minimum=low, maximum=high, step=step)


def climate(low: float, high: float, step: float) -> Device:
    can = frozenset({"temperature"})
    return Device(
        "climate.x", "X", DeviceType.CLIMATE, capabilities=can, minimum=low, maximum=high, step=step
    )


@pytest.mark.parametrize(
    ("device", "allowed", "refused"),
    [
        (number(0, 10, 4), [0, 4, 8], [10, 12, 1]),
        (number(1, 3, 0.5), [1, 1.5, 3], [0.5, 1.25, 3.5]),
        (number(0, 65535, 1), [0, 65535, 123], [65536, -1, 1.5]),
        (number(None, None, None), [-3, 0, 500], [10**9]),
        (climate(7.5, 30, 0.5), [7.5, 8, 30], [7, 30.5, 20.25]),
        (climate(16, 30, 1), [16, 30], [15, 31, 20.5]),
    ],
)
def test_numbers_keep_to_the_range_and_the_step_of_the_device(
    device: Device, allowed: list[float], refused: list[float]
) -> None:
    home = one(device)
    schema = answer_schema(home, VOCABULARY, handles_of(home))
    do, param = (
        ("set_value", "value")
        if device.type is DeviceType.NUMBER
        else ("set_temperature", "temperature")
    )
    for value in allowed:
        assert fits(schema, act({"do": do, "to": [device.id], param: value})), value
    for value in refused:
        assert not fits(schema, act({"do": do, "to": [device.id], param: value})), value


def test_devices_of_other_ranges_are_not_commanded_together() -> None:
    cold = replace(climate(5, 15, 1), id="climate.cold")
    warm = replace(climate(18, 28, 1), id="climate.warm")
    home = Home(devices={d.id: d for d in (cold, warm)})
    schema = answer_schema(home, VOCABULARY, handles_of(home))
    both = {"do": "set_temperature", "to": ["climate.cold", "climate.warm"]}
    assert not fits(schema, act({**both, "temperature": 20}))
    assert fits(schema, act({**both, "to": ["climate.warm"], "temperature": 20}))
    assert not fits(schema, act({**both, "to": ["climate.cold"], "temperature": 20}))


def test_a_skill_s_action_can_be_answered_too(villa: Home) -> None:
    brew = ActionSpec(
        "brew",
        "brew",
        params=(Param("cups", ParamKind.NUMBER, low=1, high=4), Param("strong", ParamKind.FLAG)),
    )
    vocabulary = VOCABULARY.with_([brew])
    schema = answer_schema(villa, vocabulary, handles_of(villa))
    answer = act({"do": "brew", "cups": 2, "strong": True})
    assert fits(schema, answer)
    assert not fits(schema, act({"do": "brew", "cups": 5, "strong": True}))
    stream = ActionStream(villa, vocabulary, handles_of(villa))
    assert stream.feed(answer) == [Action("brew", (), {"cups": 2, "strong": True})]


def test_states_do_not_change_the_schema(villa: Home) -> None:
    other = {i: replace(d, state={}, available=False) for i, d in villa.devices.items()}
    changed = replace(villa, devices=other)
    before = answer_schema(villa, VOCABULARY, handles_of(villa))
    assert answer_schema(changed, VOCABULARY, handles_of(changed)) == before


# ------------------------------------------------------------------- reading


def test_each_action_comes_with_its_closing_brace(villa: Home) -> None:
    answer = act(
        {"do": "list_add", "to": ["todo.shopping"], "item": "a } \\ [b] {c"},
        {"do": "cancel_timer", "timer": "1"},
    )
    stream = ActionStream(villa, VOCABULARY, handles_of(villa))
    came = {}
    for place, character in enumerate(answer):
        for action in stream.feed(character):
            came[place] = action
        assert stream.finished == (place == len(answer) - 1)
    assert list(came) == [answer.index("},{"), len(answer) - 3]
    first, second = came.values()
    assert first == Action("list_add", ("todo.shopping",), {"item": "a } \\ [b] {c"})
    assert second == Action("cancel_timer", (), {"timer": villa.timers[0].id})


@given(st.text(max_size=60), st.booleans(), st.integers(1, 9))
def test_words_come_as_they_are_however_they_are_cut(
    text: str, ascii_only: bool, pieces: int
) -> None:
    answer = json.dumps({"say": text}, ensure_ascii=ascii_only)
    said = read(answer, Home(), pieces=pieces)
    assert all(isinstance(item, Said) and item.text for item in said)
    together = "".join(item.text for item in said if isinstance(item, Said))
    shown = [" " if unicodedata.category(c) == "Cc" and c != "\n" else c for c in text]
    assert together == "".join(shown)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (r'{"say":"\ud83d\ude00"}', "😀"),
        (r'{"say":"a\ud83d"}', "a\ufffd"),
        (r'{"say":"\ud83dz"}', "\ufffdz"),
        (r'{"say":"\ude00\ud83d\ud83d\ude00"}', "\ufffd\ufffd😀"),
        (r'{"say":"\ud83d\n"}', "\ufffd\n"),
        ('{"say":"\ud83d"}', "\ufffd"),
        (r'{"say":"a\/b\"c\\"}', 'a/b"c\\'),
        ('  { "say" :\n"x" }  ', "x"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 3, 100])
def test_escapes_and_halves_of_characters(answer: str, said: str, pieces: int) -> None:
    items = read(answer, Home(), pieces=pieces)
    assert "".join(item.text for item in items if isinstance(item, Said)) == said
    said.encode()


def test_a_question_is_told_from_a_reply() -> None:
    assert read('{"ask":"Which?"}', Home(), pieces=100) == [Asked("Which?")]


@pytest.mark.parametrize(
    "answer",
    [
        "Sure!",
        "[1]",
        "{}",
        '{"say":5}',
        '{"say":"x"} and more',
        '{"say":"x","ask":"y"}',
        r'{"say":"\x"}',
        r'{"say":"\u12g4"}',
        r'{"say":"\u-123"}',
        '{"say":"' + "x" * 5000,
        '{"' + "k" * 50,
        '{"actions":{}}',
        '{"actions":[]}',
        '{"actions":[,]}',
        '{"actions":["turn_on"]}',
        '{"actions":[{"do":"lock","to":["lock.front"]},]}',
        '{"actions":[{"do":"lock","to":["lock.front"]}{',
        '{"actions":[{"do":"lock","do":"unlock","to":["lock.front"]}]}',
        '{"actions":[{"do":"lock","to":"lock.front"}]}',
        '{"actions":[{"do":"lock","to":[]}]}',
        '{"actions":[{"do":"lock","to":[["lock.front"]]}]}',
        '{"actions":[{"do":"lock"}]}',
        '{"actions":[{"do":["lock"],"to":["lock.front"]}]}',
        '{"actions":[{"to":["lock.front"]}]}',
        '{"actions":[{"do":"explode","to":["lock.front"]}]}',
        '{"actions":[{"do":"lock","to":["lock.front"],"hard":true}]}',
        '{"actions":[{"do":"set_brightness","to":["light.sofa"],"brightness":NaN}]}',
        '{"actions":[{"do":"set_brightness","to":["light.sofa"],"brightness":1e999}]}',
        '{"actions":[{"do":"set_brightness","to":["light.sofa"],"brightness":"40"}]}',
        '{"actions":[{"do":"set_brightness","to":["light.sofa"],"brightness":true}]}',
        '{"actions":[{"do":"set_brightness","to":["light.sofa"],"brightness":[40]}]}',
        '{"actions":[{"do":"set_brightness","to":["light.sofa"],"brightness":-5}]}',
        '{"actions":[{"do":"broadcast","message":"' + "x" * 1000 + '"}]}',
        '{"actions":[{"do":"broadcast","message":' + "[" * 3000 + "]" * 3000 + "}]}",
        '{"actions":[{"do":"broadcast","message":"' + "x" * 9000,
        '{"actions":[{"do":"turn_on","to":["light.hidden"]}]}',
    ],
)
def test_malformed_and_impossible_answers_are_errors(villa: Home, answer: str) -> None:
    stream = ActionStream(villa, VOCABULARY, handles_of(villa))
    came: list[Answered] = []
    with pytest.raises(AnswerError):
        came.extend(item for character in answer for item in stream.feed(character))
    assert {item.devices for item in came if isinstance(item, Action)} <= {("lock.front",)}


def test_what_is_forbidden_or_gone_is_refused_though_it_has_a_handle(villa: Home) -> None:
    handles = handles_of(villa)
    lock = villa.devices["lock.front"]
    answer = act({"do": "lock", "to": ["lock.front"]})
    for changed in (replace(lock, risk=Risk.FORBIDDEN), replace(lock, exposed=False), None):
        devices = {**villa.devices, "lock.front": changed or villa.devices["lock.back"]}
        if changed is None:
            del devices["lock.front"]
        home = replace(villa, devices=devices)
        with pytest.raises(AnswerError, match="not for voice"):
            ActionStream(home, VOCABULARY, handles).feed(answer)


def test_what_the_device_would_clamp_must_make_sense_all_the_same() -> None:
    can = frozenset({"color_temp"})
    lamp = Device("light.x", "X", DeviceType.LIGHT, capabilities=can, minimum=2200, maximum=6500)
    answer = {"do": "set_color_temp", "to": ["light.x"]}
    assert read(act({**answer, "color_temp": 9000}), one(lamp))
    with pytest.raises(AnswerError, match="above"):
        read(act({**answer, "color_temp": 90000}), one(lamp))


def test_what_came_before_an_error_is_told_with_it(villa: Home) -> None:
    good, bad = {"do": "lock", "to": ["lock.front"]}, {"do": "lock", "to": ["lock.none"]}
    with pytest.raises(AnswerError, match=r"lock\.none") as caught:
        ActionStream(villa, VOCABULARY, handles_of(villa)).feed(act(good, bad))
    assert caught.value.answered == [Action("lock", ("lock.front",))]


@settings(max_examples=200)
@given(st.text(alphabet='{}[]":,\\u d8o actionsay1.é\n', max_size=60), st.integers(1, 5))
def test_no_text_makes_reading_fail_otherwise(text: str, pieces: int) -> None:
    stream = ActionStream(Home(), VOCABULARY, handles_of(Home()))
    try:
        for start in range(0, len(text), pieces):
            stream.feed(text[start : start + pieces])
    except AnswerError:
        return
    assert isinstance(stream.finished, bool)


def test_a_device_named_twice_is_commanded_once(villa: Home) -> None:
    answer = act({"do": "lock", "to": ["lock.front", "lock.back", "lock.front"]})
    assert read(answer, villa, pieces=100) == [Action("lock", ("lock.front", "lock.back"))]


# ------------------------------------------------------------------- handles


def test_handles_are_plain_short_and_each_its_own() -> None:
    for seed in range(200):
        home = random_home(seed, most=40)
        handles = handles_of(home)
        assert set(handles.devices.values()) == {d.id for d in home.exposed()}
        for handle, device_id in handles.devices.items():
            assert handle.isascii()
            assert all(c.isalnum() or c in "_." for c in handle)
            assert len(handle) <= 45
            assert handles.of_device[device_id] == handle


def test_an_id_that_tells_something_is_its_own_handle() -> None:
    def handle(device_id: str) -> str:
        home = one(Device(device_id, "Reading Lamp", DeviceType.LIGHT))
        return handles_of(home).of_device[device_id]

    assert handle("light.desk") == "light.desk"
    assert handle("light.0x00158d0001234567") == "light.reading_lamp"
    assert handle("<|im_end|>") == "light.reading_lamp"
    assert handle("light." + "x" * 60) == "light.reading_lamp"
