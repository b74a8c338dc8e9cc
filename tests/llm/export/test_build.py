from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from assistant.errors import ModelError
from assistant.llm import sandbox
from assistant.llm.checkpoint.open import open_checkpoint
from assistant.llm.directory import ModelDirectory, read_directory
from assistant.llm.export import swap
from assistant.llm.export.build import CHECKSUMS, WEIGHTS, build, needs
from assistant.llm.export.quantise import dequantise
from assistant.llm.export.report import read_report, table
from assistant.llm.layout import ROTARY, Stored, layout, rotary_tables
from assistant.llm.quantisation import Quantisation
from assistant.models.shards import LocalShards
from tests.llm.fake import build_tiny, config, random_arrays, write_arrays, write_checkpoint

Floats = NDArray[np.float32]
Q4 = Quantisation(block=32)
FLOATS = Quantisation(bits=32, head_bits=32, embedding_bits=32, mtp_input_bits=32)
MIXED = Quantisation(block=64, head_bits=8, embedding_bits=8, mtp_input_bits=32)
ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


def stored_weights(directory: ModelDirectory, tensor: Stored) -> Floats:
    """What a model directory holds of a tensor, as numbers."""
    data = (directory.folder / tensor.file).read_bytes()
    raw = data[tensor.offset : tensor.offset + tensor.size]
    if tensor.bits == 32:
        shape = (tensor.rows, tensor.columns) if tensor.columns else (tensor.rows,)
        return np.frombuffer(raw, "<f4").reshape(shape)
    codes = np.frombuffer(raw, np.uint8).reshape(tensor.rows, tensor.blocks, -1)
    end = tensor.scales_offset + tensor.scales_size
    scales = np.frombuffer(data[tensor.scales_offset : end], "<f4")
    return dequantise(
        codes, scales.reshape(tensor.rows, tensor.blocks), tensor.bits, tensor.columns
    )


def contents(folder: Path) -> dict[str, str]:
    """Checksums of all files in a model directory, but for the manifest, which has the time."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "manifest.json"
    }


@pytest.mark.parametrize("quantisation", [Q4, MIXED, FLOATS], ids=["4", "mixed", "32"])
@pytest.mark.parametrize(
    "dims",
    [
        {},
        {"tied": True, "shards": 1},
        {"family": "qwen2", "dtype": "F16"},
        {"family": "llama", "dtype": "F32", "hidden": 96, "head_size": 16, "intermediate": 100},
        {"mtp": False, "shards": 2},
    ],
    ids=["mimo", "tied", "qwen2", "llama", "no-mtp"],
)
def test_every_tensor_lies_where_the_layout_says(
    tmp_path: Path, quantisation: Quantisation, dims: dict[str, Any]
) -> None:
    directory = build_tiny(tmp_path, quantisation=quantisation, **dims)
    checkpoint = open_checkpoint(tmp_path / "tiny-checkpoint")
    tables = dict(zip(ROTARY, rotary_tables(directory.architecture), strict=True))
    for tensor in layout(directory.architecture, quantisation):
        found = stored_weights(directory, tensor)
        if tensor.name in tables:
            np.testing.assert_array_equal(found, tables[tensor.name])
            continue
        parts = [checkpoint.rows(s, 0, checkpoint.shape(s)[0]) for s in tensor.sources]
        expected = np.concatenate(parts)
        allowed = {4: 0.1, 8: 0.007, 32: 0}[tensor.bits]
        error = ((found - expected) ** 2).sum() / (expected**2).sum()
        assert error**0.5 <= allowed, tensor.name
    for graph in directory.folder.glob("*.onnx"):
        onnxruntime.InferenceSession(graph)


def test_the_directory_says_what_it_is(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c")
    (tmp_path / "c" / "LICENSE").write_text("MIT License")
    checkpoint = open_checkpoint(tmp_path / "c")
    directory = build(checkpoint, Q4, tmp_path / "models" / "mine", "my model")
    assert directory == read_directory(tmp_path / "models" / "mine")
    assert directory.name == "my model"
    assert directory.source == str(tmp_path / "c")
    assert directory.revision == checkpoint.revision
    assert directory.licence == "mit"
    assert directory.quantisation == Q4
    assert directory.architecture == checkpoint.architecture
    assert directory.eos == checkpoint.texts.eos
    assert directory.weak
    folder = directory.folder
    assert (folder / "tokenizer.json").read_bytes() == checkpoint.texts.tokenizer
    assert (folder / "chat_template.jinja").read_text() == checkpoint.texts.template
    assert (folder / "LICENSE").read_text() == "MIT License"
    for name, file in directory.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file.sha256
    assert {p.name for p in folder.iterdir()} == {*directory.files, "manifest.json"}
    assert {p.name for p in folder.parent.iterdir()} == {"mine", ".mine.lock"}


def test_the_report_tells_the_error_of_each_group(tmp_path: Path) -> None:
    directory = build_tiny(tmp_path, quantisation=MIXED)
    groups = {group.group: group for group in read_report(directory.folder)}
    assert set(groups) == {"embedding", "qkv", "o", "gate_up", "down", "head"}
    checkpoint = open_checkpoint(tmp_path / "tiny-checkpoint")
    lost = weight = 0.0
    for tensor in layout(directory.architecture, MIXED):
        if tensor.name.endswith(".down"):
            (source,) = tensor.sources
            expected = checkpoint.rows(source, 0, tensor.rows)
            lost += float(((stored_weights(directory, tensor) - expected) ** 2).sum())
            weight += float((expected**2).sum())
    assert groups["down"].error == pytest.approx((lost / weight) ** 0.5, rel=1e-4)
    assert groups["down"].weights == 3 * 64 * 128
    assert groups["head"].bits == 8
    assert groups["head"].error < groups["down"].error / 10
    lines = table(groups.values()).splitlines()
    assert len(lines) == 1 + len(groups)
    assert f"{groups['down'].error:.2%}" in next(line for line in lines if line.startswith("down"))


class InterruptedBuildError(Exception):
    """In place of a power cut, at a moment of the test's choice."""


def stop_at(number: int) -> Callable[[str, int, int], None]:
    """A `progress` that interrupts the build when it is told something for that many a time."""
    told = 0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal told
        told += 1
        if told == number:
            raise InterruptedBuildError

    return progress


@pytest.mark.parametrize("seed", range(4))
def test_an_interrupted_build_ends_with_the_same_bytes(tmp_path: Path, seed: int) -> None:
    whole = contents(build_tiny(tmp_path, name="whole").folder)
    source = tmp_path / "whole-checkpoint"
    chance = random.Random(seed)
    interruptions = 0
    while not (tmp_path / "cut").exists():
        try:
            build(open_checkpoint(source), Q4, tmp_path / "cut", "cut",
                  progress=stop_at(chance.randint(1, 25)))  # fmt: skip
        except InterruptedBuildError:
            interruptions += 1
            if interruptions > 60:  # luck may always strike too early
                build(open_checkpoint(source), Q4, tmp_path / "cut", "cut")
    assert interruptions
    assert contents(tmp_path / "cut") == whole


def test_finished_work_is_not_done_again(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "c")
    told: list[tuple[str, int, int]] = []

    def progress(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        if what == CHECKSUMS:
            raise InterruptedBuildError

    with pytest.raises(InterruptedBuildError):
        build(open_checkpoint(source), Q4, tmp_path / "m", "m", progress=progress)
    weights = [event for event in told if event[0] == WEIGHTS]
    assert weights == sorted(weights)
    total = weights[0][2]
    assert weights[0] == (WEIGHTS, 0, total)
    assert weights[-1] == (WEIGHTS, total, total)
    told.clear()
    before = needs(open_checkpoint(source), Q4, tmp_path / "other")
    after = needs(open_checkpoint(source), Q4, tmp_path / "m")
    assert after.written < before.written
    with pytest.raises(InterruptedBuildError):
        build(open_checkpoint(source), Q4, tmp_path / "m", "m", progress=progress)
    assert [event for event in told if event[0] == WEIGHTS] == [(WEIGHTS, total, total)]


def test_a_journal_torn_anywhere_is_believed_as_far_as_it_is_whole(tmp_path: Path) -> None:
    whole = contents(build_tiny(tmp_path, name="whole").folder)
    source = tmp_path / "whole-checkpoint"

    def at_checksums(what: str, done: int, total: int) -> None:
        if what == CHECKSUMS:
            raise InterruptedBuildError

    for share in (0.0, 0.02, 0.3, 0.51, 0.77, 0.999):
        with pytest.raises(InterruptedBuildError):
            build(open_checkpoint(source), Q4, tmp_path / "m", "m", progress=at_checksums)
        journal = tmp_path / ".m.building" / "journal"
        data = journal.read_bytes()
        kept = data[: int(share * len(data))]
        journal.write_bytes(kept)
        finished = {json.loads(line)["tensor"] for line in kept.splitlines(keepends=True)[1:]
                    if line.endswith(b"\n")}  # fmt: skip
        architecture = open_checkpoint(source).architecture
        for tensor in layout(architecture, Q4):
            if tensor.name not in finished:  # as if it had never reached the disk
                with (tmp_path / ".m.building" / tensor.file).open("r+b") as file:
                    file.seek(tensor.offset)
                    file.write(bytes(tensor.size))
        build(open_checkpoint(source), Q4, tmp_path / "m", "m")
        assert contents(tmp_path / "m") == whole
        shutil.rmtree(tmp_path / "m")


def test_a_journal_of_another_version_of_the_program_is_believed_as_far_as_it_is_known(
    tmp_path: Path,
) -> None:
    source = write_checkpoint(tmp_path / "c")
    with pytest.raises(InterruptedBuildError):
        build(open_checkpoint(source), Q4, tmp_path / "m", "m", progress=stop_at(40))
    with (tmp_path / ".m.building" / "journal").open("a") as journal:
        journal.write('{"tensor": "norm", "mean": 0.5}\n{"finished": "head"}\n')
    resumed = build(open_checkpoint(source), Q4, tmp_path / "m", "m")
    fresh = build(open_checkpoint(source), Q4, tmp_path / "fresh", "m")
    assert contents(resumed.folder) == contents(fresh.folder)


@pytest.mark.parametrize("change", ["quantisation", "checkpoint", "data file gone"])
def test_work_for_another_request_is_not_taken_over(tmp_path: Path, change: str) -> None:
    source = write_checkpoint(tmp_path / "c")
    with pytest.raises(InterruptedBuildError):
        build(open_checkpoint(source), Q4, tmp_path / "m", "m", progress=stop_at(40))
    quantisation = Quantisation(block=64) if change == "quantisation" else Q4
    if change == "checkpoint":
        write_checkpoint(source, seed=5)
    if change == "data file gone":
        (tmp_path / ".m.building" / "trunk.data").unlink()
    resumed = build(open_checkpoint(source), quantisation, tmp_path / "m", "m")
    fresh = build(open_checkpoint(source), quantisation, tmp_path / "fresh", "m")
    assert contents(resumed.folder) == contents(fresh.folder)


class Fetched:
    """Shards that must be fetched, of a folder; tells what was asked for."""

    def __init__(self, origin: Path, folder: Path) -> None:
        self._origin = LocalShards(origin)
        self.folder = folder
        self.source, self.revision, self.licence = "who/what", "abc", ""
        self.sizes: Mapping[str, int] = self._origin.sizes
        self.got: list[str] = []
        self.most = 0
        folder.mkdir(exist_ok=True)

    def here(self, name: str) -> bool:
        return (self.folder / name).exists()

    def get(self, name: str) -> Path:
        if not self.here(name):
            shutil.copyfile(self._origin.get(name), self.folder / name)
            self.got.append(name)
            self.most = max(self.most, self.held())
        return self.folder / name

    def frees(self, name: str) -> int:
        return 0

    def done(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def held(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))


def test_each_shard_is_fetched_once_and_let_go_soon(tmp_path: Path) -> None:
    origin = write_checkpoint(tmp_path / "c", layers=6, shards=9)
    shards = Fetched(origin, tmp_path / "here")
    checkpoint = open_checkpoint(shards)
    told = needs(checkpoint, Q4, tmp_path / "m")
    assert not [name for name in shards.got if name.endswith(".safetensors")]
    build(checkpoint, Q4, tmp_path / "m", "m")
    fetched = [name for name in shards.got if name.endswith(".safetensors")]
    assert fetched == sorted(name for name in shards.sizes if name.endswith(".safetensors"))
    assert shards.held() == 0
    assert told.download == sum(shards.sizes[name] for name in fetched)
    assert told.held == shards.most < told.download / 2
    assert contents(tmp_path / "m") == contents(
        build(open_checkpoint(origin), Q4, tmp_path / "n", "m").folder
    )


def test_shards_that_were_consumed_are_not_fetched_again(tmp_path: Path) -> None:
    origin = write_checkpoint(tmp_path / "c", shards=4)
    for number in range(1, 60, 5):
        shards = Fetched(origin, tmp_path / "here")
        try:
            build(open_checkpoint(shards), Q4, tmp_path / "m", "m", progress=stop_at(number))
        except InterruptedBuildError:
            continue
        break
    assert shards.held() == 0
    assert len([name for name in shards.got if name.endswith(".safetensors")]) < 4
    assert contents(tmp_path / "m") == contents(
        build(open_checkpoint(origin), Q4, tmp_path / "n", "m").folder
    )


def test_a_single_file_stays_until_the_end_and_is_fetched_once(tmp_path: Path) -> None:
    origin = write_checkpoint(tmp_path / "c", shards=1)

    def at_checksums(what: str, done: int, total: int) -> None:
        if what == CHECKSUMS:
            raise InterruptedBuildError

    with pytest.raises(InterruptedBuildError):
        build(open_checkpoint(Fetched(origin, tmp_path / "here")), Q4, tmp_path / "m", "m",
              progress=at_checksums)  # fmt: skip
    again = Fetched(origin, tmp_path / "here")
    build(open_checkpoint(again), Q4, tmp_path / "m", "m")
    assert again.got == []


def test_a_folder_s_shards_can_be_deleted_as_they_are_consumed(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "c")
    whole = build(open_checkpoint(source), Q4, tmp_path / "whole", "m")
    number = 1
    while not (tmp_path / "m").exists():
        shards = LocalShards(source, delete=True)
        number += 4
        with contextlib.suppress(InterruptedBuildError):
            build(open_checkpoint(shards), Q4, tmp_path / "m", "m", progress=stop_at(number))
    assert list(source.glob("*.safetensors")) == []
    assert contents(tmp_path / "m") == contents(whole.folder)


def test_a_shard_that_can_t_be_deleted_is_named(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "c")
    (source / ".consumed.json.new").mkdir()
    shards = LocalShards(source, delete=True)
    with pytest.raises(ModelError, match=r"model-0000\d-of-00003\.safetensors can't be deleted"):
        build(open_checkpoint(shards), Q4, tmp_path / "m", "m")


def _shape(arrays: dict[str, Floats]) -> None:
    arrays["model.layers.1.self_attn.k_proj.weight"] = np.ones((30, 64), np.float32)


def _missing(arrays: dict[str, Floats]) -> None:
    del arrays["model.mtp_layers.0.input_proj.weight"]


def _missing_layer(arrays: dict[str, Floats]) -> None:
    for name in [name for name in arrays if name.startswith("model.layers.1.")]:
        del arrays[name]


def _value(name: str, value: float) -> Callable[[dict[str, Floats]], None]:
    def change(arrays: dict[str, Floats]) -> None:
        arrays[name].reshape(-1)[-3] = value

    return change


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_shape, r"layers\.1\.self_attn\.k_proj\.weight is of shape \[30, 64\].* \[32, 64\]"),
        (_missing, r"lacks model\.mtp_layers\.0\.input_proj\.weight, which"),
        (_missing_layer, r"lacks model\.layers\.1\.\S+, model\S+, model\S+ and 9 more"),
        (_value("lm_head.weight", np.nan), "lm_head.weight has weights that are no numbers"),
        (_value("model.layers.0.mlp.up_proj.weight", np.inf), "layers.0.mlp.up_proj.weight has"),
        (_value("model.norm.weight", np.nan), "model.norm.weight has weights that are no"),
        (_value("model.layers.1.self_attn.v_proj.bias", -np.inf), "v_proj.bias has weights"),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_the_earlier_model_stays(
    tmp_path: Path, damage: Callable[[dict[str, Floats]], None], says: str
) -> None:
    earlier = build_tiny(tmp_path, name="m")
    before = contents(earlier.folder)
    arrays = random_arrays(config(), 1)
    damage(arrays)
    write_arrays(tmp_path / "m-checkpoint", arrays)
    with pytest.raises(ModelError, match=says):
        build(open_checkpoint(tmp_path / "m-checkpoint"), Q4, tmp_path / "m", "m")
    assert contents(earlier.folder) == before
    assert read_directory(tmp_path / "m") == earlier


def test_weights_cut_off_in_the_last_shard_are_noticed_before_any_work(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "c")
    shard = source / "model-00003-of-00003.safetensors"
    os.truncate(shard, shard.stat().st_size - 100)
    with pytest.raises(ModelError, match=r"00003-of-00003\.safetensors is truncated"):
        build(open_checkpoint(source), Q4, tmp_path / "m", "m")
    assert not (tmp_path / ".m.building").exists()


def test_a_shard_of_the_wrong_shape_that_is_fetched_late_is_noticed(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "c")
    last = source / "model-00003-of-00003.safetensors"
    arrays = load_file(last)
    arrays["model.norm.weight"] = arrays["model.norm.weight"][:-1].copy()
    save_file(arrays, last)
    with pytest.raises(ModelError, match=r"model\.norm\.weight is of shape \[63\]"):
        build(open_checkpoint(Fetched(source, tmp_path / "here")), Q4, tmp_path / "m", "m")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vocab_size": 280}, "the tokenizer does not fit: it has tokens up to 292.* know 280"),
        ({"eos_token_id": 300}, r"tokens that end a text are \[290, 300\]"),
        ({"bos_token_id": 300}, "token that begins a text is 300"),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    source = write_checkpoint(tmp_path / "c")
    settings = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(settings | changes))
    words = json.loads((source / "tokenizer_config.json").read_text())
    (source / "tokenizer_config.json").write_text(json.dumps({**words, "add_bos_token": True}))
    with pytest.raises(ModelError, match=says):
        build(open_checkpoint(source), Q4, tmp_path / "m", "m")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for message in messages %}", "chat template can't be used: Unexpected end"),
        ("{{ messages[5].content }}", "chat template failed"),
        ("{{ raise_exception('tools are needed') }}", "chat template failed: tools are needed"),
        ("<|im_start|>assistant", "leaves out what the user says; get another version"),
        (ENDLESS, "computes for more than 0.1 s; get another version"),
    ],
)
def test_a_template_that_can_t_be_used_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str, says: str
) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 0.1)
    source = write_checkpoint(tmp_path / "c")
    (source / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match=says):
        build(open_checkpoint(source), Q4, tmp_path / "m", "m")
    assert not (tmp_path / ".m.building").exists()


def test_a_disk_that_fills_up_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = build_tiny(tmp_path, name="m")
    before = contents(earlier.folder)
    source = write_checkpoint(tmp_path / "c", seed=9)
    real = os.pwrite
    room = 100_000

    def full(file: int, data: memoryview, at: int) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = data[:room]
        room -= len(part)
        return real(file, part, at)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(ModelError, match=r"No space left on device; mend that and build again"):
            build(open_checkpoint(source), Q4, tmp_path / "m", "m")
    assert contents(earlier.folder) == before
    resumed = build(open_checkpoint(source), Q4, tmp_path / "m", "m")
    assert contents(resumed.folder) == contents(
        build(open_checkpoint(source), Q4, tmp_path / "n", "m").folder
    )


def test_what_is_needed_is_checked_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = write_checkpoint(tmp_path / "c")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=64 << 20))
    shards = Fetched(origin, tmp_path / "here")
    told = needs(open_checkpoint(shards), Q4, tmp_path / "models" / "m")
    assert told.free == 64 << 20 < told.written
    assert told.held > 0
    assert told.held_free is None  # on the same disk
    assert told.seconds > 0
    with pytest.raises(
        ModelError, match=r"the model and its download needs \d+ MB.*models, where 67 MB.*make room"
    ):
        build(open_checkpoint(shards), Q4, tmp_path / "models" / "m", "m")
    assert list((tmp_path / "models").iterdir()) == [tmp_path / "models" / ".m.lock"]
    assert not [name for name in shards.got if name.endswith(".safetensors")]


def test_two_builds_of_the_same_model_do_not_meet(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "c")

    def meanwhile(what: str, done: int, total: int) -> None:
        with pytest.raises(ModelError, match="is being built by another process"):
            build(open_checkpoint(source), Q4, tmp_path / "m", "m")

    build(open_checkpoint(source), Q4, tmp_path / "m", "m", progress=meanwhile)


@pytest.mark.parametrize("exchange", [True, False])
def test_a_better_model_takes_the_earlier_one_s_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:  # a way that no kernel knows
        monkeypatch.setattr(swap, "_EXCHANGE", 1 << 30)
    earlier = build_tiny(tmp_path, name="m")
    later = build_tiny(tmp_path, name="m", seed=1)
    assert later.files["trunk.data"] != earlier.files["trunk.data"]
    assert read_directory(tmp_path / "m") == later
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"m", "m-checkpoint", ".m.lock"}


def test_a_kill_between_two_renames_costs_no_model(tmp_path: Path) -> None:
    earlier = build_tiny(tmp_path, name="m")
    (tmp_path / "m").rename(tmp_path / ".m.old")
    with pytest.raises(InterruptedBuildError):
        build(open_checkpoint(tmp_path / "m-checkpoint"), Q4, tmp_path / "m", "m",
              progress=stop_at(1))  # fmt: skip
    assert read_directory(tmp_path / "m") == earlier


def test_a_target_that_can_t_be_looked_up_is_named(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "c")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ModelError, match=r"loop/m can't be written: Too many levels"):
        needs(open_checkpoint(source), Q4, tmp_path / "loop" / "m")


def test_a_target_that_can_t_be_written_is_named(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "c")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"file/m can't be written: (Not a dir|File exists)"):
        build(open_checkpoint(source), Q4, tmp_path / "file" / "m", "m")
