"""A language model on another machine: any server that speaks OpenAI's chat completions.

vLLM with MiMo is how to outgrow a hub; llama.cpp and Ollama work too. The official client carries
the requests, its TLS, its retries. What servers disagree on is in `dialect.py`; what they refuse
is left out from then on.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletionChunk
from pydantic import SecretStr

from assistant.errors import ConfigError, LlmError, QueryError
from assistant.llm.cleaning import Compact, whole
from assistant.llm.dialect import Dialect, body, simpler
from assistant.llm.model import Finish, Message, Piece, Query
from assistant.llm.text import ThinkFilter

_log = logging.getLogger(__name__)

_NO_KEY: Final = "none"
"""The client insists on a key, and would else take one meant for OpenAI from the environment."""
_UNLIKELY: Final = -100.0
"""Servers write the logarithm of 0 in their own ways, down to the least float there is."""
_READING: Final = 60.0
"""Seconds to read a prompt ahead."""
_NOTHING: Final = Piece("", tokens=0)
_LONGEST_COMPLAINT: Final = 300
_REFUSED: Final = (400, 422, 501)
_TOO_LONG: Final = (
    "context length",
    "context size",
    "context window",
    "exceed_context",
    "than the context",
)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for a server."""

    connect: float = 3.0
    """For a connection, at each attempt."""
    first: float = 20.0
    """For the first sign of an answer, all attempts and the reading of the prompt together."""
    between: float = 10.0
    """From one sign of an answer to the next."""


class RemoteModel:
    """The model of the server at `url`, such as http://big:8000 or https://big/v1.

    `model` is what the server calls it; None: the first it lists. A connection that fails and a
    server that is too busy are tried `retries` times again. Certificates are checked as the client
    does; SSL_CERT_FILE names an authority of your own. Raises ConfigError for a senseless url.

    A server does not tell which tokens its grammar forced: all count as chosen.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key: SecretStr | None = None,
        weak: bool = False,
        patience: Patience | None = None,
        retries: int = 1,
    ) -> None:
        address, self._where = _address(url)
        self._model = model
        self._named = model is not None
        self._weak = weak
        self._patience = patience or Patience()
        self._dialect = Dialect()
        self._warming: asyncio.Task[None] | None = None
        self._client = openai.AsyncOpenAI(
            base_url=address,
            api_key=api_key.get_secret_value() if api_key else _NO_KEY,
            organization="",  # what the environment says is meant for OpenAI
            project="",
            max_retries=retries,
            timeout=openai.Timeout(self._patience.first, connect=self._patience.connect),
        )

    @property
    def name(self) -> str:
        """The model's name at the server, and the server's address."""
        return f"{self._model or 'the model'} at {self._where}"

    @property
    def weak(self) -> bool:
        """Whether whoever set it up calls it too small to be trusted with actions."""
        return self._weak

    async def generate(self, query: Query) -> AsyncGenerator[Piece, None]:
        """The answer as the server streams it; closing the generator closes the connection.

        Raises QueryError when the server refuses this query, LlmError when it can't be reached,
        is too slow or fails.
        """
        self._stop_warming()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.first
        while True:
            stream = await self._open(query, deadline)
            try:
                async with aclosing(self._pieces(stream, query, deadline)) as pieces:
                    async for piece in pieces:
                        yield piece
                await _drain(stream)
                return
            except _ThinksError:
                # Its template knows no switch; nothing of the answer has been heard yet.
                self._dialect = replace(self._dialect, prefill=True)
                deadline = loop.time() + self._patience.first
            finally:
                await stream.close()

    async def prepare(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        """With `keep`, have the server read `messages` into its prefix cache: one token is asked.

        What changes with every word is not worth a request: a server reads it in no time. Fails
        silently, and gives way to `generate`.
        """
        if not keep or not messages:
            return
        self._stop_warming()
        warming = self._warming = asyncio.create_task(self._warm(tuple(messages)))
        try:
            await asyncio.wait((warming,))
        finally:
            warming.cancel()

    async def close(self) -> None:
        """Close the connections."""
        self._stop_warming()
        await self._client.close()

    def _stop_warming(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
            self._warming = None

    async def _warm(self, messages: tuple[Message, ...]) -> None:
        query = Query(messages, limit=1)
        try:
            deadline = asyncio.get_running_loop().time() + _READING
            async with aclosing(await self._open(query, deadline)) as stream:
                async for _ in self._pieces(stream, query, deadline):
                    pass
        except (LlmError, _ThinksError) as error:
            _log.debug("%s: the prompt was not read ahead: %s", self.name, error)

    async def _open(self, query: Query, deadline: float) -> openai.AsyncStream[ChatCompletionChunk]:
        """Ask, ever more simply as long as the server refuses; remember what it took."""
        refusal: QueryError | None = None
        found = self._model is not None and not self._named
        with self._explained():
            async with asyncio.timeout_at(deadline):
                model, dialect = await self._model_name(), self._dialect
                while True:
                    asked = body(query, dialect)
                    messages = asked.pop("messages")
                    try:
                        stream = await self._client.chat.completions.create(
                            model=model, messages=messages, stream=True, extra_body=asked
                        )
                    except openai.NotFoundError:
                        if not found:
                            raise
                        # What was found before is gone: the server has another model by now.
                        self._model, found = None, False
                        self._dialect = Dialect()
                        model, dialect = await self._model_name(), self._dialect
                    except openai.APIStatusError as error:
                        if error.status_code not in _REFUSED:
                            raise
                        if _is_too_long(error):
                            raise self._refusal(error) from error
                        refusal = refusal or self._refusal(error)
                        plainer = simpler(dialect, query, _words(error))
                        if plainer is None:
                            raise refusal from error
                        dialect = plainer
                    else:
                        break
        if dialect != self._dialect:
            self._note(dialect)
            self._dialect = dialect
        return stream

    async def _model_name(self) -> str:
        if self._model is None:
            models = await self._client.models.list()
            if not models.data:
                raise LlmError(f"{self._where} serves no model; load one there")
            self._model = models.data[0].id
        return self._model

    async def _pieces(
        self, stream: AsyncIterator[ChatCompletionChunk], query: Query, deadline: float
    ) -> AsyncGenerator[Piece, None]:
        thoughts, compact = ThinkFilter(), Compact()
        may_think = bool(query.thinking) or self._dialect.prefill is not None
        finish: Finish | None = None
        tokens = 0
        unheard = _NOTHING
        loop = asyncio.get_running_loop()
        while finish is None:
            with self._explained():
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(stream, None)
                heard = _heard(chunk) if chunk else None
            if heard is None:
                raise LlmError(
                    f"{self.name} broke off in the midst of its answer; if it always does, look "
                    "whether an OpenAI-compatible server listens there"
                )
            if heard.empty:
                continue
            deadline = loop.time() + self._patience.between
            finish = heard.finish
            text = thoughts.feed(heard.text)
            if finish is not None:
                text += thoughts.finish()
            if (heard.thinks or thoughts.inside) and not (may_think or text):
                raise _ThinksError
            tokens += heard.piece.tokens
            if tokens > query.limit + query.thinking:  # a server that knows no max_tokens
                finish = finish or Finish.LENGTH
            if query.schema is not None:
                text = compact.feed(text)
            unheard = _joined(unheard, _NOTHING if thoughts.inside else heard.piece, text)
            if unheard.text or finish:
                may_think = True
                yield replace(unheard, finish=finish)
                unheard = _NOTHING

    def _note(self, dialect: Dialect) -> None:
        if dialect.shape > self._dialect.shape:
            how = ("", "vLLM's own parameters", "JSON mode alone", "the prompt alone")
            _log.warning(
                "%s takes no JSON schema as response_format; it is held to one by %s",
                self.name, how[dialect.shape],
            )  # fmt: skip

    def _refusal(self, error: openai.APIStatusError) -> QueryError:
        if _is_too_long(error):
            return QueryError(
                f"{self.name}: the prompt is longer than its context ({_words(error)}); start the "
                "server with a larger one, or let fewer devices be exposed"
            )
        return QueryError(f"{self.name} refuses the request: {_words(error)}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the client raises into an LlmError for the person who must act."""
        try:
            yield
        except TimeoutError as error:
            raise LlmError(
                f"{self.name} does not answer in time; it may be overloaded or still loading its "
                "model"
            ) from error
        except (openai.OpenAIError, ValueError) as error:
            if not isinstance(error, openai.APITimeoutError) and isinstance(
                error, openai.APIConnectionError
            ):
                self._dialect = Dialect()  # it may come back as another version
            raise LlmError(self._reason(error)) from error

    def _reason(self, error: Exception) -> str:
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return f"{self._where} refuses our API key; set llm.remote.api_key to one it takes"
            case openai.NotFoundError():
                return (
                    f"{self._where} knows no {self._model or 'list of models'} ({_words(error)}); "
                    "check llm.remote.model, and that llm.remote.url leads to an OpenAI-compatible "
                    "server"
                )
            case openai.RateLimitError():
                return f"{self.name} is too busy; try again, or let fewer use it"
            case openai.APIStatusError():
                return f"{self.name} failed ({error.status_code}: {_words(error)}); see its log"
            case openai.APIConnectionError():
                return f"{self._where} {_obstacle(error)}"
            case openai.APIError():
                return f"{self.name} failed: {_words(error)}; see its log"
        return (
            f"{self._where} answers what can't be read ({error}); check that llm.remote.url "
            "leads to an OpenAI-compatible server"
        )


class _ThinksError(Exception):
    """The model thinks, though it was told not to."""


def _address(url: str) -> tuple[str, str]:
    """The base URL for the client, and the server's address to show: without user and password."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ConfigError(f"llm.remote.url: {url!r} must be an address such as http://big:8000/v1")
    base = parts._replace(path=parts.path.strip("/") or "v1", query="", fragment="")
    return base.geturl(), f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a chunk says; `piece` has its tokens, not its text."""

    text: str
    thinks: bool
    piece: Piece
    finish: Finish | None

    @property
    def empty(self) -> bool:
        return not (self.text or self.thinks or self.finish)


def _heard(chunk: ChatCompletionChunk) -> _Heard:
    """Raises ValueError for what is no chunk: the client takes any JSON for one."""
    if not chunk.choices:
        return _Heard("", thinks=False, piece=_NOTHING, finish=None)
    choice = chunk.choices[0]
    try:
        delta = choice.delta
        text = whole(delta.content or "")
        # Which names servers give to thoughts is not in the client's types.
        thinks = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        reason: str | None = choice.finish_reason
        entries = (choice.logprobs.content if choice.logprobs else None) or ()
        logprobs = [max(_UNLIKELY, entry.logprob) for entry in entries]
    except (AttributeError, TypeError) as error:
        raise ValueError(f"no chat completion: {error}") from error
    tokens = len(logprobs) or (1 if text or thinks else 0)
    finish = Finish.LENGTH if reason == "length" else Finish.STOP if reason else None
    piece = Piece("", tokens, 0.0 if thinks else sum(logprobs), 0 if thinks else len(logprobs))
    return _Heard(text, bool(thinks), piece, finish)


def _joined(first: Piece, second: Piece, text: str) -> Piece:
    return Piece(
        first.text + text,
        first.tokens + second.tokens,
        first.logprob + second.logprob,
        first.chosen + second.chosen,
    )


async def _drain(stream: AsyncIterator[ChatCompletionChunk]) -> None:
    """Read what comes after the answer, so that its connection serves the next one."""
    with suppress(TimeoutError, openai.OpenAIError, ValueError):
        async with asyncio.timeout(1.0):
            async for _ in stream:
                pass


def _words(error: openai.APIError) -> str:
    """What the server itself says, without the client's packing."""
    said = error.body.get("message") if isinstance(error.body, dict) else None
    words = " ".join(str(said or error.message).split())
    return words if len(words) <= _LONGEST_COMPLAINT else words[:_LONGEST_COMPLAINT] + "…"


def _is_too_long(error: openai.APIStatusError) -> bool:
    words = f"{error.code} {error.type} {_words(error)}".lower().replace("_", " ")
    return any(sign.replace("_", " ") in words for sign in _TOO_LONG)


def _obstacle(error: BaseException) -> str:
    """Why there is no connection, from the innermost cause that tells."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError():
                return (
                    f"can't prove who it is ({cause.verify_message}); set SSL_CERT_FILE to the "
                    "authority that signed its certificate"
                )
            case socket.gaierror():
                return "is not known by that name; check llm.remote.url and the name server"
            case ConnectionRefusedError():
                return "refuses connections; start the server there, or check llm.remote.url"
            case TimeoutError() | openai.APITimeoutError():
                return "does not answer; check that it runs, llm.remote.url and firewalls"
        cause = cause.__cause__ or cause.__context__
    return "can't be reached, or hung up; check that it runs, llm.remote.url and the network"
