"""Which recogniser listens, given the settings, the language and the models that are installed."""

from __future__ import annotations

from pathlib import Path

from assistant.config import SttSettings
from assistant.errors import ModelError
from assistant.models.catalogue import CATALOGUE, Kind, Model, find
from assistant.models.store import installed, path_of
from assistant.stt.transcript import Recogniser
from assistant.stt.vosk import VoskRecogniser
from assistant.stt.whisper import WhisperRecogniser

_TINY, _BASE = "whisper-tiny.en", "whisper-base"


def load_recogniser(settings: SttSettings, language: str) -> Recogniser:
    """Load the recogniser that `settings` ask for. Blocking: a second or so.

    Raises ModelError as `choose` does, or when the model can't be loaded.
    """
    kind, folder = choose(settings, language)
    if kind is Kind.VOSK:
        return VoskRecogniser(folder, language)
    return WhisperRecogniser(folder, language, threads=settings.threads)


def choose(settings: SttSettings, language: str) -> tuple[Kind, Path]:
    """Kind and folder of the model that `load_recogniser` loads.

    The model that is named, if one is. Otherwise auto takes the largest installed Vosk model of
    the language, else Whisper: base if `accurate`; if not, tiny.en for English where installed.
    Raises ModelError that names the command which fetches what is missing.
    """
    if settings.model is not None:
        return _named(settings.model, settings.engine, language)
    if settings.engine != "whisper":
        known = [m for m in CATALOGUE if m.kind is Kind.VOSK and language in m.languages]
        if there := [m for m in known if installed(m.name)]:
            return Kind.VOSK, path_of(max(there, key=lambda m: m.installed_size).name)
        if settings.engine == "vosk":
            raise _no_vosk(language, known)
    names = [_BASE] if settings.accurate or language != "en" else [_TINY, _BASE]
    if language not in find(_BASE).languages:
        raise ModelError(
            f"no recogniser for the language {language!r} is known; "
            "set [stt] model to a folder with a Vosk or Whisper (CTranslate2) model"
        )
    return Kind.WHISPER, path_of(next(filter(installed, names), names[0]))


def _named(name: str, engine: str, language: str) -> tuple[Kind, Path]:
    """A model given by its catalogue name or its folder."""
    if any(m.name == name for m in CATALOGUE):
        model = find(name)
        if language not in model.languages:
            raise ModelError(
                f"[stt] model = {name!r} does not know the language {language!r}; "
                "assistant models list shows which do"
            )
        kind, folder = model.kind, path_of(name)
    else:
        folder = Path(name).expanduser()
        kind = _kind_of(folder)
    if engine not in ("auto", kind.removeprefix("stt-")):
        raise ModelError(f"[stt] model = {name!r} is no model for engine = {engine!r}")
    return kind, folder


def _kind_of(folder: Path) -> Kind:
    if (folder / "model.bin").is_file() and (folder / "tokenizer.json").is_file():
        return Kind.WHISPER
    if (folder / "am" / "final.mdl").is_file() or (folder / "final.mdl").is_file():
        return Kind.VOSK
    raise ModelError(
        f"[stt] model = {str(folder)!r} is neither a model's name (assistant models list) "
        "nor a folder with a Vosk or Whisper (CTranslate2) model"
    )


def _no_vosk(language: str, known: list[Model]) -> ModelError:
    remedy = " or ".join(f"assistant models fetch {m.name}" for m in known)
    return ModelError(
        f"no Vosk model for the language {language!r} is installed; "
        + (f"fetch one with: {remedy}" if known else "set [stt] model to the folder of one")
    )
