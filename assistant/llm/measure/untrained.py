"""A model that nobody trained: random weights, and a tokenizer with as many tokens as the true one.

The tokenizer cuts texts as Qwen's does and knows the words of the text that it is made from, so
that prompts and answers come to about as many tokens as in the true one. The rest of its
vocabulary is made up; it makes masks take as long as they do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer

from assistant.llm.architecture import Architecture
from assistant.llm.directory import ModelDirectory
from assistant.llm.quantisation import Quantisation

TEMPLATE: Final = """\
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""A plain chat template of Qwen's kind."""

_SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_WORDS: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's: https://huggingface.co/Qwen/Qwen2-7B/blob/main/tokenizer.json"""
_LETTERS: Final = "etaoinsrhldcumfpgwybvkxjqz"


def untrained(
    folder: Path, name: str, architecture: Architecture, quantisation: Quantisation
) -> ModelDirectory:
    """The directory of a model whose parts `write_random` wrote into `folder`."""
    return ModelDirectory(
        folder=folder,
        name=name,
        source="random weights",
        revision="",
        licence="",
        architecture=architecture,
        quantisation=quantisation,
        eos=(architecture.vocabulary - 1,),
        bos=None,
        built="",
        files={},
    )


def made_up_tokenizer(vocabulary: int, text: str) -> Tokenizer:
    """A byte-level tokenizer of `vocabulary` tokens that knows the words of `text`.

    The control tokens of ChatML come last, `<|im_end|>` as the very last. The same text gives the
    same tokenizer.
    """
    size = vocabulary - len(_SPECIAL)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = _cut()
    learned.train_from_iterator(
        [text],
        BpeTrainer(
            vocab_size=min(size, 8000),
            min_frequency=1,
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    tokens: dict[str, int] = learned.get_vocab(with_added_tokens=False)
    merges = _merges(learned)
    for left, right in _syllables():
        if len(tokens) == size:
            break
        if left in tokens and right in tokens and left + right not in tokens:
            merges.append((left, right))
            tokens[left + right] = len(tokens)
    made = Tokenizer(models.BPE(vocab=tokens, merges=merges))
    made.pre_tokenizer = _cut()
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    return made


def _cut() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(left, right) for left, right in found]


def _syllables() -> Iterator[tuple[str, str]]:
    """Pairs that make up words: two letters, two after a space, then two of those, and so on."""
    pairs = ["".join(pair) for pair in product(_LETTERS, repeat=2)]
    yield from product(_LETTERS, repeat=2)
    yield from (("Ġ", pair) for pair in pairs)
    yield from product(pairs, repeat=2)
    yield from ((f"Ġ{left}", right) for left, right in product(pairs, repeat=2))
