"""The settings: one TOML file, overridden by environment variables, validated as a whole.

Every field is documented where it stands; `assistant config show` prints them with their values
and `assistant config example` writes a commented file. An environment variable is named after
its place: ``ASSISTANT_MQTT__PASSWORD`` overrides ``password`` in ``[mqtt]``.
"""

from __future__ import annotations

import os
import re
import tomllib
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from assistant.errors import ConfigError

CONFIG_NAME = "assistant.toml"
Seconds = Annotated[float, Field(ge=0, le=3600)]
Share = Annotated[float, Field(ge=0, le=1)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Section(BaseModel):
    """A table of the file: no unknown keys, not changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class HomeSettings(Section):
    """What the home is called and where its description lies."""

    file: Path | None = None
    """A home file that overrides names, aliases, areas, floors, exposure and risk."""
    temperature_unit: Literal["°C", "°F"] = "°C"
    """Unit in which people here speak of temperatures."""
    time_zone: str | None = None
    """The home's time zone, such as "Europe/Rome"; unset: the machine's."""
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    """Degrees north, such as 41.9: with the longitude, when the sun rises and sets is known."""
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    """Degrees east, such as 12.5; west is negative."""

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone; None: the machine's."""
        return ZoneInfo(self.time_zone) if self.time_zone else None

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, zone: str | None) -> str | None:
        try:
            if zone is not None:
                ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError('is no time zone known here; one is "Europe/Rome"') from error
        return zone

    @model_validator(mode="after")
    def _is_one_place(self) -> HomeSettings:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("needs both latitude and longitude; write both, or neither")
        return self


class MqttSettings(Section):
    """The broker. Without a host, an embedded broker on loopback is used."""

    host: str | None = None
    """Broker's name or address; unset: the embedded broker."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Default 1883, or 8883 with TLS."""
    username: str | None = None
    """User at the broker."""
    password: SecretStr | None = None
    """Better set as ASSISTANT_MQTT__PASSWORD or in a file readable by the service alone."""
    password_file: Path | None = None
    """A file whose first line is the password, such as a systemd credential."""
    client_id: str = "mimo-voice"
    """Must be unique at the broker."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """auto: MQTT 5, and 3.1.1 where the broker refuses it."""
    tls: bool = False
    """Encrypt the connection."""
    ca_file: Path | None = None
    """Certificate authority that signed the broker's certificate; default: the system's."""
    cert_file: Path | None = None
    """Client certificate."""
    key_file: Path | None = None
    """Key of the client certificate."""
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds between signs of life."""
    discovery_prefix: str = "homeassistant"
    """Where devices announce themselves."""
    base_topic: str = "mimo-voice"
    """Our own topics: <base>/status is our last will."""
    command_timeout: Seconds = 3.0
    """How long to wait for a device to report the state it was told to take."""
    command_expiry: Annotated[int, Field(ge=1, le=300)] = 5
    """Seconds after which the broker drops a command it could not deliver (MQTT 5)."""
    embedded_host: str = "127.0.0.1"
    """Address the embedded broker listens on."""
    embedded_port: Annotated[int, Field(ge=0, le=65535)] = 1883
    """Port of the embedded broker; 0: any free one."""


class SourceSettings(Section):
    """One thing that hears. Several may be given as [[source]]."""

    kind: Literal["microphone", "wav", "pipe"] = "microphone"
    """microphone: a sound device; wav: a file, in real time; pipe: raw 16 kHz int16 mono on a
    FIFO or standard input ("-")."""
    name: str = "main"
    """What logs and traces call it."""
    device: str | int | None = None
    """Sound device: part of its name, or its number; unset: the system's default."""
    path: Path | None = None
    """File of a wav source, FIFO of a pipe."""
    area: str | None = None
    """Area this source stands in: "turn on the light" means the one there."""
    output: str | int | None = None
    """Sound device for replies to this source; unset: the system's default; "none": silent."""
    echo_cancellation: bool = True
    """Remove our own voice from what is heard. Off for devices that do so themselves."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> SourceSettings:
        if self.kind != "microphone" and self.path is None:
            raise ValueError(f'kind = "{self.kind}" needs a path')
        return self


class WakeSettings(Section):
    """Wake words."""

    engine: Literal["micro", "open", "phrase"] = "micro"
    """micro: microWakeWord; open: openWakeWord (pretrained models are for non-commercial use
    only); phrase: any words of your own, through the recogniser."""
    words: tuple[str, ...] = ("hey jarvis",)
    """micro and open know: okay nabu, hey jarvis, hey mycroft, alexa (open: also hey rhasspy)."""
    threshold: Share | None = None
    """Score from which a word counts as heard; unset: the engine's proven default."""
    refractory: Seconds = 2.0
    """Seconds after a detection in which another is not heard."""
    verify: bool = False
    """The recogniser must hear the phrase as well: fewer false alarms, some 0.2 s more work."""
    pre_roll: Annotated[float, Field(ge=0, le=5)] = 1.5
    """Seconds of sound kept from before the detection is known, so no first word is lost."""


class EndpointSettings(Section):
    """When the speaker is taken to have finished."""

    silence: Seconds = 0.7
    """Trailing silence that ends an utterance of which nothing is known."""
    silence_complete: Seconds = 0.45
    """The same when what was said is a complete command already."""
    silence_incomplete: Seconds = 1.4
    """The same when something is plainly missing ("turn on the")."""
    nothing_said: Seconds = 5.0
    """Time in which speech must begin after the wake word."""
    max_utterance: Seconds = 15.0
    """Longest utterance; 16 s is the recogniser's window."""
    vad_threshold: Share = 0.5
    """Speech probability from which a chunk counts as speech."""


class SttSettings(Section):
    """Recognition."""

    engine: Literal["auto", "vosk", "whisper"] = "auto"
    """auto: Vosk where a Vosk model for the language is installed, else Whisper."""
    model: str | None = None
    """Catalogue name of the model, or a folder; unset: the best installed for the language."""
    accurate: bool = False
    """Whisper: prefer base over tiny (fewer errors, 2.5 times the work)."""
    threads: Annotated[int, Field(ge=1, le=16)] = 2
    """Threads of one recognition."""


class TtsSettings(Section):
    """Speech out."""

    engine: Literal["auto", "piper", "espeak", "none"] = "auto"
    """auto: Piper where a voice for the language is installed, else espeak-ng."""
    voice: str | None = None
    """Catalogue name of a Piper voice, or its .onnx file; unset: the installed one."""
    threads: Annotated[int, Field(ge=1, le=16)] = 2
    """Threads of one synthesis."""
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    """1.25 speaks a quarter faster."""
    volume: Share = 0.9
    """Loudness of replies."""
    waiting_after: Seconds = 1.5
    """A chime is played when a turn takes longer than this after the end of speech."""


class UnderstandingSettings(Section):
    """From text to plan."""

    order: Literal["templates", "model", "model-only"] = "templates"
    """templates: the language model is asked what no template knows; model: the templates are
    asked where the model can't answer; model-only: they are never asked."""
    min_score: Share = 0.5
    """Plans below this are not carried out; the assistant says that it did not understand."""
    mishearings: bool = True
    """Where a sentence is not understood as it was heard, look for what the recogniser may have
    mistaken. What such a reading would open or unlock is asked about first."""
    answer_window: Seconds = 6.0
    """How long the microphone stays open for the answer to a question of ours."""
    remember: bool = True
    """Remember what the language model made of a sentence and nobody took back, so that it need not
    be asked again (order = "templates"). See: assistant remembered list."""


class LlmRemoteSettings(Section):
    """A language model on a bigger machine: any OpenAI-compatible server."""

    url: str | None = None
    """Address, such as http://big:8000/v1; unset: the model of this machine answers."""
    model: str | None = None
    """What the server calls its model; unset: the first it lists."""
    api_key: SecretStr | None = None
    """Better set as ASSISTANT_LLM__REMOTE__API_KEY or in a file readable by the service alone."""
    api_key_file: Path | None = None
    """A file whose first line is the key, such as a systemd credential."""
    weak: bool = False
    """The model is a small one: what it is not very sure of is asked about before it is done."""
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 3.0
    """Seconds to wait for a connection."""
    first_timeout: Annotated[float, Field(gt=0, le=600)] = 20.0
    """Seconds to wait for the first sign of an answer."""
    next_timeout: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Seconds to wait from one sign of an answer to the next."""
    fallback: bool = True
    """The model of this machine answers while the server can't."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"^https?://[^/\s]+", url):
            raise ValueError("must be an address such as http://big:8000/v1")
        return url


class LlmServeSettings(Section):
    """Our language model for others, such as Home Assistant: an OpenAI-compatible server."""

    enabled: bool = False
    """Serve it from within the daemon."""
    host: str = "127.0.0.1"
    """Address to listen on. Beyond this machine, a key is needed."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8151
    """Port to listen on; 0: any free one."""
    api_key: SecretStr | None = None
    """What those who ask must know. Better set as ASSISTANT_LLM__SERVE__API_KEY or in a file."""
    api_key_file: Path | None = None
    """A file whose first line is the key."""

    @model_validator(mode="after")
    def _is_guarded(self) -> LlmServeSettings:
        keyless = self.api_key is None and self.api_key_file is None
        if self.enabled and keyless and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError(f"host = {self.host!r} is open to others: set api_key_file as well")
        return self


class LlmSettings(Section):
    """The language model, for what no template knows."""

    model: str = "auto"
    """auto: mimo-7b where it is built, else smollm2 where that is, else none; or the name of a
    built model, the folder of one ("./my-model"), or none."""
    context: Annotated[int, Field(ge=512, le=131_072)] = 4096
    """Tokens that rules, home, dialogue and answer may take together; each takes 0.3 MB with
    MiMo-7B. Of a home too big for them (from some 100 devices) the model is told in part, and of
    the rest what is spoken of."""
    threads: Annotated[int, Field(ge=1, le=64)] | None = None
    """Threads that compute; unset: one for each core, at most 4."""
    providers: Annotated[tuple[str, ...], Field(min_length=1)] = ("CPU",)
    """Execution providers of onnxruntime in order of preference: CPU, CUDA and whatever else the
    installed onnxruntime has."""
    idle_unload: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """Seconds without a question after which its memory is given back, to be loaded again by the
    next; 0: never."""
    thinking: Annotated[int, Field(ge=0, le=4096)] = 0
    """Tokens it may think before it answers, never spoken; 0: it answers at once."""
    first_deadline: Annotated[float, Field(gt=0, le=600)] = 15.0
    """Seconds until its first action or word; after that it is excused."""
    deadline: Annotated[float, Field(gt=0, le=600)] = 40.0
    """Seconds until its last word."""
    drafting: bool = True
    """Guess several tokens at once; the answers are the same, sooner."""
    prefix_cache: Annotated[int, Field(ge=0, le=100_000)] = 1024
    """MB on disk for what was read of rules and home, so that it need not be read at each start;
    0: none."""
    confidence: Share = 0.6
    """How sure a small model must be of an action to carry it out unasked."""
    remote: LlmRemoteSettings = LlmRemoteSettings()
    serve: LlmServeSettings = LlmServeSettings()

    @field_validator("model")
    @classmethod
    def _is_named(cls, model: str) -> str:
        if not model.strip():
            raise ValueError('is empty; write "auto", "none", the name of a model or its folder')
        return model


class ReplySettings(Section):
    """The words of replies to commands."""

    style: Literal["templates", "model"] = "templates"
    """templates: at once, in the skills' words; model: the language model words them from what
    came of the commands."""


class QuietSettings(Section):
    """Hours in which what is loud is asked about first, or refused."""

    begin: time | None = None
    """Local time, such as "22:30"; unset: there are no such hours."""
    end: time | None = None
    """Local time; earlier than `begin`: on the next day."""
    days: tuple[Day, ...] = get_args(Day)
    """Days on which they begin: mon, tue, wed, thu, fri, sat, sun."""
    confirm: tuple[str, ...] = ("broadcast", "vacuum_start", "vacuum_clean_area")
    """What is then asked about first, written as in [policy]: "turn_on:switch.washing_machine"."""
    never: tuple[str, ...] = ()
    """What is then refused."""
    volume: Annotated[int, Field(ge=0, le=100)] = 40
    """Percent: what would make a player louder than this is then asked about."""

    @field_validator("begin", "end", mode="before")
    @classmethod
    def _is_a_time(cls, value: object) -> object:
        if isinstance(value, str) and re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d(:00)?", value):
            hour, minute = value.split(":")[:2]
            return time(int(hour), int(minute))
        if value is None or isinstance(value, time):
            return value
        raise ValueError('must be a time of day such as "22:30"')

    @model_validator(mode="after")
    def _has_two_ends(self) -> QuietSettings:
        if (self.begin is None) != (self.end is None):
            raise ValueError("needs both begin and end; write both, or neither")
        if self.begin is not None and self.begin == self.end:
            raise ValueError("begin and end are the same; write two times")
        return self


class ModelPolicySettings(Section):
    """What the language model may do unasked, besides what holds for everybody in [policy]."""

    confirm: tuple[str, ...] = ()
    """What is asked about first where it was the language model that understood."""
    never: tuple[str, ...] = ()
    """What the language model never does."""
    ask_above: Annotated[int, Field(ge=0)] = 10
    """What it makes of a sentence asks first if that would command more devices than this."""
    most: Annotated[int, Field(ge=0)] = 50
    """What would command more devices than this it does not do at all."""


class PolicySettings(Section):
    """What may be done by voice, what only after a question or with the PIN, and what never."""

    safe: tuple[str, ...] = ()
    """What is done unasked though it would be asked about by its nature. Here and below: an action
    ("unlock"), or an action and what it is done to ("open:cover.gate", "turn_on:type=switch",
    "open:class=garage", "unlock:area=cellar"); * is any action ("*:area=nursery"). Where several
    fit, never counts most, then pin, confirm, safe."""
    confirm: tuple[str, ...] = ()
    """What is asked about first, beyond what is by its nature (locks, garage doors, ovens)."""
    pin: tuple[str, ...] = ()
    """What needs the PIN; set that with: assistant pin set."""
    never: tuple[str, ...] = ()
    """What is never done by voice. Questions have names too: "get_state:type=lock"."""
    ask_above: Annotated[int, Field(ge=1)] = 25
    """A sentence that would command more devices than this asks first."""
    expose: tuple[str, ...] = ()
    """The only devices voice knows of, by id ("light.sofa"), "type=light", "class=garage" or
    "area=kitchen"; none given: all that are not hidden elsewhere."""
    hide: tuple[str, ...] = ()
    """Devices voice does not know of, written the same way; counts more than `expose`."""
    pin_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Wrong PINs after which none is taken for a while."""
    pin_lockout: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    """Seconds for which none is taken then, restarts or not."""
    model: ModelPolicySettings = ModelPolicySettings()
    quiet: QuietSettings = QuietSettings()


class TraceSettings(Section):
    """Records of turns."""

    keep: Annotated[int, Field(ge=0, le=100_000)] = 500
    """Turns kept on disk; 0 keeps none."""
    transcripts: bool = True
    """Keep what was said in the records (they stay on this machine)."""


class LogSettings(Section):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged."""
    transcripts: bool = False
    """Write what was said into the log."""


class Settings(BaseSettings):
    """All settings. Tables that are left out take their defaults."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="ASSISTANT_",
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "en"
    """Language spoken at home: "en" or "it" (a skill folder may bring more)."""
    home: HomeSettings = HomeSettings()
    mqtt: MqttSettings = MqttSettings()
    source: tuple[SourceSettings, ...] = (SourceSettings(),)
    wake: WakeSettings = WakeSettings()
    endpoint: EndpointSettings = EndpointSettings()
    stt: SttSettings = SttSettings()
    tts: TtsSettings = TtsSettings()
    understanding: UnderstandingSettings = UnderstandingSettings()
    llm: LlmSettings = LlmSettings()
    reply: ReplySettings = ReplySettings()
    policy: PolicySettings = PolicySettings()
    trace: TraceSettings = TraceSettings()
    log: LogSettings = LogSettings()
    skills: dict[str, dict[str, Any]] = {}
    """Options of skills, a table each: [skills.lights]; `enabled = false` switches one off."""

    @field_validator("source")
    @classmethod
    def _differ_in_name(cls, sources: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
        names = [source.name for source in sources]
        if len(set(names)) < len(names):
            raise ValueError("two sources have the same name; give each one of its own")
        return sources

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file (the file's content arrives as init settings)."""
        # ASSISTANT_HOME is the folder of `assistant.paths`, not the table [home].
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = {
                name: value
                for name, value in env_settings.env_vars.items()
                if name.upper() != "ASSISTANT_HOME"
            }
        return (env_settings, init_settings)


def load_settings(path: Path | None) -> Settings:
    """Read `path` (None: defaults and environment alone).

    Relative paths in the file are taken from the file's own folder. Raises ConfigError with the
    file, the line or key, and the remedy.
    """
    values: dict[str, Any] = {}
    text = ""
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
            values = tomllib.loads(text)
        except OSError as error:
            raise ConfigError(
                f"{path}: can't be read ({error.strerror}); give another with --config, "
                "or write one with: assistant config example"
            ) from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, text)) from error
    return _absolute(settings, path.parent.absolute()) if path else settings


def _explain(error: ValidationError, path: Path | None, text: str) -> str:
    lines = []
    for problem in error.errors():
        place = [str(part) for part in problem["loc"]]
        key = ".".join(place)
        variable = "ASSISTANT_" + "__".join(part.upper() for part in place)
        line = _line_of(text, place)
        foreign = path is None or variable in os.environ  # the environment overrides the file
        where = f"environment {variable}" if foreign else f"{path}:{line}" if line else path
        what = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "tuple_type" and place == ["source"]:
            what = "write it as [[source]], with two brackets: there may be several"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(_known_keys(place[:-1]))
            what = f"there is no such setting; known here: {known}"
        lines.append(f"{where}: {key}: {what}")
    return "\n".join(lines)


def _known_keys(table: list[str]) -> list[str]:
    model: Any = Settings
    for name in table:
        if name.isdigit():
            continue
        field = model.model_fields.get(name)
        annotation = field.annotation if field else None
        model = next((c for c in Section.__subclasses__() if c.__name__ in str(annotation)), None)
        if model is None:
            return []
    return sorted(model.model_fields)


def _line_of(text: str, place: list[str]) -> int | None:
    """Number of the line that sets `place`, found by its table header and key."""
    *tables, key = place or [""]
    wanted = [t for t in tables if not t.isdigit()]
    repeat = next((int(t) for t in tables if t.isdigit()), 0)
    current: list[str] = []
    seen: dict[str, int] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if header := re.match(r"^\[\[?\s*([^\]]+?)\s*\]\]?", line):
            current = [part.strip(" \"'") for part in header[1].split(".")]
            seen[header[1]] = seen.get(header[1], -1) + 1
            if current == [*wanted, key]:
                return number
        elif (
            current == wanted
            and seen.get(".".join(current), 0) == repeat
            and re.match(rf"^[\"']?{re.escape(key)}[\"']?\s*[=.]", line)
        ):
            return number
    return None


def _absolute(settings: Settings, folder: Path) -> Settings:
    def fix(section: Section) -> Section:
        changes: dict[str, Any] = {}
        for name, value in section:
            if isinstance(value, Section):
                changes[name] = fix(value)
            elif isinstance(value, Path) and not value.is_absolute() and str(value) != "-":
                changes[name] = folder / value
        return section.model_copy(update=changes)

    tables = {name: fix(value) for name, value in settings if isinstance(value, Section)}
    if "/" in settings.llm.model or settings.llm.model.startswith(("~", ".")):  # a folder
        model = {"model": str(folder / Path(settings.llm.model).expanduser())}
        tables["llm"] = tables["llm"].model_copy(update=model)
    sources = tuple(fix(s) for s in settings.source)
    return settings.model_copy(update={**tables, "source": sources})
