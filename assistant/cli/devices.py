"""`assistant devices`: what has announced itself, where it stands, how it is, what it can do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.cli.home import visited_home
from assistant.cli.options import ConfigOption, VerboseOption, log_to_terminal, settings_from
from assistant.home.file import dump_home
from assistant.home.model import Area, Device, Home

_FLAGS: Final = {"on": ("on", "off"), "locked": ("locked", "unlocked")}


def command(
    hidden: Annotated[
        bool, typer.Option("--all", "-a", help="Also devices that are hidden from voice.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The home as JSON, fit for: assistant replay.")
    ] = False,
    config: ConfigOption = None,
    verbose: VerboseOption = False,
) -> None:
    """List the home's devices by area: names, ids, states, and what they can do.

    Waits until no more devices announce themselves. The ids are what the home file
    ([devices."ID"]) and the policy settings go by.
    """
    log_to_terminal(verbose)
    settings = settings_from(config)

    async def visit() -> Home:
        async with visited_home(settings) as link:
            return link.registry.home()

    home = asyncio.run(visit())
    if as_json:
        typer.echo(json.dumps(dump_home(home), ensure_ascii=False, indent=1))
        return
    console = Console()
    shown = [d for d in home.devices.values() if d.exposed or hidden]
    if not shown:
        console.print(
            "No devices have announced themselves. Is discovery switched on in them, and is this "
            "their broker? To try without any: python -m assistant.simulate --help"
        )
        return
    console.print(table_of(home, shown))
    concealed = len(home.devices) - len(shown)
    if concealed:
        console.print(f"[dim]{concealed} more hidden from voice; show them with --all[/]")


def table_of(home: Home, devices: Sequence[Device]) -> Table:
    """`devices` in the order of floors and areas, those without an area last."""
    table = Table("device", box=None, header_style="dim")
    table.add_column("id", no_wrap=True)
    for header in ("state", "can"):
        table.add_column(header)
    floors = {floor.id: number for number, floor in enumerate(home.floors)}
    areas = sorted(home.areas, key=lambda a: (floors.get(a.floor or "", len(floors)), a.name))
    for area in (*areas, None):
        group = [d for d in devices if home.area(d.area) == area]
        if not group:
            continue
        table.add_section()
        table.add_row(f"[bold]{escape(_heading(home, area))}[/]")
        for device in sorted(group, key=lambda d: d.name):
            table.add_row(*_row(device), style="" if device.exposed else "dim")
    return table


def _heading(home: Home, area: Area | None) -> str:
    if area is None:
        return "(no area)"
    floor = home.floor(area.floor)
    return f"{area.name} · {floor.name}" if floor else area.name


def _row(device: Device) -> tuple[str, ...]:
    names = ", ".join((device.name, *device.aliases))
    known = dict(device.state)
    unit = known.pop("unit", "")
    words = [_worded(key, value) for key, value in sorted(known.items(), key=_rank)]
    state = ", ".join(f"{word} {unit}" if word.startswith("value ") else word for word in words)
    if not device.available:
        state = "[red]unavailable[/]"
    else:
        state = escape(state) or ("not known" if device.reports_state else "reports none")
    # The type stands in the id.
    kind = f" [dim]{escape(device.device_class)}[/]" if device.device_class else ""
    can = ", ".join(sorted(device.capabilities))
    if device.risk is not None:
        can = f"{can} [yellow]{device.risk}[/]"
    return f"  {escape(names)}{kind}", device.id, state, can


def _rank(item: tuple[str, object]) -> tuple[bool, str]:
    return item[0] != "on", item[0]


def _worded(key: str, value: object) -> str:
    if isinstance(value, bool):
        yes, no = _FLAGS.get(key, (key, f"not {key}"))
        return yes if value else no
    return f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
