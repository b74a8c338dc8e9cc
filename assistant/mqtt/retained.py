"""The embedded broker's retained messages, kept in a file across restarts.

Devices announce themselves once; without this, a restart of the assistant would leave it without
appliances until each of them had been restarted as well.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

FORMAT = 1

log = logging.getLogger(__name__)


def load(path: Path) -> dict[str, tuple[bytes, int]]:
    """Payload and quality of service by topic. A missing file is empty; a damaged one is logged
    and taken as empty."""
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']} is not {FORMAT}")
        return {
            str(topic): (base64.b64decode(payload, validate=True), int(qos))
            for topic, (payload, qos) in document["messages"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        log.warning("%s: retained messages can't be read (%s); starting without", path, error)
        return {}


def save(path: Path, messages: Mapping[str, tuple[bytes, int]]) -> None:
    """Write all messages, or leave the old file as it was. Raises OSError."""
    document = {
        "format": FORMAT,
        "messages": {
            topic: (base64.b64encode(payload).decode(), qos)
            for topic, (payload, qos) in messages.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    # States tell who is at home: for the owner's eyes only.
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
