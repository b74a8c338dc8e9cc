"""What can be told of the demo without its minute: that it ends when it is told to."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import time

import pytest
from rich.console import Console

from assistant.cli.typed import typed
from tests.cli.conftest import Quickly


async def test_ctrl_c_at_the_prompt_does_not_wait_for_enter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person, terminal = os.openpty()
    with os.fdopen(terminal) as stdin, os.fdopen(person, "wb", buffering=0) as keyboard:
        monkeypatch.setattr(sys, "stdin", stdin)
        shown = io.StringIO()
        answer = asyncio.create_task(typed(Console(file=shown), "> "))
        await asyncio.sleep(0.02)
        assert shown.getvalue() == "> "
        keyboard.write(b"lights off\n")
        assert await answer == "lights off"
        unanswered = asyncio.create_task(typed(Console(file=shown), "> "))
        await asyncio.sleep(0.02)
        unanswered.cancel()
        await asyncio.wait([unanswered])
        # As asyncio.run does in the end, without a bound.
        ending = asyncio.create_task(asyncio.get_running_loop().shutdown_default_executor())
        done, _ = await asyncio.wait([ending], timeout=20.0)
        keyboard.write(b"\n")
        await ending
        assert done


def test_ctrl_c_breaks_off_the_fetching_of_models(
    quickly: Quickly, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def fetch(name: str, **_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        fetched.append(name)

    monkeypatch.setattr("assistant.models.fetch.ensure", fetch)
    quickly("demo", status=130)
    assert not fetched
