"""What a skill is made of, and the loader.

A skill is a folder::

    skills/lights/
      manifest.toml        name, version, description, languages, what it handles
      sentences/en.yaml    hassil sentences per language: intents, lists, expansion rules
      replies/en.yaml      reply key -> wording (Jinja), one or a list to choose from
      handlers.py          one function per intent: Request -> Plan

A handler is pure: it reads the home and returns a plan. What the plan does is done by the
executor after the policy agreed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assistant.home.model import Home
from assistant.understand.plan import Plan, Utterance


@dataclass(frozen=True, slots=True)
class Request:
    """A sentence that matched: the intent, its slots, and everything a handler may look at."""

    intent: str
    slots: Mapping[str, Any]
    utterance: Utterance
    home: Home
    options: Mapping[str, Any] = field(default_factory=dict)


Handler = Callable[[Request], Plan]
