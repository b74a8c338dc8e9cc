"""An answer while the model still writes it: what of it is done, said, asked about or dropped."""

from __future__ import annotations

import math
from dataclasses import replace

from assistant.home.action import Action
from assistant.home.model import Home
from assistant.llm.model import Finish, Piece
from assistant.plan import Plan, PlanKind, Utterance
from assistant.understand.answer import ActionStream, AnswerError, Asked, Said
from assistant.understand.caution import question_about
from assistant.understand.judge import Judge
from assistant.understand.offer import STARTED_HERE
from assistant.understand.plan_events import (
    PLANNED,
    Acting,
    Asking,
    Confirming,
    Excusing,
    PlanEvent,
    Saying,
    excuse,
)


class Draft:
    """The answer to one utterance in `home`. `stream` reads it, `judge` rules on its actions."""

    def __init__(
        self, utterance: Utterance, home: Home, stream: ActionStream, judge: Judge
    ) -> None:
        self._utterance = utterance
        self._home = home
        self._stream = stream
        self._judge = judge
        self._wanted: list[Action] = []
        self._unsure: list[Action] = []
        self._logprob, self._chosen = 0.0, 0
        """Of what has come of the action that is being written."""
        self._of_use = False
        self._finish: Finish | None = None
        self._error: AnswerError | None = None
        self.came = False
        """A whole action has come, or a word."""

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be read: the answer is whole, or it is none."""
        return self._error is not None or self._stream.finished

    def feed(self, piece: Piece) -> list[PlanEvent]:
        """What `piece`, the next of the answer, completes."""
        self._logprob += piece.logprob
        self._chosen += piece.chosen
        self._finish = piece.finish
        try:
            answered = self._stream.feed(piece.text)
        except AnswerError as error:
            answered, self._error = error.answered, error
        confidence = math.exp(min(0.0, self._logprob)) if self._chosen else None
        events: list[PlanEvent] = []
        for item in answered:
            self.came = True
            match item:
                case Said(text):
                    self._of_use = True
                    events.append(Saying(text))
                case Asked(text):
                    self._of_use = True
                    events.append(Asking(text))
                case action:
                    # The piece may hold the beginning of the next action as well.
                    begun = self._stream.acting
                    self._logprob = piece.logprob if begun else 0.0
                    self._chosen = piece.chosen if begun else 0
                    events += self._ruled(action, confidence)
        return events

    def end(self) -> list[PlanEvent]:
        """What is left once nothing more comes: the question about all that is not sure, and the
        excuse for what is missing.
        """
        if self._error is not None:
            return [self._excuse(str(self._error))]
        events: list[PlanEvent] = [Confirming(self._question())] if self._unsure else []
        cut = self._finish is Finish.LENGTH and self._stream.speaking
        if not self.came or not (self._stream.finished or cut):
            events.append(self._excuse("the model's answer ended too early"))
        elif not (self._of_use or self._unsure):
            events.append(self._excuse("it would do what nobody spoke of"))
        return events

    def _ruled(self, action: Action, confidence: float | None) -> list[PlanEvent]:
        """`action`, if it is to be carried out now; else it may be kept for the question."""
        action = self._placed(action)
        if action in self._wanted:
            return []  # small models repeat themselves
        self._wanted.append(action)
        if self._judge.lets(action, confidence):
            self._of_use = True
            return [Acting(action, confidence)]
        if (doubtful := self._judge.worth_asking(action)) is not None:
            self._unsure.append(doubtful)
        return []

    def _placed(self, action: Action) -> Action:
        """`action` with the room it was asked for in, where it is what begins there."""
        area = self._utterance.area
        if action.name not in STARTED_HERE or area is None:
            return action
        return replace(action, params={**action.params, "area": area})

    def _excuse(self, reason: str) -> Excusing:
        return excuse("core.not_understood", reason, self._utterance)

    def _question(self) -> Plan:
        """The question whether to do all that is not sure."""
        actions = tuple(self._unsure)
        return Plan(
            PlanKind.ASK,
            PLANNED,
            "core",
            actions,
            speech=question_about(actions, self._home),
            devices=tuple(dict.fromkeys(i for action in actions for i in action.devices)),
            confirm=True,
        )
