"""The sound devices of this machine, for who must choose one or find out why there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from assistant.audio.portaudio import list_devices
from assistant.errors import AudioError


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """A device as the settings name it: by `index`, or by any part of `name`."""

    index: int
    name: str
    rate: int
    """Its own sample rate in Hz."""


@dataclass(frozen=True, slots=True)
class SoundDevices:
    """What can hear and what can speak; the defaults are None where there is none.

    `problem` says why something is missing and what to do about it.
    """

    inputs: tuple[SoundDevice, ...]
    outputs: tuple[SoundDevice, ...]
    default_input: SoundDevice | None
    default_output: SoundDevice | None
    problem: str | None


async def sound_devices() -> SoundDevices:
    """Ask the system; raises nothing: what failed is the `problem`."""
    try:
        found, (default_in, default_out) = await list_devices()
    except AudioError as error:
        return SoundDevices((), (), None, None, str(error))
    inputs = tuple(_device(d) for d in found if d["max_input_channels"] > 0)
    outputs = tuple(_device(d) for d in found if d["max_output_channels"] > 0)
    return SoundDevices(
        inputs,
        outputs,
        next((d for d in inputs if d.index == default_in), None),
        next((d for d in outputs if d.index == default_out), None),
        _problem(bool(inputs), bool(outputs)),
    )


def _device(described: dict[str, object]) -> SoundDevice:
    return SoundDevice(
        index=int(str(described["index"])),
        name=str(described["name"]),
        rate=round(float(str(described["default_samplerate"]))),
    )


def _problem(can_hear: bool, can_speak: bool) -> str | None:
    if can_hear and can_speak:
        return None
    missing = "input" if can_speak else "output" if can_hear else "device"
    nodes = list(Path("/dev/snd").glob("pcm*"))
    if any(not os.access(node, os.R_OK | os.W_OK) for node in nodes):
        return (
            f"no sound {missing}: this user may not use the sound card; "
            'add it to the group "audio": sudo usermod -aG audio USER'
        )
    return (
        f"no sound {missing}: plug in a sound card or start the sound server; "
        "until then recorded speech and text work"
    )
