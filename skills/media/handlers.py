"""Players. Where none is named, it is the one here, or the only one that plays."""

from __future__ import annotations

from collections.abc import Callable

from assistant.home.action import ParamValue
from assistant.home.model import Device, DeviceType
from assistant.plan import Plan
from assistant.skill import Request
from assistant.understand.target import act, amount

_PLAYER = (DeviceType.MEDIA_PLAYER,)


def _in_state(state: str) -> Callable[[Device], bool]:
    return lambda device: device.state.get("media") == state


_PLAYING = _in_state("playing")


def turn_on(request: Request) -> Plan:
    """ "Turn on the TV"."""
    return act(request, "turn_on", _PLAYER)


def turn_off(request: Request) -> Plan:
    """ "TV off"."""
    return act(request, "turn_off", _PLAYER, prefer=_PLAYING)


def toggle(request: Request) -> Plan:
    """ "Toggle the TV"."""
    return act(request, "toggle", _PLAYER)


def play(request: Request) -> Plan:
    """ "Resume"."""
    return act(request, "media_play", _PLAYER, prefer=_in_state("paused"))


def pause(request: Request) -> Plan:
    """ "Pause the music"."""
    return act(request, "media_pause", _PLAYER, prefer=_PLAYING)


def stop(request: Request) -> Plan:
    """ "Stop the music"."""
    return act(request, "media_stop", _PLAYER, prefer=_PLAYING)


def next(request: Request) -> Plan:  # noqa: A001 - handlers are called as their intents are
    """ "Skip this song"."""
    return act(request, "media_next", _PLAYER, prefer=_PLAYING)


def previous(request: Request) -> Plan:
    """ "Play the last song again"."""
    return act(request, "media_previous", _PLAYER, prefer=_PLAYING)


def play_media(request: Request) -> Plan:
    """ "Play the album Abbey Road in the kitchen"."""
    params: dict[str, ParamValue] = {"query": request.slots["query"]}
    if "media_class" in request.slots:
        params["media_class"] = request.slots["media_class"]
    return act(request, "play_media", _PLAYER, params, prefer=_PLAYING)


def set_volume(request: Request) -> Plan:
    """ "Volume to forty"."""
    params = {"volume": request.slots["percent"]}
    return act(request, "set_volume", _PLAYER, params, prefer=_PLAYING)


def adjust_volume(request: Request) -> Plan:
    """ "A bit louder"."""
    return act(request, "adjust_volume", _PLAYER, amount(request), prefer=_PLAYING)


def mute(request: Request) -> Plan:
    """ "Mute the TV"."""
    return act(request, "mute", _PLAYER, prefer=_PLAYING)


def unmute(request: Request) -> Plan:
    """ "Unmute"."""
    return act(request, "unmute", _PLAYER)
