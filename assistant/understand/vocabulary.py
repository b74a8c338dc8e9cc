"""The words a home's people are likely to say, for the recogniser to expect."""

from __future__ import annotations

from assistant.home.model import DeviceType, Home
from assistant.understand.language import load_language

_ASKED_ONLY = frozenset({DeviceType.SENSOR, DeviceType.BINARY_SENSOR, DeviceType.WEATHER})


def bias_phrases(home: Home, language: str) -> list[str]:
    """Phrases worth expecting, the most useful first, none twice: a recogniser may cut the end.

    Names of what can be commanded, rooms, floors, the verbs of the language, aliases, and at
    last the names of what can only be asked about.
    """
    devices = home.exposed()
    commanded = [d for d in devices if d.type not in _ASKED_ONLY]
    phrases = [d.name for d in commanded]
    phrases += [a.name for a in home.areas] + [f.name for f in home.floors]
    phrases += load_language(language).verbs
    phrases += [alias for d in commanded for alias in d.aliases]
    phrases += [alias for area in home.areas for alias in area.aliases]
    phrases += [alias for floor in home.floors for alias in floor.aliases]
    phrases += [d.name for d in devices if d.type in _ASKED_ONLY]
    return list(dict.fromkeys(phrase.strip() for phrase in phrases if phrase.strip()))
