"""What was said, where the recogniser is in two minds: the reading of it that is understood."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from assistant.home.model import Home
from assistant.plan import Context, Plan, PlanKind, Utterance
from assistant.understand.explain import Note
from assistant.understand.template import TemplateUnderstanding

_MOST: Final = 3
"""Further readings of the recogniser that are tried where the first is not understood as it is."""
_UNSETTLED: Final = frozenset({PlanKind.UNKNOWN, PlanKind.REFUSE})
"""Plans beside which another reading is looked at: there is no brent door, but a front door."""
_AS_HEARD: Final = 0.99
"""Score of a plan for which every word was taken as it was heard."""


def likeliest_plan(
    understanding: TemplateUnderstanding,
    utterance: Utterance,
    home: Home,
    context: Context,
    note: Note,
) -> Plan:
    """The plan for what was most likely said, or else for what may have been said instead."""
    best = understanding.understand(utterance, home, context, note)
    if best.kind not in _UNSETTLED and best.score >= _AS_HEARD:
        return best
    for text in utterance.alternatives[:_MOST]:
        other = understanding.understand(replace(utterance, text=text), home, context, note)
        if other.kind is PlanKind.NOTHING:
            return other  # what may have been forbidden is not done
        if other.kind not in _UNSETTLED and (best.kind in _UNSETTLED or other.score > best.score):
            best = other
    return best
