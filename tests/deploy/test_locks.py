"""The lock files hold all that pyproject.toml asks for, by hash, and name no registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD, RUN, DEVELOP = (
    ROOT / "deploy" / name
    for name in ("requirements-build.lock", "requirements.lock", "requirements-dev.lock")
)


def pins(lock: Path) -> dict[str, tuple[str, str]]:
    """Name -> version, and the rest of the entry: marker and hashes."""
    entries = lock.read_text().replace("\\\n", " ").splitlines()
    found: dict[str, tuple[str, str]] = {}
    for entry in entries:
        match = re.fullmatch(r"([\w.-]+)==(\S+)(.*)", entry)
        assert match is not None, f"{lock.name}: {entry}"
        found[canonicalize_name(match[1])] = (match[2], match[3])
    return found


@pytest.mark.parametrize("lock", [BUILD, RUN, DEVELOP], ids=lambda lock: lock.name)
def test_every_pin_has_hashes(lock: Path) -> None:
    for name, (_, rest) in pins(lock).items():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", rest), name
    assert "://" not in lock.read_text()


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        (BUILD, [*PROJECT["build-system"]["requires"], "pip"]),
        (RUN, PROJECT["project"]["dependencies"]),
        (DEVELOP, [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]),
    ],
    ids=["build", "run", "develop"],
)
def test_locks_fit_the_project(lock: Path, wanted: list[str]) -> None:
    locked = pins(lock)
    for text in wanted:
        requirement = Requirement(text)
        version, _ = locked.get(canonicalize_name(requirement.name), ("none", ""))
        assert requirement.specifier.contains(version), (
            f"{text}, but {lock.name} has {version}; run: deploy/lock"
        )


def test_developers_have_the_versions_that_users_have() -> None:
    develop = pins(DEVELOP)
    for name, (version, _) in pins(RUN).items():
        assert develop[name][0] == version, name
    for name, (version, _) in pins(BUILD).items():
        assert develop.get(name, (version,))[0] == version, name
