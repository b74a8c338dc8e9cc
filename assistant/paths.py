"""Where the assistant keeps its files: models, state, and the user's own configuration.

Under systemd the unit's ``StateDirectory``, ``CacheDirectory`` and ``ConfigurationDirectory``
are used; elsewhere the XDG directories of the user. ``ASSISTANT_HOME`` overrides all of them
with subfolders of one folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import PlatformDirs

APP_NAME = "mimo-voice"


@dataclass(frozen=True, slots=True)
class Directories:
    """The folders the assistant may write to, and the one it reads its configuration from."""

    config: Path
    data: Path
    cache: Path

    @property
    def models(self) -> Path:
        """Fetched models, one folder each."""
        return self.data / "models"

    @property
    def skills(self) -> Path:
        """The user's own skills."""
        return self.config / "skills"

    @property
    def sentences(self) -> Path:
        """The user's own sentences, a folder for each language."""
        return self.config / "sentences"

    @property
    def traces(self) -> Path:
        """Records of past turns."""
        return self.data / "traces"


def directories() -> Directories:
    """The folders in force for this process; none is created here."""
    if root := os.environ.get("ASSISTANT_HOME"):
        base = Path(root).expanduser().absolute()
        return Directories(config=base / "config", data=base / "data", cache=base / "cache")
    user = PlatformDirs(APP_NAME, appauthor=False)

    def pick(variable: str, fallback: Path) -> Path:
        # systemd joins several directories with a colon; the unit names one each.
        value = os.environ.get(variable, "").split(":")[0]
        return Path(value) if value else fallback

    return Directories(
        config=pick("CONFIGURATION_DIRECTORY", user.user_config_path),
        data=pick("STATE_DIRECTORY", user.user_data_path),
        cache=pick("CACHE_DIRECTORY", user.user_cache_path),
    )
