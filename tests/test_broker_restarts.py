"""A broker that is killed and comes back: nothing done twice, nothing late, the same home."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from assistant.compose import Mind, open_home, open_mind
from assistant.config import Settings
from assistant.home.action import Result
from assistant.home.model import Home
from assistant.mqtt.backoff import Backoff
from assistant.paths import Directories
from assistant.plan import Utterance
from assistant.simulate.home import VirtualHome
from assistant.turn.respond import Response
from assistant.understand.conversation import Conversation
from tests.support.mosquitto import Mosquitto

LAMP = "light.kitchen_light"


@pytest.mark.parametrize(
    "restarts", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(400)])]
)
async def test_commands_are_carried_out_once_or_not_at_all(tmp_path: Path, restarts: int) -> None:
    broker_folder = tmp_path / "broker"
    broker_folder.mkdir()
    folders = Directories(tmp_path / "config", tmp_path / "data", tmp_path / "cache")
    with Mosquitto(broker_folder) as broker:
        settings = Settings.model_construct(mqtt=broker.settings())
        async with (
            VirtualHome("127.0.0.1", broker.port) as home,
            open_home(settings, folders, backoff=Backoff(0.2, 1.0)) as link,
        ):
            with open_mind(settings, folders, link.registry, lambda _: None) as mind:
                await _complete(mind, home)
                at_first = _picture(link.registry.home())
                given: list[str] = []
                for number in range(restarts):
                    state = "on" if number % 2 == 0 else "off"
                    response = await _tell(mind, f"turn {state} the kitchen light")
                    assert [o.result for o in response.outcomes] == [Result.CONFIRMED]
                    given.append(state.upper())
                    broker.kill()
                    await _until(lambda: not mind.registry.home().devices[LAMP].available)
                    await _until(lambda: not home.announced)
                    # Given while it is down: refused, and never made up for.
                    lost = await _tell(mind, "turn on the bathroom light")
                    assert [o.result for o in lost.outcomes] == [Result.REFUSED]
                    assert lost.outcomes[0].reason == "unavailable"
                    broker.start()
                    await _complete(mind, home)
                    assert _picture(link.registry.home()) == at_first
                await asyncio.sleep(1.0)
                obeyed = [(c.device, c.payload) for c in home.commands]
    assert [device for device, _ in obeyed] == [LAMP] * restarts, obeyed
    assert all(want in payload for want, (_, payload) in zip(given, obeyed, strict=True)), obeyed


async def _tell(mind: Mind, text: str) -> Response:
    return await mind.responder.respond(Utterance(text, "en"), Conversation())


async def _complete(mind: Mind, home: VirtualHome) -> None:
    """Wait until every appliance is there, known, available, and shown as it is.

    A registry that has its broker back shows at once what it knew before: the appliances need
    not be back yet, and hear nothing until they are.
    """

    def complete() -> bool:
        shown = mind.registry.home().devices
        return home.announced and all(
            device in shown
            and shown[device].available
            and (
                not shown[device].reports_state
                or all(shown[device].state.get(key) == value for key, value in state.items())
            )
            for device, state in home.states().items()
        )

    await _until(complete)


def _picture(home: Home) -> dict[str, Any]:
    """All of a home but the one lamp that is switched to and fro."""
    devices = {key: device for key, device in home.devices.items() if key != LAMP}
    return {"devices": devices, "areas": set(home.areas), "floors": set(home.floors)}


async def _until(condition: Any, within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 -- brokers do not tell when they are up
            await asyncio.sleep(0.02)
