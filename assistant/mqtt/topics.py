"""Topics and topic filters: what is well formed, what matches (MQTT 5, section 4.7)."""

from __future__ import annotations

from paho.mqtt.client import topic_matches_sub

MAX_BYTES = 65535
"""Longest topic or filter the protocol can carry, in bytes of UTF-8."""


def is_topic(text: str) -> bool:
    """Whether `text` can be published to: not empty, no wildcard, encodable, not too long."""
    return _is_encodable(text) and "+" not in text and "#" not in text


def is_filter(text: str) -> bool:
    """Whether `text` can be subscribed to: wildcards stand for whole levels, "#" for the last."""
    if not _is_encodable(text):
        return False
    *upper, last = text.split("/")
    return all(level == "+" or not {"+", "#"} & set(level) for level in upper) and (
        last in ("+", "#") or not {"+", "#"} & set(last)
    )


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a message on `topic` belongs to a subscription to `topic_filter`."""
    return topic_matches_sub(topic_filter, topic)


def _is_encodable(text: str) -> bool:
    if not text or "\0" in text:
        return False
    try:
        return len(text.encode()) <= MAX_BYTES
    except UnicodeEncodeError:  # a lone surrogate, which JSON can smuggle in
        return False
