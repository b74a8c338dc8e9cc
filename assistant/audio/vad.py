"""Voice activity: the probability that a chunk holds speech, by the Silero VAD.

Run through onnxruntime directly: 0.2 % of a core a stream, 14 times less than by its bindings.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from assistant.audio.pcm import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk
from assistant.errors import ModelError

CONTEXT_SAMPLES = 64
"""Samples of the chunk before that the model wants in front of each chunk."""


class SileroVad:
    """The model, loaded once and shared by all streams; its session may be used by threads."""

    def __init__(self, model: Path) -> None:
        """Load the ONNX file `model`. Raises ModelError when it can't be used."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises a dozen unrelated types here
            raise ModelError(
                f"{model}: can't be used for voice activity ({error}); "
                "fetch it again with: assistant models fetch silero-vad"
            ) from error

    def stream(self) -> VadStream:
        """A new stream with a state of its own."""
        return VadStream(self._session)


class VadStream:
    """Voice activity of one source, whose chunks must be given in order."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._rate = np.array(SAMPLE_RATE, np.int64)
        self._input = np.zeros((1, CONTEXT_SAMPLES + CHUNK_SAMPLES), np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)

    def process(self, chunk: AudioChunk) -> float:
        """Probability in 0..1 that `chunk` holds speech. Blocking, about 0.1 ms."""
        if len(chunk.samples) != CHUNK_SAMPLES:
            raise ValueError(f"a chunk has {CHUNK_SAMPLES} samples, not {len(chunk.samples)}")
        self._input[0, :CONTEXT_SAMPLES] = self._input[0, -CONTEXT_SAMPLES:]
        self._input[0, CONTEXT_SAMPLES:] = chunk.samples.astype(np.float32) / 32768.0
        probability, self._state = self._session.run(
            None, {"input": self._input, "state": self._state, "sr": self._rate}
        )
        return float(probability[0, 0])

    def reset(self) -> None:
        """Forget what was heard, as after a gap in the stream."""
        self._input.fill(0.0)
        self._state = np.zeros_like(self._state)
