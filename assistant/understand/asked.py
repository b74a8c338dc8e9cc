"""What is asked of the templates at once: an utterance, and what is known about it so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from assistant.home.model import Home
from assistant.plan import Context, Plan, Utterance
from assistant.understand.explain import Considered, Note, Verdict
from assistant.understand.language import Language

Read = Callable[[str], Plan | None]
"""The plan of a sentence that is said in full; None: it is none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is the same for all that is tried on one utterance."""

    utterance: Utterance
    home: Home
    language: Language
    context: Context
    note: Note
    understand: Callable[[str], Plan]
    """Understands a part of the sentence, for handlers."""
    alone: Callable[[str], Plan]
    """The same, as if nothing had been said before."""
    _known: dict[tuple[object, ...], Plan | None] = field(default_factory=dict, repr=False)

    def once(self, how: str, text: str, read: Read, *more: object) -> Plan | None:
        """What `read` makes of `text`, read but once: a sentence is taken apart in many ways, and
        most have parts in common. `how` and `more` tell this way of reading from others.
        """
        # What "it" means is all of the context that a reading looks at.
        known = (how, text, self.context.recent, *more)
        if known not in self._known:
            self._known[known] = read(text)
        return self._known[known]

    def reject(self, stage: str, text: str, reason: str, plan: Plan | None = None) -> None:
        """Note what is not taken for a plan, and why."""
        self.note(Considered(stage, text, plan, {}, reason, Verdict.REJECTED))
