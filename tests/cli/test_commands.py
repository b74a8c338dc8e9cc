"""The commands as a user meets them: as processes, with a home on a real broker."""

from __future__ import annotations

import json
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import numpy as np
import pytest
import soundfile

from assistant import compose
from assistant.audio import devices
from assistant.audio.devices import SoundDevice, SoundDevices
from assistant.audio.pcm import SAMPLE_RATE, Pcm
from assistant.audio.resample import resample
from assistant.audio.wav import read_wav, write_wav
from assistant.errors import AssistantError
from assistant.simulate.house import home_file
from assistant.understand import match
from tests.support.folders import folders_with_models
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.smollm2 import NAME, smollm2
from tests.support.voices import joe

from .conftest import Quickly

PATIENCE = 60


@dataclass(frozen=True)
class User:
    """Somebody with folders of their own, in which `config/assistant.toml` is read."""

    place: Path

    def does(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run a command; what it printed and what it complained of. It must end with `status`."""
        done = subprocess.run(
            [sys.executable, "-m", "assistant", *words],
            env=self.environment,
            cwd=self.place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout, done.stderr

    @property
    def environment(self) -> dict[str, str]:
        """Wide, so that no line wraps."""
        return os.environ | {"ASSISTANT_HOME": str(self.place), "COLUMNS": "200"}

    @property
    def configuration(self) -> Path:
        """The file that is read where none is named."""
        return self.place / "config" / "assistant.toml"

    def configures(self, text: str) -> None:
        """Write the configuration file."""
        self.configuration.parent.mkdir(exist_ok=True)
        self.configuration.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def small() -> Path:
    """The folder of the small language model."""
    return smollm2().folder


@pytest.fixture
def user(tmp_path: Path) -> User:
    """Somebody with models and no configuration."""
    folders_with_models(tmp_path)
    return User(tmp_path)


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Somebody whose configuration leads to a home: the virtual one, as its own command."""
    place = tmp_path_factory.mktemp("owner")
    folders_with_models(place)
    someone = User(place)
    with Mosquitto(place) as broker:
        someone.configures(
            f'[home]\nfile = "home.toml"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        )
        (place / "config" / "home.toml").write_text(home_file(), encoding="utf-8")
        home = subprocess.Popen(
            [sys.executable, "-m", "assistant.simulate", "--port", str(broker.port)],
            env=someone.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert home.stderr is not None
        try:
            next(line for line in home.stderr if "light.kitchen_light" in line)
            yield someone
        finally:
            home.send_signal(signal.SIGINT)
            _, rest = home.communicate(timeout=PATIENCE)
        assert home.returncode == 0
        assert rest.endswith("The virtual home is gone.\n")


def _spoken(text: str, file: Path) -> Path:
    """`text` after the wake word, as a voice says it in a quiet room."""
    parts = [joe().synthesise(words) for words in ("Hey Jarvis!", text)]
    words = np.concatenate([part.samples for part in parts])
    samples = resample(Pcm(words, parts[0].rate), SAMPLE_RATE).samples // 2
    quiet = np.random.default_rng(1).normal(0, 20, 2 * SAMPLE_RATE).astype(np.int16)
    write_wav(file, Pcm(np.concatenate([quiet[:SAMPLE_RATE], samples, quiet]), SAMPLE_RATE))
    return file


def test_ask_carries_out_and_leaves_a_trace(owner: User) -> None:
    out, _ = owner.does("ask", "turn on the bathroom light", "is the bathroom light on")
    first, second = out.splitlines()
    assert "Bathroom light" in first
    assert second.startswith("Yes")
    (record,) = (
        json.loads(line) for line in owner.does("trace", "--json", "-n", "1")[0].splitlines()
    )
    assert record["transcript"] == "is the bathroom light on"
    shown, _ = owner.does("trace", "-n", "2")
    assert "“turn on the bathroom light”" in shown
    assert "light.bathroom_light confirmed" in shown


def test_ask_shows_a_turn_as_it_goes(owner: User, quickly: Quickly) -> None:
    words = ("--verbose", "--area", "hall", "turn on the light")
    out, _ = quickly("ask", "-c", str(owner.configuration), *words)
    assert "act turn_on() light.hall_light" in out
    assert "confirmed" in out


@pytest.mark.usefixtures("small")
def test_ask_has_the_language_model_answer_what_no_template_knows(owner: User) -> None:
    out, _ = owner.does("ask", "what is the capital of France", "turn on the bathroom light")
    first, second = out.splitlines()
    assert "Paris" in first
    assert "Bathroom light" in second
    (record,) = (
        json.loads(line) for line in owner.does("trace", "--json", "-n", "2")[0].splitlines()[:1]
    )
    assert record["model"] == NAME
    assert {"plan", "first sentence"} <= {stage["name"] for stage in record["stages"]}


def test_ask_says_so_when_the_model_is_missing(
    owner: User, quickly: Quickly, caplog: pytest.LogCaptureFixture
) -> None:
    (owner.place / "missing.toml").write_text(
        owner.configuration.read_text() + '[llm]\nmodel = "none-such"\n'
    )
    (owner.place / "home.toml").write_text(home_file(), encoding="utf-8")
    words = ("ask", "-c", str(owner.place / "missing.toml"), "what is the capital of France")
    assert "did not understand" in quickly(*words, status=1)[0]
    assert "none-such is not here" in caplog.text


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["tell me a story."], 1, "did not understand “tell me a story”."),
        (["turn on the light in the cellar"], 1, "cellar"),
        (["--area", "cellar", "turn on the light"], 2, "no area with the id 'cellar'; there are: "),
        (["hello", " "], 2, "is empty"),
        (["--language", "xx", "hello"], 2, "'xx' is not known; there are: en, it"),
    ],
)
def test_ask_says_what_it_could_not_do(
    owner: User, quickly: Quickly, words: list[str], status: int, says: str
) -> None:
    assert says in "".join(quickly("ask", "-c", str(owner.configuration), *words, status=status))


@pytest.mark.flaky(reruns=2, reruns_delay=1)  # in real time, on whatever else the machine does
def test_listen_hears_a_recording_and_answers(owner: User, tmp_path: Path) -> None:
    recording = _spoken("Turn on the kitchen light.", tmp_path / "said.wav")
    out, _ = owner.does("listen", str(recording), "-o", str(tmp_path / "replies"))
    assert "“hey jarvis”" in out
    assert "light.kitchen_light confirmed" in out
    # Where it takes long to understand, a chime comes first.
    replies = (tmp_path / "replies").glob("*.wav")
    assert max(read_wav(reply).duration for reply in replies) > 0.5


def _no_sound_files(place: Path) -> Iterator[tuple[str, bytes, str]]:
    whole = place / "whole.wav"
    write_wav(whole, Pcm(np.zeros(1600, np.int16), SAMPLE_RATE))
    yield "empty", b"", "is no sound file"
    yield "text", b"once upon a time" * 100, "is no sound file"
    yield "header", whole.read_bytes()[:20], "is no sound file"
    yield "silent", whole.read_bytes()[:44], "no sound"


def test_listen_says_what_is_wrong_with_a_file(quickly: Quickly, tmp_path: Path) -> None:
    for name, content, says in _no_sound_files(tmp_path):
        (tmp_path / f"{name}.wav").write_bytes(content)
        _, complaint = quickly("listen", f"{name}.wav", status=1)
        assert f"{name}.wav" in complaint
        assert says in complaint
    assert "can't be read" in quickly("listen", "nowhere.wav", status=1)[1]


@pytest.mark.usefixtures("user")
def test_listen_takes_other_formats(owner: User, quickly: Quickly, tmp_path: Path) -> None:
    noise = np.random.default_rng(2).normal(0, 0.01, (4410, 2)).astype(np.float32)
    soundfile.write(tmp_path / "float.wav", noise, 44100, subtype="FLOAT")
    _, complaint = quickly("listen", "-c", str(owner.configuration), "float.wav", status=1)
    assert "no wake word was heard; it listens for “hey jarvis”" in complaint


def test_listen_compiles_the_sentences_before_it_listens(
    owner: User, quickly: Quickly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes seconds on a small machine, in which the sound would break off."""

    def compiles(*_: object) -> None:
        raise AssistantError("the sentences are being compiled")

    monkeypatch.setattr(match, "compile_sentences", compiles)
    monkeypatch.setattr(compose, "load_speech", Mock())
    monkeypatch.setattr(compose, "build_listener", Mock(side_effect=AssistantError("listening")))
    write_wav(tmp_path / "quiet.wav", Pcm(np.zeros(1600, np.int16), SAMPLE_RATE))
    _, complaint = quickly("listen", "-c", str(owner.configuration), "quiet.wav", status=1)
    assert complaint == "assistant: the sentences are being compiled\n"


def test_say_writes_a_file(user: User, quickly: Quickly) -> None:
    out, _ = quickly("say", "dinner is ready", "-o", "dinner.wav")
    assert "dinner.wav: written with piper" in out
    assert read_wav(user.place / "dinner.wav").duration > 0.5


def test_say_that_nobody_can_hear_is_an_error(user: User, quickly: Quickly) -> None:
    user.configures('[[source]]\noutput = "none"\n')
    _, complaint = quickly("say", "dinner is ready", status=1)
    assert "-o FILE.wav" in complaint
    user.configures('[tts]\nengine = "none"\n')
    assert "switched off" in quickly("say", "dinner is ready", status=1)[1]


def test_doctor_finds_all_well(owner: User) -> None:
    (owner.place / "silent.toml").write_text(
        owner.configuration.read_text() + '[[source]]\nkind = "pipe"\npath = "-"\noutput = "none"\n'
    )
    (owner.place / "home.toml").write_text(home_file(), encoding="utf-8")
    out, _ = owner.does("doctor", "-c", "silent.toml")
    assert "All is well." in out
    assert "127.0.0.1: MQTT 5, round trip" in out


def test_doctor_names_remedies(tmp_path: Path) -> None:
    stranger = User(tmp_path)
    stranger.configures(f'[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\n')
    skill = {
        "manifest.toml": 'name = "dinner"\nversion = "1"\ndescription = "?"\nlanguages = ["en"]',
        "handlers.py": "def menu(request): ...",
        "sentences/en.yaml": "{language: en, intents: {menu: {data: [{sentences: ['a (menu']}]}}}",
    }
    for name, content in skill.items():
        file = tmp_path / "config" / "skills" / "dinner" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    out, _ = stranger.does("doctor", status=1)
    assert re.search("✗ skill .*sentences/en.yaml: intent 'menu': .*'a \\(menu'", out)
    assert "assistant models fetch silero-vad" in out
    assert "assistant models fetch whisper-tiny.en" in out
    assert "✗ broker" in out
    assert "to mend." in out


def test_doctor_finds_somebody_else_where_our_own_broker_would_listen(
    user: User, quickly: Quickly
) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as other:
        threading.Thread(target=other.serve_forever, args=[0.05]).start()
        user.configures(f"[mqtt]\nembedded_port = {other.server_address[1]}\n")
        out, _ = quickly("doctor", status=1)
        other.shutdown()
    assert "✗ broker" in out
    assert "something listens there already" in out


@pytest.mark.usefixtures("user")
def test_doctor_lists_the_sound_devices_to_choose_from(
    quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    jabra, hdmi = SoundDevice(2, "Jabra [510]", 16000), SoundDevice(4, "HDMI", 48000)
    there = SoundDevices((jabra,), (jabra, hdmi), jabra, hdmi, None)
    monkeypatch.setattr(devices, "sound_devices", AsyncMock(return_value=there))
    monkeypatch.setenv("ASSISTANT_MQTT__EMBEDDED_PORT", "0")
    out, _ = quickly("doctor")
    assert "in: Jabra [510]; out: HDMI" in out
    assert "2 Jabra [510] (in, out); 4 HDMI (out)" in out


def test_commands_without_a_broker_say_so(
    user: User, quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.cli.home.PATIENCE", 0.3)
    user.configures(f'[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\n')
    _, complaint = quickly("ask", "hello", status=1)
    assert "does not answer; find out why with: assistant doctor" in complaint


def test_an_empty_home_is_pointed_out(
    user: User, quickly: Quickly, caplog: pytest.LogCaptureFixture
) -> None:
    user.configures("[mqtt]\nembedded_port = 0\n")
    assert quickly("ask", "hello")[0].strip()
    assert "no devices have announced themselves" in caplog.text
    assert "python -m assistant.simulate" in quickly("devices")[0]


def test_doctor_tells_how_to_get_a_language_model(
    small: Path, quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_LLM__REMOTE__URL", f"http://127.0.0.1:{free_port()}")
    out, _ = quickly("doctor", status=1)
    assert "– language model  none is built" in out
    assert "assistant models build mimo-7b" in out
    assert "✗ remote model" in out
    assert "refuses connections" in out
    monkeypatch.delenv("ASSISTANT_LLM__REMOTE__URL")
    monkeypatch.setenv("ASSISTANT_LLM__MODEL", "mimo-7b")
    assert "✗ language model" in quickly("doctor", status=1)[0]
    monkeypatch.setenv("ASSISTANT_LLM__MODEL", str(small))
    assert "small and weak" in quickly("doctor", status=1)[0]


def test_nothing_recorded_yet(quickly: Quickly) -> None:
    assert "No turns are recorded yet" in quickly("trace")[0]


@pytest.mark.usefixtures("user")
def test_models_list_tells_what_is_installed(quickly: Quickly) -> None:
    out, _ = quickly("models", "list")
    (tiny,) = (line.split() for line in out.splitlines() if line.startswith("whisper-tiny.en"))
    assert tiny[1] == "yes"
    out, complaint = quickly("models", "path", "whisper-huge", status=1)
    assert "there is no model 'whisper-huge'" in complaint


def test_the_example_is_a_right_configuration(user: User, quickly: Quickly) -> None:
    example, _ = quickly("config", "example")
    user.configures(example)
    assert "all right" in quickly("config", "check")[0]
    defaults, _ = quickly("config", "show", "-c", os.devnull)
    assert quickly("config", "show")[0].splitlines()[1:] == defaults.splitlines()[1:]
    assert quickly("config", "path")[0].strip() == str(user.place / "config/assistant.toml")


def test_what_config_shows_can_be_read_again(user: User, quickly: Quickly) -> None:
    user.configures('language = "it"\n[mqtt]\nhost = "h"\nusername = "me"\npassword = "secret"\n')
    shown, _ = quickly("config", "show")
    assert "secret" not in shown
    assert 'language = "it"' in shown
    user.configures(shown)
    assert quickly("config", "show")[0] == shown


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        ('langage = "en"\n', "assistant.toml:1: langage: there is no such setting; known here: "),
        ("\n[mqtt]\nport = 1\nhots = 2\n", "assistant.toml:4: mqtt.hots: there is no such setting"),
        ('[mqtt]\nport = "abc"\n', "assistant.toml:2: mqtt.port: "),
        ("[mqtt\n", "is not valid TOML"),
        ("[source]\n", "assistant.toml:1: source: write it as [[source]]"),
        ('[[source]]\nkind = "wav"\n', 'kind = "wav" needs a path'),
        ('[home]\nfile = "none.toml"\n', "[home] file: "),
        ('[mqtt]\nusername = "me"\npassword_file = "none"\n', "mqtt.password_file: "),
        ('language = "xx"\n', "'xx' is not known"),
    ],
)
def test_a_wrong_configuration_is_explained(
    user: User, quickly: Quickly, configuration: str, says: str
) -> None:
    user.configures(configuration)
    assert says in quickly("config", "check", status=2)[1]


def test_an_unreadable_configuration_is_explained(quickly: Quickly) -> None:
    assert "can't be read" in quickly("config", "check", "-c", "none.toml", status=2)[1]
    assert "can't be read" in quickly("config", "check", "-c", ".", status=2)[1]


def test_a_wrong_environment_is_not_blamed_on_the_file(
    user: User, quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_MQTT__PORT", "abc")
    user.configures("[mqtt]\nport = 1883\n")
    _, complaint = quickly("config", "check", status=2)
    assert complaint.startswith("assistant: environment ASSISTANT_MQTT__PORT: ")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": 1}', "line 1, key 'id'"),
        ('{"id": "1", "lang": "en", "home": "none", "turns": ["hi"]}', "none/home.json: can't be"),
    ],
)
def test_replay_says_which_line_or_file_is_wrong(
    user: User, quickly: Quickly, line: str, says: str
) -> None:
    (user.place / "texts.jsonl").write_text(line + "\n", encoding="utf-8")
    _, complaint = quickly("replay", "texts.jsonl", "--homes", ".", "-o", "out.jsonl", status=2)
    assert says in complaint
    assert not (user.place / "out.jsonl").exists()


def test_a_second_daemon_is_refused(user: User) -> None:
    user.configures(
        '[mqtt]\nembedded_port = 0\n[[source]]\nkind = "pipe"\npath = "fifo"\noutput = "none"\n'
    )
    os.mkfifo(user.place / "config" / "fifo")
    command = [sys.executable, "-m", "assistant", "run"]
    first = subprocess.Popen(command, env=user.environment, stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    try:
        next(line for line in first.stderr if line.endswith("ready\n"))
        assert "is running already" in user.does("run", status=1)[1]
    finally:
        first.terminate()
        first.communicate(timeout=PATIENCE)
    assert first.returncode == 0


def test_ctrl_c_ends_a_command_without_a_word(owner: User) -> None:
    recording = owner.place / "long.wav"
    write_wav(recording, Pcm(np.zeros(60 * SAMPLE_RATE, np.int16), SAMPLE_RATE))
    command = [sys.executable, "-m", "assistant", "listen", "--verbose", str(recording)]
    listening = subprocess.Popen(command, env=owner.environment, stderr=subprocess.PIPE, text=True)
    assert listening.stderr is not None
    try:
        next(line for line in listening.stderr if "connected to the MQTT broker" in line)
        listening.send_signal(signal.SIGINT)
        _, rest = listening.communicate(timeout=PATIENCE)
    finally:
        listening.kill()
    assert listening.returncode == 130
    assert "Traceback" not in rest
