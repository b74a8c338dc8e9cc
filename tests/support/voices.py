"""The voice that speaks to what is tested."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

from assistant.models.fetch import ensure
from assistant.tts.piper import Piper, load_piper


@cache
def joe() -> Piper:
    """Piper without its random variation: a sentence in fifty is said so that it is misheard."""
    return replace(load_piper(_model()), steady=True)


def joes_file(folder: Path) -> Path:
    """The same voice, made in `folder`, for who loads it by itself: a file to name in [tts]."""
    folder.mkdir()
    model = folder / _model().name
    model.symlink_to(_model())
    description = json.loads(_model().with_name(f"{model.name}.json").read_text(encoding="utf-8"))
    description["inference"] |= {"noise_scale": 0.0, "noise_w": 0.0}
    model.with_name(f"{model.name}.json").write_text(json.dumps(description), encoding="utf-8")
    return model


def _model() -> Path:
    return next(ensure("piper-en_US-joe-medium").glob("*.onnx"))
