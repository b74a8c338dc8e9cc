"""Text made speakable."""

from __future__ import annotations

from assistant.tts.sentences import SentenceSplitter


class Normaliser:
    """Rewrites text for one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, text: str) -> str:
        """Speakable text."""
        return " ".join(text.split())

    def splitter(self) -> SentenceSplitter:
        """A splitter that knows the language's abbreviations."""
        return SentenceSplitter()
