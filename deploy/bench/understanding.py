"""How fast, and how surely, sentences are understood without a language model, on this machine.

Prints how the time for an utterance grows with the devices of a home; then, for sentences with
recognition mistakes made on purpose, how often the plan is still that of the sentence without
them; then what became of sentences that command nothing, with mistakes; and how often plans of
each score are right (the calibration curve).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml
from many_devices import home_of, said_in
from mistakes import MISTAKES, mistaken
from rapidfuzz import fuzz
from rich.console import Console
from rich.progress import track
from rich.table import Table

from assistant.home.action import Action
from assistant.home.file import load_home
from assistant.home.model import Device, Home
from assistant.plan import Plan, PlanKind, Utterance
from assistant.skill import load_skills, skill_folders
from assistant.understand.language import load_language
from assistant.understand.names import names_of
from assistant.understand.template import TemplateUnderstanding

TESTS: Final = Path(__file__).parents[2] / "tests"
SIZES: Final = (10, 50, 200, 1000)
EPILOGUE = """\
Without --texts the sentences are those of the project's own tests. With it, they are those of a
file that `assistant replay` takes, in homes from the folder --homes.
"""
_COMMANDED: Final = frozenset({PlanKind.ACT, PlanKind.ASK, PlanKind.REFUSE})
_SIMILAR: Final = 60
"""Likeness, of 100, from which on free text is the same: it is taken as it was heard."""
_DANGEROUS: Final = frozenset({"unlock", "open", "set_position"})
_BARRIERS: Final = frozenset({"garage", "gate", "door"})


@dataclass(frozen=True)
class Said:
    """A sentence, and where it is said."""

    text: str
    language: str
    home: Home
    area: str | None


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOGUE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=Path, help="sentences, a JSON object a line")
    parser.add_argument("--homes", type=Path, help="folder with a folder for each home")
    parser.add_argument("--lines", type=Path, nargs="*", default=[], metavar="LANGUAGE.txt",
                        help="further sentences that command nothing, a line each")  # fmt: skip
    parser.add_argument("--mutations", type=int, default=10_000, metavar="N",
                        help="mistaken idle sentences (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the mistakes (default: 1)")
    parser.add_argument(
        "--show", type=int, default=0, metavar="N", help="print N of what went wrong"
    )
    parser.add_argument("--show-what", nargs="*", default=["wrong"], metavar="OUTCOME",
                        help="which of: wrong, lost, asked (default: wrong)")  # fmt: skip
    args = parser.parse_args()
    if (args.texts is None) != (args.homes is None):
        parser.error("--texts and --homes belong together")
    console = Console()
    understanding = TemplateUnderstanding(load_skills(skill_folders(None), {}))
    said = list(from_file(args.texts, args.homes) if args.texts else from_tests())
    growth(console, understanding)
    _Mistaken(console, understanding, said, args).report()


def growth(console: Console, understanding: TemplateUnderstanding) -> None:
    """Print the time of an utterance in homes of more and more devices."""
    table = Table("devices", "areas", "index", "p50", "p95", "max", title="Time per utterance")
    language = load_language("en")
    for count in SIZES:
        home = home_of(count)
        began = time.perf_counter()
        names_of(home, language)
        index = time.perf_counter() - began
        understanding.prepare("en", home)
        times = []
        for text in said_in(home, 500, random.Random(count)):  # noqa: S311
            began = time.perf_counter()
            understanding.understand(Utterance(text, "en", home.areas[0].id), home)
            times.append(1000 * (time.perf_counter() - began))
        cuts = statistics.quantiles(times, n=100)
        table.add_row(
            str(count), str(len(home.areas)), f"{index:.2f} s",
            *(f"{value:.1f} ms" for value in (cuts[49], cuts[94], max(times))),
        )  # fmt: skip
    console.print(table)


class _Mistaken:
    """What becomes of sentences when they are misheard."""

    def __init__(
        self,
        console: Console,
        understanding: TemplateUnderstanding,
        said: Sequence[Said],
        args: argparse.Namespace,
    ) -> None:
        self._console = console
        self._understanding = understanding
        self._args = args
        self._dice = random.Random(args.seed)  # noqa: S311
        plans = [(one, self._plan(one, one.text)) for one in said]
        self._commands = [pair for pair in plans if _is_command(pair[1])]
        # A refusal and a question of ours answer a command.
        idle = [one for one, plan in plans if plan.kind not in _COMMANDED]
        self._idle = idle + [
            Said(line, path.stem[:2], said[0].home, None)
            for path in args.lines
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.strip()
        ]
        self._scored: dict[int, Counter[bool]] = defaultdict(Counter)

    def report(self) -> None:
        """Print everything."""
        self._kinds()
        self._nothing()
        self._calibration()

    def _plan(self, one: Said, text: str) -> Plan:
        return self._understanding.understand(Utterance(text, one.language, one.area), one.home)

    def _kinds(self) -> None:
        table = Table("mistake", "sentences", "same plan", "asked first", "not understood", "wrong",
                      "dangerous", title="Commands, misheard")  # fmt: skip
        shown = 0
        for kind in MISTAKES:
            counts: Counter[str] = Counter()
            for one, wanted in self._commands:
                text = mistaken(kind, one.text, one.language, self._dice)
                if text is None:
                    continue
                plan = self._plan(one, text)
                outcome = _compare(plan, wanted)
                counts[outcome] += 1
                counts["all"] += 1
                counts["dangerous"] += _is_dangerous(plan, wanted, one.home)
                self._note(plan, outcome)
                if outcome in self._args.show_what and shown < self._args.show:
                    shown += 1
                    self._console.print(kind, repr(one.text), "->", repr(text), brief(plan))
            everything = counts["all"]
            table.add_row(
                kind, str(everything),
                *(f"{100 * counts[key] / max(1, everything):.1f} %"
                  for key in ("same", "asked", "lost", "wrong")),
                str(counts["dangerous"]),
            )  # fmt: skip
        self._console.print(table)

    def _nothing(self) -> None:
        """Sentences that command nothing, with a mistake or two."""
        acted: list[tuple[str, str, Plan]] = []
        kinds = list(MISTAKES)
        for number in track(range(self._args.mutations), "mutations", console=self._console):
            one = self._idle[number % len(self._idle)]
            text = one.text
            for _ in range(1 + number % 2):
                made = mistaken(self._dice.choice(kinds), text, one.language, self._dice)
                text = made or text
            plan = self._plan(one, text)
            if plan.kind is PlanKind.ACT:
                acted.append((one.text, text, plan))
        self._console.print(
            f"{self._args.mutations} mistaken versions of {len(self._idle)} sentences that command "
            f"nothing: {len(acted)} false actuations"
        )
        for before, text, plan in acted[:20]:
            self._console.print(" ", repr(before), "->", repr(text), brief(plan))

    def _note(self, plan: Plan, outcome: str) -> None:
        if plan.kind is PlanKind.ACT:
            self._scored[min(19, int(plan.score * 20))][outcome == "same"] += 1

    def _calibration(self) -> None:
        table = Table("score", "plans", "right", title="Calibration of plans that act")
        for step, counts in sorted(self._scored.items()):
            count = counts.total()
            table.add_row(
                f"{step / 20:.2f} to {step / 20 + 0.05:.2f}", str(count),
                f"{100 * counts[True] / count:.0f} %",
            )  # fmt: skip
        self._console.print(table)


def _is_command(plan: Plan) -> bool:
    return plan.kind is PlanKind.ACT


def _done(actions: Sequence[Action]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (action.name, device, dict(action.params))
        for action in actions
        for device in sorted(action.devices) or [""]
    ]


def is_same(done: Sequence[Action], wanted: Sequence[Action]) -> bool:
    """Whether the same is done to the same devices, in any order."""
    left, right = (sorted(_done(actions), key=repr) for actions in (done, wanted))
    if [one[:2] for one in left] != [one[:2] for one in right]:
        return False
    pairs = zip((one[2] for one in left), (one[2] for one in right), strict=True)
    return all(a.keys() == b.keys() and all(_alike(a[k], b[k]) for k in a) for a, b in pairs)


def _alike(left: object, right: object) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return fuzz.token_set_ratio(left.lower(), right.lower()) >= _SIMILAR
    return left == right


def _compare(plan: Plan, wanted: Plan) -> str:
    if plan.kind is PlanKind.ACT:
        return "same" if is_same(plan.actions, wanted.actions) else "wrong"
    return "asked" if plan.kind is PlanKind.ASK else "lost"


def _is_dangerous(plan: Plan, wanted: Plan, home: Home) -> bool:
    """Whether something is unlocked or opened that should not have been."""
    if plan.kind is not PlanKind.ACT:
        return False
    return any(
        name in _DANGEROUS and _is_barrier(home.devices.get(device))
        for name, device, params in _done(plan.actions)
        if (name, device, params) not in _done(wanted.actions)
    )


def _is_barrier(device: Device | None) -> bool:
    if device is None:
        return False
    return device.type in ("lock", "valve") or (device.device_class or "") in _BARRIERS


def brief(plan: Plan) -> str:
    """Kind, score and actions of `plan`."""
    does = "; ".join(f"{a.name} {', '.join(a.devices)} {dict(a.params)}" for a in plan.actions)
    return f"{plan.kind} {plan.score:.2f} {does}"


def from_tests() -> Iterator[Said]:
    """The sentences of the project's own tests."""
    homes = {
        "en": load_home(TESTS / "homes/villa.json"),
        "it": load_home(TESTS / "homes/casa.json"),
    }
    for table in sorted((TESTS / "understand/sentences").glob("*.yaml")):
        language = table.stem[:2]
        for rows in yaml.safe_load(table.read_text(encoding="utf-8")).values():
            for row in rows:
                yield Said(row["say"], language, homes[language], row.get("at"))


def from_file(texts: Path, folder: Path) -> Iterator[Said]:
    """The last turns of a file that `assistant replay` takes."""
    homes: dict[str, Home] = {}
    for line in texts.read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        name = row["home"]
        if name not in homes:
            homes[name] = replace(load_home(folder / name / "home.json"), id=name)
        yield Said(row["turns"][-1], row["lang"], homes[name], row.get("satellite_area"))


if __name__ == "__main__":
    main()
