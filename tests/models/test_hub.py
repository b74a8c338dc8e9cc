from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.errors import ModelError
from assistant.models.hub import HubShards, Repository, is_id, resolve
from assistant.models.shards import LocalShards, Shards

from .hubserver import COMMIT, Hub, served

SHARD = "model-00001-of-00002.safetensors"
OTHER = "model-00002-of-00002.safetensors"
FIXTURES = [HealthCheck.function_scoped_fixture]
FILES = {
    "config.json": b'{"model_type": "qwen2"}',
    "tokenizer.json": b"{}" * 400,
    "model.safetensors.index.json": b"{}",
    SHARD: random.Random(1).randbytes(600_000),
    OTHER: b"weights" * 100,
    "README.md": b"read me",
    "modeling_mimo.py": b"raise SystemExit('never fetched')",
    "pytorch_model.bin": b"a pickle" * 100,
    "../outside.safetensors": b"x",
}


@pytest.fixture(autouse=True)
def _no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever token whoever runs the tests has stays theirs."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with served(Hub(dict(FILES))) as here:
        yield here


def look_up(hub: Hub, revision: str | None = None) -> Repository:
    return resolve(hub.id, revision, endpoint=hub.url, pause=0.01)


def shards_of(hub: Hub, folder: Path, **options: Any) -> HubShards:
    return HubShards(look_up(hub), folder, pause=0.01, **options)


def test_a_repository_is_pinned_and_described(hub: Hub) -> None:
    found = look_up(hub)
    assert (found.id, found.commit, found.licence) == ("maker/model", COMMIT, "mit")
    assert [file.name for file in found.shards] == [SHARD, OTHER]
    assert found.size == sum(len(FILES[name]) for name in list(FILES)[:5])
    assert look_up(hub, "main") == look_up(hub, COMMIT) == found


def test_only_what_a_build_reads_is_offered_and_never_a_pickle(hub: Hub, tmp_path: Path) -> None:
    shards: Shards = shards_of(hub, tmp_path)
    assert set(shards.sizes) == set(list(FILES)[:5])
    assert (shards.source, shards.revision, shards.licence) == ("maker/model", COMMIT, "mit")
    for name in ("pytorch_model.bin", "modeling_mimo.py", "../outside.safetensors"):
        with pytest.raises(ModelError, match="has no file"):
            shards.get(name)


def test_files_come_whole_and_shards_go_when_done_with(hub: Hub, tmp_path: Path) -> None:
    shards = shards_of(hub, tmp_path / "there")
    for name in shards.sizes:
        assert not shards.here(name)
        assert shards.get(name).read_bytes() == FILES[name]
        assert shards.here(name)
        shards.done(name)
    assert {path.name for path in shards.folder.iterdir()} == set(list(FILES)[:3])
    shards.get(SHARD)
    shards.get(SHARD)
    assert hub.downloads(SHARD) == [None, None]  # once more after it was deleted


def test_shards_may_be_kept(hub: Hub, tmp_path: Path) -> None:
    shards = shards_of(hub, tmp_path, keep=True)
    shards.get(SHARD)
    shards.done(SHARD)
    assert LocalShards(tmp_path).get(SHARD).read_bytes() == FILES[SHARD]


def test_a_broken_connection_is_gone_on_with_from_a_fresh_address(hub: Hub, tmp_path: Path) -> None:
    hub.breaks[SHARD] = [300_000, 0, 100_000]
    assert shards_of(hub, tmp_path).get(SHARD).read_bytes() == FILES[SHARD]
    assert hub.downloads(SHARD) == [None, "bytes=300000-", "bytes=300000-", "bytes=400000-"]


@given(cuts=st.lists(st.integers(0, 2000), max_size=6), ranges=st.booleans())
@settings(max_examples=20, deadline=None, suppress_health_check=FIXTURES)
def test_wherever_connections_break_the_file_is_whole(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ranges: bool
) -> None:
    content = random.Random(2).randbytes(4000)
    files = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": content}
    with served(Hub(files, breaks={"model.safetensors": cuts}, ranges=ranges)) as hub:
        shards = shards_of(hub, tmp_path_factory.mktemp("hub"))
        assert shards.get("model.safetensors").read_bytes() == content


def test_what_arrived_stays_for_the_next_program(hub: Hub, tmp_path: Path) -> None:
    def interrupt(name: str, done: int, total: int) -> None:
        if done > 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards_of(hub, tmp_path, progress=interrupt).get(SHARD)
    (part,) = tmp_path.iterdir()
    here = part.stat().st_size
    assert here > 200_000
    shards = shards_of(hub, tmp_path)
    assert not shards.here(SHARD)
    assert shards.get(SHARD).read_bytes() == FILES[SHARD]
    assert hub.downloads(SHARD)[1:] == [f"bytes={here}-"]


def test_a_hub_that_stays_away_is_told_and_what_arrived_is_kept(hub: Hub, tmp_path: Path) -> None:
    hub.breaks[SHARD] = [300_000, 0, 0, 0]
    with pytest.raises(ModelError, match=r"maker/model: .*300000 bytes are kept"):
        shards_of(hub, tmp_path, attempts=3).get(SHARD)
    assert shards_of(hub, tmp_path).get(SHARD).read_bytes() == FILES[SHARD]


@pytest.mark.parametrize("name", [SHARD, OTHER, "tokenizer.json", "config.json"])
def test_a_corrupted_file_is_noticed_and_fetched_once_more(
    hub: Hub, tmp_path: Path, name: str
) -> None:
    hub.corrupt[name] = 1
    assert shards_of(hub, tmp_path).get(name).read_bytes() == FILES[name]
    assert hub.downloads(name) == [None, None]


@pytest.mark.parametrize("name", [SHARD, "config.json"])
def test_a_file_that_stays_corrupted_is_refused(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.corrupt[name] = 9
    with pytest.raises(ModelError, match=f"{name} came damaged twice"):
        shards_of(hub, tmp_path).get(name)
    assert hub.downloads(name) == [None, None]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("told", "says"), [(599_999, "at most 599999"), (600_001, "damaged")])
def test_a_wrong_size_is_noticed(hub: Hub, tmp_path: Path, told: int, says: str) -> None:
    hub.sizes[SHARD] = told
    with pytest.raises(ModelError, match=says):
        shards_of(hub, tmp_path).get(SHARD)
    assert not (tmp_path / SHARD).exists()


@pytest.mark.parametrize("stale", [b"", FILES[SHARD] + b"more", b"other" * 10])
def test_a_stale_part_does_no_harm(hub: Hub, tmp_path: Path, stale: bytes) -> None:
    (tmp_path / f"{SHARD}.part").write_bytes(stale)
    assert shards_of(hub, tmp_path).get(SHARD).read_bytes() == FILES[SHARD]


def test_a_busy_hub_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.api_statuses = [500, 429, 503]
    hub.file_statuses = [500, 429]
    assert shards_of(hub, tmp_path).get(SHARD).read_bytes() == FILES[SHARD]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"api_statuses": [500] * 9}, r"does not answer \(status 500\)"),
        ({"api_statuses": [401]}, "status 401.*HF_TOKEN"),
        ({"api_statuses": [401], "error_code": "RepoNotFound"}, "or it is private.*HF_TOKEN"),
        ({"api_statuses": [403]}, "status 403.*accept its terms"),
        ({"api_statuses": [403], "error_code": "GatedRepo"}, "accepted its terms"),
        ({"api_statuses": [404], "error_code": "RepoNotFound"}, "has no model maker/model"),
        ({"api_statuses": [418]}, "status 418"),
        ({"body": b"<html>Log in to the hotel's network</html>"}, "check HF_ENDPOINT"),
        ({"body": b'{"id": "maker/model"}'}, "check HF_ENDPOINT"),
        ({"body": b"[]"}, "check HF_ENDPOINT"),
        ({"checksums": False}, "no checksum of model-00001"),
    ],
)
def test_what_the_hub_refuses_is_explained(hub: Hub, state: dict[str, Any], says: str) -> None:
    for name, value in state.items():
        setattr(hub, name, value)
    with pytest.raises(ModelError, match=says):
        look_up(hub)


def test_unknown_repositories_and_revisions_are_told(hub: Hub) -> None:
    with pytest.raises(ModelError, match="has no model maker/modle"):
        resolve("maker/modle", endpoint=hub.url)
    with pytest.raises(ModelError, match=r"has no revision 'v9'.*/maker/model/commits/main"):
        look_up(hub, "v9")
    with pytest.raises(ModelError, match="OWNER/NAME"):
        resolve("../etc", endpoint=hub.url)


def test_nobody_there_says_so() -> None:
    with served(Hub({})) as hub:
        pass
    with pytest.raises(ModelError, match=r"does not answer.*models build FOLDER"):
        look_up(hub)


def test_a_file_that_may_not_be_had_names_the_token(hub: Hub, tmp_path: Path) -> None:
    shards = shards_of(hub, tmp_path)
    hub.file_statuses = [401]
    with pytest.raises(ModelError, match="HF_TOKEN"):
        shards.get(SHARD)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["config.json", "pytorch_model.bin"], "only as pytorch_model.bin.*refused"),
        (["config.json", "x.pt"], "refused"),
        (["model-Q4.gguf"], "build FILE.gguf"),
        (["README.md"], "holds no weights"),
        ([SHARD, OTHER, "config.json"], "has no model.safetensors.index.json"),
        (["sub/model.safetensors"], "holds no weights"),
        (["model.safetensors", "config.json"], "no tokenizer.json"),
        (["model.safetensors"], "no config.json and no tokenizer.json"),
    ],
)
def test_what_can_t_be_built_from_is_refused_at_once(names: list[str], says: str) -> None:
    with served(Hub(dict.fromkeys(names, b"x" * 200))) as hub:
        with pytest.raises(ModelError, match=says):
            look_up(hub)
        assert len(hub.asked) == 1


@pytest.mark.parametrize(
    ("card", "tags", "licence"),
    [
        ({"license": "apache-2.0"}, (), "apache-2.0"),
        ({"license": "other", "license_name": "own-1"}, (), "own-1"),
        (None, ("x", "license:mit"), "mit"),
        ({"license": ["mit", "gpl"]}, (), ""),
        (None, (), ""),
    ],
)
def test_the_licence_is_the_model_card_s(
    hub: Hub, card: dict[str, str] | None, tags: tuple[str, ...], licence: str
) -> None:
    hub.card, hub.tags = card, tags
    assert look_up(hub).licence == licence


def test_a_single_file_beside_numbered_ones_is_left_alone(hub: Hub) -> None:
    hub.files["model.safetensors"] = b"twice the same" * 20
    assert [file.name for file in look_up(hub).shards] == [SHARD, OTHER]


def test_shards_may_have_any_names(hub: Hub) -> None:
    hub.files["model_mtp.safetensors"] = b"the MTP layer" * 20
    names = [file.name for file in look_up(hub).shards]
    assert names == [SHARD, OTHER, "model_mtp.safetensors"]


def test_a_token_goes_to_the_hub_alone_and_only_if_there_is_one(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards_of(hub, tmp_path / "a").get(SHARD)
    assert {request.authorization for request in hub.asked} == {None}
    hub.asked.clear()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    shards_of(hub, tmp_path / "b").get(SHARD)
    hosts = {request.host.split(":")[0]: request.authorization for request in hub.asked}
    assert hosts == {"127.0.0.1": "Bearer hf_secret", "localhost": None}


def test_the_hub_learns_nothing_about_what_else_is_here(hub: Hub) -> None:
    code = (
        "from assistant.models.hub import resolve\n"
        f"resolve('{hub.id}', endpoint='{hub.url}')\n"
        "import sys; print('torch' in sys.modules)"
    )
    environment = {"HF_ENDPOINT": hub.url, "AI_AGENT": "somebody", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
    (request,) = hub.asked
    assert request.agent.startswith("mimo-voice/")
    assert "torch" not in request.agent
    assert "agent/" not in request.agent


def test_the_endpoint_is_the_one_of_the_environment(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url + "/")
    assert resolve(hub.id).endpoint == hub.url


def test_offline_means_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        look_up(hub)


def test_progress_tells_of_download_and_checksum(hub: Hub, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    shards_of(hub, tmp_path, progress=lambda *step: told.append(step)).get(SHARD)
    size = len(FILES[SHARD])
    assert (SHARD, size, size) in told
    assert told[-1] == (f"{SHARD} (checksum)", size, size)
    for name in {name for name, *_ in told}:
        steps = [done for step, done, _ in told if step == name]
        assert steps == sorted(steps)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("XiaomiMiMo/MiMo-7B-RL-0530", True),
        ("a/b", True),
        ("mimo-7b", False),
        ("./a", False),
        ("a/b/c", False),
        ("/a", False),
        ("a/.b", False),
        ("a" * 60 + "/" + "b" * 60, False),
    ],
)
def test_hub_ids_are_told_from_paths(text: str, is_one: bool) -> None:
    assert is_id(text) is is_one


def test_a_moved_commit_is_another_revision(hub: Hub, tmp_path: Path) -> None:
    before = look_up(hub)
    hub.commit = "f" * 40
    after = look_up(hub)
    assert replace(after, commit=before.commit) == before
    assert after.commit == hub.commit
