"""Folders of a test's own, with the models that are installed already."""

from __future__ import annotations

from pathlib import Path

from assistant.models.fetch import ensure
from assistant.paths import Directories

MODELS = ("silero-vad", "whisper-tiny.en", "piper-en_US-joe-medium")


def folders_with_models(place: Path) -> Directories:
    """Like ASSISTANT_HOME=`place`, with this user's models in it."""
    installed = [ensure(name) for name in MODELS]
    folders = Directories(place / "config", place / "data", place / "cache")
    folders.data.mkdir(parents=True)
    folders.models.symlink_to(installed[0].parent)
    return folders
