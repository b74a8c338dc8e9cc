"""Which language model answers, by the settings: of this machine, of another, both, or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from assistant.config import LlmRemoteSettings, LlmServeSettings, LlmSettings
from assistant.errors import ConfigError
from assistant.llm.decoder import Runtime
from assistant.llm.directory import ModelDirectory
from assistant.llm.engine import Engine, EngineSettings
from assistant.llm.fallback import FallbackModel
from assistant.llm.library import built, open_built
from assistant.llm.model import LanguageModel

AUTO: Final = ("mimo-7b", "smollm2")
"""What `model = "auto"` takes, the first that is built."""
NONE: Final = "none"
PREFIXES: Final = "prefixes"
"""In the cache folder: what models have read already."""

_MOST_THREADS: Final = 4
"""Beyond these the memory, not the arithmetic, is what an answer waits for."""


def choose(settings: LlmSettings) -> ModelDirectory | None:
    """The model of this machine that the settings mean; None: there is to be, or can be, none.

    Raises ModelError where the one that is named is not built, or is unusable.
    """
    if settings.model == NONE:
        return None
    if settings.model != "auto":
        return open_built(settings.model)
    found = next((name for name in AUTO if built(name)), None)
    return open_built(found) if found is not None else None


def answering(settings: LlmSettings) -> ModelDirectory | None:
    """What `choose` chooses, unless another machine's model alone is to answer."""
    alone = settings.remote.url is not None and not settings.remote.fallback
    return None if alone else choose(settings)


def select_model(settings: LlmSettings, cache: Path) -> LanguageModel | None:
    """The model that answers; it is not loaded yet. `cache`: the folder for what can be made anew.

    Raises ModelError as `choose` does, and ConfigError where a key can't be read.
    """
    directory = answering(settings)
    own = Engine(directory, engine_settings(settings, cache)) if directory else None
    if settings.remote.url is None:
        return own
    remote = remote_model(settings.remote)
    return FallbackModel(remote, own) if own is not None else remote


def engine_settings(settings: LlmSettings, cache: Path) -> EngineSettings:
    """How the model of this machine is run."""
    return EngineSettings(
        runtime=Runtime(
            context=settings.context,
            threads=settings.threads or default_threads(),
            providers=tuple(_provider(name) for name in settings.providers),
            drafting=settings.drafting,
            paired=settings.drafting,
        ),
        idle=settings.idle_unload,
        prefixes=cache / PREFIXES if settings.prefix_cache else None,
        prefix_limit=settings.prefix_cache << 20,
    )


def api_key(settings: LlmRemoteSettings | LlmServeSettings) -> SecretStr | None:
    """The key from the settings or, where they name one, from its file's first line.

    Raises ConfigError when the file can't be read or is empty.
    """
    if settings.api_key is not None or settings.api_key_file is None:
        return settings.api_key
    table = "remote" if isinstance(settings, LlmRemoteSettings) else "serve"
    try:
        lines = settings.api_key_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"llm.{table}.api_key_file: {settings.api_key_file} can't be read ({error})"
        ) from error
    if not lines or not lines[0].strip():
        raise ConfigError(f"llm.{table}.api_key_file: {settings.api_key_file} is empty")
    return SecretStr(lines[0].strip())


def default_threads() -> int:
    """One for each core that this process may use: its second thread would only get in the way."""
    available = os.sched_getaffinity(0)
    cores = set()
    for cpu in available:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text(encoding="ascii").strip())
        except OSError:
            cores.add(str(cpu))
    return max(1, min(len(cores), _MOST_THREADS))


def remote_model(settings: LlmRemoteSettings) -> LanguageModel:
    """The model of the server at `url`, which must be set. Raises ConfigError as `api_key` does."""
    from assistant.llm.remote import Patience, RemoteModel  # its client takes a second to import

    return RemoteModel(
        settings.url or "",
        model=settings.model,
        api_key=api_key(settings),
        weak=settings.weak,
        patience=Patience(settings.connect_timeout, settings.first_timeout, settings.next_timeout),
    )


def _provider(name: str) -> str:
    """onnxruntime's name of a provider: "CPU" is short for "CPUExecutionProvider"."""
    return name if name.endswith("ExecutionProvider") else f"{name}ExecutionProvider"
