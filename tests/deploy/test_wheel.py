"""The wheel: complete, and at work far from the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir"]
    done = subprocess.run([*build, folder, ROOT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_holds_the_package_and_the_skills_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    def sources(folder: str) -> set[str]:
        return {
            str(path.relative_to(ROOT / folder))
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    expected = {f"assistant/{name}" for name in sources("assistant")}
    expected |= {f"assistant/shipped_skills/{name}" for name in sources("skills")}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_finds_its_skills_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(place)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import assistant; print(assistant.__file__)\n"
        "from assistant.skill import load_skills, skill_folders\n"
        "loaded = load_skills(skill_folders(None), {})\n"
        "assert not loaded.problems, loaded.problems\n"
        "print(*sorted(loaded.skills))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, place],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, found = done.stdout.splitlines()
    assert where.startswith(str(place))
    expected = sorted(folder.parent.name for folder in (ROOT / "skills").glob("*/manifest.toml"))
    assert found.split() == expected
