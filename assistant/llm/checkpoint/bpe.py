"""A tokenizer.json from the parts of a byte-level BPE, as GGUF files keep them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Split

from assistant.errors import ModelError

# tokenizer.json of Qwen/Qwen2.5-7B-Instruct.
_QWEN2: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _qwen2() -> PreTokenizer:
    return pre_tokenizers.Sequence(
        [Split(Regex(_QWEN2), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def _smollm() -> PreTokenizer:
    return pre_tokenizers.Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
    )


_SPLITTERS: Final[Mapping[str, Callable[[], PreTokenizer]]] = {
    "qwen2": _qwen2,
    "smollm": _smollm,
}


def byte_level_bpe(
    splitter: str,
    tokens: Sequence[str],
    merges: Sequence[tuple[str, str]],
    *,
    special: Sequence[str],
    added: Sequence[str] = (),
) -> bytes:
    """A tokenizer.json. `tokens` in the order of their ids hold `special` and `added` too.

    `splitter` is how text is cut into words: "qwen2" or "smollm"; others, and merges that do not
    fit the tokens, raise ModelError.
    """
    make = _SPLITTERS.get(splitter)
    if make is None:
        known = ", ".join(_SPLITTERS)
        raise ModelError(
            f"the tokenizer cuts words in the unknown way {splitter!r}; known: {known}. Get the "
            "model as safetensors, which bring their tokenizer.json along"
        )
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        raise ModelError("the tokenizer has two tokens of the same text")
    try:
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    except Exception as error:  # the library raises nothing more special
        raise ModelError(f"the tokenizer's merges do not fit its tokens: {error}") from error
    if splitter == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = make()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in added])
    return tokenizer.to_str().encode()
