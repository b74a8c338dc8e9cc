"""Which voice speaks: what the settings ask for, out of what is installed."""

from __future__ import annotations

import logging
from pathlib import Path

from assistant.config import TtsSettings
from assistant.errors import ModelError
from assistant.models.catalogue import CATALOGUE, Kind
from assistant.models.store import installed, path_of
from assistant.tts.cache import CachedVoice
from assistant.tts.espeak import load_espeak
from assistant.tts.normalise import load_normaliser
from assistant.tts.piper import load_piper
from assistant.tts.speech import Speaker
from assistant.tts.voice import Voice

_log = logging.getLogger(__name__)


def select_voice(settings: TtsSettings, language: str) -> Voice | None:
    """Load the voice for `language`; None when speech is switched off.

    Blocking, up to a second. Raises ModelError, naming what to fetch or install, when the voice
    asked for is not there, or when "auto" finds neither a Piper voice nor espeak-ng.
    """
    if settings.engine == "none":
        return None
    if settings.engine == "espeak":
        return load_espeak(language, speed=settings.speed, volume=settings.volume)
    model = _piper_model(settings.voice, language)
    if model is not None:
        voice = load_piper(
            model, threads=settings.threads, speed=settings.speed, volume=settings.volume
        )
        if voice.language != language:
            _log.warning("%s speaks %r, not %r: it will sound odd", model, voice.language, language)
        return voice
    remedy = _fetch_hint(language)
    if settings.engine == "piper":
        raise ModelError(f"there is no Piper voice for {language!r}; {remedy}")
    try:
        voice_of_last_resort = load_espeak(language, speed=settings.speed, volume=settings.volume)
    except ModelError as error:
        raise ModelError(f"nothing here speaks {language!r}: {error}, or {remedy}") from error
    _log.info("espeak-ng speaks; for a better voice, %s", remedy)
    return voice_of_last_resort


def select_speaker(settings: TtsSettings, language: str) -> Speaker | None:
    """A Speaker with the voice of `select_voice`, which remembers what it said."""
    voice = select_voice(settings, language)
    return Speaker(CachedVoice(voice), load_normaliser(language)) if voice else None


def _piper_model(voice: str | None, language: str) -> Path | None:
    """The .onnx file of the voice asked for, or of an installed one for the language."""
    if voice is not None and voice.endswith(".onnx"):
        file = Path(voice).expanduser()
        if not file.is_file():
            raise ModelError(f"{file}: there is no such voice; mend voice in [tts]")
        return file
    names = [voice] if voice is not None else list(filter(installed, _piper_names(language)))
    return next(path_of(names[0]).glob("*.onnx")) if names else None


def _piper_names(language: str) -> list[str]:
    return [m.name for m in CATALOGUE if m.kind is Kind.PIPER and language in m.languages]


def _fetch_hint(language: str) -> str:
    if names := _piper_names(language):
        return f"fetch one with: assistant models fetch {names[0]}"
    return "download one from its makers and name its .onnx file as voice in [tts]"
