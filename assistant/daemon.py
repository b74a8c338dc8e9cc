"""The daemon: brings everything up, keeps it up, reloads it, and takes it down in time.

What can come and go (broker, sound card, models, devices) is waited for and does not end the
daemon. A wrong configuration does at the start; at a reload the old one stays in force.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from assistant.compose import (
    HomeLink,
    Mind,
    SpeechModels,
    build_listener,
    check,
    find_model,
    keep_vocabulary,
    load_speech,
    open_home,
    open_mind,
    open_source,
    serve_model,
)
from assistant.config import LlmServeSettings, LlmSettings, Settings, SourceSettings
from assistant.errors import AssistantError, ModelError
from assistant.health import Vital, stalled
from assistant.llm.model import LanguageModel
from assistant.llm.select import answering
from assistant.notify import notify, notify_reloading, watchdog_seconds
from assistant.paths import Directories
from assistant.tasks import end
from assistant.turn.listener import Listener
from assistant.turn.trace import Observer, Tracer
from assistant.understand.custom.watch import watch

log = logging.getLogger(__name__)

RETRY = 15.0
"""Seconds after which a source that failed, or lacks its model, is tried again."""

STATUS_INTERVAL = 5.0
"""Seconds between looks at what the service manager is told."""

AUDIO_LIMIT = 40.0
"""Seconds without sound, and without an attempt at the device, that are too long."""

LAST_RESORT = 1.8
"""Seconds after SIGTERM at which the process ends even if native code still computes.

Everything durable has been written by then: records, timers and retained messages are saved
before the models are waited for.
"""


@dataclass(slots=True)
class _Shown:
    """What the daemon tells of itself."""

    listening: dict[str, Listener] = field(default_factory=dict)
    progress: dict[str, Callable[[], float]] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)


class _Models:
    """The loaded speech models, kept over a reload that does not concern them."""

    def __init__(self) -> None:
        self._key: object = None
        self._models: SpeechModels | None = None
        self._loading = asyncio.Lock()

    async def get(self, settings: Settings) -> SpeechModels:
        """The models for `settings`. Raises ModelError when one is missing."""
        async with self._loading:
            key = (settings.language, settings.stt, settings.tts, settings.wake)
            if self._models is None or self._key != key:
                self._models = None  # the old ones must go before the new take their memory
                self._models = await asyncio.to_thread(load_speech, settings)
                self._key = key
                speaker = self._models.speaker
                log.info(
                    "hearing with %s, speaking with %s",
                    self._models.recogniser.name,
                    speaker.voice.name if speaker else "nothing",
                )
            return self._models


class _Language:
    """The language model, kept over a reload that does not concern it: it takes long to load."""

    def __init__(self, folders: Directories) -> None:
        self._folders = folders
        self._key: object = None
        self._model: LanguageModel | None = None
        self._finding = asyncio.Lock()

    async def get(self, settings: LlmSettings) -> LanguageModel | None:
        """The model for `settings`, not yet in memory; None where there is to be none.

        Raises AssistantError when the one that is meant is missing or unusable.
        """
        async with self._finding:
            # How it is asked, and who else may ask it, is no reason to load it anew; that it was
            # built, or built anew, since the last time is one.
            chosen = await asyncio.to_thread(answering, settings)
            asked = settings.model_copy(
                update={
                    "serve": LlmServeSettings(),
                    "thinking": 0,
                    "first_deadline": 1.0,
                    "deadline": 1.0,
                    "confidence": 0.0,
                }
            )
            key = (asked, chosen and (chosen.folder, chosen.built))
            if self._key != key:
                await self.close()  # the old one must go before the new takes its memory
                self._model = await find_model(settings, self._folders)
                self._key = key
            return self._model

    async def close(self) -> None:
        """Let go of the model."""
        model, self._model, self._key = self._model, None, None
        if model is not None:
            await model.close()


async def serve(load: Callable[[], Settings], folders: Directories) -> None:
    """Run until SIGTERM or SIGINT, or until every source has ended; SIGHUP reloads.

    `load` reads the configuration; what it raises at the start ends the daemon.
    """
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def ended() -> None:
        # Here, not where it is next looked at: a reload may be waiting for the old life to end.
        if not stop.is_set():
            _insist_on_the_end(0)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    settings = load()
    models, language = _Models(), _Language(folders)
    while True:
        life = asyncio.create_task(_live(settings, folders, models, language), name="life")
        waits = [asyncio.create_task(event.wait()) for event in (stop, reload)]
        fresh: Settings | None = None
        while fresh is None and not stop.is_set() and not life.done():
            await asyncio.wait([life, *waits], return_when=asyncio.FIRST_COMPLETED)
            if reload.is_set():
                reload.clear()
                waits[1] = asyncio.create_task(reload.wait())
                fresh = _reloaded(load)
        for wait in waits:
            wait.cancel()
        if fresh is None:
            notify(STOPPING="1", STATUS="stopping")
            if not stop.is_set():
                _insist_on_the_end(1)
        await end(life)
        if fresh is None:
            await language.close()
            log.info("stopped")
            return
        settings = fresh


def _reloaded(load: Callable[[], Settings]) -> Settings | None:
    notify_reloading()
    try:
        settings = load()
        check(settings)
    except AssistantError as error:
        log.error("not reloaded, the old configuration stays in force: %s", error)
        notify(READY="1", STATUS="configuration is wrong; the old one is in force")
        return None
    log.info("configuration reloaded")
    return settings


def _insist_on_the_end(status: int) -> None:
    timer = threading.Timer(LAST_RESORT, os._exit, (status,))
    timer.daemon = True
    timer.start()


async def _live(
    settings: Settings, folders: Directories, models: _Models, language: _Language
) -> None:
    """Everything, with one configuration; returns when all sources have ended."""
    shown = _Shown()
    tracer = Tracer(
        folders.traces,
        keep=settings.trace.keep,
        transcripts=settings.trace.transcripts,
        on_record=lambda record: log.info(
            "turn %s on %s: %s %s in %.1f s%s",
            record.id,
            record.source,
            record.plan or "nothing",
            f"“{record.transcript}”" if settings.log.transcripts else record.intent,
            record.seconds,
            f": {record.error}" if record.error else "",
        ),
    )
    async with open_home(settings, folders) as link:
        load = partial(language.get, settings.llm)
        with open_mind(settings, folders, link.registry, tracer, load) as mind:
            await mind.prepare(settings.language)
            await _serve_sources(settings, link, mind, tracer, models, language, shown)


async def _serve_sources(
    settings: Settings,
    link: HomeLink,
    mind: Mind,
    tracer: Tracer,
    models: _Models,
    language: _Language,
    shown: _Shown,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        background = [
            tasks.create_task(_report(settings, link, mind, shown), name="status"),
            tasks.create_task(_watchdog(_vitals(settings, link, shown)), name="watchdog"),
        ]
        background.append(tasks.create_task(mind.timers.run(mind.announcer.ring), name="timers"))
        scheduled = mind.schedules.run(mind.announcer.remind)
        background.append(tasks.create_task(scheduled, name="schedules"))
        background.append(tasks.create_task(mind.thinker.run(), name="language model"))
        watching = watch(mind.custom, mind.registry)
        background.append(tasks.create_task(watching, name="own sentences"))
        if settings.llm.serve.enabled:
            serving = _keep_serving(settings.llm, language, shown)
            background.append(tasks.create_task(serving, name="llm serve"))
        notify(READY="1", STATUS="starting")
        log.info("ready")
        sources = [
            tasks.create_task(
                _keep_listening(settings, source, models, mind, tracer, shown),
                name=f"source {source.name}",
            )
            for source in settings.source
        ]
        await asyncio.gather(*sources)
        log.info("all sources have ended")
        for task in background:
            task.cancel()


async def _keep_listening(
    settings: Settings,
    source: SourceSettings,
    models: _Models,
    mind: Mind,
    observe: Observer,
    shown: _Shown,
) -> None:
    """Listen on one source until it ends; what fails is said once and tried again."""
    while True:
        try:
            loaded = await models.get(settings)
            forget = keep_vocabulary(settings, loaded.recogniser, mind.registry)
            try:
                async with open_source(source, 1.0) as ends:
                    # In a thread: the phrase engine loads a recogniser of its own.
                    listener = await asyncio.to_thread(
                        build_listener,
                        settings,
                        ends.source,
                        ends.sink,
                        loaded,
                        mind,
                        observe,
                        source.area,
                    )
                    shown.progress[source.name] = ends.last_progress
                    shown.listening[source.name] = listener
                    mind.announcer.add(listener, source.area)
                    shown.trouble.pop(source.name, None)
                    log.info("source %s: listening", source.name)
                    await listener.run()
            finally:
                forget()
                shown.progress.pop(source.name, None)
                if source.name in shown.listening:
                    mind.announcer.remove(shown.listening.pop(source.name))
            return
        except AssistantError as error:
            if shown.trouble.get(source.name) != str(error):
                log.error("source %s: %s", source.name, error)
            shown.trouble[source.name] = str(error)
        except Exception as error:  # one source must not end the others
            log.exception("source %s failed", source.name)
            shown.trouble[source.name] = str(error)
        await asyncio.sleep(RETRY)


async def _keep_serving(settings: LlmSettings, language: _Language, shown: _Shown) -> None:
    """Have others ask the language model; what fails is said once and tried again."""
    name = "[llm.serve]"
    while True:
        try:
            model = await language.get(settings)
            if model is None:
                raise ModelError(
                    "there is no language model to serve; build one with: "
                    "assistant models build mimo-7b"
                )
            shown.trouble.pop(name, None)
            await serve_model(settings.serve, model)
        except AssistantError as error:
            if shown.trouble.get(name) != str(error):
                log.error("%s: %s", name, error)
            shown.trouble[name] = str(error)
        await asyncio.sleep(RETRY)


def _vitals(settings: Settings, link: HomeLink, shown: _Shown) -> list[Vital]:
    def heard() -> float:
        return min((last() for last in shown.progress.values()), default=time.monotonic())

    return [
        Vital("MQTT", lambda: link.connection.last_progress, 3.0 * settings.mqtt.keepalive),
        Vital("audio", heard, AUDIO_LIMIT),
    ]


async def _watchdog(vitals: list[Vital]) -> None:
    """Feed the service manager's watchdog while everything makes progress."""
    period = watchdog_seconds()
    if period is None:
        return
    complained = False
    while True:
        if still := stalled(vitals):
            if not complained:
                log.error("no progress: %s; the watchdog is not fed", ", ".join(still))
            complained = True
        else:
            notify(WATCHDOG="1")
            complained = False
        await asyncio.sleep(period / 3)


async def _report(settings: Settings, link: HomeLink, mind: Mind, shown: _Shown) -> None:
    """Keep the service manager's status line up to date."""
    last = ""
    while True:
        broker = "connected to" if link.connection.connected else "waiting for"
        where = settings.mqtt.host or "the embedded broker"
        parts = [f"{len(link.registry.home().devices)} devices", f"{broker} {where}"]
        if shown.listening:
            parts.append("listening on " + ", ".join(sorted(shown.listening)))
        if mind.thinker.loading:
            parts.append("loading the language model")
        elif mind.thinker.ready is not None:
            parts.append(f"thinking with {mind.thinker.model}")
        parts += [f"{name}: {why}" for name, why in sorted(shown.trouble.items())]
        status = "; ".join(parts)
        if status != last:
            notify(STATUS=status)
            log.debug("status: %s", status)
            last = status
        await asyncio.sleep(STATUS_INTERVAL)
