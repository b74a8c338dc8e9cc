"""Builds the parts of the assistant from the settings; the only module that knows them all.

The daemon, the demo and the commands put together what they need from here: the way to the home,
the mind that makes replies of sentences, the speech models, and listeners on top of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from assistant.audio.echo import EchoCancelledSource
from assistant.audio.endpoint import Completeness
from assistant.audio.farend import FarEnd
from assistant.audio.file import FileSource
from assistant.audio.microphone import Microphone
from assistant.audio.pipe import PipeSource
from assistant.audio.ports import AudioSink, AudioSource
from assistant.audio.speaker import Speaker as Loudspeaker
from assistant.audio.vad import SileroVad
from assistant.audio.wavsink import NullSink
from assistant.config import (
    LlmServeSettings,
    LlmSettings,
    MqttSettings,
    Settings,
    SourceSettings,
)
from assistant.errors import AssistantError, ConfigError, HomeError, MqttError, SkillError
from assistant.home.almanac import Whereabouts
from assistant.home.discovery.consumer import Discovery
from assistant.home.executor import Executor
from assistant.home.file import load_overrides
from assistant.home.lists import SHOPPING, TASKS, Lists
from assistant.home.model import Home
from assistant.home.registry import Registry
from assistant.home.selector import exposure
from assistant.llm.model import LanguageModel
from assistant.llm.select import api_key, select_model
from assistant.models.store import path_of
from assistant.mqtt.backoff import Backoff
from assistant.mqtt.connection import Connection
from assistant.mqtt.credentials import password, tls_context
from assistant.mqtt.embedded import embedded_broker
from assistant.mqtt.probe import probe
from assistant.paths import Directories
from assistant.plan import Speech
from assistant.skill import load_skills, skill_folders
from assistant.store import Store
from assistant.stt.select import load_recogniser
from assistant.stt.transcript import Recogniser
from assistant.tts.select import select_speaker
from assistant.tts.speech import Speaker
from assistant.turn.announce import Announcer
from assistant.turn.listener import Ears, Listener, Manners
from assistant.turn.remembering import Remembering
from assistant.turn.reply import Replies
from assistant.turn.respond import Responder, ways
from assistant.turn.schedules import ACTIONS as SCHEDULE_ACTIONS
from assistant.turn.schedules import Schedules
from assistant.turn.speaking import Mouth
from assistant.turn.thinker import Load, Thinker, planner_settings
from assistant.turn.timers import ACTIONS as TIMER_ACTIONS
from assistant.turn.timers import Timers
from assistant.turn.trace import Observer
from assistant.understand.completeness import completeness
from assistant.understand.conversation import Conversation
from assistant.understand.custom.library import CustomSentences
from assistant.understand.language import load_language
from assistant.understand.pin import PinLock
from assistant.understand.policy import Policy
from assistant.understand.remembered_file import FILE_NAME as REMEMBERED
from assistant.understand.remembered_file import RememberedFile
from assistant.understand.template import TemplateUnderstanding
from assistant.understand.vocabulary import bias_phrases
from assistant.wake.guard import OwnVoiceGuard
from assistant.wake.select import select_wake
from assistant.wake.verify import Verifier

log = logging.getLogger(__name__)

RETAINED_FILE = "retained.json"
"""In the data folder: what the embedded broker remembers."""
STORE_FILE = "store.sqlite"
"""In the data folder: timers, what is scheduled, and lists."""

VOCABULARY_DELAY = 0.5
"""Seconds in which changes of the home are gathered before the recogniser is told: a large home
announces itself in a thousand of them."""


@dataclass(frozen=True, slots=True)
class HomeLink:
    """The way to the appliances: the connection, and the home as it announces itself."""

    connection: Connection
    registry: Registry
    mqtt: MqttSettings
    """The settings in force: with the embedded broker's address where that is used."""


def check(settings: Settings) -> None:
    """Raise ConfigError for what can be known to be wrong before anything is built.

    That is what the settings' own validation can't see: the files they name, and whether the
    actions and the language are known.
    """
    try:
        load_language(settings.language)
        if settings.home.file:
            load_overrides(settings.home.file)
    except SkillError as error:
        raise ConfigError(f"language: {error}") from error
    except HomeError as error:
        raise ConfigError(f"[home] file: {error}") from error
    Policy(settings.policy)
    exposure(settings.policy)
    password(settings.mqtt)
    tls_context(settings.mqtt)
    api_key(settings.llm.remote)
    api_key(settings.llm.serve)


@asynccontextmanager
async def open_home(
    settings: Settings, folders: Directories, *, backoff: Backoff | None = None
) -> AsyncIterator[HomeLink]:
    """Connect to the broker, or run the embedded one, and keep the registry up to date.

    A broker that can't be reached is waited for in the background. Raises ConfigError for a
    home file, exposure or credentials that can't be used, MqttError when the embedded broker
    can't start.
    """
    try:
        overrides = load_overrides(settings.home.file) if settings.home.file else None
    except HomeError as error:
        raise ConfigError(f"[home] file: {error}") from error
    registry = Registry(
        Home(
            language=settings.language,
            temperature_unit=settings.home.temperature_unit,
            whereabouts=Whereabouts(
                settings.home.zone, settings.home.latitude, settings.home.longitude
            ),
        ),
        overrides,
        exposure(settings.policy),
    )
    registry.set_online(False)
    async with AsyncExitStack() as stack:
        mqtt = settings.mqtt
        if mqtt.host is None:
            mqtt = await _local_broker(stack, mqtt, folders)
        connection = Connection(mqtt, backoff=backoff)
        connection.watch(registry.set_online)
        discovery = Discovery(
            registry, connection, prefix=mqtt.discovery_prefix, expiry=mqtt.command_expiry
        )
        discovery.start()
        stack.callback(discovery.stop)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running = tasks.create_task(connection.run(), name="mqtt")
        stack.callback(running.cancel)
        yield HomeLink(connection, registry, mqtt)


async def _local_broker(
    stack: AsyncExitStack, mqtt: MqttSettings, folders: Directories
) -> MqttSettings:
    """The broker where none is configured: one that runs here already, or our own."""
    broker = embedded_broker(mqtt, retained_file=folders.data / RETAINED_FILE)
    try:
        return await stack.enter_async_context(broker)
    except MqttError:
        there = {"host": mqtt.embedded_host, "port": mqtt.embedded_port}
        neighbour = mqtt.model_copy(update=there)
        if (await probe(neighbour)).error is not None:
            raise
        log.info("using the MQTT broker at %(host)s port %(port)d", there)
        return neighbour


async def settled(registry: Registry, quiet: float, longest: float = 10.0) -> None:
    """Wait until nothing of the home has changed for `quiet` seconds, at most `longest`.

    After a connection the devices announce themselves in a burst; nobody says when it is over.
    """
    changed = asyncio.Event()
    end = registry.subscribe(lambda _: changed.set())
    try:
        async with asyncio.timeout(longest):
            while True:
                changed.clear()
                try:
                    async with asyncio.timeout(quiet):
                        await changed.wait()
                except TimeoutError:
                    return
    except TimeoutError:
        log.debug("the home does not come to rest")
    finally:
        end()


@dataclass(frozen=True, slots=True)
class Mind:
    """What makes a reply of a sentence, and what speaks up by itself."""

    responder: Responder
    understanding: TemplateUnderstanding
    thinker: Thinker
    registry: Registry
    timers: Timers
    schedules: Schedules
    announcer: Announcer
    custom: CustomSentences

    async def prepare(self, language: str) -> None:
        """Compile the sentences of `language`, seconds' work, before anybody waits for them."""
        home = self.registry.home()
        await asyncio.to_thread(self.understanding.prepare, language, home)


async def find_model(settings: LlmSettings, folders: Directories) -> LanguageModel | None:
    """The configured language model, not yet in memory; None where there is to be none.

    It is the caller's to close. Raises ModelError when the one that is meant is missing or
    unusable, ConfigError when a key can't be read.
    """
    # In a thread, for the libraries are imported there too. A model that is made in one is used
    # in the event loop only.
    return await asyncio.to_thread(select_model, settings, folders.cache)


async def serve_model(settings: LlmServeSettings, model: LanguageModel) -> None:
    """Let others ask `model`, until cancelled. Raises ConfigError, LlmError where that can't be."""
    from assistant.llm.serve.app import application
    from assistant.llm.serve.hosted import serve_hosted
    from assistant.llm.serve.server import listen

    key = api_key(settings)
    listener = listen(settings.host, settings.port, api_key=key)
    host, port = listener.getsockname()[:2]
    log.info("%s answers others at http://%s:%d/v1", model.name, host, port)
    await serve_hosted(application(model, api_key=key), listener)


@asynccontextmanager
async def language_model(settings: Settings, folders: Directories) -> AsyncIterator[Load]:
    """What gives the configured language model, the same each time; it is closed in the end.

    The model's files are looked at when it is first wanted.
    """
    model: LanguageModel | None = None
    known = False

    async def load() -> LanguageModel | None:
        nonlocal model, known
        if not known:
            model = await find_model(settings.llm, folders)
            known = True
        return model

    try:
        yield load
    finally:
        if model is not None:
            await model.close()


@contextmanager
def open_mind(
    settings: Settings,
    folders: Directories,
    registry: Registry,
    observe: Observer,
    load: Load | None = None,
) -> Iterator[Mind]:
    """Load the skills and what works with them; the store is open inside.

    `load` gives the language model; None: there is none. A broken skill is logged and left out.
    Raises ConfigError for a language that nobody knows, AssistantError when the store can't be
    used.
    """
    try:
        load_language(settings.language)
    except SkillError as error:
        raise ConfigError(f"language: {error}") from error
    skills = load_skills(skill_folders(folders.skills), settings.skills)
    custom = CustomSentences(folders.sentences, skills)
    for problem in custom.current.problems:
        log.error("%s", problem)
    understanding = TemplateUnderstanding(
        skills, custom, mishearings=settings.understanding.mishearings
    )
    replies = Replies(skills)
    with ExitStack() as stack:
        store = stack.enter_context(closing(Store(folders.data / STORE_FILE)))
        timers = Timers(store, registry, settings.language)
        registry.add_performer(TIMER_ACTIONS, timers)
        schedules = Schedules(store, registry, settings.language)
        registry.add_performer(SCHEDULE_ACTIONS, schedules)
        kept: list[Timers | Schedules | Lists] = [timers, schedules]
        if "lists" in skills.skills:
            titles = {SHOPPING: "lists.name_shopping", TASKS: "lists.name_tasks"}
            language = settings.language
            names = {key: replies.word(Speech(title), language) for key, title in titles.items()}
            kept.append(Lists(registry, store, names))

        def refresh() -> None:
            try:
                for keeper in kept:
                    keeper.refresh()
            except AssistantError as error:  # lights can be switched on all the same
                log.error("timers and lists can't be read: %s", error)

        thinker = Thinker(
            load or _no_model, registry, settings.language, planner_settings(settings)
        )
        remembering = stack.enter_context(_memory(settings, folders, registry))
        responder = Responder(
            understanding,
            Policy(
                settings.policy,
                registry.vocabulary,
                pin=_pin_lock(settings, store),
                clock=lambda: datetime.now(settings.home.zone),
            ),
            Executor(registry, settings.mqtt.command_timeout),
            replies,
            registry,
            thinker=thinker,
            remembering=remembering,
            ways=ways(settings),
            refresh=refresh,
        )
        announcer = Announcer(responder, replies, observe)
        registry.add_performer(("broadcast",), announcer)
        yield Mind(
            responder, understanding, thinker, registry, timers, schedules, announcer, custom
        )


@contextmanager
def _memory(
    settings: Settings, folders: Directories, registry: Registry
) -> Iterator[Remembering | None]:
    """What is remembered, unless it is not to be; without it everything else works."""
    file: RememberedFile | None = None
    if settings.understanding.remember:
        try:
            file = RememberedFile(folders.data / REMEMBERED)
        except AssistantError as error:
            log.error("nothing is remembered: %s", error)
    if file is None:
        yield None
        return
    with closing(file):
        yield Remembering(file, registry.vocabulary)


def _pin_lock(settings: Settings, store: Store) -> PinLock:
    lock = PinLock(store, settings.policy.pin_attempts, settings.policy.pin_lockout)
    if settings.policy.pin and not lock.is_set:
        log.warning("[policy] pin: no PIN is set, so it is all refused; set it: assistant pin set")
    return lock


async def _no_model() -> None:
    return None


@dataclass(frozen=True, slots=True)
class SpeechModels:
    """The loaded models of the speech chain, shared by all sources."""

    vad: SileroVad
    recogniser: Recogniser
    speaker: Speaker | None
    verifier: Verifier | None


def load_speech(settings: Settings) -> SpeechModels:
    """Load what hears and what speaks. Blocking, a second or two.

    Raises ModelError, naming the command that fetches it, when one is missing.
    """
    vad = SileroVad(path_of("silero-vad") / "silero_vad.onnx")
    recogniser = load_recogniser(settings.stt, settings.language)
    verifier = None
    if settings.wake.verify:
        # A recogniser of its own: the other one is biased to the home's names.
        second = load_recogniser(settings.stt, settings.language)
        verifier = Verifier(second, settings.wake.words)
    speaker = select_speaker(settings.tts, settings.language)
    return SpeechModels(vad, recogniser, speaker, verifier)


def keep_vocabulary(
    settings: Settings, recogniser: Recogniser, registry: Registry
) -> Callable[[], None]:
    """Bias `recogniser` to the names of the home, now and soon after those change.

    Names it can't recognise are logged once each. Returns what ends this.
    """
    told: set[str] = set()
    revision = -1
    soon: asyncio.TimerHandle | None = None

    def changed(_: object) -> None:
        nonlocal soon
        if soon is None and registry.revision != revision:
            soon = asyncio.get_running_loop().call_later(VOCABULARY_DELAY, update)

    def update() -> None:
        nonlocal revision, soon
        soon = None
        home = registry.home()
        revision = home.revision
        missing = set(recogniser.set_vocabulary(bias_phrases(home, settings.language))) - told
        told.update(missing)
        if missing:
            log.warning(
                "%s does not know: %s; give these devices an alias of common words",
                recogniser.name,
                ", ".join(sorted(missing)),
            )

    update()
    unsubscribe = registry.subscribe(changed)

    def forget() -> None:
        unsubscribe()
        if soon is not None:
            soon.cancel()

    return forget


@dataclass(frozen=True, slots=True)
class Ends:
    """The ends of one configured source: what it hears with, and what its replies go to."""

    source: AudioSource
    sink: AudioSink
    last_progress: Callable[[], float]
    """Monotonic second of the last sign of life; waiting for a missing device is one."""


@asynccontextmanager
async def open_source(settings: SourceSettings, volume: float) -> AsyncIterator[Ends]:
    """Open the ends of a source. Sound devices that are missing are waited for."""
    far_end = FarEnd()
    async with AsyncExitStack() as stack:
        sink: AudioSink = NullSink()
        if settings.output != "none":
            loudspeaker = Loudspeaker(
                settings.output,
                name=f"{settings.name} loudspeaker",
                volume=volume,
                far_end=far_end,
            )
            sink = await stack.enter_async_context(loudspeaker)
        if settings.kind == "microphone":
            microphone = Microphone(settings.device, name=settings.name)
            source: AudioSource = microphone
            if settings.echo_cancellation:
                source = EchoCancelledSource(microphone, far_end)
            yield Ends(source, sink, lambda: microphone.last_progress)
        else:
            assert settings.path is not None  # noqa: S101 -- the settings see to it
            kind = FileSource if settings.kind == "wav" else PipeSource
            # A file or a pipe has nothing that could get stuck apart from the event loop.
            yield Ends(kind(settings.path, name=settings.name), sink, time.monotonic)


def build_listener(
    settings: Settings,
    source: AudioSource,
    sink: AudioSink,
    models: SpeechModels,
    mind: Mind,
    observe: Observer,
    area: str | None = None,
) -> Listener:
    """A listener on `source` that replies into `sink`.

    Raises ModelError when the wake words have no model.
    """
    wake = select_wake(
        settings.wake,
        recogniser=lambda: load_recogniser(settings.stt, settings.language),
        speech=lambda: models.vad.stream().process,
    )

    def judge(text: str) -> Completeness:
        home = mind.registry.home()
        return Completeness(
            completeness(mind.understanding, text, home, settings.language, area).value
        )

    return Listener(
        source,
        Ears(models.vad.stream(), wake, models.recogniser, models.verifier),
        Mouth(models.speaker, sink, OwnVoiceGuard(settings.wake.words)),
        Manners(
            language=settings.language,
            area=area,
            endpoint=settings.endpoint,
            pre_roll=settings.wake.pre_roll,
            answer_window=settings.understanding.answer_window,
            waiting_after=settings.tts.waiting_after,
        ),
        mind.responder,
        Conversation(),
        judge,
        observe,
    )
