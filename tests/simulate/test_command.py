"""`python -m assistant.simulate`, where it need not run."""

from pathlib import Path

from typer.testing import CliRunner

from assistant.simulate.__main__ import app


def test_a_home_file_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--write-home", str(tmp_path / "nowhere" / "home.toml")])
    assert done.exit_code == 1
    assert "can't be written (No such file or directory)" in " ".join(done.stderr.split())


def test_help_is_given_as_everywhere_else() -> None:
    assert "virtual home" in CliRunner().invoke(app, ["-h"]).stdout
