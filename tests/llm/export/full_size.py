"""A build of fake bf16 shards in MiMo's layout, in a process of its own whose memory is measured.

python -m tests.llm.export.full_size FOLDER LAYERS SHARDS

Shards are made when they are asked for and deleted when they are done with, as downloads are.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from assistant.llm.checkpoint.bpe import byte_level_bpe
from assistant.llm.checkpoint.open import open_checkpoint
from assistant.llm.export.build import build
from assistant.llm.quantisation import Quantisation
from assistant.models.shards import CONFIG, INDEX
from tests.llm.fake import SPECIAL, TEMPLATE, config, shapes

_TILE = 1 << 25


class MadeShards:
    """Shards of a model with MiMo-7B's dimensions, full of the same random numbers."""

    source = "fake/mimo"
    revision = "0"
    licence = "mit"

    def __init__(self, folder: Path, layers: int, count: int) -> None:
        self.folder = folder
        self.made = 0
        folder.mkdir(parents=True, exist_ok=True)
        settings = config(
            hidden=4096, layers=layers, heads=32, kv_heads=8, intermediate=11008,
            vocabulary=151680, context=32768,
        )  # fmt: skip
        self._headers: dict[str, bytes] = {}
        self._bytes: dict[str, int] = {}
        placed = {}
        found = shapes(settings)
        total = sum(math.prod(shape) for shape in found.values())
        entries: dict[str, dict[str, object]] = {}
        weights = 0
        for name, shape in found.items():
            shard = f"model-{weights * count // total + 1:05}-of-{count:05}.safetensors"
            weights += math.prod(shape)
            placed[name] = shard
            start = self._bytes.get(shard, 0)
            self._bytes[shard] = stop = start + 2 * math.prod(shape)
            entry = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, stop]}
            entries.setdefault(shard, {})[name] = entry
        for shard, header in entries.items():
            text = json.dumps(header).encode()
            self._headers[shard] = len(text).to_bytes(8, "little") + text
        words = {"eos_token": "<|im_end|>", "chat_template": TEMPLATE}
        small = {
            CONFIG: json.dumps(settings).encode(),
            INDEX: json.dumps({"weight_map": placed}).encode(),
            "tokenizer.json": _tokenizer(151_643),
            "tokenizer_config.json": json.dumps(words).encode(),
        }
        for name, data in small.items():
            (folder / name).write_bytes(data)
        self.sizes: Mapping[str, int] = {
            **{name: len(data) for name, data in small.items()},
            **{shard: len(self._headers[shard]) + n for shard, n in self._bytes.items()},
        }

    def here(self, name: str) -> bool:
        return (self.folder / name).exists()

    def get(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            numbers = np.random.default_rng(0).standard_normal(_TILE // 2, np.float32)
            # The upper halves of float32 numbers are bfloat16.
            tile = (numbers * np.float32(0.02)).view("<u2")[1::2].tobytes()
            fresh = path.with_suffix(".part")
            with fresh.open("wb", buffering=0) as file:
                file.write(self._headers[name])
                left = self._bytes[name]
                while left:
                    left -= file.write(memoryview(tile)[:left])
            fresh.replace(path)
            self.made += 1
        return path

    def frees(self, name: str) -> int:
        return 0

    def done(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)


def _tokenizer(size: int) -> bytes:
    """A byte-level BPE of as many tokens as MiMo's: every pair of bytes, then triples."""
    letters = sorted(ByteLevel.alphabet())
    pairs = list(itertools.product(letters, letters))
    words = (left + right for left, right in pairs)
    triples = itertools.product(words, letters)
    merges = [*pairs, *itertools.islice(triples, size - len(letters) - len(pairs))]
    tokens = [*letters, *(left + right for left, right in merges), *SPECIAL]
    return byte_level_bpe("qwen2", tokens, merges, special=SPECIAL)


def main(folder: Path, layers: int, count: int) -> None:
    shards = MadeShards(folder / "shards", layers, count)

    def told(what: str, done: int, total: int) -> None:
        sys.stdout.write(f"{what} {done} {total}\n")
        sys.stdout.flush()

    began = time.monotonic()
    quantisation = Quantisation(block=64)
    directory = build(open_checkpoint(shards), quantisation, folder / "model", "m", progress=told)
    facts = {
        "files": {name: dataclasses.asdict(file) for name, file in directory.files.items()},
        "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "seconds": time.monotonic() - began,
        "cpu": time.process_time(),
        "made": shards.made,
        "shards": sum(name.endswith(".safetensors") for name in shards.sizes),
    }
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
