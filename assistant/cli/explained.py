"""How a plan came about, as a table for somebody who wonders."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.cli.deeds import deed
from assistant.home.model import Home
from assistant.plan import Plan, PlanKind
from assistant.understand.explain import Considered, Verdict

_MOST_REJECTED: Final = 6
"""Rejected candidates of one piece of a sentence that are shown; the rest are counted."""
_MARKS: Final = {
    Verdict.TAKEN: "[green]✓[/]",
    Verdict.KEPT: "[yellow]·[/]",
    Verdict.REJECTED: "[red]✗[/]",
}
_ENDS: Final = " .,;:!?"
_STAGES: Final = {
    "exact": "word for word",
    "loose": "misheard",
    "several": "in parts",
    "own exact": "own sentence",
    "own loose": "own, misheard",
    "unknown place": "unknown place",
}


def show(console: Console, said: str, steps: Sequence[Considered], home: Home) -> None:
    """Print what was considered for the sentence `said`, in its order."""
    console.print(f"\n[bold]“{escape(said)}”[/]", highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(width=1)
    table.add_column(overflow="fold", ratio=2)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", ratio=3)
    taken = {(s.stage, s.text, s.intent) for s in steps if s.verdict is Verdict.TAKEN and s.intent}
    rows = dict.fromkeys(
        _row(step, home)
        for step in steps
        if step.verdict is not Verdict.KEPT or (step.stage, step.text, step.intent) not in taken
    )
    whole = said.strip(_ENDS)
    for (stage, text), group in itertools.groupby(rows, key=lambda row: (row.stage, row.text)):
        label = _STAGES.get(stage, stage)
        if text.strip(_ENDS) not in (whole, ""):
            table.add_row(label, "", f"[italic]“{escape(text)}”[/]", "", "")
            label = ""
        for row in _few(group):
            table.add_row(label, row.mark, row.what, row.score, row.why)
            label = ""
    console.print(table, highlight=False)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line; what looks the same is the same."""

    stage: str
    text: str
    mark: str
    what: str
    score: str
    why: str

    @property
    def is_rejected(self) -> bool:
        """Whether it tells of something that was not taken."""
        return self.mark == _MARKS[Verdict.REJECTED]


def _row(step: Considered, home: Home) -> _Row:
    plan = step.plan
    intent = f"{plan.skill}.{plan.intent}" if plan is not None and plan.intent else step.intent
    slots = ", ".join(f"{name} {_value(value)}" for name, value in step.slots.items())
    made = plan if plan is not None and plan.kind is not PlanKind.UNKNOWN else None
    parts = [escape(outcome_of(made, home))] if made is not None else []
    parts += [_change(heard, meant) for heard, meant in step.changes]
    if step.cost:
        parts.append(f"cost {step.cost:.2f}")
    if step.reason:
        parts.append(f"[dim]{escape(step.reason)}[/]")
    return _Row(
        step.stage,
        step.text,
        _MARKS[step.verdict],
        f"{escape(intent)} [dim]{escape(slots)}[/]" if slots else escape(intent),
        f"{made.score:.2f}" if made is not None else "",
        " · ".join(parts),
    )


def _few(rows: Iterable[_Row]) -> Iterator[_Row]:
    """`rows` without the many that were rejected for one that was taken."""
    rejected: list[_Row] = []
    for row in rows:
        if row.is_rejected:
            rejected.append(row)
        if not row.is_rejected or len(rejected) <= _MOST_REJECTED:
            yield row
    if (more := len(rejected) - _MOST_REJECTED) > 0:
        yield replace(rejected[-1], mark="", what="", score="", why=f"[dim]… {more} more[/]")


def outcome_of(plan: Plan, home: Home) -> str:
    """What `plan` amounts to, in words."""
    deeds = "; ".join(deed(action, home) for action in plan.actions)
    if plan.kind is PlanKind.ACT:
        return deeds or "does nothing"
    if plan.kind is PlanKind.ASK:
        return f"asks ({plan.speech.key if plan.speech else ''}): {deeds}".strip(": ")
    if plan.kind is PlanKind.ANSWER:
        names = [home.devices[i].name if i in home.devices else i for i in plan.devices]
        return " ".join(["answers", plan.query, ", ".join(names)]).strip()
    reply = f" ({plan.speech.key})" if plan.speech is not None else ""
    return f"{_VERBS[plan.kind]}{reply}"


_VERBS: Final = {
    PlanKind.REFUSE: "refuses",
    PlanKind.CHAT: "talks",
    PlanKind.NOTHING: "does nothing",
    PlanKind.UNKNOWN: "not understood",
}


def _change(heard: str, meant: str) -> str:
    if not meant:
        return f"“{escape(heard)}” left out"
    return f"“{escape(heard)}” taken for “{escape(meant)}”"


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
