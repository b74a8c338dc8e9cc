"""Listening, with uvicorn."""

from __future__ import annotations

import errno
import ipaddress
import socket

import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette

from assistant.errors import ConfigError, LlmError
from assistant.llm.serve.connection import MOST, Connection


def listen(host: str, port: int, *, api_key: SecretStr | None) -> socket.socket:
    """A socket at that address; port 0: any free one.

    Raises ConfigError where others than this machine could ask without a key, LlmError where the
    address can't be had.
    """
    if api_key is None and not is_loopback(host):
        raise ConfigError(
            f"whoever reaches {host} could use the model: give an API key (--api-key-file, or "
            "llm.serve.api_key_file), or "
            "listen on 127.0.0.1"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        hint = "choose another port" if error.errno == errno.EADDRINUSE else "check the address"
        raise LlmError(f"can't listen on {host}:{port} ({error.strerror}); {hint}") from error


async def serve(application: Starlette, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; answers in progress get a few seconds to end."""
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        http=Connection,
        limit_concurrency=MOST,
        timeout_graceful_shutdown=5,
    )
    await uvicorn.Server(config).serve(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine itself, whoever asks."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
