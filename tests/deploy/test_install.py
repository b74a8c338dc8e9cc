"""deploy/install and deploy/uninstall, below a folder and as a dry run."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(script: str, *arguments: str | Path, answer: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", ROOT / "deploy" / script, *arguments],
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )


def install(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = call("install", "--root", root, "--no-packages", "--no-models", *arguments)
    assert done.returncode == 0, done.stderr
    return done


def contents(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


INSTALLED = {
    "etc/mimo-voice/assistant.toml",
    "etc/systemd/system/mimo-voice.service",
    "opt/mimo-voice/LICENSE",
    "opt/mimo-voice/README.md",
    "opt/mimo-voice/bin/assistant",
    "opt/mimo-voice/lib/backoff",
}


def test_installs_what_the_unit_names(tmp_path: Path) -> None:
    done = install(tmp_path, "--language", "it")
    assert done.stdout.endswith("not started: this is not the running system\n")
    assert contents(tmp_path) == INSTALLED
    assert (tmp_path / "opt/mimo-voice/lib/backoff").stat().st_mode & stat.S_IXOTH
    config = tmp_path / "etc/mimo-voice/assistant.toml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "var/lib/mimo-voice").stat().st_mode) == 0o750
    assert tomllib.loads(config.read_text())["language"] == "it"


def test_the_command_acts_for_the_service(tmp_path: Path) -> None:
    install(tmp_path)
    stubs = {
        "bin/id": "echo 0",
        "bin/runuser": 'echo "$1 $2"; shift 3; exec "$@"',
        "opt/mimo-voice/venv/bin/assistant": 'pwd; env | grep _DIRECTORY= | sort; echo "$# $1"',
    }
    for name, script in stubs.items():
        stub = tmp_path / name
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(f"#!/bin/sh\n{script}\n")
        stub.chmod(0o755)
    done = subprocess.run(
        [tmp_path / "opt/mimo-voice/bin/assistant", "turn on the light"],
        env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "-u mimo-voice",
        "/",
        "CACHE_DIRECTORY=/var/cache/mimo-voice",
        "CONFIGURATION_DIRECTORY=/etc/mimo-voice",
        "STATE_DIRECTORY=/var/lib/mimo-voice",
        "1 turn on the light",
    ]


def test_example_settings_are_settings(tmp_path: Path) -> None:
    from assistant.config import load_settings

    install(tmp_path)
    config = tmp_path / "etc/mimo-voice/assistant.toml"
    # The commented lines as well: they are there to be uncommented.
    lines = config.read_text().splitlines()
    config.write_text("\n".join(lines[:3] + [line.removeprefix("# ") for line in lines[5:]]))
    settings = load_settings(config)
    assert settings.mqtt.host == "broker.local"
    assert settings.mqtt.ca_file == config.parent / "ca.crt"


def test_a_second_run_keeps_the_configuration(tmp_path: Path) -> None:
    install(tmp_path)
    config = tmp_path / "etc/mimo-voice/assistant.toml"
    config.write_text('language = "en" # mine\n')
    done = install(tmp_path, "--language", "it")
    assert config.read_text() == 'language = "en" # mine\n'
    assert "is kept" in done.stdout


def test_a_model_that_was_built_is_not_built_anew(tmp_path: Path) -> None:
    arguments = ("--dry-run", "--root", tmp_path, "--model", "mimo-7b")
    assert "models build mimo-7b" in call("install", *arguments).stdout
    manifest = tmp_path / "var/lib/mimo-voice/models/mimo-7b/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.touch()
    done = call("install", *arguments)
    assert done.returncode == 0, done.stderr
    assert "models build mimo-7b" not in done.stdout
    assert "MiMo-7B is kept" in done.stdout


def test_dry_run_changes_nothing_and_says_what_it_would_do(tmp_path: Path) -> None:
    done = call("install", "--dry-run", "--root", tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path) == set()
    assert f"would run: install -D -m 0644 deploy/mimo-voice.service {tmp_path}" in done.stdout
    assert "models fetch --language en" in done.stdout
    assert "models build smollm2 --yes" in done.stdout
    for script in ("install", "uninstall"):
        real = call(script, "--dry-run")
        assert real.returncode == 0, real.stderr
        assert "nothing was changed" in real.stdout


@pytest.mark.parametrize(
    ("model", "built"),
    [("smollm2", ["smollm2"]), ("mimo-7b", ["smollm2", "mimo-7b"]), ("none", [])],
)
def test_the_language_model_is_a_choice(tmp_path: Path, model: str, built: list[str]) -> None:
    done = call("install", "--dry-run", "--root", tmp_path, "--model", model)
    assert re.findall(r"models build (\S+) --yes", done.stdout) == built
    install(tmp_path, "--model", model)
    config = tomllib.loads((tmp_path / "etc/mimo-voice/assistant.toml").read_text())
    assert config.get("llm", {}).get("model", "auto") == ("none" if model == "none" else "auto")


def test_uninstall_keeps_what_is_yours(tmp_path: Path) -> None:
    install(tmp_path)
    memory = tmp_path / "var/lib/mimo-voice/memory"
    memory.touch()
    done = call("uninstall", "--root", tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path) == {"etc/mimo-voice/assistant.toml", "var/lib/mimo-voice/memory"}


@pytest.mark.parametrize(
    ("answer", "options", "gone"),
    [("yes\n", (), True), ("no\n", (), False), ("", (), False), ("", ("--yes",), True)],
    ids=["yes", "no", "nobody there", "--yes"],
)
def test_purge_asks_first(
    tmp_path: Path, answer: str, options: tuple[str, ...], gone: bool
) -> None:
    install(tmp_path)
    done = call("uninstall", "--root", tmp_path, "--purge", *options, answer=answer)
    assert (done.returncode == 0) is gone
    assert contents(tmp_path) == (set() if gone else INSTALLED)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lnaguage", "it"], "unknown option --lnaguage"),
        (["--language"], "--language needs a value"),
        (["--model", "gpt", "--dry-run"], "smollm2, mimo-7b or none"),
        (["--language", "Italian", "--dry-run"], "two-letter code"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], words: str) -> None:
    done = call("install", *arguments)
    assert done.returncode != 0
    assert words in done.stderr
