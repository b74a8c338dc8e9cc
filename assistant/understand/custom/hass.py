"""Home Assistant's intents in terms of ours, so that its users' sentences may be taken along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Way:
    """One of our intents that an intent of Home Assistant's may be carried out by.

    `domain`: the type of device it is for; "": any. `needs`: slots without which it is not meant.
    `renamed`: their slots -> ours.
    """

    intent: str
    domain: str = ""
    needs: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    """Slots of ours that are always so."""


_PERCENT: Final = {
    "brightness": "percent",
    "position": "percent",
    "percentage": "percent",
    "volume_level": "percent",
}
_TIMER: Final = {
    "name": "timer_name",
    "start_hours": "of_hours",
    "start_minutes": "of_minutes",
    "start_seconds": "of_seconds",
}


def _for(intent: str, *needs: str, **renamed: str) -> tuple[Way, ...]:
    return (Way(intent, needs=needs, renamed={**_PERCENT, **renamed}),)


INTENTS: Final[Mapping[str, tuple[Way, ...]]] = {
    "HassTurnOn": (
        Way("lights.turn_on", "light"),
        Way("switches.turn_on", "switch"),
        Way("fans.turn_on", "fan"),
        Way("covers.open", "cover"),
        Way("covers.open", "valve"),
        Way("locks.lock", "lock"),
        Way("media.turn_on", "media_player"),
        Way("climate.turn_on", "climate"),
        Way("scenes.activate", "scene"),
        Way("scenes.run", "script"),
        Way("vacuum.start", "vacuum"),
    ),
    "HassTurnOff": (
        Way("lights.turn_off", "light"),
        Way("switches.turn_off", "switch"),
        Way("fans.turn_off", "fan"),
        Way("covers.close", "cover"),
        Way("covers.close", "valve"),
        Way("locks.unlock", "lock"),
        Way("media.turn_off", "media_player"),
        Way("climate.turn_off", "climate"),
        Way("vacuum.come_home", "vacuum"),
    ),
    "HassToggle": (
        Way("lights.toggle", "light"),
        Way("switches.toggle", "switch"),
        Way("fans.toggle", "fan"),
        Way("media.toggle", "media_player"),
    ),
    "HassLightSet": (
        Way("lights.set_brightness", "light", ("brightness",), _PERCENT),
        Way("lights.set_color", "light", ("color",)),
        Way("lights.set_color_temp", "light", ("temperature",), {"temperature": "color_temp"}),
    ),
    "HassOpenCover": (Way("covers.open", "cover"),),
    "HassCloseCover": (Way("covers.close", "cover"),),
    "HassStopMoving": _for("covers.stop"),
    "HassSetPosition": _for("covers.set_position", "position"),
    "HassFanSetSpeed": _for("fans.set_speed", "percentage"),
    "HassClimateSetTemperature": _for("climate.set_temperature", "temperature"),
    "HassClimateGetTemperature": _for("state.temperature"),
    "HassClimateTurnOn": _for("climate.turn_on"),
    "HassClimateTurnOff": _for("climate.turn_off"),
    "HassMediaPause": _for("media.pause"),
    "HassMediaUnpause": _for("media.play"),
    "HassMediaNext": _for("media.next"),
    "HassMediaPrevious": _for("media.previous"),
    "HassMediaPlayerMute": _for("media.mute"),
    "HassMediaPlayerUnmute": _for("media.unmute"),
    "HassMediaSearchAndPlay": _for("media.play_media", "search_query", search_query="query"),
    "HassSetVolume": _for("media.set_volume", "volume_level"),
    "HassSetVolumeRelative": _for("media.adjust_volume", "volume_step"),
    "HassVacuumStart": _for("vacuum.start"),
    "HassVacuumReturnToBase": _for("vacuum.come_home"),
    "HassVacuumCleanArea": _for("vacuum.clean_area", "area"),
    "HassListAddItem": _for("lists.add", "item"),
    "HassListCompleteItem": _for("lists.complete", "item"),
    "HassListRemoveItem": _for("lists.remove", "item"),
    "HassShoppingListAddItem": _for("lists.add", "item"),
    "HassShoppingListCompleteItem": _for("lists.complete", "item"),
    "HassStartTimer": _for("timers.start", name="new_name"),
    "HassCancelTimer": _for("timers.cancel", **_TIMER),
    "HassCancelAllTimers": _for("timers.cancel_all"),
    "HassPauseTimer": _for("timers.pause", **_TIMER),
    "HassUnpauseTimer": _for("timers.resume", **_TIMER),
    "HassIncreaseTimer": _for("timers.add_time", **_TIMER),
    "HassDecreaseTimer": _for("timers.remove_time", **_TIMER),
    "HassTimerStatus": _for("timers.status", **_TIMER),
    "HassBroadcast": _for("broadcast.broadcast", "message"),
    "HassGetState": (
        Way("state.ask_state", needs=("state",), given={"ask": "the"}),
        Way("state.what_state", needs=("name",)),
    ),
    "HassGetWeather": _for("state.weather"),
    "HassGetCurrentTime": _for("clock.time"),
    "HassGetCurrentDate": _for("clock.date"),
    "HassNevermind": _for("smalltalk.nevermind"),
}
"""In the order in which they are tried where a name tells no domain."""

COMMON_DOMAINS: Final = ("light", "switch", "fan")
"""What is meant by "turn on the kitchen", where neither a name nor a domain is given: nothing that
opens, and nothing that makes noise."""


def ways(intent: str, slots: Mapping[str, Any]) -> list[Way]:
    """The ways in which `intent` of Home Assistant's may be meant with `slots`, likeliest first."""
    found = [way for way in INTENTS[intent] if all(need in slots for need in way.needs)]
    domains = slots.get("domain")
    if domains is not None:
        wanted = set(domains) if isinstance(domains, list) else {str(domains)}
        return [way for way in found if not way.domain or way.domain in wanted]
    if "name" in slots or len({way.domain for way in found}) == 1:
        return found
    return [way for way in found if not way.domain or way.domain in COMMON_DOMAINS]


def slots_for(way: Way, slots: Mapping[str, Any]) -> dict[str, Any]:
    """`slots` of Home Assistant's as our intent has them."""
    made = {way.renamed.get(name, name): value for name, value in slots.items()}
    domain, device_class = made.pop("domain", way.domain), made.pop("device_class", None)
    if isinstance(domain, list):
        domain = way.domain or domain[0]
    if made.get("name") == "all":
        made.pop("name")
    if domain and "name" not in made:
        kind = str(domain)
        if device_class is not None:
            first = device_class[0] if isinstance(device_class, list) else device_class
            kind = f"{kind}.{first}"
        made |= {"kind": f"{kind}+", "all": True}
    step = made.pop("volume_step", None)
    if step in ("up", "down"):
        made["direction"] = step
    elif isinstance(step, int | float):
        made |= {"direction": "up" if step > 0 else "down", "delta": abs(step)}
    return {**made, **way.given}
