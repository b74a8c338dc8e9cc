"""The configuration: what is wrong is said with file, line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant.cli.app import app
from assistant.config import load_settings
from assistant.errors import ConfigError

WRONG = [
    ('[mqtt]\nhots = "x"', ":2: mqtt.hots: there is no such setting; known here: base_topic"),
    ("[mqtt]\nport = 70000", ":2: mqtt.port: "),
    ("[mqtt]\nport = 'abc'", ":2: mqtt.port: "),
    ('[[source]]\nname = "a"\n[[source]]\nkind = "telepathy"', ":4: source.1.kind: "),
    ("nonsense = 1", ":1: nonsense: there is no such setting"),
    ("[nonsense]\na = 1", ":1: nonsense: there is no such setting"),
    ('language = "English"', ":1: language: "),
    ("[wake]\nthreshold = 1.5", ":2: wake.threshold: "),
    ('[llm.remote]\nurl = "big:8000"', ":2: llm.remote.url: must be an address such as"),
    (
        '[llm.remote]\nkey = "x"',
        ":2: llm.remote.key: there is no such setting; known here: api_key",
    ),
    ("[llm]\ncontext = 12\n[llm.remote]\nweak = true", ":2: llm.context: "),
    ('[llm]\nmodel = " "', ":2: llm.model: is empty"),
    ('[llm.serve]\nenabled = true\nhost = "0.0.0.0"', ":1: llm.serve: host = '0.0.0.0' is open"),
    ('[understanding]\norder = "best"', ":2: understanding.order: "),
    ('[reply]\nstyle = "rhyme"', ":2: reply.style: "),
    ('[policy]\npins = ["unlock"]', ":2: policy.pins: there is no such setting; known here: ask_"),
    ('[policy]\npin = "unlock"', ":2: policy.pin: "),
    ("[policy]\npin_attempts = 0", ":2: policy.pin_attempts: "),
    (
        '[policy.quiet]\nbegin = "24:30"',
        ':2: policy.quiet.begin: must be a time of day such as "22',
    ),
    ('[policy.quiet]\nend = "late"', ":2: policy.quiet.end: must be a time of day"),
    ('[policy.quiet]\nbegin = "22:30"', ":1: policy.quiet: needs both begin and end"),
    ('[policy.quiet]\nbegin = 22:30:00\nend = "22:30"', ":1: policy.quiet: begin and end are the"),
    ('[policy.quiet]\ndays = ["friday"]', "policy.quiet.days.0: "),
    ("[policy.model]\nmost = -1", ":2: policy.model.most: "),
    ("[mqtt\nport = 1", "is not valid TOML"),
    ("language = 'en'\nlanguage = 'it'", "is not valid TOML"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "assistant.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_the_commands_end_with_2(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "assistant.toml"
    file.write_text(text)
    result = CliRunner().invoke(app, ["config", "check", "--config", str(file)])
    assert isinstance(result.exception, ConfigError)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        load_settings(tmp_path / "none.toml")


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "assistant.toml"
    file.write_bytes(b"\xff\xfe\x00language")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_settings(file)


def test_the_environment_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "assistant.toml"
    file.write_text('[mqtt]\nhost = "file"\nport = 1884')
    monkeypatch.setenv("ASSISTANT_MQTT__HOST", "environment")
    settings = load_settings(file)
    assert (settings.mqtt.host, settings.mqtt.port) == ("environment", 1884)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_MQTT__PORT", "many")
    with pytest.raises(ConfigError, match="ASSISTANT_MQTT__PORT"):
        load_settings(None)


def test_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    file = tmp_path / "assistant.toml"
    file.write_text('[home]\nfile = "home.toml"\n[[source]]\nkind = "pipe"\npath = "-"')
    settings = load_settings(file)
    assert settings.home.file == tmp_path / "home.toml"
    assert str(settings.source[0].path) == "-"


def test_files_within_nested_tables_are_taken_from_there_too(tmp_path: Path) -> None:
    file = tmp_path / "assistant.toml"
    file.write_text('[llm]\nmodel = "./mine"\n[llm.serve]\napi_key_file = "key"')
    settings = load_settings(file).llm
    assert (settings.model, settings.serve.api_key_file) == (
        str(tmp_path / "mine"),
        tmp_path / "key",
    )
    file.write_text('[llm]\nmodel = "mimo-7b"')
    assert load_settings(file).llm.model == "mimo-7b"


def test_a_nested_variable_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "assistant.toml"
    file.write_text('[llm.remote]\nurl = "http://file:8000"')
    monkeypatch.setenv("ASSISTANT_LLM__REMOTE__URL", "http://environment:8000")
    monkeypatch.setenv("ASSISTANT_LLM__REMOTE__API_KEY", "secret")
    remote = load_settings(file).llm.remote
    assert remote.url == "http://environment:8000"
    assert remote.api_key is not None
    assert "secret" not in str(remote)


def test_the_example_is_a_valid_file_that_changes_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["config", "example"])
    assert result.exit_code == 0
    file = tmp_path / "assistant.toml"
    file.write_text(result.output)
    assert load_settings(file) == load_settings(None)


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "assistant.toml"
    file.write_text(
        '[mqtt]\npassword = "hunter2"\n[llm.remote]\napi_key = "hunter2"\n'
        '[llm.serve]\napi_key = "hunter2"'
    )
    result = CliRunner().invoke(app, ["config", "show", "--config", str(file)])
    assert result.exit_code == 0
    assert "hunter2" not in result.output
