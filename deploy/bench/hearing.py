"""How often a spoken command ends in the plan that its text has: through Piper, noise and Whisper.

Prints the share of utterances with the plan of the text: with and without the recogniser being
told the home's names (the vocabulary bias), with and without understanding allowing for
mishearings (the resolver), and by the speed of speech. Speaking and writing 1,500 utterances takes
about half an hour on two cores and is kept in --file; understanding them takes seconds.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from spoken_texts import SPEEDS, Heard, speak_and_write
from understanding import Said, brief, from_file, from_tests, is_same

from assistant.home.model import Home
from assistant.plan import Plan, PlanKind, Utterance
from assistant.skill import load_skills, skill_folders
from assistant.understand.template import TemplateUnderstanding

_UNSETTLED: Final = frozenset({PlanKind.UNKNOWN, PlanKind.REFUSE})
_SURE: Final = 0.99
OUTCOMES: Final = ("right", "lost", "asked", "wrong")
_MOST_ALTERNATIVES: Final = 3


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", type=Path, default=Path("heard.jsonl"),
                        help="where what was heard is kept (default: %(default)s)")  # fmt: skip
    parser.add_argument("--texts", type=Path, help="sentences, as for understanding.py")
    parser.add_argument("--homes", type=Path, help="their homes")
    parser.add_argument("--count", type=int, default=1500, help="utterances (default: 1500)")
    parser.add_argument("--snr", type=float, default=12.0, help="dB over the noise (default: 12)")
    parser.add_argument("--voice", default="piper-en_US-joe-medium", help="(default: %(default)s)")
    parser.add_argument("--model", default="whisper-tiny.en", help="(default: %(default)s)")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N wrong plans")
    args = parser.parse_args()
    console = Console()
    said = from_file(args.texts, args.homes) if args.texts else from_tests()
    aloud = (one for one in said if one.language == "en" and any(map(str.isalpha, one.text)))
    english = list({(one.text, one.home.id): one for one in aloud}.values())
    random.Random(1).shuffle(english)  # noqa: S311
    chosen = english[: args.count // len(SPEEDS)]
    heard = speak_and_write(
        [(one.text, one.home, one.area) for one in chosen], args.file,
        voice=args.voice, model=args.model, snr=args.snr, console=console,
    )  # fmt: skip
    report(console, chosen, heard, args.show)


def report(console: Console, said: Sequence[Said], heard: Sequence[Heard], show: int) -> None:
    """Print how many of `heard` have the plan of their texts."""
    skills = load_skills(skill_folders(None), {})
    whole, strict = TemplateUnderstanding(skills), TemplateUnderstanding(skills, mishearings=False)
    homes = {one.home.id: one.home for one in said}
    wanted = {
        (one.text, one.home.id): whole.understand(Utterance(one.text, "en", one.area), one.home)
        for one in said
    }
    ways: dict[str, Callable[[Heard], Plan]] = {
        "neither": lambda one: _plan(strict, one, one.plain, homes[one.home]),
        "names expected": lambda one: _plan(strict, one, one.biased, homes[one.home]),
        "mishearings allowed for": lambda one: _plan(whole, one, one.plain, homes[one.home]),
        "both": lambda one: _plan(whole, one, one.biased, homes[one.home]),
    }
    table = Table("", "right", "not understood", "asked", "wrong", *(f"{s:g}x" for s in SPEEDS),
                  title=f"{len(heard)} spoken utterances, {len(said)} texts")  # fmt: skip
    for name, way in ways.items():
        outcomes: Counter[str] = Counter()
        speeds: dict[float, Counter[str]] = defaultdict(Counter)
        for one in heard:
            plan = way(one)
            outcome = _outcome(plan, wanted[one.text, one.home])
            outcomes[outcome] += 1
            speeds[one.speed][outcome] += 1
            if name == "both" and outcome == "wrong" and show > 0:
                show -= 1
                console.print(f"{one.speed:g}x {one.text!r} heard {one.biased[:2]}:", brief(plan))
        table.add_row(
            name,
            *(f"{100 * outcomes[key] / len(heard):.1f} %" for key in OUTCOMES),
            *(f"{100 * speeds[s]['right'] / speeds[s].total():.0f} %" for s in SPEEDS),
        )  # fmt: skip
    console.print(table)


def _plan(
    understanding: TemplateUnderstanding, one: Heard, readings: Sequence[str], home: Home
) -> Plan:
    """As a turn does it: the first reading, or else another that is more than a refusal."""
    best = Plan(PlanKind.UNKNOWN, score=0.0)
    for text in readings[: 1 + _MOST_ALTERNATIVES]:
        plan = understanding.understand(Utterance(text, "en", one.area), home)
        settled = plan.kind not in _UNSETTLED
        first = best.kind in _UNSETTLED and (settled or plan.score > best.score)
        if plan.kind is PlanKind.NOTHING or first or (settled and plan.score > best.score):
            best = plan
        if best.kind is PlanKind.NOTHING or (best.kind not in _UNSETTLED and best.score >= _SURE):
            break
    return best


def _outcome(plan: Plan, wanted: Plan) -> str:
    if plan.kind is wanted.kind and is_same(plan.actions, wanted.actions):
        same = (plan.query, plan.devices) == (wanted.query, wanted.devices)
        if wanted.kind is not PlanKind.ANSWER or same:
            return "right"
    if plan.kind is PlanKind.ASK:
        return "asked"
    return "lost" if plan.kind in (PlanKind.UNKNOWN, PlanKind.REFUSE) else "wrong"


if __name__ == "__main__":
    main()
