"""deploy/setup.sh and the commands on top of it, with stand-ins for pip, apt and the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("cat", "cut", "dirname", "env", "grep", "mktemp", "rm", "sed", "sh", "sha256sum")


class Machine:
    """A checkout, and a PATH on which stands only what the test put there."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.log.touch()
        self.bin.mkdir()
        self.checkout.mkdir()
        shutil.copytree(ROOT / "deploy", self.checkout / "deploy")
        shutil.copy(ROOT / "pyproject.toml", self.checkout)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.bin / tool).symlink_to(found)
        # Every library is there unless a test says otherwise.
        self.command("ldconfig", "echo libportaudio.so.2 libspeexdsp.so.1")
        for name in ("espeak-ng", "mosquitto", "openssl", "pulseaudio", "pactl", "systemd-analyze"):
            self.command(name, "")

    def command(self, name: str, body: str, folder: Path | None = None) -> None:
        path = (folder or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.log}"\n{body}\n')
        path.chmod(0o755)

    def environment(self) -> Path:
        """An active virtual environment, whose Python does nothing, successfully."""
        venv = self.checkout.parent / "venv"
        self.command("python", 'case $1 in -V) echo "Python 3.11.2" ;; esac', venv / "bin")
        self.command("assistant", "", venv / "bin")
        return venv

    def sh(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.checkout,
            env={"PATH": str(self.bin), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self, start: str) -> list[str]:
        """What was called since the last time, of the commands that begin with `start`."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return [line for line in lines if line.startswith(start)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_says_so_where_no_python_is_new_enough(machine: Machine) -> None:
    machine.command("python3", "exit 1")  # what asking it for its version yields
    done = machine.sh("deploy/demo")
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "apt-get install" in done.stderr


def test_the_first_run_installs_by_hash_and_the_second_installs_nothing(machine: Machine) -> None:
    venv = str(machine.environment())
    assert machine.sh("deploy/demo --quick", VIRTUAL_ENV=venv).returncode == 0
    calls = machine.calls("")
    pip = [line for line in calls if line.startswith("python -m pip install")]
    assert len(pip) == 3
    assert "--require-hashes -r deploy/requirements-build.lock" in pip[0]
    assert "--require-hashes --no-build-isolation -r deploy/requirements.lock" in pip[1]
    assert "--no-deps --editable ." in pip[2]
    assert calls[-1] == "assistant demo --quick"
    assert machine.sh("deploy/demo", VIRTUAL_ENV=venv).returncode == 0
    assert machine.calls("python -m pip") == []


def test_installs_again_when_the_locks_or_the_project_changed(machine: Machine) -> None:
    venv = str(machine.environment())
    for changed in ("pyproject.toml", "deploy/requirements.lock"):
        machine.sh("deploy/demo", VIRTUAL_ENV=venv)
        machine.calls("")
        with (machine.checkout / changed).open("a") as file:
            file.write("# changed\n")
        machine.sh("deploy/demo", VIRTUAL_ENV=venv)
        assert machine.calls("python -m pip install"), changed


def test_what_the_tests_need_holds_what_the_demo_needs(machine: Machine) -> None:
    setup = ". deploy/setup.sh; choose_venv; enter_venv; install_checkout deploy/requirements"
    venv = str(machine.environment())
    assert machine.sh(f"{setup}-dev.lock", VIRTUAL_ENV=venv).returncode == 0
    machine.calls("")
    assert machine.sh(f"{setup}.lock", VIRTUAL_ENV=venv).returncode == 0
    assert machine.calls("python -m pip install") == []


def test_an_installation_that_failed_is_tried_again(machine: Machine) -> None:
    venv = machine.environment()
    good = (venv / "bin" / "python").read_text()
    machine.command("python", 'case "$*" in *editable*) exit 1 ;; esac', venv / "bin")
    done = machine.sh("deploy/demo", VIRTUAL_ENV=str(venv))
    assert done.returncode == 1
    assert "Run this again" in done.stderr
    machine.calls("")
    (venv / "bin" / "python").write_text(good)
    assert machine.sh("deploy/demo", VIRTUAL_ENV=str(venv)).returncode == 0
    assert machine.calls("python -m pip install")


@pytest.mark.parametrize(
    ("identity", "sudo", "installs"),
    [("0", None, True), ("1000", "exit 1", False), ("1000", None, False), ("1000", "", True)],
    ids=["root", "sudo would ask", "no sudo", "sudo without password"],
)
def test_system_packages_are_installed_where_the_user_may_and_named_where_not(
    machine: Machine, identity: str, sudo: str | None, installs: bool
) -> None:
    venv = str(machine.environment())
    machine.command("ldconfig", f"cat {machine.bin}/libraries 2>/dev/null")
    machine.command("id", f"echo {identity}")
    machine.command("apt-get", f"echo libportaudio.so.2 libspeexdsp.so.1 >{machine.bin}/libraries")
    if sudo is not None:
        machine.command("sudo", f'{sudo}\nshift; "$@"')
    (machine.bin / "true").symlink_to("/bin/true")
    done = machine.sh("deploy/demo", VIRTUAL_ENV=venv)
    # Without a sound card's library the demo still runs.
    assert done.returncode == 0, done.stderr
    calls = machine.calls("apt-get")
    if installs:
        assert len(calls) == 1
        assert calls[0].endswith("install -y --no-install-recommends libportaudio2 libspeexdsp1")
        assert "missing" not in done.stdout
    else:
        assert calls == []
        assert (
            "apt-get install -y --no-install-recommends libportaudio2 libspeexdsp1" in done.stdout
        )


def test_the_package_lists_are_refreshed_only_where_that_helps(machine: Machine) -> None:
    venv = str(machine.environment())
    machine.command("ldconfig", "")
    machine.command("id", "echo 0")
    machine.command(
        "apt-get", 'case "$*" in *install*) echo "E: no such package"; exit 100 ;; esac'
    )
    done = machine.sh("deploy/test", VIRTUAL_ENV=venv)
    verbs = [line.split()[4] for line in machine.calls("apt-get")]
    assert verbs == ["install", "update", "install"]
    assert done.returncode == 1
    assert "E: no such package" in done.stderr
    assert "the tests need these packages" in done.stderr


def test_an_environment_that_cannot_be_used_is_left_alone(machine: Machine) -> None:
    venv = machine.environment()
    machine.command("python", "exit 1", venv / "bin")
    machine.command(
        "python3",
        f'case "$*" in *-m\\ venv*) mkdir -p .venv/bin; cp {machine.bin}/python3 .venv/bin/python;;'
        " -V) echo Python 3.11.2 ;; *print*) echo python3-venv ;; esac",
    )
    for tool in ("mkdir", "cp"):
        found = shutil.which(tool)
        assert found is not None
        (machine.bin / tool).symlink_to(found)
    machine.command("assistant", "")
    done = machine.sh("deploy/demo", VIRTUAL_ENV=str(venv))
    assert done.returncode == 0, done.stderr
    assert "using .venv instead" in done.stdout
    assert os.listdir(venv) == ["bin"]
