from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from assistant.errors import ModelError
from assistant.llm.architecture import Family
from assistant.llm.checkpoint.open import open_checkpoint
from tests.llm.fake import (
    SPECIAL,
    TEMPLATE,
    config,
    random_arrays,
    tokenizer_json,
    tokens,
    write_checkpoint,
)

# One entry of metadata, called "x", which is an array of …
HEAD = b"GGUF\3\0\0\0" + bytes(8) + b"\1" + bytes(7) + b"\1" + bytes(7) + b"x\x09\0\0\0"
_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers": "blk",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "input_layernorm": "attn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def llama_cpp(name: str) -> str:
    """A tensor's name in llama.cpp."""
    for theirs, ours in _NAMES.items():
        name = name.replace(theirs, ours)
    return name


def merges() -> list[str]:
    return [f"{left} {right}" for left, right in json.loads(tokenizer_json())["model"]["merges"]]


def write(
    path: Path,
    *,
    family: str = "llama",
    kind: Kind = Kind.Q8_0,
    tied: bool = False,
    splitter: str = "qwen2",
    fields: dict[str, bool | int | float | str] | None = None,
    without: tuple[str, ...] = (),
    kv_heads: int | None = 2,
    joined: list[Any] | None = None,
) -> Path:
    """A tiny GGUF file as llama.cpp's converter writes them."""
    writer = gguf.GGUFWriter(path, family)
    dims = config(family=family, tied=tied)
    writer.add_block_count(dims["num_hidden_layers"])
    writer.add_context_length(dims["max_position_embeddings"])
    writer.add_embedding_length(dims["hidden_size"])
    writer.add_feed_forward_length(dims["intermediate_size"])
    writer.add_head_count(dims["num_attention_heads"])
    if kv_heads:
        writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(dims["rms_norm_eps"])
    fields = {f"{family}.rope.freq_base": float(dims["rope_theta"]), **(fields or {})}
    writer.add_license("apache-2.0")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(splitter)
    words = [*tokens(), *(f"[PAD{n}]" for n in range(len(tokens()), dims["vocab_size"]))]
    kinds = [1] * len(tokens()) + [5] * (len(words) - len(tokens()))
    for token in SPECIAL:
        kinds[words.index(token)] = 4 if "think" in token else 3
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    writer.add_array("tokenizer.ggml.merges", joined or merges())
    writer.add_eos_token_id(words.index("<|endoftext|>"))
    writer.add_chat_template(TEMPLATE)
    for key, value in fields.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_string(key, value)
    for name, array in random_arrays(dims).items():
        if name in without:
            continue
        if array.ndim == 1:
            writer.add_tensor(llama_cpp(name), array)
        else:
            packed = gguf.quantize(array, kind)
            writer.add_tensor(llama_cpp(name), packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize(
    "kind", [Kind.Q4_0, Kind.Q4_1, Kind.Q8_0, Kind.F16, Kind.BF16, Kind.F32], ids=str
)
def test_weights_are_what_llama_cpp_takes_them_for(tmp_path: Path, family: str, kind: Kind) -> None:
    checkpoint = open_checkpoint(write(tmp_path / "x.gguf", family=family, kind=kind))
    expected = random_arrays(config(family=family))
    assert set(checkpoint.shards) == set(expected)
    assert set(checkpoint.shards.values()) == {"x.gguf"}
    for name, array in expected.items():
        assert checkpoint.shape(name) == array.shape
        if array.ndim > 1:
            array = gguf.dequantize(gguf.quantize(array, kind), kind)
        rows = checkpoint.rows(name, 1, len(array) - 1)
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, array[1:-1])
    checkpoint.release("x.gguf")
    np.testing.assert_array_equal(
        checkpoint.rows("model.norm.weight", 0, 64), expected["model.norm.weight"]
    )


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_its_architecture_is_that_of_the_same_model_as_safetensors(
    tmp_path: Path, family: str
) -> None:
    for tied in (False, True):
        theirs = open_checkpoint(write(tmp_path / f"{tied}.gguf", family=family, tied=tied))
        ours = open_checkpoint(write_checkpoint(tmp_path / str(tied), family=family, tied=tied))
        found = theirs.architecture
        assert found.rope_interleaved is (found.family is Family.LLAMA)
        assert replace(found, rope_interleaved=False) == ours.architecture


@pytest.mark.parametrize(
    "text",
    [
        "Turn the kitchen light on, it's 21:30!",
        '{"actions": [{"name": "light"}]}\n\n',
        "<|im_start|>user\nhé <think>x</think><|im_end|>\n",
        "  \t one\r\n\r\n two   ",
        "日本語 🙂 e\u0301",
    ],
)
def test_its_tokenizer_cuts_text_as_the_original_one(tmp_path: Path, text: str) -> None:
    checkpoint = open_checkpoint(write(tmp_path / "x.gguf"))
    rebuilt = Tokenizer.from_str(checkpoint.texts.tokenizer.decode())
    original = Tokenizer.from_str(tokenizer_json().decode())
    ids = rebuilt.encode(text).ids
    assert ids == original.encode(text).ids
    assert rebuilt.decode(ids) == original.decode(ids)


def test_smollm_keeps_digits_apart_and_does_not_compose_letters(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write(tmp_path / "x.gguf", splitter="smollm"))
    tokenizer = Tokenizer.from_str(checkpoint.texts.tokenizer.decode())
    assert tokenizer.encode("123").tokens == ["1", "2", "3"]
    text = "e\u0301 the light"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert "Ġlight" in tokenizer.encode(text).tokens


def test_what_else_is_known_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", fields={"tokenizer.ggml.bos_token_id": 5})
    checkpoint = open_checkpoint(path)
    assert checkpoint.licence == "apache-2.0"
    assert checkpoint.source == "x.gguf"
    assert checkpoint.revision == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert set(checkpoint.texts.eos) == {
        tokens().index("<|endoftext|>"), tokens().index("<|im_end|>")
    }  # fmt: skip
    assert checkpoint.texts.template == TEMPLATE
    assert checkpoint.texts.bos is None
    path = write(
        tmp_path / "y.gguf",
        fields={"tokenizer.ggml.bos_token_id": 5, "tokenizer.ggml.add_bos_token": True},
    )
    assert open_checkpoint(path).texts.bos == 5
    path = write(
        tmp_path / "z.gguf",
        fields={
            "tokenizer.ggml.bos_token_id": 5.0,
            "tokenizer.ggml.eot_token_id": 5.0,
            "tokenizer.ggml.add_bos_token": True,
        },
    )
    assert open_checkpoint(path).texts.bos is None
    assert 5 not in open_checkpoint(path).texts.eos


def test_as_many_kv_heads_as_heads_need_not_be_said(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", kv_heads=None)
    assert open_checkpoint(path).architecture.kv_heads == config()["num_attention_heads"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"family": "gpt2"}, "architecture 'gpt2' can't be run; known: llama, qwen2"),
        ({"splitter": "llama-bpe"}, "unknown way 'llama-bpe'.*as safetensors"),
        ({"fields": {"llama.rope.scaling.type": "yarn"}}, "scaled rotary positions"),
        ({"fields": {"llama.expert_count": 8}}, "mixture of experts"),
        ({"fields": {"llama.rope.dimension_count": 8}}, "a part of each head"),
        ({"fields": {"llama.rope.freq_base": float("nan")}}, "rotary base nan"),
        ({"fields": {"split.count": 3}}, "a part of a model; join the parts"),
        ({"without": ("model.embed_tokens.weight",)}, "no embedding"),
        ({"fields": {"llama.attention.key_length": 16.0}}, "key_length is 16.0; a whole number"),
        ({"joined": [1, 2]}, "header is damaged.*download it again"),
    ],
)
def test_what_can_t_be_run_is_refused(tmp_path: Path, arguments: dict[str, Any], says: str) -> None:
    if arguments.get("family") == "gpt2":
        writer = gguf.GGUFWriter(tmp_path / "x.gguf", "gpt2")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
    else:
        write(tmp_path / "x.gguf", **arguments)
    with pytest.raises(ModelError, match=says) as caught:
        open_checkpoint(tmp_path / "x.gguf")
    assert "x.gguf" in str(caught.value)


def test_blocks_that_nobody_can_unpack_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", kind=Kind.Q8_0)
    checkpoint = open_checkpoint(path)
    data = path.read_bytes()
    # Q8_1 is never written to files, and the package can't read it.
    name = b"token_embd.weight"
    at = data.index(name) + len(name) + 4 + 2 * 8
    assert data[at] == Kind.Q8_0
    path.write_bytes(data[:at] + bytes([Kind.I8]) + data[at + 1 :])
    checkpoint = open_checkpoint(path)
    with pytest.raises(ModelError, match=r"embed_tokens.weight is stored as I8, which can't be"):
        checkpoint.rows("model.embed_tokens.weight", 0, 1)


def test_a_kind_of_blocks_that_is_newer_than_this_program_is_no_damage(tmp_path: Path) -> None:
    data = write(tmp_path / "x.gguf").read_bytes()
    name = b"token_embd.weight"
    at = data.index(name) + len(name) + 4 + 2 * 8
    (tmp_path / "x.gguf").write_bytes(data[:at] + b"\xfe" + data[at + 1 :])
    with pytest.raises(ModelError, match=r"token_embd\.weight is stored as kind 254.*as Q8_0, F16"):
        open_checkpoint(tmp_path / "x.gguf")


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf")
    checkpoint = open_checkpoint(path)
    path.unlink()
    with pytest.raises(ModelError, match=r"x\.gguf can't be read: No such file"):
        checkpoint.rows("model.norm.weight", 0, 64)


def test_a_header_as_long_as_the_weights_is_not_read(tmp_path: Path) -> None:
    """An array of a hundred million bytes, which is there: as Python's numbers it takes 800 MB."""
    path = tmp_path / "x.gguf"
    path.write_bytes(HEAD + b"\0\0\0\0" + (100_000_000).to_bytes(8, "little"))
    os.truncate(path, 101_000_000)
    with pytest.raises(ModelError, match=r"x\.gguf: the header is damaged.*longer"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "truncated"),
        (b"GGML" + bytes(100), "no GGUF file"),
        (b"GGUF\1\0\0\0" + bytes(100), "version 1; known: 2 and 3"),
        (b"GGUF\0\0\0\3" + bytes(100), "version 50331648"),
        (b"GGUF\3\0\0\0" + b"\xff" * 100, "truncated"),
        # An array of 2^60 numbers, of strings, of arrays; a name that is no text.
        (HEAD + b"\4\0\0\0" + (1 << 60).to_bytes(8, "little") + bytes(9), "truncated"),
        (HEAD + b"\x08\0\0\0" + (1 << 60).to_bytes(8, "little") + bytes(16), "truncated"),
        (HEAD + b"\x09\0\0\0" + bytes(100), "unknown type 9"),
        (HEAD.replace(b"x", b"\xff"), "damaged"),
    ],
)
def test_a_header_that_lies_is_noticed_at_once(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "x.gguf").write_bytes(data)
    with pytest.raises(ModelError, match=says):
        open_checkpoint(tmp_path / "x.gguf")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("gguf") / "x.gguf").read_bytes()


@settings(deadline=None, max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, share: float
) -> None:
    path = tmp_path_factory.mktemp("gguf") / "x.gguf"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=r"x\.gguf"):
        open_checkpoint(path)


@settings(deadline=None, max_examples=60)
@given(share=st.floats(0, 0.2), to=st.integers(0, 255))
def test_no_changed_byte_of_the_header_does_more_harm_than_an_error(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, share: float, to: int
) -> None:
    path = tmp_path_factory.mktemp("gguf") / "x.gguf"
    data = bytearray(whole)
    data[int(share * len(data))] = to
    path.write_bytes(data)
    try:
        checkpoint = open_checkpoint(path)
        for name in checkpoint.shards:
            if checkpoint.shape(name):
                checkpoint.rows(name, 0, min(2, checkpoint.shape(name)[0]))
    except ModelError:
        pass
