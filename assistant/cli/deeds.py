"""Actions in words, for somebody who reads them on a screen."""

from __future__ import annotations

from assistant.home.action import Action
from assistant.home.model import Home
from assistant.home.vocabulary import VOCABULARY


def deed(action: Action, home: Home) -> str:
    """ "set the brightness of Floor Lamp (brightness 20)"."""
    spec = VOCABULARY.actions.get(action.name)
    words = [spec.description if spec is not None else action.name]
    names = [home.devices[i].name if i in home.devices else i for i in action.devices]
    if names:
        words.append(", ".join(names))
    if action.params:
        params = ", ".join(f"{name} {_value(value)}" for name, value in action.params.items())
        words.append(f"({params})")
    return " ".join(words)


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
