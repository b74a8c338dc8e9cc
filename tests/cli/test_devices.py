"""`assistant devices` on the virtual home, through a real broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant.cli.app import app
from assistant.home.file import parse_home
from assistant.simulate.home import VirtualHome
from assistant.simulate.house import home_file
from tests.support.mosquitto import Mosquitto


@pytest.fixture
async def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A configuration that leads to a virtual home."""
    monkeypatch.setenv("ASSISTANT_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "home.toml").write_text(home_file(), encoding="utf-8")
    config = tmp_path / "assistant.toml"
    with Mosquitto(tmp_path) as broker:
        config.write_text(
            f"""[home]\nfile = "home.toml"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n"""
        )
        async with VirtualHome("127.0.0.1", broker.port):
            yield config


async def _devices(config: Path, *options: str) -> str:
    # In a thread, since the command brings a loop of its own.
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["devices", "--config", str(config), *options]
    )
    assert result.exit_code == 0
    return result.stdout


async def test_table(config: Path) -> None:
    lines = (await _devices(config)).splitlines()
    lock = next(line for line in lines if "lock.front_door" in line)
    assert "Front door" in lock
    assert "unlocked" in lock
    order = [
        next(i for i, line in enumerate(lines) if name in line)
        for name in (
            "Hall · Ground floor",
            "lock.front_door",
            "Bedroom · Upstairs",
            "fan.ceiling_fan",
        )
    ]
    assert order == sorted(order)
    assert not any("robot_vacuum_battery" in line for line in lines)
    assert "1 more hidden" in lines[-1]


async def test_hidden_ones_on_request(config: Path) -> None:
    assert "robot_vacuum_battery" in await _devices(config, "--all")


async def test_json_is_a_home_file(config: Path) -> None:
    home = parse_home(json.loads(await _devices(config, "--json")))
    assert home.devices["light.floor_lamp"].state["on"] is False
    assert home.floor("upstairs") is not None
