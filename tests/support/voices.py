"""The voice that speaks to what is tested."""

from __future__ import annotations

from functools import cache

from assistant.models.fetch import ensure
from assistant.tts.piper import Piper, load_piper


@cache
def joe() -> Piper:
    """Piper without its random variation: a sentence in fifty is said so that it is misheard."""
    voice = load_piper(next(ensure("piper-en_US-joe-medium").glob("*.onnx")))
    voice.engine.config.noise_scale = 0.0
    voice.engine.config.noise_w_scale = 0.0
    return voice
