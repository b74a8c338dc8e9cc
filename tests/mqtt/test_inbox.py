from __future__ import annotations

import asyncio

import pytest

from assistant.mqtt import inbox
from assistant.mqtt.inbox import Inbox
from assistant.mqtt.message import Message


def message(number: int, size: int = 1) -> Message:
    return Message(f"t/{number}", b"x" * size, retain=False, qos=0)


async def drain(box: Inbox) -> list[str | bool]:
    """What the inbox hands out, in order."""
    got: list[str | bool] = []
    delivery = asyncio.create_task(box.deliver(lambda m: got.append(m.topic), got.append))
    while True:
        before = len(got)
        await asyncio.sleep(0.02)
        if len(got) == before:
            break
    delivery.cancel()
    return got


async def test_messages_and_changes_keep_their_order() -> None:
    box = Inbox()
    box.put_state(True)
    box.put(message(1))
    box.put(message(2))
    box.put_state(False)
    box.put_state(True)
    box.put(message(3))
    assert await drain(box) == [True, "t/1", "t/2", False, True, "t/3"]


@pytest.mark.parametrize(
    ("limit", "size"), [("MAX_MESSAGES", 1), ("MAX_BYTES", 1)], ids=["number", "bytes"]
)
async def test_a_full_inbox_drops_the_newest_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limit: str, size: int
) -> None:
    monkeypatch.setattr(inbox, limit, 3)
    box = Inbox()
    for number in range(5):
        box.put(message(number, size))
    box.put_state(False)
    assert await drain(box) == ["t/0", "t/1", "t/2", False]
    assert [r.getMessage() for r in caplog.records] == [
        "dropping MQTT messages, the first on 't/3': 3 wait already",
        "2 MQTT messages were dropped",
    ]
    for number in range(3):
        box.put(message(number, size))
    assert len(await drain(box)) == 3, "there is room again"


async def test_too_large_a_payload_is_dropped_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    box = Inbox()
    for _ in range(3):
        box.put(message(1, inbox.MAX_PAYLOAD + 1))
    box.put(message(2, inbox.MAX_PAYLOAD))
    assert await drain(box) == ["t/2"]
    assert [r.getMessage() for r in caplog.records] == [
        "dropping messages on 't/1': 262145 bytes are more than the 262144 accepted"
    ]
