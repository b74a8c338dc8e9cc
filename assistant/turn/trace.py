"""The record of a turn: what happened in it and how long each stage took.

A `Tracer` is an observer. It gathers a turn's events and, when the turn ends, appends one JSON
line to `turns.jsonl` in the traces folder, of which the newest are kept.
"""

from __future__ import annotations

import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

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

log = logging.getLogger(__name__)

Observer = Callable[[TurnEvent], None]
"""Called on the event loop with everything that happens in a turn; must not block."""

FILE_NAME = "turns.jsonl"
MAX_OPEN_TURNS = 64
"""Turns without an end that are remembered; the oldest is dropped beyond this."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage with its begin and end in seconds from the start of the turn."""

    name: str
    start: float
    end: float


@dataclass(slots=True)
class TurnRecord:
    """Everything kept of one turn. Times are seconds from its start; `started` is ISO 8601."""

    id: str
    source: str
    started: str
    wake: str = ""
    wake_score: float | None = None
    transcript: str = ""
    confidence: float | None = None
    partials: int = 0
    endpoint: str = ""
    speech_end: float | None = None
    decided: float | None = None
    first_audio: float | None = None
    plan: str = ""
    intent: str = ""
    skill: str = ""
    score: float | None = None
    model: str = ""
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    reply: str = ""
    stages: list[Stage] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""


class Tracer:
    """Turns the events of turns into records, kept in `folder` (None: nowhere).

    `keep` is how many records stay on disk; `transcripts` False leaves out what was said and
    answered, the words in parameters (a list's item, a message) included. `on_record` is called
    with each finished record.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        keep: int = 500,
        transcripts: bool = True,
        on_record: Callable[[TurnRecord], None] | None = None,
    ) -> None:
        self._path = folder / FILE_NAME if folder and keep else None
        self._keep = keep
        self._transcripts = transcripts
        self._on_record = on_record
        self._open: OrderedDict[str, tuple[float, TurnRecord]] = OrderedDict()
        self._written = self._count()
        self._failing = False

    def __call__(self, event: TurnEvent) -> None:
        """Take note of `event`."""
        if event.turn not in self._open:
            self._begin(event)
        zero, record = self._open[event.turn]
        self._note(event, zero, record)
        if isinstance(event, TurnEnded):
            del self._open[event.turn]
            record.seconds = event.time - zero
            if not self._transcripts:
                record.transcript = record.reply = ""
                for outcome in record.outcomes:
                    outcome["params"] = _without_words(outcome["params"])
            self._write(record)
            if self._on_record:
                self._on_record(record)

    def _begin(self, event: TurnEvent) -> None:
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        self._open[event.turn] = (event.time, TurnRecord(event.turn, event.source, now))
        if len(self._open) > MAX_OPEN_TURNS:
            dropped, _ = self._open.popitem(last=False)
            log.warning("turn %s never ended; its record is dropped", dropped)

    @staticmethod
    def _note(event: TurnEvent, zero: float, record: TurnRecord) -> None:
        match event:
            case Woken(wake=wake) if wake is not None:
                record.wake, record.wake_score = wake.word, wake.score
            case Heard(transcript=transcript) if transcript.final:
                record.transcript = transcript.text
                record.confidence = transcript.confidence
            case Heard():
                record.partials += 1
            case SpeechEnded(reason=reason, speech_end=speech_end, time=time):
                record.endpoint = reason
                record.speech_end = speech_end - zero
                record.decided = time - zero
            case Planned(plan=plan, model=model):
                record.model = model or record.model
                record.plan, record.intent = plan.kind.value, plan.intent
                record.skill, record.score = plan.skill, plan.score
            case Carried(outcome=outcome):
                record.outcomes.append(
                    {
                        "action": outcome.action.name,
                        "params": dict(outcome.action.params),
                        "device": outcome.device,
                        "result": outcome.result.value,
                        "reason": outcome.reason,
                        "topics": list(outcome.topics),
                        "seconds": round(outcome.seconds, 4),
                    }
                )
            case Replied(text=text):
                record.reply = text
            case Spoke(time=time):
                record.first_audio = time - zero
            case StageDone(name=name, start=start, end=end):
                record.stages.append(Stage(name, start - zero, end - zero))
            case TurnEnded(error=error):
                record.error = error
            case _:
                pass

    def _count(self) -> int:
        if self._path is None or not self._path.exists():
            return 0
        with self._path.open("rb") as file:
            return sum(1 for _ in file)

    def _write(self, record: TurnRecord) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a", encoding="utf-8", opener=_privately) as file:
                file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
            self._written += 1
            # Rewriting only at twice the number keeps the cost per turn constant.
            if self._written > 2 * self._keep:
                self._trim()
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.error("turns are not recorded: %s: %s", self._path, error.strerror)
            self._failing = True

    def _trim(self) -> None:
        assert self._path is not None  # noqa: S101 -- only _write calls this
        lines = self._path.read_text(encoding="utf-8").splitlines()[-self._keep :]
        fresh = self._path.with_suffix(".tmp")
        with open(fresh, "w", encoding="utf-8", opener=_privately) as file:
            file.write("\n".join(lines) + "\n")
        os.replace(fresh, self._path)
        self._written = len(lines)


def _privately(path: str, flags: int) -> int:
    """What was said at home is for the owner's eyes only."""
    return os.open(path, flags, 0o600)


def _without_words(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if isinstance(value, bool | int | float)}


def read_records(folder: Path, last: int) -> list[TurnRecord]:
    """The newest `last` records in `folder`, oldest first. Damaged lines are passed over."""
    path = folder / FILE_NAME
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-last:]:
        try:
            values = json.loads(line)
            values["stages"] = [Stage(**stage) for stage in values["stages"]]
            records.append(TurnRecord(**values))
        except (ValueError, TypeError, KeyError):
            log.warning("%s: a damaged record is passed over", path)
    return records
