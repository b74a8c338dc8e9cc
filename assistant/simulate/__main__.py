"""`python -m assistant.simulate`: the virtual home on a broker of yours, until interrupted."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from assistant.errors import MqttError
from assistant.simulate.discovery import Topics
from assistant.simulate.home import VirtualHome
from assistant.simulate.house import home_file

CONSOLE = Console(stderr=True)
app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="The broker's name or address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The broker's port.")] = 1883,
    username: Annotated[str | None, typer.Option(help="User at the broker.")] = None,
    password: Annotated[
        str | None, typer.Option(envvar="ASSISTANT_MQTT__PASSWORD", help="Password of the user.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection.")] = False,
    prefix: Annotated[str, typer.Option(help="Discovery prefix.")] = "homeassistant",
    base: Annotated[
        str, typer.Option(help="Where the appliances' own topics lie.")
    ] = "virtual-home",
    keep: Annotated[
        bool,
        typer.Option("--keep", help="At the end leave everything retained, marked offline."),
    ] = False,
    write_home: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the home file (floors, other names) and end."),
    ] = None,
) -> None:
    """Run a virtual home of two floors and six rooms on an MQTT broker.

    Its appliances announce themselves by Home Assistant MQTT discovery, obey commands, and take
    their time over it. Every command is shown. Ctrl-C ends it and clears what it left behind.
    """
    if write_home is not None:
        try:
            write_home.write_text(home_file(), encoding="utf-8")
        except OSError as error:
            CONSOLE.print(f"[red]{write_home}: can't be written ({error.strerror})[/]")
            raise typer.Exit(1) from error
        return
    logging.basicConfig(
        level="INFO", format="%(message)s", handlers=[RichHandler(console=CONSOLE, show_path=False)]
    )
    home = VirtualHome(
        host,
        port,
        username=username,
        password=password,
        tls=tls,
        topics=Topics(prefix, base),
        leave_no_trace=not keep,
    )
    try:
        asyncio.run(_run(home))
    except MqttError as error:
        CONSOLE.print(f"[red]{error}[/]")
        raise typer.Exit(1) from error
    except asyncio.CancelledError:
        CONSOLE.print("The virtual home is gone.")


async def _run(home: VirtualHome) -> None:
    running = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where the shell that started us in the background has SIGINT ignored.
        asyncio.get_running_loop().add_signal_handler(number, lambda: running and running.cancel())
    async with home:
        table = Table("room", "appliance", "state", title="The virtual home", box=None)
        table.add_column("id", no_wrap=True)
        for appliance in home.appliances.values():
            state = ", ".join(f"{key} {value}" for key, value in appliance.state().items())
            table.add_row(appliance.area, appliance.name, state, appliance.id)
        CONSOLE.print(table)
        await home.ended()


if __name__ == "__main__":
    app(prog_name="python -m assistant.simulate")
