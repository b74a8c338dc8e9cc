"""The home as it is now: devices that come and go, their states, and who carries commands to them.

Owned by the event loop: call it from there only. Everybody else reads `home()`, an immutable
picture.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from assistant.home.action import Action
from assistant.home.file import Overrides, slug
from assistant.home.model import Area, Device, Floor, Home, State, Timer
from assistant.home.ports import Carrier, Performer
from assistant.home.scheduled import Delayed, Scheduled
from assistant.home.vocabulary import VOCABULARY, ActionSpec, QuerySpec, Vocabulary

log = logging.getLogger(__name__)

Listener = Callable[[Device | None], None]
Predicate = Callable[[Device], bool]
_Place = TypeVar("_Place", Area, Floor)


@dataclass(slots=True)
class _Entry:
    device: Device  # as its source describes it, overrides not applied
    carrier: Carrier
    area_name: str | None = None
    shown: Device | None = None  # with overrides and reachability; None: to be made


@dataclass(slots=True)
class _Waiter:
    predicate: Predicate
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Registry:
    """What the home consists of, and its state as reported.

    `home` gives id, language, unit, floors and areas to begin with (its devices are not taken
    over: each needs a carrier, see `put`). `overrides` is the owner's word over names, areas,
    exposure and risk. Devices that `exposes` does not hold for are hidden, whoever shows them.
    """

    def __init__(
        self,
        home: Home | None = None,
        overrides: Overrides | None = None,
        exposes: Predicate = lambda _: True,
    ) -> None:
        self._base = home or Home()
        self._overrides = overrides or Overrides()
        self._exposes = exposes
        self._entries: dict[str, _Entry] = {}
        self._timers: tuple[Timer, ...] = self._base.timers
        self._delayed: tuple[Delayed, ...] = self._base.delayed
        self._schedules: tuple[Scheduled, ...] = self._base.schedules
        self._revision = self._base.revision
        self._online = True
        self._snapshot: Home | None = None
        self._listeners: list[Listener] = []
        self._waiters: dict[str, list[_Waiter]] = {}
        self._performers: dict[str, Performer] = {}
        self._vocabulary = VOCABULARY

    # -------------------------------------------------------------- what there is

    def put(self, device: Device, carrier: Carrier, *, area_name: str | None = None) -> None:
        """Add a device, or replace the one with its id.

        A replaced device keeps its reported state and availability where type and id stay the
        same: an updated description is no news about the lamp. `area_name`: an area by name, made
        where there is none of that name or alias; it goes again with its last device.
        """
        old = self._entries.get(device.id)
        if old is not None and old.device.type is device.type:
            state = {**old.device.state, **device.state}
            device = replace(device, state=MappingProxyType(state))
        entry = _Entry(device, carrier, area_name)
        self._entries[device.id] = entry
        same = (
            old is not None
            and old.area_name == area_name
            and _structure(old.device) == _structure(device)
        )
        self._changed(entry, structural=not same)

    def remove(self, device_id: str) -> None:
        """Take a device out; unknown ids are no error (a removal may come twice)."""
        if self._entries.pop(device_id, None) is not None:
            self._changed(None, structural=True)

    def set_timers(self, timers: Iterable[Timer], delayed: Iterable[Delayed] = ()) -> None:
        """The timers that run and the commands that wait, as their keeper sees them."""
        self._timers = tuple(timers)
        self._delayed = tuple(delayed)
        self._snapshot = None
        self._tell(None)

    def set_schedules(self, schedules: Iterable[Scheduled]) -> None:
        """The commands and reminders that wait, as their keeper sees them."""
        self._schedules = tuple(schedules)
        self._snapshot = None

    def set_overrides(self, overrides: Overrides) -> None:
        """Use other overrides from now on (after the home file changed)."""
        self._overrides = overrides
        for entry in self._entries.values():
            entry.shown = None
        self._changed(None, structural=True)

    # -------------------------------------------------------------- what is reported

    def report(self, device_id: str, changes: State) -> None:
        """A device says that these keys have these values; None takes a key away.

        Unknown ids are ignored: a state may outlive its device.
        """
        entry = self._entries.get(device_id)
        if entry is None:
            return
        state = {**entry.device.state, **changes}
        state = {key: value for key, value in state.items() if value is not None}
        if state == entry.device.state:
            self._wake(entry)
            return
        entry.device = replace(entry.device, state=MappingProxyType(state))
        self._changed(entry, structural=False)

    def set_available(self, device_id: str, available: bool) -> None:
        """A device can, or can't, be reached now, by its own word."""
        entry = self._entries.get(device_id)
        if entry is None or entry.device.available == available:
            return
        entry.device = replace(entry.device, available=available)
        self._changed(entry, structural=False)

    def set_online(self, online: bool) -> None:
        """The way to the devices (the broker) is there, or lost: then none is available."""
        if online == self._online:
            return
        self._online = online
        for entry in self._entries.values():
            entry.shown = None
        self._snapshot = None
        self._tell(None)

    # -------------------------------------------------------------- who reads it

    @property
    def temperature_unit(self) -> str:
        """Unit in which temperatures of this home are counted: "°C" or "°F"."""
        return self._base.temperature_unit

    @property
    def revision(self) -> int:
        """`home().revision`, without making that picture: changes with all but reports."""
        return self._revision

    def home(self) -> Home:
        """The home at this moment. The same object until something changes."""
        if self._snapshot is None:
            self._snapshot = self._picture()
        return self._snapshot

    def device(self, device_id: str) -> Device | None:
        """One device as `home()` shows it."""
        entry = self._entries.get(device_id)
        return self._shown(entry) if entry else None

    def carrier(self, device_id: str) -> Carrier:
        """Who carries commands to this device. Raises KeyError for an unknown one."""
        return self._entries[device_id].carrier

    async def wait_for(self, device_id: str, predicate: Predicate, timeout: float) -> bool:  # noqa: ASYNC109
        """Wait until `predicate` holds for the device, at most `timeout` s; whether it did."""
        device = self.device(device_id)
        if device is not None and predicate(device):
            return True
        waiter = _Waiter(predicate)
        waiters = self._waiters.setdefault(device_id, [])
        waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter.done
        except TimeoutError:
            return False
        finally:
            waiters.remove(waiter)
            if not waiters and self._waiters.get(device_id) is waiters:
                del self._waiters[device_id]
        return True

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every change with the device, or None for a change of the whole.

        Returns what ends the subscription. A listener that raises is logged and kept.
        """
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    # -------------------------------------------------------------- what skills bring

    @property
    def vocabulary(self) -> Vocabulary:
        """The actions known here, those of skills included."""
        return self._vocabulary

    def learn(self, actions: Iterable[ActionSpec] = (), queries: Iterable[QuerySpec] = ()) -> None:
        """Add a skill's actions and queries. Raises HomeError where a name is taken."""
        self._vocabulary = self._vocabulary.with_(actions, queries)

    def add_performer(self, names: Iterable[str], performer: Performer) -> None:
        """`performer` carries these device-less actions out from now on."""
        for name in names:
            self._performers[name] = performer

    def performer(self, action: Action) -> Performer | None:
        """Who carries out an action without devices."""
        return self._performers.get(action.name)

    # -------------------------------------------------------------- inside

    def _changed(self, entry: _Entry | None, *, structural: bool) -> None:
        self._snapshot = None
        if structural:
            self._revision += 1
        if entry is None:
            self._tell(None)
            return
        entry.shown = None
        self._wake(entry)
        self._tell(self._shown(entry))

    def _wake(self, entry: _Entry) -> None:
        shown = self._shown(entry)
        for waiter in self._waiters.get(shown.id, ()):
            if not waiter.done.done() and waiter.predicate(shown):
                waiter.done.set_result(None)

    def _tell(self, device: Device | None) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(device)
            except Exception:
                log.exception("a listener of the registry failed")

    def _shown(self, entry: _Entry) -> Device:
        if entry.shown is None:
            device = entry.device
            if entry.area_name is not None:
                device = replace(device, area=self._area_id(entry.area_name))
            device = self._overrides.applied_to(device)
            if device.exposed and not self._exposes(device):
                device = replace(device, exposed=False)
            if not self._online:
                device = replace(device, available=False)
            entry.shown = device
        return entry.shown

    def _area_id(self, name: str) -> str:
        wanted = name.casefold()
        for area in self._known_areas():
            if wanted in (area.id, area.name.casefold(), *(a.casefold() for a in area.aliases)):
                return area.id
        return slug(name)

    def _known_areas(self) -> tuple[Area, ...]:
        return _merged(self._base.areas, self._overrides.area_list())

    def _picture(self) -> Home:
        devices = {key: self._shown(entry) for key, entry in sorted(self._entries.items())}
        areas = {area.id: area for area in self._known_areas()}
        suggested = sorted(
            (self._area_id(entry.area_name), entry.area_name)
            for entry in self._entries.values()
            if entry.area_name is not None
        )
        for area_id, name in suggested:
            if any(device.area == area_id for device in devices.values()):
                areas.setdefault(area_id, Area(area_id, name))
        return replace(
            self._base,
            floors=_merged(self._base.floors, self._overrides.floor_list()),
            areas=tuple(areas.values()),
            devices=MappingProxyType(devices),
            timers=self._timers,
            delayed=self._delayed,
            schedules=self._schedules,
            revision=self._revision,
        )


def _structure(device: Device) -> Mapping[str, object]:
    """All of a device but what comes and goes with its reports."""
    fields = {name: getattr(device, name) for name in device.__dataclass_fields__}
    del fields["state"], fields["available"]
    return fields


def _merged(first: tuple[_Place, ...], over: tuple[_Place, ...]) -> tuple[_Place, ...]:
    return tuple({**{x.id: x for x in first}, **{x.id: x for x in over}}.values())
