"""Telling systemd how the service fares: the protocol of sd_notify(3), one datagram a message."""

from __future__ import annotations

import logging
import os
import socket
import time

log = logging.getLogger(__name__)

PATIENCE = 0.5
"""Seconds for which a service manager whose queue is full is waited for."""


def notify(**fields: str) -> bool:
    """Send `fields` to the service manager, such as READY="1" or STATUS="listening".

    Returns False where there is none (NOTIFY_SOCKET unset), as when started by hand, and when it
    can't be reached, as while systemd is being updated: no reason to stop listening.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # abstract namespace
    # A status is one line; a newline in it would start another field.
    message = "\n".join(f"{key}={' '.join(value.split())}" for key, value in fields.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(PATIENCE)
            channel.sendto(message.encode(), address)
    except OSError as error:
        log.warning("the service manager can't be told %s: %s", ", ".join(fields), error)
        return False
    return True


def notify_reloading() -> bool:
    """Announce a reload, as Type=notify-reload wants it: with the monotonic time of its begin."""
    microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    return notify(RELOADING="1", MONOTONIC_USEC=str(microseconds))


def watchdog_seconds() -> float | None:
    """Time within which the service manager wants a sign of life; None: it wants none.

    sd_watchdog_enabled(3): WATCHDOG_PID, where set, must be ours.
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    owner = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or owner != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
