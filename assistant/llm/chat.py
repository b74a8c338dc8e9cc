"""From messages to the tokens of a prompt, by the chat template that came with the checkpoint.

The template is Jinja written by others: it runs in a sandbox, with what Hugging Face offers to
templates and no more, in bounded time and memory. What people and devices say can't act as control
tokens: `<|im_end|>` in a message is tokenised like any other letters.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any, Final

from tokenizers import Tokenizer

from assistant.errors import LlmError, ModelError
from assistant.llm.model import Message, Role
from assistant.llm.sandbox import Sandbox
from assistant.llm.text import THINK, THINK_END

AFTER_THOUGHT: Final = "\n\n"
"""Parts a thought that has ended from the answer."""
THOUGHT_END: Final = f"\n{THINK_END}{AFTER_THOUGHT}"
"""Ends a thought that is to go on no longer; the answer follows."""
NO_THOUGHT: Final = f"{THINK}\n{THOUGHT_END}"
"""A thought without content: after it the model answers at once."""

_SOURCE_LIMIT: Final = 1 << 18
"""Characters of a template."""
_SWITCH: Final = "enable_thinking"
"""The variable by which newer templates let thinking be switched off."""
_PROBES: Final = ("a", "Z", "7", " b", "\n", "\n\nc", " \n", "\t", '"', "—", "é", "。")
"""Contents that begin as differently as contents can."""
_PLAIN: Final = "Turn on the light."

_SANDBOX: Final = Sandbox()


class ChatTemplate:
    """A checkpoint's chat template. `bos` and `eos` are the texts of those tokens, or empty.

    `thinks`: the model is one that thinks between `<think>` and `</think>`; None: it is if its
    template mentions the mark. Raises ModelError where the template is not Jinja, or too long.
    """

    def __init__(self, source: str, *, bos: str, eos: str, thinks: bool | None = None) -> None:
        if len(source) > _SOURCE_LIMIT:
            raise ModelError(f"the model's chat template is too long ({len(source)} characters)")
        self._variables = {"bos_token": bos, "eos_token": eos}
        # Stands for contents while a template is rendered. Of digits, so that no filter changes it;
        # unguessable, so that no content contains it.
        self._mark = "".join(secrets.choice("123456789") for _ in range(24))
        self._source = source
        self._switched = _SWITCH in self._ask("can't be used")["asked"]
        self.thinks = THINK in source if thinks is None else thinks

    def check(self) -> None:
        """Raise ModelError where the template fails with a plain question, or leaves it out."""
        if _PLAIN not in self.render([Message(Role.USER, _PLAIN)], thinking=False):
            raise ModelError("the model's chat template leaves out what the user says")

    @cached_property
    def opens_thought(self) -> bool:
        """Whether a prompt with thinking ends within a thought: the text begins with one."""
        prompt = self.render([Message(Role.USER, "a")], thinking=True)
        return prompt.rstrip().endswith(THINK)

    def render(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool,
        generate: bool = True,
    ) -> str:
        """The text of the prompt: for people and tests; a model is given what `encode` makes.

        `generate`: the answer's beginning is added; without `thinking` that holds an empty thought
        where the model is one that thinks. Raises ModelError when the template fails, LlmError
        without messages.
        """
        said = [(message.role.value, _sound(message.content)) for message in messages]
        return self._render(said, thinking, generate)

    def protected(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool,
        generate: bool = True,
    ) -> tuple[str, Callable[[str], str]]:
        """The prompt with stand-ins for all contents, and what puts contents in their place.

        White space around contents stays, for templates that trim it. A template that looks into a
        content sees digits. Raises what `render` does.
        """
        hidden: list[str] = []

        def contents(match: re.Match[str]) -> str:
            text = hidden[int(match[2])]
            return text if match[1] == "0" else json.dumps(text, ensure_ascii=False)[1:-1]

        said = []
        for message in messages:
            content = _sound(message.content)
            core = content.strip()
            if core:
                before, after = content.split(core, 1)
                content = f"{before}{self._mark}0{len(hidden):06}{after}"
                hidden.append(core)
            said.append((message.role.value, content))
        text = self._render(said, thinking, generate)
        places = re.compile(rf"{self._mark}([01])(\d{{6}})")
        return text, lambda part: places.sub(contents, part)

    def _render(self, said: list[tuple[str, str]], thinking: bool, generate: bool) -> str:
        if not said:
            raise LlmError("there is no message for the language model to answer")
        variables: dict[str, Any] = {
            **self._variables,
            "messages": [{"role": role, "content": content} for role, content in said],
            "tools": None,  # see `assistant.llm.serve.tools`: told alike to every model
            "add_generation_prompt": generate,
        }
        if self._switched:
            variables[_SWITCH] = thinking
        text = _sound(self._ask("failed", variables=variables)["text"])
        if thinking or not generate or self._switched or not self.thinks:
            return text
        return _without_thought(text)

    def _ask(self, what: str, **request: Any) -> dict[str, Any]:
        answer = _SANDBOX.ask(source=self._source, mark=self._mark, **request)
        if "error" in answer:
            raise ModelError(f"the model's chat template {what}: {answer['error']}"[:300])
        return answer


def encode(
    tokenizer: Tokenizer,
    template: ChatTemplate,
    messages: Sequence[Message],
    *,
    thinking: bool = False,
    generate: bool = True,
) -> list[int]:
    """The tokens of the prompt that `template.render` describes.

    They are those of the rendered text, except that nothing in a message becomes one of the
    tokenizer's added tokens (control tokens, `<think>`). Raises what `render` does.
    """
    added = tokenizer.get_added_tokens_decoder()
    text, filled = template.protected(messages, thinking=thinking, generate=generate)
    # Cut at the template's own control tokens. What lies between is tokenised as a whole, contents
    # and the template's words together: merges across their borders are as in the plain text.
    tokens: list[int] = []
    end = 0
    encoding = _encoding(tokenizer, text)
    for token, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True):
        if token in added:
            tokens += _ordinary(tokenizer, filled(text[end:start]), added)
            tokens.append(token)
            end = stop
    return tokens + _ordinary(tokenizer, filled(text[end:]), added)


def static_prefix(
    tokenizer: Tokenizer,
    template: ChatTemplate,
    messages: Sequence[Message],
    *,
    thinking: bool = False,
) -> list[int]:
    """The tokens with which every dialogue begins that begins with `messages`.

    After them comes whoever's turn it is: the user, or after the user the assistant.
    """
    answer = bool(messages) and messages[-1].role is Role.USER
    role = Role.ASSISTANT if answer else Role.USER
    prompts = [
        encode(
            tokenizer,
            template,
            [*messages, Message(role, content)],
            thinking=thinking,
            generate=not answer,
        )
        for content in _PROBES
    ]
    shared = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False))
    return [tokens[0] for tokens in shared]


def _ordinary(tokenizer: Tokenizer, text: str, added: Mapping[int, Any]) -> list[int]:
    """Tokens of `text`, none of them added ones."""
    tokens: list[int] = _encoding(tokenizer, text).ids
    if added.keys().isdisjoint(tokens):
        return tokens
    # The tokenizer can't be told to overlook those that aren't special, so its steps are taken one
    # by one: they know nothing of added tokens.
    normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
    words = [normal]
    if tokenizer.pre_tokenizer:
        words = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]
    model = tokenizer.model
    return [token.id for word in words for token in model.tokenize(word)]


def _encoding(tokenizer: Tokenizer, text: str) -> Any:
    if tokenizer.truncation is not None:  # some checkpoints' files cut texts at 512 tokens
        tokenizer.no_truncation()
    if tokenizer.padding is not None:
        tokenizer.no_padding()
    return tokenizer.encode(text, add_special_tokens=False)


def _without_thought(prompt: str) -> str:
    bare = prompt.rstrip()
    if bare.endswith(THINK_END):
        return prompt
    if bare.endswith(THINK):
        return bare + NO_THOUGHT.removeprefix(THINK)
    return prompt + NO_THOUGHT


def _sound(text: str) -> str:
    """`text` with U+FFFD for lone surrogates, which have no UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
