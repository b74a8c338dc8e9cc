"""Grammars: which token may come next in JSON of a schema, and which tokens must.

llguidance does the work. A grammar is compiled once and kept; each answer follows it with a
matcher of its own. The JSON is compact, without white space, its properties in the schema's order,
so that much of it is forced and costs the model nothing.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from assistant.errors import LlmError, QueryError

LENIENT: Final = {"x-guidance": {"lenient": True}}
"""In a schema: what no grammar can check is passed over."""
_KEPT: Final = 16


class Matcher:
    """Where an answer stands in its grammar. To be used by one thread at a time.

    After an LlmError it is of no further use.
    """

    def __init__(self, matcher: LLMatcher, vocabulary: int, eos: tuple[int, ...]) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._eos = eos
        # llguidance takes the end of a text after some grammars and not after others.
        self._ended = False
        self._bits = np.zeros(-(-vocabulary // 32), np.int32)

    def mask(self, logits: NDArray[np.float32]) -> None:
        """Set the logits (float32 [vocabulary]) of tokens that may not come next to -inf, in place.

        In an accepting state the tokens that end the text are among those allowed. Raises
        QueryError where the grammar has become too complex to follow.
        """
        if logits.shape != (self._vocabulary,):
            raise LlmError(
                f"logits of shape {logits.shape} do not fit a vocabulary of {self._vocabulary}"
            )
        np.copyto(logits, -np.inf, where=~self.allowed())

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next: bool [vocabulary]. Raises QueryError as `mask` does."""
        if self._ended:
            return np.zeros(self._vocabulary, np.bool_)
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._check()
        bits = np.unpackbits(self._bits.view(np.uint8), count=self._vocabulary, bitorder="little")
        return bits.view(np.bool_)

    def forced(self) -> list[int]:
        """Tokens that must come next, as the tokenizer itself would cut their text; often none.

        They are not consumed.
        """
        if self._ended:
            return []
        tokens = self._matcher.compute_ff_tokens()
        self._check()
        return tokens

    def consume(self, token: int) -> bool:
        """Go on by `token`; False, and nothing changed, where it may not come next."""
        if self._ended or not 0 <= token < self._vocabulary:
            return False
        if token in self._eos:
            self._ended = self._matcher.is_accepting()
            return self._ended
        consumed = self._matcher.try_consume_tokens([token]) == 1
        self._check()
        return consumed

    def rollback(self, tokens: int) -> None:
        """Take back the last `tokens` consumed. Raises LlmError where there were fewer."""
        if tokens and self._ended:
            self._ended = False
            tokens -= 1
        if tokens and not self._matcher.rollback(tokens):
            raise LlmError("the grammar can't go back to before its beginning")

    @property
    def accepting(self) -> bool:
        """Whether the text is whole as it stands; more may follow."""
        return self._matcher.is_accepting()

    @property
    def finished(self) -> bool:
        """Whether the text is whole and nothing may follow but its end."""
        return self._ended or self._matcher.is_stopped()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise QueryError(f"the grammar can't be followed: {_first_line(self._matcher)}")


class Grammar:
    """A compiled grammar."""

    def __init__(self, prototype: LLMatcher, vocabulary: int, eos: tuple[int, ...]) -> None:
        self._prototype = prototype
        self._vocabulary = vocabulary
        self._eos = eos

    def start(self) -> Matcher:
        """A matcher at the beginning of an answer."""
        return Matcher(self._prototype.deep_copy(), self._vocabulary, self._eos)


class Grammars:
    """Compiles grammars for one model and keeps the last of them. May be used by any thread.

    `vocabulary`: the width of the logits; where the tokenizer knows fewer tokens, the rest never
    come. `eos`: the tokens that end a text, the usual one first. Takes about a second to set up.
    Raises LlmError where these do not fit each other.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, eos: tuple[int, ...]) -> None:
        size = tokenizer.get_vocab_size()
        if vocabulary < size:
            raise LlmError(
                f"the tokenizer's {size} tokens do not fit the model's {vocabulary}; "
                "take the tokenizer that belongs to the model"
            )
        if not eos or not all(0 <= token < vocabulary for token in eos):
            raise LlmError(f"tokens that end a text: {list(eos)} are not of the vocabulary")
        plain = Tokenizer.from_str(tokenizer.to_str())
        plain.no_padding()
        plain.no_truncation()
        try:
            self._tokenizer = LLTokenizer(plain.to_str(), n_vocab=vocabulary, eos_token=list(eos))
        except Exception as error:  # llguidance raises whatever its Rust side does
            raise LlmError(f"no grammar can be made for this tokenizer: {error}") from error
        self._vocabulary = vocabulary
        self._eos = eos
        self._kept: OrderedDict[str, Grammar] = OrderedDict()
        self._lock = threading.Lock()

    def compile(self, schema: Mapping[str, Any]) -> Grammar:
        """The grammar of compact JSON that fits `schema`; at once where it was compiled before.

        `oneOf` counts as `anyOf`. Raises QueryError where the schema is malformed, or asks for what
        no grammar can check; not for the latter where it has `LENIENT`.
        """
        try:
            key = json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise QueryError(f"the schema is no JSON: {error}") from error
        with self._lock:
            if (grammar := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return grammar
            grammar = Grammar(self._compiled(key), self._vocabulary, self._eos)
            self._kept[key] = grammar
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return grammar

    def _compiled(self, schema: str) -> LLMatcher:
        try:
            text = LLMatcher.grammar_from_json_schema(
                schema, overrides={"whitespace_flexible": False, "coerce_one_of": True}
            )
        except ValueError as error:
            raise QueryError(f"no grammar can be made of the schema: {error}") from error
        matcher = LLMatcher(self._tokenizer, text, log_level=0)
        if matcher.is_error():
            raise QueryError(f"no grammar can be made of the schema: {_first_line(matcher)}")
        return matcher


def _first_line(matcher: LLMatcher) -> str:
    return (matcher.get_error().strip().splitlines() or ["no reason given"])[0]
