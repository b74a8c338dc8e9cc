"""`assistant llm`: the language model for others."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from assistant.cli.options import ConfigOption, VerboseOption, log_to_terminal, settings_from
from assistant.errors import ModelError
from assistant.paths import directories

app = typer.Typer(help="The language model, for Home Assistant and other programs.")


@app.callback()
def group() -> None:
    """One command so far, called by its name all the same."""


@app.command()
def serve(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on. Default: the configured, 127.0.0.1. Others than this "
            "machine need an API key.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port to listen on; 0: any free one. Default: the configured, 8151.",
            show_default=False,
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file whose first line is the API key that clients must send. Make one with: "
            "openssl rand -hex 32 > FILE; chmod 600 FILE",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="A built model. Default: the configured, else mimo-7b or smollm2.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Serve this machine's language model as OpenAI's chat completions, until stopped.

    Whatever takes an OpenAI-compatible server takes this one: give it the base URL
    http://127.0.0.1:8151/v1 and the model's name. It streams, calls tools, and keeps to JSON
    schemas. Try it:

    ```
    curl http://127.0.0.1:8151/v1/chat/completions \\
      -H 'Content-Type: application/json' \\
      -d '{"messages": [{"role": "user", "content": "Hello!"}]}'
    ```

    With a key add: -H 'Authorization: Bearer KEY'. To serve it from within the daemon, and so have
    it in memory once, set enabled = true in [llm.serve].
    """
    log_to_terminal(verbose, "info")
    logging.getLogger("uvicorn").setLevel("DEBUG" if verbose else "WARNING")
    settings = settings_from(config).llm
    serving = settings.serve.model_copy(
        update={
            **({"host": host} if host is not None else {}),
            **({"port": port} if port is not None else {}),
            **({"api_key": None, "api_key_file": api_key_file} if api_key_file else {}),
        }
    )

    from assistant.llm.engine import Engine
    from assistant.llm.select import api_key, choose, engine_settings
    from assistant.llm.serve.app import application
    from assistant.llm.serve.server import listen
    from assistant.llm.serve.server import serve as serve_until_stopped

    directory = choose(settings.model_copy(update={"model": model}) if model else settings)
    if directory is None:
        raise ModelError(
            "there is no language model to serve; build one with: assistant models build mimo-7b"
        )
    key = api_key(serving)

    async def run() -> None:
        with listen(serving.host, serving.port, api_key=key) as listener:
            engine = Engine(directory, engine_settings(settings, directories().cache))
            try:
                await engine.load()
                address, bound = listener.getsockname()[:2]
                shown = f"[{address}]" if ":" in address else address
                typer.echo(f"{engine.name} is ready at http://{shown}:{bound}/v1 (end: Ctrl-C)")
                await serve_until_stopped(application(engine, api_key=key), listener)
            finally:
                await engine.close()

    asyncio.run(run())
