"""Piper voices: neural speech on the CPU (piper-tts for phonemes, our own onnxruntime session)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort
from piper import PiperConfig, PiperVoice, SynthesisConfig

from assistant.audio.pcm import Pcm, Samples
from assistant.errors import ModelError


@dataclass(frozen=True, slots=True)
class Piper:
    """A loaded Piper voice; thread-safe. `dataclasses.replace` changes the pace for nothing.

    `speed` 1.25 speaks a quarter faster; `volume` is the peak of each sentence in 0..1: every
    sentence is scaled to it, so that "OK" is as loud as a long reply. A `steady` voice says a
    sentence the same way each time; others vary it by chance, which sounds livelier.
    """

    name: str
    language: str
    engine: PiperVoice = field(repr=False)
    speed: float = 1.0
    volume: float = 0.9
    steady: bool = False

    def synthesise(self, sentence: str) -> Pcm:
        """Speak one sentence of normalised text (empty text: no samples)."""
        pace = self.engine.config.length_scale / self.speed
        chance = 0.0 if self.steady else None  # None: as much as the voice's maker gave it
        config = SynthesisConfig(
            length_scale=pace, volume=self.volume, noise_scale=chance, noise_w_scale=chance
        )
        try:
            parts = [chunk.audio_int16_array for chunk in self.engine.synthesize(sentence, config)]
        # onnxruntime and espeak raise classes of their own that share no narrower base.
        except Exception as error:
            raise ModelError(f"{self.name} could not speak {sentence[:40]!r}: {error}") from error
        samples: Samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        return Pcm(samples, self.engine.config.sample_rate)


def load_piper(model: Path, *, threads: int = 2, speed: float = 1.0, volume: float = 0.9) -> Piper:
    """Load the voice `model` (an .onnx file with its .onnx.json beside it).

    Raises ModelError when a file is missing, unreadable or not a voice.
    """
    config = model.with_name(model.name + ".json")
    try:
        description = json.loads(config.read_text(encoding="utf-8"))
        settings = PiperConfig.from_dict(description)
        language = description.get("language", {}).get("family") or settings.espeak_voice[:2]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{config}: is not the description of a Piper voice ({error!r}); "
            "fetch the voice again with: assistant models fetch"
        ) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would burn the core that the recogniser needs between two sentences.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's classes share no narrower base
        raise ModelError(
            f"{model}: can't be loaded ({error}); "
            "fetch the voice again with: assistant models fetch"
        ) from error
    engine = PiperVoice(session=session, config=settings)
    return Piper(f"piper {model.stem}", language, engine, speed, volume)
