from __future__ import annotations

import pytest

from assistant.wake.engine import WakeEvent
from assistant.wake.guard import OwnVoiceGuard


class Clock:
    now = 10.0

    def __call__(self) -> float:
        return self.now


def heard(time: float) -> WakeEvent:
    return WakeEvent("hey jarvis", 1.0, time)


@pytest.mark.parametrize(
    ("sentence", "allowed"),
    [
        ("The kitchen light is on.", True),
        ("You can call me with hey Jarvis.", False),
        ("Say Hey, Jarvis, and then a command.", False),
        ("Travis is not at home.", True),
        ("I called it hey Travis.", False),
        ("", True),
    ],
)
def test_only_a_sentence_with_the_wake_word_makes_deaf(sentence: str, allowed: bool) -> None:
    guard = OwnVoiceGuard(["hey jarvis"], Clock())
    guard.speaking(sentence)
    assert guard.allows(heard(11)) is allowed


def test_deaf_until_a_second_after_the_sentence() -> None:
    clock = Clock()
    guard = OwnVoiceGuard(["hey jarvis"], clock)
    guard.speaking("I am Hey Jarvis.")
    clock.now = 12.0
    guard.speaking("The light is on.")
    assert not guard.allows(heard(12.9))
    assert guard.allows(heard(13.1))
    guard.silent()
    assert guard.allows(heard(13.2))
