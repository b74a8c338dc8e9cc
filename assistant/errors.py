"""The one exception tree. Each message says what failed, for whom, and what to do about it."""

from __future__ import annotations


class AssistantError(Exception):
    """Something failed that a person can act on; the message tells how."""


class ConfigError(AssistantError):
    """The configuration is wrong: the message names the file, the line or key, and the remedy."""


class AudioError(AssistantError):
    """A sound device or a sound file can't be used."""


class ModelError(AssistantError):
    """A model is missing, damaged or unsuitable; the message names the command that mends it."""


class MqttError(AssistantError):
    """The broker can't be reached or refuses us."""


class DiscoveryError(AssistantError):
    """A discovery payload can't be used; the daemon drops it and goes on."""


class HomeError(AssistantError):
    """A home file can't be used, or an action does not fit its device."""


class SkillError(AssistantError):
    """A skill can't be loaded or failed at its work; the others go on."""


class StoreError(AssistantError):
    """What must be kept can't be written or read: the disk is full, broken, or not ours."""


class LlmError(AssistantError):
    """The language model can't answer: prompt too long, too little memory, server unreachable."""


class QueryError(LlmError):
    """The model answers others, but not this: prompt longer than the context, impossible schema."""
