"""Thermostats and air conditioners. Temperatures are turned into the home's unit and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from assistant.errors import DiscoveryError
from assistant.home.action import Action
from assistant.home.discovery.config import Appliance, Command, Config, number_of, tidy
from assistant.home.discovery.wording import harmless
from assistant.home.model import Device, DeviceType, StateValue
from assistant.home.vocabulary import ActionError

_MODES: Final = ("auto", "off", "cool", "heat", "dry", "fan_only")
# What "on" alone means, in order of preference.
_WHEN_ON: Final = ("heat_cool", "auto", "heat", "cool", "fan_only", "dry")


def climate(config: Config, unit: str) -> Appliance:
    """Mode, target and measured temperature on topics of their own."""
    set_mode = config.order("mode_command_topic", "mode_command_template")
    set_target = config.order("temperature_command_topic", "temperature_command_template")
    power = config.order("power_command_topic", "power_command_template")
    modes = tuple(mode for mode in config.texts("modes", _MODES) if harmless(mode) == mode)
    payloads = {
        "turn_on": config.text("payload_on", "ON"),
        "turn_off": config.text("payload_off", "OFF"),
    }
    own = _unit(config, unit)
    # Ranges that are not given are those of Home Assistant: 7 to 35 °C.
    low = _converted(config.number("min_temp", _converted(7, "°C", own)), own, unit)
    high = _converted(config.number("max_temp", _converted(35, "°C", own)), own, unit)
    if low >= high:
        raise DiscoveryError("min_temp is not below max_temp")
    step = config.number_or_none("temp_step")

    def read_mode(text: str) -> Mapping[str, StateValue]:
        if text == "None":
            return {"mode": None, "on": None}
        if text not in modes:
            raise DiscoveryError(f"{text[:40]!r} is none of the modes")
        return {"mode": text, "on": text != "off"}

    def read_target(text: str) -> Mapping[str, StateValue]:
        return {"target_temperature": _read(text, own, unit)}

    def read_current(text: str) -> Mapping[str, StateValue]:
        return {"current_temperature": _read(text, own, unit)}

    def mode_commands(device: Device, mode: str) -> tuple[Command, ...]:
        if mode == "off" and power is not None:
            return (power(payloads["turn_off"]),)
        if set_mode is None:
            raise ActionError("unsupported", f"{device.name} can't change its mode")
        wakes = power is not None and device.state.get("on") is False
        first = (power(payloads["turn_on"]),) if power is not None and wakes else ()
        return (*first, set_mode(mode))

    def commands(device: Device, action: Action) -> tuple[Command, ...]:
        match action.name:
            case "set_mode":
                return mode_commands(device, str(action.params["mode"]))
            case "turn_off":
                return mode_commands(device, "off")
            case "turn_on" if power is not None:
                return (power(payloads["turn_on"]),)
            case "turn_on":
                best = next((mode for mode in _WHEN_ON if mode in modes), None)
                if best is None:
                    raise ActionError("unsupported", f"{device.name} has no mode to turn on in")
                return mode_commands(device, best)
            case "set_temperature" if set_target is not None:
                wanted = float(str(action.params["temperature"]))
                target = set_target(tidy(_converted(wanted, unit, own)))
                if "mode" in action.params:
                    return (*mode_commands(device, str(action.params["mode"])), target)
                return (target,)
        raise ActionError("unsupported", f"{device.name} can't {action.name}")

    readings = (
        *config.reading("mode_state_topic", "mode_state_template", read_mode),
        *config.reading("temperature_state_topic", "temperature_state_template", read_target),
        *config.reading("current_temperature_topic", "current_temperature_template", read_current),
    )
    says_mode, says_target = config.has("mode_state_topic"), config.has("temperature_state_topic")
    capabilities = {
        "on_off": power is not None or (set_mode is not None and "off" in modes),
        "mode": set_mode is not None,
        "temperature": set_target is not None,
    }
    silent = {"on": not says_mode, "mode": not says_mode, "target_temperature": not says_target}
    return Appliance(
        DeviceType.CLIMATE,
        commands,
        frozenset(name for name, there in capabilities.items() if there),
        readings,
        optimistic=config.flag("optimistic") or not (says_mode or says_target),
        unreported=frozenset(key for key, yes in silent.items() if yes),
        minimum=tidy(low),
        maximum=tidy(high),
        step=step if own == unit else None,
        options=modes if set_mode is not None else (),
    )


def _unit(config: Config, home: str) -> str:
    named = config.text("temperature_unit", home).strip("° ").upper()
    if named not in ("C", "F"):
        raise DiscoveryError("temperature_unit is neither C nor F")
    return f"°{named}"


def _converted(value: float, own: str, wanted: str) -> float:
    if own == wanted:
        return value
    return value * 9 / 5 + 32 if own == "°C" else (value - 32) * 5 / 9


def _read(text: str, own: str, unit: str) -> StateValue:
    if text == "None":
        return None
    value = _converted(number_of(text), own, unit)
    return tidy(value if own == unit else round(value, 1))
