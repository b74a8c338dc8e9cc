from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.mqtt.topics import is_filter, is_topic, matches


@pytest.mark.parametrize(
    ("text", "topic", "topic_filter"),
    [
        ("a", True, True),
        ("a/b c/ü", True, True),
        ("/", True, True),
        ("a//b", True, True),
        ("$SYS/x", True, True),
        ("+", False, True),
        ("#", False, True),
        ("a/+/b", False, True),
        ("a/#", False, True),
        ("+/+/#", False, True),
        ("a+", False, False),
        ("a/b#", False, False),
        ("a/#/b", False, False),
        ("#/+", False, False),
        ("", False, False),
        ("a\0b", False, False),
        ("a\ud800", False, False),
        ("x" * 65535, True, True),
        ("ü" * 32768, False, False),
    ],
)
def test_well_formed(text: str, topic: bool, topic_filter: bool) -> None:
    assert is_topic(text) is topic
    assert is_filter(text) is topic_filter


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("a/+/c", "a/b/c", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
    ],
)
def test_matching(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


@given(st.lists(st.text(max_size=5), min_size=1, max_size=5).map("/".join))
def test_a_topic_is_a_filter_for_itself_and_below_everything(text: str) -> None:
    if is_topic(text):
        assert is_filter(text)
        assert matches(text, text)
        assert matches("#", text) is not text.startswith("$")


@given(st.text(alphabet="a/+#", max_size=8), st.text(alphabet="ab/", min_size=1, max_size=8))
def test_matching_is_what_the_levels_say(topic_filter: str, topic: str) -> None:
    def agree(wanted: list[str], given: list[str]) -> bool:
        if wanted == ["#"]:
            return True
        if not wanted or not given:
            return wanted == given
        return wanted[0] in ("+", given[0]) and agree(wanted[1:], given[1:])

    if is_filter(topic_filter):
        assert matches(topic_filter, topic) is agree(topic_filter.split("/"), topic.split("/"))
