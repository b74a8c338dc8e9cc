"""Whether a partial transcript already is a command: lets the endpointer wait less, or longer."""

from __future__ import annotations

from enum import StrEnum

from assistant.home.model import Home
from assistant.plan import SETTLED, Utterance
from assistant.understand.language import load_language
from assistant.understand.normal import squeeze
from assistant.understand.template import TemplateUnderstanding


class Completeness(StrEnum):
    """What is known of an utterance that may not have ended."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    UNKNOWN = "unknown"


def completeness(
    understanding: TemplateUnderstanding,
    text: str,
    home: Home,
    language: str,
    area: str | None = None,
) -> Completeness:
    """What `text`, as heard so far, amounts to. Takes milliseconds; nothing is carried out.

    COMPLETE: it is a whole command or question. INCOMPLETE: it ends with a word no sentence ends
    with ("turn on the"). UNKNOWN: neither.
    """
    words = squeeze(text).split()
    if not words:
        return Completeness.UNKNOWN
    utterance = Utterance(text, language, area)
    if understanding.matches(utterance, home) in SETTLED:
        return Completeness.COMPLETE
    dangling = load_language(language).dangling
    if words[-1] in dangling or " ".join(words[-2:]) in dangling:
        return Completeness.INCOMPLETE
    return Completeness.UNKNOWN
