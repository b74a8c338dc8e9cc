"""A private voice assistant for the home.

The packages below follow one voice turn: ``audio`` hears, ``wake`` notices its name, ``stt``
writes down what was said, ``understand`` makes a plan of it, ``home`` carries the plan out over
``mqtt``, ``tts`` says what happened, and ``turn`` leads from the first to the last. Data flows
in that order and not back. Only ``daemon`` builds things.
"""

__version__ = "0.1.0"
