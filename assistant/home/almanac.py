"""Where on earth the home is: its local time, and when the sun rises and sets there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Final

from astral import Observer, sun

_EVENTS: Final[Mapping[str, Callable[..., datetime]]] = MappingProxyType(
    {"dawn": sun.dawn, "sunrise": sun.sunrise, "sunset": sun.sunset, "dusk": sun.dusk}
)
SUN: Final = tuple(_EVENTS)
"""What the sun does. Dawn and dusk: it is 6° below the horizon (civil twilight)."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The home's time zone and its place in degrees, north and east positive."""

    zone: tzinfo | None = None
    """None: that of the machine."""
    latitude: float | None = None
    longitude: float | None = None

    @property
    def are_known(self) -> bool:
        """Whether it can be told what the sun does."""
        return self.latitude is not None and self.longitude is not None

    def local(self, moment: float) -> datetime:
        """The home's time at `moment` (seconds since the epoch)."""
        return datetime.fromtimestamp(moment, self.zone)

    def sun(self, event: str, day: date) -> float | None:
        """When the sun does `event` (one of SUN) on `day`, in seconds since the epoch.

        None where it does not on that day, as beyond the polar circles, or where nobody knows
        where the home is.
        """
        if self.latitude is None or self.longitude is None:
            return None
        observer = Observer(self.latitude, self.longitude)
        # The day there and the day in Greenwich overlap, and the sun may set after midnight.
        for near in (day, day - timedelta(days=1), day + timedelta(days=1)):
            try:
                moment = _EVENTS[event](observer, near).timestamp()
            except ValueError:  # never on that day
                continue
            if self.local(moment).date() == day:
                return moment
        return None


SOMEWHERE: Final = Whereabouts()
"""Where nobody has said where the home is."""
