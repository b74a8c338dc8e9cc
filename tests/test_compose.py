"""How the parts are put together."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from assistant import compose
from assistant.compose import check, keep_vocabulary
from assistant.config import HomeSettings, MqttSettings, PolicySettings, Settings
from assistant.errors import ConfigError
from assistant.home.model import Device, DeviceType
from assistant.home.registry import Registry
from assistant.stt.transcript import Recogniser


class Biased:
    name = "scripted"

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    def set_vocabulary(self, phrases: list[str]) -> tuple[str, ...]:
        self.told.append(phrases)
        return ()


async def test_a_home_that_announces_itself_in_a_burst_tells_the_recogniser_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compose, "VOCABULARY_DELAY", 0.02)
    recogniser, registry = Biased(), Registry()
    forget = keep_vocabulary(Settings.model_construct(), cast(Recogniser, recogniser), registry)
    for number in range(50):
        device = Device(f"light.{number}", f"Lamp {number}", DeviceType.LIGHT)
        registry.put(device, cast(Any, None))
    await asyncio.sleep(0.1)
    assert len(recogniser.told) == 2
    assert {"Lamp 0", "Lamp 49"} <= set(recogniser.told[-1])
    registry.report("light.1", {"on": True})
    await asyncio.sleep(0.1)
    assert len(recogniser.told) == 2, "a state is not news to a recogniser"
    registry.remove("light.1")
    forget()
    await asyncio.sleep(0.1)
    assert len(recogniser.told) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"home": HomeSettings(file=Path("none.toml"))},
        {"policy": PolicySettings(never=("fly",))},
        {"mqtt": MqttSettings(password_file=Path("none"))},
        {"language": "xx"},
    ],
)
def test_what_the_settings_name_is_looked_at_before_anything_is_built(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        check(Settings.model_construct().model_copy(update=wrong))
    check(Settings.model_construct())
