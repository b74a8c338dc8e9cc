"""Records of turns: complete, bounded, and readable after damage."""

from __future__ import annotations

from pathlib import Path

from assistant.home.action import Action, Outcome, Result
from assistant.plan import Plan, PlanKind
from assistant.stt.transcript import Transcript
from assistant.turn.events import (
    Carried,
    Heard,
    Planned,
    Replied,
    SpeechEnded,
    Spoke,
    StageDone,
    TurnEnded,
    TurnEvent,
    Woken,
)
from assistant.turn.trace import FILE_NAME, Tracer, TurnRecord, read_records
from assistant.wake.engine import WakeEvent


def events(turn: str) -> list[TurnEvent]:
    action = Action("turn_on", ("light.a",))
    outcome = Outcome(action, "light.a", Result.CONFIRMED, topics=("a/set",), seconds=0.05)
    return [
        Woken(turn, "mic", 100.0, WakeEvent("hey jarvis", 0.97, 99.9)),
        Heard(turn, "mic", 100.5, Transcript("turn on", final=False)),
        SpeechEnded(turn, "mic", 102.0, "silence", 101.5),
        StageDone(turn, "mic", 102.1, "recognise", 102.0, 102.1),
        Heard(turn, "mic", 102.1, Transcript("turn on the light", final=True, confidence=0.9)),
        Planned(turn, "mic", 102.11, Plan(PlanKind.ACT, "turn_on", "lights", (action,))),
        Carried(turn, "mic", 102.2, outcome),
        Replied(turn, "mic", 102.2, "Turned on the light."),
        Spoke(turn, "mic", 102.3),
        TurnEnded(turn, "mic", 104.0),
    ]


def tell(tracer: Tracer, turn: str) -> None:
    for event in events(turn):
        tracer(event)


def test_a_record_holds_the_whole_turn(tmp_path: Path) -> None:
    seen: list[TurnRecord] = []
    tell(Tracer(tmp_path, on_record=seen.append), "t1")
    (record,) = read_records(tmp_path, 10)
    assert record == seen[0]
    assert (record.id, record.source, record.wake, record.wake_score) == (
        "t1",
        "mic",
        "hey jarvis",
        0.97,
    )
    assert (record.transcript, record.partials, record.reply) == (
        "turn on the light",
        1,
        "Turned on the light.",
    )
    assert record.decided == 2.0
    assert record.first_audio is not None
    assert abs(record.first_audio - 2.3) < 1e-6
    assert record.outcomes[0]["result"] == "confirmed"
    assert record.outcomes[0]["topics"] == ["a/set"]
    assert [stage.name for stage in record.stages] == ["recognise"]
    assert record.seconds == 4.0


def test_turns_of_two_sources_do_not_mix(tmp_path: Path) -> None:
    tracer = Tracer(tmp_path)
    for first, second in zip(events("a"), events("b"), strict=True):
        tracer(first)
        tracer(second)
    assert [record.id for record in read_records(tmp_path, 10)] == ["a", "b"]


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    tracer = Tracer(tmp_path, keep=5)
    for number in range(23):
        tell(tracer, f"t{number}")
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    assert 5 <= len(lines) <= 10
    assert [r.id for r in read_records(tmp_path, 2)] == ["t21", "t22"]


def test_what_was_said_can_be_left_out(tmp_path: Path) -> None:
    tell(Tracer(tmp_path, transcripts=False), "t")
    assert "turn on the light" not in (tmp_path / FILE_NAME).read_text()


def test_nothing_is_written_where_none_is_kept(tmp_path: Path) -> None:
    tell(Tracer(tmp_path, keep=0), "t")
    assert not (tmp_path / FILE_NAME).exists()


def test_a_damaged_line_costs_only_itself(tmp_path: Path) -> None:
    tell(Tracer(tmp_path), "before")
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"id": "half\n[]\n')
    tell(Tracer(tmp_path), "after")
    assert [record.id for record in read_records(tmp_path, 10)] == ["before", "after"]


def test_a_folder_that_cannot_be_written_harms_no_turn(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file where a folder should be")
    seen: list[TurnRecord] = []
    tell(Tracer(tmp_path / "traces", on_record=seen.append), "t")
    assert len(seen) == 1


def test_turns_that_never_end_are_bounded(tmp_path: Path) -> None:
    tracer = Tracer(tmp_path)
    for number in range(1000):
        tracer(Woken(f"t{number}", "mic", float(number), None))
    tell(tracer, "last")
    assert [record.id for record in read_records(tmp_path, 10)] == ["last"]


def test_records_are_for_the_owners_eyes(tmp_path: Path) -> None:
    tracer = Tracer(tmp_path, keep=1)
    for number in range(4):  # beyond the point at which it is trimmed
        tell(tracer, f"t{number}")
        assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_without_transcripts_no_words_are_kept_in_parameters_either(tmp_path: Path) -> None:
    tracer = Tracer(tmp_path, transcripts=False)
    action = Action("broadcast", (), {"message": "the cake is ready"})
    tracer(Carried("t", "mic", 1.0, Outcome(action, None, Result.CONFIRMED)))
    level = Action("set_brightness", ("light.a",), {"brightness": 40})
    tracer(Carried("t", "mic", 1.0, Outcome(level, "light.a", Result.CONFIRMED)))
    tracer(TurnEnded("t", "mic", 2.0))
    (record,) = read_records(tmp_path, 1)
    assert [o["params"] for o in record.outcomes] == [{}, {"brightness": 40}]
