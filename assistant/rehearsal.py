"""The whole assistant in a room that never was: spoken turns against a virtual home.

The demo, the benchmark and the loopback tests share it. Everything is real but the air and the
appliances' wires: Piper speaks into a noisy microphone stream, and from there on the chain is the
daemon's own, over a real broker, in real time.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Self

import numpy as np

from assistant.audio.noise import active_level, at_level, level
from assistant.audio.pcm import Pcm
from assistant.audio.ports import AudioSink
from assistant.audio.room import RoomSource
from assistant.compose import (
    HomeLink,
    Mind,
    SpeechModels,
    build_listener,
    keep_vocabulary,
    language_model,
    load_speech,
    open_home,
    open_mind,
    settled,
)
from assistant.config import MqttSettings, Settings
from assistant.errors import AssistantError
from assistant.home.model import Device, State
from assistant.mqtt.connection import Connection
from assistant.mqtt.message import Message
from assistant.paths import Directories
from assistant.simulate.discovery import Topics
from assistant.simulate.expectation import shortfalls
from assistant.simulate.home import VirtualHome
from assistant.simulate.house import home_file
from assistant.simulate.script import ScriptedTurn
from assistant.tts.piper import Piper
from assistant.tts.select import select_voice
from assistant.tts.voice import Voice
from assistant.turn.events import SpeechEnded, TurnEvent
from assistant.turn.trace import Observer, Tracer, TurnRecord

SPEECH_LEVEL: Final = -23.0
"""dBFS of what is said, as a microphone across the room would deliver it."""
PAUSE: Final = 0.3
"""Seconds between the wake word and the command."""
TURN_LIMIT: Final = 30.0
"""Seconds a turn may take from its first sound to its end."""
STATE_LIMIT: Final = 6.0
"""Seconds the home has to reach the expected state: blinds move slowly."""
AREA: Final = "living_room"
ACTUATED: Final = ("light.", "switch.", "cover.", "lock.", "fan.", "climate.", "vacuum.")


@dataclass(frozen=True, slots=True)
class Performance:
    """How one scripted turn went. Seconds count from when the end of speech was decided."""

    turn: ScriptedTurn
    record: TurnRecord | None
    """None: the wake word was not heard."""
    problems: tuple[str, ...]
    command_after: float | None
    """Until the first command reached the appliance; None: there was none."""
    audio_after: float | None
    """Until the first audio of the reply; None: nothing was said."""

    @property
    def right(self) -> bool:
        """Whether the home and the reply are as they should be."""
        return not self.problems


class Rehearsal:
    """An async context: inside, a virtual home is up and the assistant listens.

    `noise` lies under everything, `snr` dB below the speech. Replies go into `sink`. Raises
    ModelError when a model is missing, MqttError when the embedded broker can't start.
    """

    def __init__(
        self,
        settings: Settings,
        folders: Directories,
        sink: AudioSink,
        *,
        noise: Pcm,
        snr: float,
        thinks: bool = False,
        observe: Observer = lambda _: None,
        on_message: Callable[[Message], None] | None = None,
    ) -> None:
        folder = folders.cache / "rehearsal"
        self._home_file = folder / "home.toml"
        mqtt = settings.mqtt.model_copy(update={"host": None, "embedded_port": 0})
        home = settings.home.model_copy(update={"file": self._home_file, "temperature_unit": "°C"})
        self._settings = settings.model_copy(update={"mqtt": mqtt, "home": home})
        self._folders = replace(folders, data=folder)
        self._sink = sink
        self._noise = noise
        self._snr = snr
        self._thinks = thinks
        self._watch = observe
        self._on_message = on_message
        self._tracer = Tracer(folders.traces, keep=settings.trace.keep, on_record=self._ended)
        self._records: asyncio.Queue[TurnRecord] = asyncio.Queue(64)
        self._decided = 0.0
        self._stack = AsyncExitStack()
        self.voice: Voice
        """Who speaks to the assistant."""
        self.link: HomeLink
        self.home: VirtualHome
        self.mind: Mind
        self.models: SpeechModels
        self.room: RoomSource

    async def __aenter__(self) -> Self:
        # Yesterday's appliances and timers are not to be in today's home.
        shutil.rmtree(self._folders.data, ignore_errors=True)
        self._folders.data.mkdir(parents=True)
        self._home_file.write_text(home_file(), encoding="utf-8")
        await self._stack.__aenter__()
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _build(self) -> None:
        self.models = await asyncio.to_thread(load_speech, self._settings)
        self.voice = await asyncio.to_thread(_talker, self._settings)
        self.link = await self._stack.enter_async_context(open_home(self._settings, self._folders))
        await self.link.connection.ready()
        broker = self.link.mqtt
        self.home = await self._stack.enter_async_context(
            VirtualHome(broker.host or "", broker.port or 0)
        )
        if self._on_message is not None:
            await self._stack.enter_async_context(_overheard(broker, self._on_message))
        await settled(self.link.registry, 0.4)
        load = await self._stack.enter_async_context(language_model(self._settings, self._folders))
        self.mind = self._stack.enter_context(
            open_mind(
                self._settings,
                self._folders,
                self.link.registry,
                self._observe,
                load if self._thinks else None,
            )
        )
        await self.mind.prepare(self._settings.language)
        # It took all there is, models included, for what stays until the program ends.
        self._stack.callback(gc.unfreeze)
        # Nobody is to wait for it in the midst of a turn.
        await self.mind.thinker.planner()
        self._stack.callback(
            keep_vocabulary(self._settings, self.models.recogniser, self.link.registry)
        )
        self.room = RoomSource(self._noise, SPEECH_LEVEL - self._snr)
        listener = build_listener(
            self._settings, self.room, self._sink, self.models, self.mind, self._observe, AREA
        )
        # Started last, ended first: the listener needs all of the above.
        listening = asyncio.create_task(listener.run(), name="rehearsal")

        async def end() -> None:
            self.room.close()
            await listening

        self._stack.push_async_callback(end)

    async def perform(self, turn: ScriptedTurn, *, reset: bool = False) -> Performance:
        """Say `turn` with the wake word before it, and look at what came of it."""
        if reset:
            self.home.reset()
        self.home.arrange(turn.before)
        await self.in_step()
        before = self.home.states()
        sent_before = len(self.home.commands)
        while not self._records.empty():
            self._records.get_nowait()
        speech = await asyncio.to_thread(self.spoken, turn.text)
        await self.room.say(speech)
        try:
            async with asyncio.timeout(TURN_LIMIT):
                record = await self._records.get()
        except TimeoutError:
            return Performance(turn, None, ("the wake word was not heard",), None, None)
        problems = await self.home.wait_until(turn.expected, STATE_LIMIT)
        problems += _meddling(turn, before, self.home.states())
        said = record.reply.lower()
        if turn.reply and not any(word in said for word in turn.reply):
            problems.append(f"the reply has none of: {', '.join(turn.reply)}")
        times = [c.time - self._decided for c in self.home.commands[sent_before:]]
        audio = (
            record.first_audio - record.decided
            if record.first_audio is not None and record.decided is not None
            else None
        )
        return Performance(turn, record, tuple(problems), min(times, default=None), audio)

    def spoken(self, text: str) -> Pcm:
        """The wake word and `text` as the voice says them, at SPEECH_LEVEL. Blocking."""
        name = self.voice.synthesise(self._settings.wake.words[0].title() + "!")
        words = self.voice.synthesise(text[0].upper() + text[1:] + ".")
        pause = np.zeros(round(PAUSE * name.rate), np.int16)
        both = Pcm(np.concatenate([_trimmed(name), pause, _trimmed(words)]), name.rate)
        return at_level(both, SPEECH_LEVEL + level(both.samples) - active_level(both))

    async def in_step(self) -> None:
        """Wait until the registry shows the home as it is."""
        for device, state in self.home.states().items():
            await self.link.registry.wait_for(device, partial(_shows, state), timeout=1.0)

    def _observe(self, event: TurnEvent) -> None:
        if isinstance(event, SpeechEnded):
            self._decided = event.time
        self._tracer(event)
        self._watch(event)

    def _ended(self, record: TurnRecord) -> None:
        if not self._records.full():
            self._records.put_nowait(record)


def _talker(settings: Settings) -> Voice:
    """A voice that says a sentence the same way each time: varied by chance, one in a hundred is
    misheard. Blocking.
    """
    voice = select_voice(settings.tts, settings.language)
    if voice is None:
        raise AssistantError('the rehearsal needs a voice: engine is "none" in [tts]')
    return replace(voice, steady=True) if isinstance(voice, Piper) else voice


@asynccontextmanager
async def _overheard(
    broker: MqttSettings, on_message: Callable[[Message], None]
) -> AsyncIterator[None]:
    """Have `on_message` called with all that passes between the assistant and the appliances."""
    spy = broker.model_copy(update={"client_id": "spy", "base_topic": "spy"})
    connection = Connection(spy)
    connection.subscribe(f"{Topics().base}/#", on_message)
    running = asyncio.create_task(connection.run(), name="spy")
    try:
        await connection.ready()
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _meddling(
    turn: ScriptedTurn, before: Mapping[str, State], after: Mapping[str, State]
) -> list[str]:
    """Devices that nobody spoke of and that changed all the same."""
    unasked = {
        device: {k: v for k, v in state.items() if k != "current_temperature"}
        for device, state in before.items()
        if device not in turn.expected and device.startswith(ACTUATED)
    }
    return [f"unasked: {line}" for line in shortfalls(after, unasked)]


def _shows(true: State, device: Device) -> bool:
    return all(device.state[key] == value for key, value in true.items() if key in device.state)


def _trimmed(pcm: Pcm) -> np.ndarray:
    """Without the silence the voice puts around what it says."""
    loud = np.flatnonzero(np.abs(pcm.samples.astype(np.int32)) > 300)
    return pcm.samples[loud[0] : loud[-1] + 1] if len(loud) else pcm.samples
