"""Compare this project's engine with others on the same dimensions, on this machine, in turn.

Each engine runs in a process of its own with random weights of its own, all of them loaded at the
same time; they are asked in turn, in an order that changes from round to round. What is compared:
llama.cpp with Q4_0 weights against MatMulNBits with blocks of 128 and 64, nowhere with drafts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from genai_model import write_genai_model
from random_gguf import write_random_gguf
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from assistant.llm.architecture import Architecture
from assistant.llm.layout import file_sizes, layout
from assistant.llm.quantisation import Quantisation
from assistant.llm.shapes import SHAPES, write_random

HERE = Path(__file__).parent
EPILOGUE = """\
What it needs: this project installed with its development packages (gguf among them); 13 GB of
disk and 16 GB of memory for mimo-7b with both blocks; and, for the others, built for this machine:

  python -m venv llama && CMAKE_ARGS=-DGGML_NATIVE=ON llama/bin/pip install \\
      --no-binary llama-cpp-python llama-cpp-python
  python deploy/bench/llm.py --llama-python llama/bin/python

  python -m venv genai && genai/bin/pip install onnxruntime-genai
  python deploy/bench/llm.py --genai-python genai/bin/python

The weights are kept in the folder of --folder for the next time; remove it when done. Run it on a
quiet machine. Goals: decode at least 1.0 (block 128) and 0.8 (block 64, which reads a tenth more)
of llama.cpp, prefill at least 1.2.
"""


@dataclass(frozen=True)
class Task:
    """One thing to time: `do` is prefill, decode or rows, of `count` tokens."""

    do: str
    count: int

    @property
    def name(self) -> str:
        """How the table calls it."""
        names = {"prefill": "prefill of {}, tok/s", "decode": "decode, ms/token"}
        return names.get(self.do, "pass of {} tokens, ms").format(self.count)

    def shown(self, seconds: float) -> float:
        """`seconds` in the table's unit."""
        return self.count / seconds if self.do == "prefill" else 1000 * seconds


class Process:
    """An engine in its own process."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes are missing")
        self._process, self._requests, self._answers = process, process.stdin, process.stdout
        self.loaded = self._answer()

    def ask(self, task: Task, prompt: int, repeat: int) -> dict[str, Any]:
        """The worker's answer."""
        request = {**asdict(task), "prompt": prompt, "repeat": repeat}
        self._requests.write(json.dumps(request) + "\n")
        self._requests.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.close()
        self._process.wait()


def main() -> None:
    """Write what is missing of the weights, measure, and print."""
    options = _options()
    console = Console()
    architecture = SHAPES[options.shape]
    if options.layers:
        architecture = replace(architecture, layers=options.layers)
    label = f"{options.shape}-{architecture.layers}"
    commands: dict[str, list[str]] = {}
    common = [str(options.threads), str(options.context)]
    ours = [sys.executable, str(HERE / "engine_ours.py")]
    for block in options.block:
        folder = options.folder / f"{label}-block{block}"
        _weights(console, folder, architecture, Quantisation(block=block))
        shape = [options.shape, str(architecture.layers), str(block)]
        for spinning in options.spinning:
            name = f"ours {block}" + " sleeping" * (1 - spinning)
            commands[name] = [*ours, str(folder), *shape, *common, str(spinning)]
    if options.llama_python:
        file = options.folder / f"{label}.gguf"
        _gguf(console, file, architecture)
        script = str(HERE / "engine_llamacpp.py")
        width = str(architecture.vocabulary)
        commands["llama.cpp"] = [options.llama_python, script, str(file), *common, width]
    if options.genai_python:
        script, width = str(HERE / "engine_genai.py"), str(architecture.vocabulary)
        for block in options.block:
            folder = options.folder / f"{label}-block{block}"
            write_genai_model(
                folder,
                architecture,
                threads=options.threads,
                context=options.context,
                spinning=options.spinning == [1],
            )
            context = str(options.context)
            commands[f"genai {block}"] = [
                options.genai_python, script, str(folder), context, width,
            ]  # fmt: skip
    with ExitStack() as stack:
        engines = []
        for name, command in commands.items():
            engines.append(stack.enter_context(Process(name, command)))
            loaded = engines[-1].loaded
            console.print(
                f"{name}: loaded in {loaded['seconds']:.1f} s. {loaded['about']}",
                highlight=False,
            )
        timings = _measure(console, engines, options)
    _report(console, engines, timings, min if options.best else statistics.median)
    if options.json:
        data = {
            engine.name: {
                "loaded": engine.loaded,
                **{task.name: seconds for task, seconds in timings[engine.name].items()},
            }
            for engine in engines
        }
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


Timings = dict[str, dict[Task, list[float]]]


def _measure(console: Console, engines: Sequence[Process], options: argparse.Namespace) -> Timings:
    tasks = [Task("prefill", count) for count in options.prefill]
    tasks += [Task("decode", options.decode)]
    tasks += [Task("rows", count) for count in options.rows]
    timings: Timings = {engine.name: defaultdict(list) for engine in engines}
    with Progress(console=console, transient=True, refresh_per_second=1) as progress:
        for number in progress.track(range(options.rounds + 1), description="measuring"):
            if not console.is_terminal:
                console.print(f"round {number} of {options.rounds}")
            for task in tasks:
                turn = number % len(engines)
                for engine in [*engines[turn:], *engines[:turn]]:
                    answer = engine.ask(task, options.prompt, 3)
                    engine.loaded["afterwards"] = answer["resident"]
                    if number:  # the first round warms caches and buffers
                        seconds = statistics.median(answer["seconds"])
                        timings[engine.name][task].append(seconds)
    return timings


def _report(
    console: Console,
    engines: Sequence[Process],
    timings: Timings,
    one_of: Callable[[Iterable[float]], float],
) -> None:
    theirs = [engine.name for engine in engines if not engine.name.startswith("ours")]
    ours = [engine.name for engine in engines if engine.name.startswith("ours")]
    table = Table("least time" if one_of is min else "median", *(engine.name for engine in engines))
    for one in ours:
        for other in theirs:
            table.add_column(f"{one} / {other}")
    for task in timings[engines[0].name]:
        shown = [f"{task.shown(one_of(timings[engine.name][task])):.1f}" for engine in engines]
        ratios = []
        for one in ours:
            for other in theirs:
                ratio = one_of(timings[other][task]) / one_of(timings[one][task])
                ratios.append(f"{ratio:.2f}")
        table.add_row(task.name, *shown, *ratios)
    alone = Task("rows", 1)
    for task in timings[engines[0].name]:
        if task.do == "rows" and task != alone and alone in timings[engines[0].name]:
            shares = [
                f"{one_of(rows[task]) / one_of(rows[alone]):.2f}"
                for rows in (timings[engine.name] for engine in engines)
            ]
            table.add_row(f"pass of {task.count} / pass of 1", *shares)
    table.add_row("load, s", *(f"{engine.loaded['seconds']:.1f}" for engine in engines))
    for name, when in (("after load", "resident"), ("afterwards", "afterwards")):
        memory = [engine.loaded[when] for engine in engines]
        table.add_row(f"resident {name}, GB", *(_gb(total) for total, _ in memory))
        table.add_row("  without mapped files", *(_gb(total - mapped) for total, mapped in memory))
    console.print(table)
    console.print("Ratios are of speed: above 1, ours is faster.")


def _weights(
    console: Console, folder: Path, architecture: Architecture, quantisation: Quantisation
) -> None:
    done = folder / "complete"
    if not done.exists():
        _check_space(folder, sum(file_sizes(layout(architecture, quantisation)).values()))
        with _bar(console, f"writing {folder.name}") as advance:
            write_random(folder, architecture, quantisation, advance)
        done.touch()


def _gguf(console: Console, file: Path, architecture: Architecture) -> None:
    if not file.exists():
        _check_space(file.parent, architecture.parameters * 18 // 32)
        partial = file.with_suffix(".part")
        with _bar(console, f"writing {file.name}") as advance:
            write_random_gguf(partial, architecture, advance)
        partial.replace(file)


class _bar:  # noqa: N801 -- used as a function
    """A progress bar, as a function of what is done and how much there is."""

    def __init__(self, console: Console, description: str) -> None:
        self._progress = Progress(console=console, transient=True)
        self._task = self._progress.add_task(description)

    def __enter__(self) -> Callable[[int, int], None]:
        self._progress.start()
        return lambda done, total: self._progress.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _check_space(folder: Path, size: int) -> None:
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < size + (1 << 30):
        raise SystemExit(f"{folder} needs {_gb(size)} GB, and {_gb(free)} are free")


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOGUE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--shape", choices=sorted(SHAPES), default="mimo-7b")
    add("--layers", type=int, help="fewer layers than the shape has: for trying this out")
    add("--block", type=int, nargs="*", choices=(32, 64, 128), default=[128, 64])
    add("--threads", type=int, default=2)
    add("--context", type=int, default=1024)
    add(
        "--spinning",
        type=int,
        nargs="*",
        choices=(0, 1),
        default=[1],
        help="0: our threads sleep whenever they wait; 0 1: both ways",
    )
    add("--rounds", type=int, default=5)
    add("--prompt", type=int, default=64, help="tokens before those that are decoded")
    add("--prefill", type=int, nargs="*", default=[64, 128, 512])
    add("--decode", type=int, default=16)
    add("--rows", type=int, nargs="*", default=[1, 2, 3, 4, 6, 8])
    add("--folder", type=Path, default=Path("bench-weights"), help="where weights are kept")
    add("--llama-python", help="a Python that has llama-cpp-python")
    add("--genai-python", help="a Python that has onnxruntime-genai")
    add("--best", action="store_true", help="least times instead of medians, on a busy machine")
    add("--json", type=Path, help="write all timings, in seconds, to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
