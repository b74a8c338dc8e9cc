"""A turn as it happens, line by line, for somebody who watches."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.home.action import Action, Result
from assistant.turn.events import (
    Carried,
    Heard,
    Planned,
    Replied,
    SpeechEnded,
    Spoke,
    TurnEnded,
    TurnEvent,
    Woken,
)

RESULT_STYLE = {
    Result.CONFIRMED: "green",
    Result.SENT: "yellow",
    Result.FAILED: "red",
    Result.REFUSED: "red",
}

LONGEST_PAYLOAD = 100
"""Letters of an MQTT message that are shown."""


class TurnDisplay:
    """Prints the events of turns with the seconds since the turn began; an observer."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._zero: dict[str, float] = {}
        self._decided: dict[str, float] = {}
        self._latest = time.monotonic()

    def __call__(self, event: TurnEvent) -> None:
        """Print `event`."""
        self._latest = self._zero.setdefault(event.turn, event.time)
        match event:
            case Woken(wake=wake):
                if wake is not None:
                    self._line("wake", f"“{wake.word}”, score {wake.score:.2f}")
            case Heard(transcript=transcript):
                if transcript.final:
                    sure = f"[dim]confidence {transcript.confidence:.2f}[/]"
                    self._line("heard", f"[bold]“{escape(transcript.text)}”[/] {sure}")
                elif transcript.text:
                    self._line("partial", f"[dim]{escape(transcript.text)}[/]")
            case SpeechEnded(reason=reason, speech_end=end, time=time):
                self._decided[event.turn] = time
                waited = f", {time - end:.2f} s after the last word" if reason == "silence" else ""
                self._line("end", f"{reason.replace('_', ' ')}{waited}")
            case Planned(plan=plan, model=model):
                what = "; ".join(_words(action) for action in plan.actions)
                origin = f"{plan.skill} · {plan.intent} · {plan.score:.2f}" if plan.intent else ""
                origin = f"by {escape(model)}" if model else origin
                self._line("plan", f"{plan.kind.value} {escape(what)} [dim]{origin}[/]")
            case Carried(outcome=outcome):
                style = RESULT_STYLE[outcome.result]
                self._line(
                    "outcome",
                    f"{outcome.device or '–'} [{style}]{outcome.result.value}[/] "
                    f"{outcome.reason} [dim]after {1000 * outcome.seconds:.0f} ms[/]",
                )
            case Replied(text=text):
                self._line("reply", f"[bold cyan]“{escape(text)}”[/]")
            case Spoke():
                decided = self._decided.get(event.turn)
                late = (
                    f", {event.time - decided:.2f} s after the end was decided" if decided else ""
                )
                self._line("sound", f"first audio{late}")
            case TurnEnded(error=error):
                if error:
                    self._line("error", f"[red]{escape(error)}[/]")
                self._zero.pop(event.turn, None)
                self._decided.pop(event.turn, None)
            case _:
                pass

    def message(self, topic: str, payload: bytes, *, sent: bool) -> None:
        """Print an MQTT message to an appliance, or from one."""
        text = payload.decode("utf-8", "replace")
        if len(text) > LONGEST_PAYLOAD:
            text = f"{text[:LONGEST_PAYLOAD]}…"
        self._line("mqtt →" if sent else "mqtt ←", f"{escape(topic)} [dim]{escape(text)}[/]")

    def _line(self, label: str, text: str) -> None:
        now = time.monotonic() - self._latest
        line = hanging(10, 9)
        line.add_row(f"  [dim]{now:6.2f}[/]", label, text)
        self._console.print(line)


def hanging(*widths: int) -> Table:
    """A line in columns, the last of which takes the rest and wraps within itself."""
    line = Table.grid()
    for width in widths:
        line.add_column(width=width, no_wrap=True)
    line.add_column(overflow="fold")
    return line


def _words(action: Action) -> str:
    params = ", ".join(f"{key}={value}" for key, value in action.params.items())
    return f"{action.name}({params}) {' '.join(action.devices)}".strip()
