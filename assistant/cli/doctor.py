"""`assistant doctor`: what works here, what does not, and how to mend it."""

from __future__ import annotations

import asyncio
import ctypes.util
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from assistant import __version__
from assistant.cli.display import hanging
from assistant.cli.options import ConfigOption, config_path, log_to_terminal, settings_from
from assistant.config import MqttSettings, Settings
from assistant.errors import AssistantError, MqttError
from assistant.paths import directories

if TYPE_CHECKING:
    from assistant.audio.devices import SoundDevices

MIN_MEMORY = 1 << 30
MIN_DISK = 500 << 20
GET_MIMO = (
    "for the recommended MiMo-7B (downloads 16 GB, keeps 4.4 GB, takes 5 GB of memory): "
    "assistant models build mimo-7b"
)
GET_SMALL = "assistant models build smollm2"
PACKAGES = ("vosk", "piper-tts", "onnxruntime", "ctranslate2", "paho-mqtt", "sounddevice")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: `ok` None is a remark, False a fault with its `remedy`."""

    what: str
    ok: bool | None
    detail: str
    remedy: str = ""


def command(config: ConfigOption = None) -> None:
    """Check versions, folders, models, sound, broker and skills, and say how to mend each.

    Exit status 1 when something must be mended for the configured assistant to work.
    """
    log_to_terminal(verbose=False, level="error")
    console = Console()
    settings = settings_from(config)
    console.print(
        f"[bold]mimo-voice {__version__}[/] with {config_path(config) or 'the default settings'}"
    )
    findings = [*_machine(), *_folders(), *_models(settings), *_skills(settings)]
    findings += _language_model(settings)
    findings += asyncio.run(_outside(settings))
    for finding in findings:
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]–[/]"}[finding.ok]
        line = hanging(2, 16)
        line.add_row(mark, f"[bold]{finding.what}[/]", escape(finding.detail))
        if finding.remedy:
            line.add_row("", "", f"→ {escape(finding.remedy)}")
        console.print(line)
    faults = sum(finding.ok is False for finding in findings)
    if faults:
        console.print(f"[red]{faults} to mend.[/]")
        raise typer.Exit(1)
    console.print("[green]All is well.[/]")


def _machine() -> Iterator[Finding]:
    python = f"Python {platform.python_version()} on {platform.machine()}"
    yield Finding("python", sys.version_info >= (3, 11), python, "")
    yield Finding(
        "libraries", None, ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    enough = memory > MIN_MEMORY
    yield Finding(
        "memory",
        enough or None,
        f"{memory / 1e9:.1f} GB free, {os.cpu_count()} cores",
        "" if enough else "less than 1 GB is free: choose smaller models, or end other programs",
    )
    for library, what, package in (
        ("portaudio", "sound devices", "libportaudio2"),
        ("speexdsp", "echo cancellation", "libspeexdsp1"),
    ):
        found = ctypes.util.find_library(library)
        yield Finding(
            library,
            bool(found) or None,
            found or f"missing: no {what}",
            "" if found else f"on Debian: sudo apt install {package}",
        )


def _folders() -> Iterator[Finding]:
    folders = directories()
    for what, folder in (("data", folders.data), ("cache", folders.cache)):
        place = folder
        while not place.exists():
            place = place.parent
        if not os.access(place, os.W_OK):
            yield Finding(
                what,
                False,
                f"{folder} can't be written to",
                f"sudo chown -R {os.environ.get('USER', 'USER')} {place}, or set ASSISTANT_HOME",
            )
            continue
        free = shutil.disk_usage(place).free
        yield Finding(
            what,
            free > MIN_DISK or None,
            f"{folder}, {free / 1e9:.0f} GB free",
            "" if free > MIN_DISK else "make room: models take 60 to 300 MB each",
        )


def _models(settings: Settings) -> Iterator[Finding]:
    from assistant.models.store import installed
    from assistant.stt.select import choose
    from assistant.tts.select import select_voice

    there = installed("silero-vad")
    remedy = "" if there else "assistant models fetch silero-vad"
    yield Finding("voice activity", there, "silero-vad" if there else "missing", remedy)
    try:
        kind, folder = choose(settings.stt, settings.language)
        engine = kind.value.removeprefix("stt-")
        yield Finding("recognition", True, f"{engine} in {folder}")
    except AssistantError as error:
        yield Finding("recognition", False, str(error))
    try:
        voice = select_voice(settings.tts, settings.language)
        yield Finding("voice", True, voice.name if voice else "speech is switched off")
    except AssistantError as error:
        yield Finding("voice", False, str(error))
    words = ", ".join(settings.wake.words)
    if settings.wake.engine == "open":
        detail = f"{words} by openWakeWord: its pretrained models are for non-commercial use only"
        yield Finding("wake word", None, detail)
    else:
        yield Finding("wake word", True, f"{words} ({settings.wake.engine})")


def _language_model(settings: Settings) -> Iterator[Finding]:
    from assistant.llm import memory
    from assistant.llm.select import NONE, choose

    what = "language model"
    if settings.llm.model == NONE and settings.llm.remote.url is None:
        yield Finding(what, None, "switched off: what no template knows is not understood")
        return
    if settings.llm.remote.url is not None and not settings.llm.remote.fallback:
        return
    try:
        directory = choose(settings.llm)
    except AssistantError as error:
        yield Finding(what, False, str(error))
        return
    if directory is None:
        detail = "none is built: what no template knows is not understood"
        yield Finding(what, None, detail, f"{GET_MIMO}; or, small and weak: {GET_SMALL}")
        return
    parameters = directory.architecture.parameters
    size = f"{parameters / 1e9:.1f}" if parameters > 1e9 else f"{parameters / 1e9:.2f}"
    detail = f"{directory.name}, {size} billion parameters, in {directory.folder}"
    if directory.weak:
        weakness = "small and weak: it chats, and asks before most things"
        yield Finding(what, True, f"{detail}; {weakness}", GET_MIMO)
    else:
        yield Finding(what, True, detail)
    try:
        memory.check(directory, settings.llm.context, drafting=settings.llm.drafting)
    except AssistantError as error:
        # The daemon may have it in memory already, and be the reason.
        yield Finding("its memory", None, str(error))


async def _remote(settings: Settings) -> Finding:
    from assistant.llm.model import Message, Query, Role
    from assistant.llm.select import remote_model

    what = "remote model"
    began = time.monotonic()
    try:
        model = remote_model(settings.llm.remote)
        try:
            query = Query((Message(Role.USER, "Hello"),), limit=1)
            async with aclosing(model.generate(query)) as pieces:
                async for _ in pieces:
                    pass
            spent = time.monotonic() - began
            return Finding(what, True, f"{model.name} answers, in {spent:.1f} s")
        finally:
            await model.close()
    except AssistantError as error:
        return Finding(what, False, str(error))


def _skills(settings: Settings) -> Iterator[Finding]:
    from assistant.skill import load_skills, shipped_folder, skill_folders
    from assistant.understand.compile import compile_sentences
    from assistant.understand.language import load_language

    skills = load_skills(skill_folders(directories().skills), settings.skills)
    # Those that came with us are known to be sound, and take a second.
    own = [skill for skill in skills.skills.values() if skill.folder.parent != shipped_folder()]
    compiled = compile_sentences(own, load_language(settings.language)) if own else None
    for problem in (*skills.problems, *(compiled.problems if compiled else ())):
        yield Finding("skill", False, str(problem))
    yield Finding("skills", True, ", ".join(sorted(skills.skills)))


async def _outside(settings: Settings) -> list[Finding]:
    from assistant.audio.devices import sound_devices
    from assistant.mqtt.probe import probe

    findings = []
    if settings.llm.remote.url is not None:
        findings.append(await _remote(settings))
    if any(source.kind == "microphone" for source in settings.source):
        findings += _sound(await sound_devices())
        findings += _sound_rights()
    if settings.mqtt.host is None:
        findings.append(await _local_broker(settings.mqtt))
        return findings
    report = await probe(settings.mqtt)
    if report.error is None:
        trip = f"{1000 * report.round_trip:.0f} ms" if report.round_trip is not None else "?"
        detail = f"{settings.mqtt.host}: MQTT {report.version}, round trip {trip}"
        findings.append(Finding("broker", True, detail))
    else:
        findings.append(Finding("broker", False, f"{settings.mqtt.host}", report.error))
    return findings


async def _local_broker(settings: MqttSettings) -> Finding:
    """The broker where none is configured: our own, or one that is here already."""
    from assistant.mqtt.embedded import embedded_broker
    from assistant.mqtt.probe import probe

    where = {"host": settings.embedded_host, "port": settings.embedded_port}
    place = "{host} port {port}".format(**where)
    try:
        async with embedded_broker(settings):
            return Finding("broker", True, f"none is configured: the embedded one, on {place}")
    except MqttError as error:
        if (await probe(settings.model_copy(update=where))).error is None:
            return Finding("broker", True, f"none is configured: the one on {place}")
        return Finding("broker", False, "none is configured", str(error))


def _sound(devices: SoundDevices) -> Iterator[Finding]:
    hears, speaks = devices.default_input, devices.default_output
    used = f"in: {hears.name if hears else 'none'}; out: {speaks.name if speaks else 'none'}"
    yield Finding("sound", devices.problem is None, used, devices.problem or "")
    choice = []
    for device in sorted({*devices.inputs, *devices.outputs}, key=lambda device: device.index):
        ways = [
            way
            for way, those in (("in", devices.inputs), ("out", devices.outputs))
            if device in those
        ]
        choice.append(f"{device.index} {device.name} ({', '.join(ways)})")
    if choice:
        yield Finding("to choose from", None, "; ".join(choice))


def _sound_rights() -> Iterator[Finding]:
    nodes = list(Path("/dev/snd").glob("pcm*")) if Path("/dev/snd").is_dir() else []
    if nodes and not all(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        yield Finding(
            "permissions",
            False,
            "this user may not use the sound card",
            "sudo usermod -aG audio $USER, then log in again",
        )
