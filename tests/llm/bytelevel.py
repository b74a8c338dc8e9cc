"""Small byte-level tokenizers, real in everything but their size."""

from __future__ import annotations

from functools import cache
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

QWEN: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3: Final = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")

CHATML_SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LLAMA3_SPECIAL: Final = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)

_READ: Final = (
    "system\nYou are a helpful assistant for the home.\n\nuser\nTurn the kitchen light on, "
    "please, and set the heating to 21.5 degrees at half past six.\nassistant\n"
    '{"actions":[{"name":"light.on","device":"light.kitchen","brightness":80}],"reply":"Done."}\n'
    "Perché no? Spegni tutte le luci del soggiorno tranne l'abat-jour, e chiudi le tapparelle.\n"
    "What is the temperature outside?  It is twelve degrees - cold, isn't it?\n\n"
    "Yes\n\nNo\n\n\nWell  \n\n"
)


@cache
def tokenizer(
    special: tuple[str, ...] = CHATML_SPECIAL,
    words: str = QWEN,
    *,
    normal: bool = True,
    begin: str = "",
    plain: tuple[str, ...] = ("<think>", "</think>"),
) -> Tokenizer:
    """A byte-level BPE of some 500 tokens, trained on a few lines.

    `special` are control tokens, `plain` added tokens that are none; `words` is the expression that
    cuts text before the merges; `normal`: NFC first; `begin`: a token it puts before every text.
    """
    made = Tokenizer(models.BPE())
    if normal:
        made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [_READ] * 3, BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    )
    made.add_special_tokens([AddedToken(token, special=True) for token in special])
    made.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    if begin:
        made.post_processor = TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, made.token_to_id(begin))]
        )
    return made
