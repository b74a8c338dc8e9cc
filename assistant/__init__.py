"""A private voice assistant for the home.

The packages below follow one voice turn: ``audio`` hears, ``wake`` notices its name, ``stt``
writes down what was said, ``understand`` makes a plan of it, ``home`` carries the plan out over
``mqtt``, ``tts`` says what happened, and ``turn`` leads from the first to the last. Data flows
in that order and not back. Only ``daemon`` builds things.
"""

import os

__version__ = "0.1.0"

# From its import on, onnxruntime would send its maker which models run on which machine. Only this
# stops all of it, and only when set before anything imports it: we do, and so do Piper and others.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
