"""`assistant config`: what the settings are, what they mean, and whether a file is right."""

from __future__ import annotations

import json
from typing import Annotated, Any, get_args

import typer
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.markup import escape

from assistant.cli.options import ConfigOption, config_path, settings_from
from assistant.config import Section, Settings

app = typer.Typer(no_args_is_help=True, help="Show, check or write the configuration.")


@app.command()
def show(config: ConfigOption = None) -> None:
    """Print every setting with its value in force (passwords stay hidden)."""
    settings = settings_from(config)
    console = Console()
    console.print(f"[dim]# from {config_path(config) or 'the defaults'}[/]")
    # In TOML, what belongs to no table comes first.
    for name, value in sorted(
        settings, key=lambda item: isinstance(item[1], Section | tuple | dict)
    ):
        if isinstance(value, Section):
            _print_table(console, name, value)
        elif name == "source":
            for source in value:
                console.print("\n[bold]\\[\\[source]][/]")
                for key, entry in source:
                    _print_setting(console, key, entry)
        elif isinstance(value, dict):
            for table, options in value.items():
                console.print(f"\n[bold]\\[{name}.{escape(table)}][/]")
                for key, entry in options.items():
                    _print_setting(console, key, entry)
        else:
            _print_setting(console, name, value)


def _print_table(console: Console, name: str, table: Section) -> None:
    console.print(f"\n[bold]\\[{name}][/]")
    for key, entry in table:
        if not isinstance(entry, Section):
            _print_setting(console, key, entry)
    for key, entry in table:
        if isinstance(entry, Section):
            _print_table(console, f"{name}.{key}", entry)


def _print_setting(console: Console, key: str, value: object) -> None:
    line = f"[dim]# {key} is not set[/]" if value is None else f"{key} = {escape(_toml(value))}"
    console.print(line, soft_wrap=True)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Read the configuration and say whether it is right; exit 2 when it is not."""
    from assistant.compose import check as check_what_it_names

    check_what_it_names(settings_from(config))
    typer.echo(f"{config_path(config) or 'defaults'}: all right")


@app.command()
def example() -> None:
    """Print a configuration file with every setting, its meaning and its default.

    Example: `assistant config example > ~/.config/mimo-voice/assistant.toml`
    """
    write = typer.echo
    write("# Configuration of the voice assistant. Every line that is commented out shows the")
    write("# default. An environment variable overrides: ASSISTANT_MQTT__HOST sets host in [mqtt].")
    for name, field in Settings.model_fields.items():
        if _table(field) is None and name not in ("source", "skills"):
            _write_field(name, field)
    for name, field in Settings.model_fields.items():
        table = _table(field)
        if table is not None:
            _write_table(f"[[{name}]]" if name == "source" else f"[{name}]", table)
    write(f"\n# {Settings.model_fields['skills'].description}")
    write("# [skills.lights]\n# enabled = true")


@app.command()
def path(config: ConfigOption = None) -> None:
    """Print the file the configuration comes from."""
    typer.echo(config_path(config) or "(none: the defaults hold)")


def _table(field: FieldInfo) -> type[Section] | None:
    candidates = (field.annotation, *get_args(field.annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Section)), None)


def _write_table(header: str, table: type[Section]) -> None:
    typer.echo(f"\n# {(table.__doc__ or '').strip()}")
    typer.echo(header)
    inner = {key: _table(field) for key, field in table.model_fields.items()}
    for key, field in table.model_fields.items():
        if inner[key] is None:
            _write_field(key, field)
    for key, nested in inner.items():
        if nested is not None:
            _write_table(f"{header[:-1]}.{key}]", nested)


def _write_field(name: str, field: FieldInfo) -> None:
    for line in (field.description or "").splitlines():
        typer.echo(f"# {line.strip()}")
    default = field.get_default(call_default_factory=True)
    typer.echo(f"# {name} =" if default is None else f"# {name} = {_toml(default)}")


def _toml(value: Annotated[Any, "a setting"]) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(str(value), ensure_ascii=False)
