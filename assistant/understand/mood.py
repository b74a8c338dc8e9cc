"""Whether a sentence orders something, asks something, or forbids it."""

from __future__ import annotations

from enum import StrEnum

from assistant.understand.language import Language
from assistant.understand.normal import fold, squeeze


class Mood(StrEnum):
    """What a sentence is, as far as its form tells."""

    ORDER = "order"
    """Anything that is neither of the others: it may or may not want something done."""
    QUESTION = "question"
    FORBIDDING = "forbidding"


def mood(text: str, language: Language) -> Mood:
    """The mood of `text`. Only an ORDER may lead to an action."""
    if language.negation.match(squeeze(text)):
        return Mood.FORBIDDING
    body, start = without_politeness(fold(text), language)
    # A request ("could you") may be spoken with a question mark, and may hide a question.
    as_written = " ".join(text[start : start + len(body)].casefold().replace("’", "'").split())
    if language.asking.match(as_written) or is_question(text, body, start, language):
        return Mood.QUESTION
    return Mood.ORDER


def is_question(text: str, body: str, start: int, language: Language) -> bool:
    """Whether a sentence that could be an order wants an answer instead ("lights off?").

    One that opens as an order does, with a request ("could you") or a verb, is none. `body` and
    `start` are those of `without_politeness`.
    """
    requested = start > len(text) - len(text.lstrip())
    if requested or not text.rstrip().endswith("?"):
        return False
    return not opens_as_order(body, language)


def opens_as_order(body: str, language: Language) -> bool:
    """Whether a folded sentence begins with a verb that orders begin with."""
    first = next(iter(body.split()), "")
    for pattern, apart in language.dialogue.clitics:  # "spegnila"
        first = pattern.sub(apart, first).partition(" ")[0]
    return first in {squeeze(verb).split()[0] for verb in language.verbs}


def without_politeness(folded: str, language: Language) -> tuple[str, int]:
    """`folded` without polite openers and closers, and how many letters went at the front."""
    end = len(folded.rstrip())
    start = len(folded) - len(folded.lstrip())
    if (match := language.opening.match(folded, start)) and match.end() < end:
        start = match.end()
    body = folded[start:end]
    if (match := language.closing.search(body)) and match.start() > 0:
        body = body[: match.start()]
    return body, start
